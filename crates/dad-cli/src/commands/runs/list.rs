//! `dhenara runs list`.

use std::time::Duration;

use clap::Args;
use dad_core::{RunStatus, format_duration, format_size};
use dad_run::{RunEntry, Unreadable};
use dad_terminal::{count, print_line, printable};
use serde_json::json;

use crate::app::App;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::summary::{command_in, made_at, place_of};
use crate::output::{json, out};

/// List the runs, the newest last.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    place: Place,
    /// Say how large each run is; every file of it is asked about.
    #[arg(long)]
    size: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for ListArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        list(app, self)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

fn list(app: &App, arguments: &ListArgs) -> Result<u8, CommandError> {
    let ListArgs {
        place,
        size,
        json: as_json,
    } = arguments;
    // What is proposed below is never a run of another user.
    let project = app.project_or_here(place)?;
    let catalog = project.own_runs()?;
    let (runs, sizes, unreadable): (Vec<RunEntry>, Vec<Option<u64>>, Vec<Unreadable>) = if *size {
        let found = catalog.inventory()?;
        let runs = found.runs.into_iter();
        let (runs, sizes) = runs.map(|run| (run.entry, Some(run.bytes))).unzip();
        (runs, sizes, found.unreadable)
    } else {
        let found = catalog.listing()?;
        let sizes = vec![None; found.runs.len()];
        (found.runs, sizes, found.unreadable)
    };
    if *as_json {
        let runs = runs.iter().zip(&sizes);
        let runs = runs.map(|(run, bytes)| entry_json(run, *bytes));
        json::print(json!({
            "runs": runs.collect::<Vec<_>>(),
            "unreadable": unreadable,
        }))?;
        return Ok(exit_code::DONE);
    }
    if runs.is_empty() && unreadable.is_empty() {
        let run_root = place_of(&project.dirs()?.run_root);
        print_line(&format!(
            "there are no runs in `{run_root}`; `dhenara run NAME` makes one"
        ));
    }
    let width = |text: fn(&RunEntry) -> String| runs.iter().map(|run| text(run).len()).max().unwrap_or(0);
    let widths = COLUMNS.map(width);
    let mut lines = String::new();
    for (run, bytes) in runs.iter().zip(sizes) {
        lines += &entry_line(run, bytes, widths);
        lines.push('\n');
    }
    if !lines.is_empty() {
        out::lines(&lines)?;
    }
    for run in &unreadable {
        print_line(&format!("left out: {}", printable(&run.reason)));
    }
    if let Some(run) = runs
        .iter()
        .rfind(|run| run.status == RunStatus::Waiting && catalog.may_mean(run))
    {
        let next = command_in(&["answer", run.run_id.as_str()], place);
        print_line(&format!("answer the newest waiting run with `{next}`"));
    }
    if let Some(run) = runs.iter().rfind(|run| can_resume(run) && catalog.may_mean(run)) {
        let next = command_in(&["resume", run.run_id.as_str()], place);
        print_line(&format!("resume the newest unfinished run with `{next}`"));
    }
    Ok(exit_code::DONE)
}

/// Whether a run can be resumed right now.
fn can_resume(run: &RunEntry) -> bool {
    let open = [RunStatus::Failed, RunStatus::Cancelled, RunStatus::Interrupted];
    !run.is_original && open.contains(&run.status)
}

fn entry_json(run: &RunEntry, bytes: Option<u64>) -> serde_json::Value {
    let mut entry = json!(run);
    if let Some(bytes) = bytes {
        entry["bytes"] = bytes.into();
    }
    entry
}

/// The columns between the status and what a run was started from.
const COLUMNS: [fn(&RunEntry) -> String; 6] = [
    |run| run.run_id.to_string(),
    |run| run.root_id.as_ref().map(ToString::to_string).unwrap_or_default(),
    |run| {
        let made = run.created_at.map(made_at).unwrap_or_default();
        if run.is_original {
            made.replace("UTC", "local time")
        } else {
            made
        }
    },
    |run| duration(run).map(format_duration).unwrap_or_default(),
    |run| {
        let totals = run.totals;
        let steps = totals.map(|totals| match totals.counts.failed {
            0 => count(totals.counts.total(), "step"),
            failed => format!("{}, {failed} failed", count(totals.counts.total(), "step")),
        });
        steps.unwrap_or_default()
    },
    |run| {
        let usage = run.totals.map(|totals| totals.usage).unwrap_or_default();
        let paid = usage.cost.and_then(dad_terminal::cost);
        let replayed = (usage.replayed > 0).then(|| "replayed".to_owned());
        paid.or(replayed).unwrap_or_default()
    },
];

fn duration(run: &RunEntry) -> Option<Duration> {
    let (begin, end) = (run.created_at?, run.last_record_at?);
    let ended = run.status != RunStatus::Running;
    ended.then(|| (end - begin).try_into().ok()).flatten()
}

/// A line of the list; a column that no run has anything for is left out.
fn entry_line(run: &RunEntry, bytes: Option<u64>, widths: [usize; COLUMNS.len()]) -> String {
    let style = dad_terminal::run_style(run.status);
    let status = match run.open_questions {
        0 => run.status.to_string(),
        open => format!("{} ({open})", run.status),
    };
    let mut line = format!("{style}{status:<11}{style:#}");
    for (index, (column, width)) in COLUMNS
        .iter()
        .zip(widths)
        .enumerate()
        .filter(|(_, (_, width))| *width > 0)
    {
        let gap = if index == 0 { " " } else { "  " };
        line += &format!("{gap}{:<width$}", column(run));
    }
    if let Some(bytes) = bytes {
        line += &format!("  {:>8}", format_size(bytes));
    }
    if let Some(parent) = &run.parent {
        line += &format!("  from {parent}");
    }
    line.trim_end().to_owned()
}
