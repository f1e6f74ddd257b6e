//! `dhenara runs list`.

use std::time::Duration;

use anstyle::Style;
use clap::Args;
use dad_core::{RunStatus, StatusCounts, Timestamp, Usage, format_duration, format_size};
use dad_run::{Catalog, RunEntry, RunFilter, Tag, Unreadable};
use dad_terminal::{
    internal::{count, run_style},
    output_width, print_line, printable,
};
use serde_json::json;

use crate::app::App;
use crate::commands::runs::filter::Filter;
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::program;
use crate::output::summary::{command_in, made_at, place_of};
use crate::output::table::{Cell, Column, table};
use crate::output::{json, out};

/// List the runs, the newest last.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Place,
    /// Say how large each run is; every file of it is asked about.
    #[arg(long)]
    size: bool,
    /// Print the ids alone, one in a line.
    #[arg(long, conflicts_with_all = ["size", "json"])]
    ids: bool,
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
            paged: true,
            ..CommonOptions::default()
        }
    }
}

fn list(app: &App, arguments: &ListArgs) -> Result<u8, CommandError> {
    let place = &arguments.place;
    let filter = arguments.filter.read(Timestamp::now())?;
    // What is proposed below is never a run of another user.
    let project = app.project_or_here(place)?;
    let catalog = project.own_runs()?;
    let (listed, unreadable) = listed(&catalog, &filter, arguments.size)?;
    if arguments.json {
        let runs = listed.iter().map(|(run, bytes)| entry_json(run, *bytes));
        json::print(json!({
            "runs": runs.collect::<Vec<_>>(),
            "unreadable": unreadable,
        }))?;
        return Ok(exit_code::DONE);
    }
    if arguments.ids {
        let ids: Vec<&str> = listed.iter().map(|(run, _)| run.run_id.as_str()).collect();
        if !ids.is_empty() {
            out::exact(&ids.join("\n"))?;
        }
        return Ok(exit_code::DONE);
    }
    if listed.is_empty() && !filter.is_everything() {
        print_line("no run fits");
    } else if listed.is_empty() && unreadable.is_empty() {
        let run_root = place_of(&project.dirs()?.run_root);
        print_line(&format!(
            "there are no runs in `{run_root}`; `{}` makes one",
            program::command("run NAME")
        ));
    }
    if !listed.is_empty() {
        let rows: Vec<Vec<Cell>> = listed.iter().map(|(run, bytes)| row(run, *bytes)).collect();
        out::lines(&table(&COLUMNS, &rows, output_width()))?;
    }
    out::end_paging()?;
    for run in &unreadable {
        print_line(&format!("left out: {}", printable(&run.reason)));
    }
    let newest = |fits: fn(&RunEntry) -> bool| {
        let mut runs = listed.iter().rev().map(|(run, _)| run);
        runs.find(|run| fits(run) && catalog.may_mean(run))
    };
    if let Some(run) = newest(|run| run.status == RunStatus::Waiting) {
        let next = command_in(&["answer", run.run_id.as_str()], place);
        print_line(&format!("answer the newest waiting run with `{next}`"));
    }
    if let Some(run) = newest(can_resume) {
        let next = command_in(&["resume", run.run_id.as_str()], place);
        print_line(&format!("resume the newest unfinished run with `{next}`"));
    }
    Ok(exit_code::DONE)
}

/// The runs that fit, with their sizes if those are wanted, and those that cannot be read.
type Listed = (Vec<(RunEntry, Option<u64>)>, Vec<Unreadable>);

fn listed(catalog: &Catalog, filter: &RunFilter, with_sizes: bool) -> Result<Listed, CommandError> {
    if with_sizes {
        let found = catalog.inventory()?;
        let runs = filter.choose(found.runs, |run| &run.entry).into_iter();
        let runs = runs.map(|run| (run.entry, Some(run.bytes))).collect();
        return Ok((runs, found.unreadable));
    }
    let found = catalog.listing()?;
    let runs = filter.choose(found.runs, |run| run).into_iter();
    Ok((runs.map(|run| (run, None)).collect(), found.unreadable))
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

const COLUMNS: [Column; 10] = [
    Column::new("STATUS", 0),
    Column::new("RUN", 0),
    Column::new("AGENT", 0).cut(),
    Column::new("MADE", 2),
    // As wide as most times, so that lists look alike.
    Column::new("TOOK   ", 3),
    Column::new("STEPS", 4),
    Column::new("COST", 1),
    Column::new("SIZE", 0).right(),
    Column::new("TAGS", 1).cut(),
    Column::new("FROM", 5),
];

fn row(run: &RunEntry, bytes: Option<u64>) -> Vec<Cell> {
    let status = match run.open_questions {
        0 => run.status.to_string(),
        open => format!("{} ({open})", run.status),
    };
    let made = run.created_at.map(made_at).unwrap_or_default();
    let made = if run.is_original {
        made.replace("UTC", "local time")
    } else {
        made
    };
    let plain = |text: String| (text, Style::new());
    let or_empty = Option::unwrap_or_default;
    vec![
        (status, run_style(run.status)),
        plain(run.run_id.to_string()),
        plain(or_empty(run.root_id.as_ref().map(ToString::to_string))),
        plain(made),
        plain(or_empty(duration(run).map(format_duration))),
        plain(or_empty(run.totals.map(|totals| steps(&totals.counts)))),
        plain(or_empty(run.totals.map(|totals| cost(&totals.usage)))),
        plain(or_empty(bytes.map(format_size))),
        plain(words(&run.tags)),
        plain(or_empty(run.parent.as_ref().map(ToString::to_string))),
    ]
}

fn words(tags: &[Tag]) -> String {
    let words: Vec<String> = tags.iter().map(ToString::to_string).collect();
    words.join(" ")
}

fn steps(counts: &StatusCounts) -> String {
    let total = count(counts.total(), "step");
    match counts.failed {
        0 => total,
        failed => format!("{total}, {failed} failed"),
    }
}

/// The price that was paid, and the number of replayed answers, which cost nothing.
fn cost(usage: &Usage) -> String {
    let replayed = (usage.replayed > 0).then(|| format!("{} replayed", usage.replayed));
    let parts = usage
        .cost
        .and_then(dad_terminal::internal::cost)
        .into_iter()
        .chain(replayed);
    parts.collect::<Vec<_>>().join(", ")
}

fn duration(run: &RunEntry) -> Option<Duration> {
    let (begin, end) = (run.created_at?, run.last_record_at?);
    let ended = run.status != RunStatus::Running;
    ended.then(|| (end - begin).try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use dad_run::Totals;

    use super::*;

    #[test]
    fn a_list_fits_a_screen_of_60_columns() {
        let id = |id: &str| id.parse().unwrap();
        let mut counts = StatusCounts::default();
        (counts.completed, counts.failed) = (11, 2);
        let usage = Usage::default().calls(3).cost(0.0036).replayed(2);
        let run = RunEntry::new(
            id("rerun_20251123_141516_9f3a1c"),
            "there".into(),
            RunStatus::Interrupted,
        )
        .root_id(
            "an_agent_with_a_long_name_root"
                .parse::<dad_core::ElementId>()
                .unwrap(),
        )
        .created_at("2025-11-23T14:15:16Z".parse::<Timestamp>().unwrap())
        .last_record_at("2025-11-23T14:17:16Z".parse::<Timestamp>().unwrap())
        .parent(id("run_20251122_141516_9f3a1c"))
        .totals(Totals::new(counts, usage));
        let lines = |width| {
            let table = table(&COLUMNS, &[row(&run, None)], Some(width));
            anstream::adapter::strip_str(&table).to_string()
        };
        assert_eq!(
            lines(60),
            "STATUS       RUN                           AGENT\n\
             interrupted  rerun_20251123_141516_9f3a1c  an_agent_with_a_…\n"
        );
        assert_eq!(
            lines(100),
            "STATUS       RUN                           AGENT                           COST\n\
             interrupted  rerun_20251123_141516_9f3a1c  an_agent_with_a_long_name_root  $0.0036, 2 replayed\n"
        );
        assert!(
            lines(300).contains("2m 00s   13 steps, 2 failed  $0.0036, 2 replayed  run_20251122"),
            "{}",
            lines(300)
        );
    }
}
