//! `dhenara runs prune`.

use std::time::Duration;

use clap::Args;
use dad_core::Timestamp;
use dad_run::{PlannedRun, PruneReport, RetentionPolicy};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::runs::removal::{Removal, exit_code_of, print, report_json};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::output::json;

/// Remove old runs, and what crashes left in the run root. A run is kept if any of the rules keeps it; never removed
/// are runs that are driven, that wait for an answer, that a re-run which is kept may still take results from, or that
/// the original system made.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Keep the newest N runs.
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,
    /// Keep runs whose last record is less than D days old.
    #[arg(long, value_name = "D")]
    keep_days: Option<u32>,
    /// Keep the newest runs that take at most SIZE together, such as 500MB or 2GiB.
    #[arg(long, value_name = "SIZE", value_parser = dad_core::parse_size)]
    max_size: Option<u64>,
    #[command(flatten)]
    removal: Removal,
}

impl PruneArgs {
    fn policy(&self) -> RetentionPolicy {
        let age = |days: u32| Duration::from_hours(24 * u64::from(days));
        RetentionPolicy::default()
            .keep_last(self.keep_last)
            .keep_age(self.keep_days.map(age))
            .max_size(self.max_size)
    }
}

impl Execute for PruneArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        prune(app, &self.policy(), &self.removal)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.removal.place.clone(),
            json: self.removal.json,
            ..CommonOptions::default()
        }
    }
}

fn prune(app: &App, policy: &RetentionPolicy, removal: &Removal) -> Result<u8, CommandError> {
    if policy.is_empty() {
        let error = CommandError::usage("no_rule", "no rule says which runs to keep");
        return Err(error.with_hint("give `--keep-last N`, `--keep-days D` or `--max-size SIZE`"));
    }
    let catalog = app.project_or_here(&removal.place)?.runs_in_root()?;
    let plan = dad_run::plan_prune(catalog.inventory()?, policy, Timestamp::now());
    let report = if removal.dry_run {
        let mut report = PruneReport::default();
        report.removed = plan.removed().cloned().collect();
        report.leftovers.clone_from(&plan.leftovers);
        report
    } else {
        catalog.prune(&plan)?
    };
    if removal.json {
        let mut document = report_json(&report, removal.dry_run);
        document["kept"] = plan.runs.iter().filter_map(kept_json).collect();
        document["unreadable"] = json!(plan.unreadable);
        json::print(document)?;
    } else {
        print(&report, removal.dry_run, Some((&plan, policy)))?;
    }
    Ok(exit_code_of(&report))
}

fn kept_json(planned: &PlannedRun) -> Option<Value> {
    let PlannedRun { run, kept, .. } = planned;
    let is_kept = !kept.is_empty();
    is_kept.then(|| json!({ "run_id": run.entry.run_id, "bytes": run.bytes, "reasons": kept }))
}
