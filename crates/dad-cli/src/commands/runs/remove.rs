//! `dhenara runs rm`.

use clap::Args;
use dad_run::PruneReport;

use crate::app::App;
use crate::commands::runs::removal::{Removal, exit_code_of, print, report_json};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::output::json;

/// Remove runs. A run that a process drives is refused. Without `--force`, so is a run that waits for an answer, or whose
/// results an incomplete re-run may still reuse.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Their ids, unique beginnings of them, `last`, or `last~N` for the Nth before it.
    #[arg(required = true)]
    run: Vec<String>,
    /// Remove runs that wait for an answer or are needed by a re-run, too.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    removal: Removal,
}

impl Execute for RemoveArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        remove(app, &self.run, self.force, &self.removal)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.removal.place.clone(),
            json: self.removal.json,
            ..CommonOptions::default()
        }
    }
}

fn remove(app: &App, runs: &[String], force: bool, removal: &Removal) -> Result<u8, CommandError> {
    let catalog = app.project_or_here(&removal.place)?.own_runs()?;
    let runs = catalog.find_removable(runs, force)?;
    let report = if removal.dry_run {
        let mut report = PruneReport::default();
        report.removed = runs;
        report
    } else {
        catalog.remove(&runs)?
    };
    if removal.json {
        json::print(report_json(&report, removal.dry_run))?;
    } else {
        print(&report, removal.dry_run, None)?;
    }
    if !report.in_use.is_empty() {
        // A process began to use a run after it was checked.
        return Ok(exit_code::REFUSED);
    }
    Ok(exit_code_of(&report))
}
