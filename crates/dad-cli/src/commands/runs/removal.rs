//! The report of removed runs, for `rm` and `prune`.

use std::path::Path;

use clap::Args;
use dad_core::format_size;
use dad_run::{
    KeepReason, Leftover, PlannedRun, PrunePlan, PruneReport, RetentionPolicy, RunEntry, StoredRun,
};
use dad_terminal::{DIM, internal::count, internal::run_style, print_line};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::out;
use crate::output::program;

/// The options of commands that remove runs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Removal {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Say what would be removed, without removing it.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) fn exit_code_of(report: &PruneReport) -> u8 {
    if report.failures.is_empty() {
        exit_code::DONE
    } else {
        exit_code::FAILED
    }
}

pub(super) fn report_json(report: &PruneReport, dry_run: bool) -> Value {
    let removed = report.removed.iter().map(|run| {
        json!({
            "run_id": run.entry.run_id,
            "run_dir": run.entry.dir,
            "status": run.entry.status,
            "last_record_at": run.entry.last_record_at,
            "bytes": run.bytes,
        })
    });
    let leftovers = report.leftovers.iter();
    let failures = report.failures.iter();
    json!({
        "dry_run": dry_run,
        "removed": removed.collect::<Vec<_>>(),
        "leftovers": leftovers.map(|it| json!({ "path": it.path, "bytes": it.bytes })).collect::<Vec<_>>(),
        "bytes_freed": freed(report),
        "in_use": report.in_use,
        "failures": failures.map(|it| json!({ "path": it.path, "reason": it.reason })).collect::<Vec<_>>(),
    })
}

fn freed(report: &PruneReport) -> u64 {
    let runs = report.removed.iter().map(|run| run.bytes);
    runs.chain(report.leftovers.iter().map(|leftover| leftover.bytes))
        .sum()
}

/// Prints the runs that were removed, or would be. A plan that is only shown lists also the runs that stay, with the reasons.
pub(super) fn print(
    report: &PruneReport,
    dry_run: bool,
    plan: Option<(&PrunePlan, &RetentionPolicy)>,
) -> Result<(), CommandError> {
    let ids = plan
        .iter()
        .flat_map(|(plan, _)| plan.runs.iter().map(|planned| &planned.run));
    let width = ids
        .chain(&report.removed)
        .map(|run| run.entry.run_id.as_str().len())
        .max()
        .unwrap_or(0);
    let verb = if dry_run { "remove" } else { "removed" };
    match plan.filter(|_| dry_run) {
        Some((plan, policy)) => {
            for PlannedRun { run, kept, .. } in &plan.runs {
                let line = if kept.is_empty() {
                    run_line(verb, run, width)
                } else {
                    let reasons = kept.iter().map(|reason| in_words(*reason, policy));
                    let reasons = reasons.collect::<Vec<_>>().join("; ");
                    format!("{}  {DIM}{reasons}{DIM:#}", run_line("keep", run, width))
                };
                out::lines(&line)?;
            }
        }
        None => {
            for run in &report.removed {
                out::lines(&run_line(verb, run, width))?;
            }
        }
    }
    for Leftover { path, bytes, .. } in &report.leftovers {
        out::lines(&format!(
            "{verb:<7} {}  {:>8}  {DIM}left by a crash{DIM:#}",
            path.display(),
            format_size(*bytes)
        ))?;
    }
    for run in &report.in_use {
        out::lines(&format!("kept    {run}  {DIM}a process uses it now{DIM:#}"))?;
    }
    if let Some((plan, _)) = plan {
        for run in &plan.unreadable {
            print_line(&format!("not removed: {}", dad_terminal::printable(&run.reason)));
            let id = run.dir.file_name().unwrap_or_default().to_string_lossy();
            print_line(&format!(
                "  hint: `{} {id}` removes it anyway",
                program::command("runs rm")
            ));
        }
    }
    for failure in &report.failures {
        print_line(&format!(
            "cannot remove {}: {}",
            shown(&failure.path),
            failure.reason
        ));
    }
    out::lines(&in_short(report, dry_run, plan.map(|(plan, _)| plan)))
}

fn run_line(verb: &str, run: &StoredRun, width: usize) -> String {
    let RunEntry { run_id, status, .. } = &run.entry;
    let style = run_style(*status);
    format!(
        "{verb:<7} {run_id:<width$}  {style}{:<11}{style:#} {:>8}",
        status.as_str(),
        format_size(run.bytes)
    )
}

fn in_words(reason: KeepReason, policy: &RetentionPolicy) -> String {
    match reason {
        KeepReason::Running => "it is running".to_owned(),
        KeepReason::Waiting => "it waits for an answer".to_owned(),
        KeepReason::Needed => "a re-run that is kept may still take results from it".to_owned(),
        KeepReason::Original => "made by the original system; only `runs rm` removes it".to_owned(),
        KeepReason::Last => match policy.keep_last {
            Some(1) | None => "the newest".to_owned(),
            Some(last) => format!("one of the newest {last}"),
        },
        KeepReason::Age => {
            let days = policy.keep_age.map_or(0, |age| age.as_secs() / (24 * 60 * 60));
            format!("used in the last {}", count(days, "day"))
        }
        KeepReason::Size => {
            let size = policy.max_size.map(format_size).unwrap_or_default();
            format!("within the newest {size}")
        }
        _ => "kept".to_owned(),
    }
}

fn in_short(report: &PruneReport, dry_run: bool, plan: Option<&PrunePlan>) -> String {
    let would = if dry_run { "would be " } else { "" };
    let removed = report.removed.len() as u64;
    let mut line = match (removed, freed(report)) {
        (0, 0) => "nothing to remove".to_owned(),
        (_, freed) => format!(
            "{} {would}removed, {} freed",
            count(removed, "run"),
            format_size(freed)
        ),
    };
    if let Some(plan) = plan {
        let kept = plan
            .runs
            .iter()
            .filter(|planned| !planned.kept.is_empty())
            .count() as u64;
        line += &format!(", {} kept", count(kept, "run"));
    }
    line
}

fn shown(path: &Path) -> String {
    dad_terminal::printable(&path.display().to_string())
}
