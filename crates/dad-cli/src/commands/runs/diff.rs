//! `dhenara runs diff`: what differs between two runs.

use std::time::Duration;

use clap::Args;
use dad_core::{HierarchyPath, RunStatus, format_duration};
use dad_project::ProjectRun;
use dad_run::{Change, RunDiff, StepDiff, StepSide};
use dad_terminal::{
    BOLD, DIM,
    internal::{count, mark},
};
use serde_json::json;

use crate::app::App;
use crate::commands::runs::select::{not_found, selector};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::change::change_text;
use crate::output::summary::paid;
use crate::output::{json, out};

/// Compare two runs, or one step of them: settings, prompts, outcomes, files, tokens, costs and times. Steps are compared with
/// those of the same path; the ones that differ come first, those that are the same are counted.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The earlier run: its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    before: String,
    /// The later run.
    after: String,
    /// A step, by its path or the end of it.
    path: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for DiffArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let runs = project.runs()?;
        let entries = [&self.before, &self.after].map(|run| runs.find(run, None));
        let [before, after] = entries;
        let (before, after) = (before?, after?);
        let open = |entry| Ok::<_, CommandError>(project.run_of(project.view(entry)?));
        let (first, second) = (open(&before)?, open(&after)?);
        if let Some(path) = &self.path {
            let selector = selector(path)?;
            // A step that only the later run has can be named, too.
            let path = first.view().select_step(&selector).or_else(|error| {
                let in_second = second.view().select_step(&selector);
                in_second.map_err(|_| error)
            });
            let path = path.map_err(|error| not_found(&error, &before))?;
            step(&first, &second, &path, self.json)?;
        } else {
            let diff = first.diff(&second)?;
            if self.json {
                out::document(&json!({
                    "schema_version": json::FORMAT,
                    "before": diff.before,
                    "after": diff.after,
                    "settings": diff.settings,
                    "output": diff.output,
                    "steps": diff.steps,
                    "same": diff.same,
                }))?;
            } else {
                out::lines(&run_text(&diff))?;
            }
        }
        Ok(exit_code::DONE)
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

fn step(
    first: &ProjectRun,
    second: &ProjectRun,
    path: &HierarchyPath,
    as_json: bool,
) -> Result<(), CommandError> {
    let diff = first.view().diff_step(second.view(), path)?;
    if as_json {
        return json::print(json!(diff));
    }
    let mut text = step_text(&diff);
    if diff.is_same() {
        text += match (&diff.before, &diff.after) {
            (None, None) => "  neither run came to its end\n",
            _ => "  it did the same in both runs\n",
        };
    }
    out::lines(&text)
}

fn run_text(diff: &RunDiff) -> String {
    let (before, after) = (&diff.before, &diff.after);
    let mut text = format!(
        "{BOLD}{}{BOLD:#} → {BOLD}{}{BOLD:#}\n",
        before.run_id, after.run_id
    );
    let took = |run: &dad_run::RunSide| match run.status {
        RunStatus::Running => String::new(),
        _ => format_duration(Duration::from_millis(run.took_ms)),
    };
    let rows = [
        ("status", before.status.to_string(), after.status.to_string()),
        (
            "steps",
            dad_terminal::internal::counts(&before.totals.counts),
            dad_terminal::internal::counts(&after.totals.counts),
        ),
        ("model", paid(&before.totals.usage), paid(&after.totals.usage)),
        ("took", took(before), took(after)),
    ];
    for (name, before, after) in rows {
        text += &row(name, &before, &after);
    }
    text.extend(diff.settings.iter().map(change_text));
    text.extend(diff.output.iter().map(change_text));
    let differ = diff.steps.len() as u64;
    let same = match diff.same {
        0 => String::new(),
        1 => "; 1 is the same".to_owned(),
        same => format!("; {same} are the same"),
    };
    text += &match differ {
        0 => format!("no step differs{same}\n"),
        1 => format!("1 step differs{same}\n"),
        _ => format!("{} differ{same}\n", count(differ, "step")),
    };
    text.extend(diff.steps.iter().map(step_text));
    text
}

/// A fact about both; once if it is the same.
fn row(name: &str, before: &str, after: &str) -> String {
    let or_none = |text: &str| {
        if text.is_empty() {
            "none".to_owned()
        } else {
            text.to_owned()
        }
    };
    match (before, after) {
        ("", "") => String::new(),
        _ if before == after => format!("  {DIM}{name:<9}{DIM:#} {before}\n"),
        _ => format!(
            "  {DIM}{name:<9}{DIM:#} {} → {}\n",
            or_none(before),
            or_none(after)
        ),
    }
}

fn step_text(diff: &StepDiff) -> String {
    let last = diff.after.as_ref().or(diff.before.as_ref());
    let (sign, style) = last.map_or(("·", DIM), |side| mark(side.status, false));
    let mut facts = Vec::new();
    let sides = match (&diff.before, &diff.after) {
        (Some(before), Some(after)) => {
            if before.status != after.status {
                facts.push(format!("{} → {}", before.status, after.status));
            }
            Some((before, after))
        }
        (Some(before), None) => {
            facts.push(format!("only before: {}", before.status));
            None
        }
        (None, Some(after)) => {
            facts.push(format!("only after: {}", after.status));
            None
        }
        (None, None) => None,
    };
    if let Some((before, after)) = sides {
        facts.extend([time, tokens, cost].iter().filter_map(|fact| {
            let (before, after) = (fact(before), fact(after));
            match (before.as_str(), after.as_str()) {
                ("", "") => None,
                (same, other) if same == other => Some(before),
                (from, to) => Some(format!("{} → {}", or_nothing(from), or_nothing(to))),
            }
        }));
    }
    let mut text = format!(
        "{style}{sign}{style:#} {BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}\n",
        diff.path,
        facts.join(", ")
    );
    text.extend(diff.changes.iter().map(|change: &Change| change_text(change)));
    text
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

fn time(side: &StepSide) -> String {
    format_duration(Duration::from_millis(side.duration_ms))
}

fn tokens(side: &StepSide) -> String {
    match side.usage.total_tokens {
        0 => String::new(),
        _ => side.usage.tokens_in_words(),
    }
}

fn cost(side: &StepSide) -> String {
    side.usage
        .cost
        .and_then(dad_terminal::internal::cost)
        .unwrap_or_default()
}
