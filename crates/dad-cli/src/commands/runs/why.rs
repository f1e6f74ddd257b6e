//! `dhenara runs why`: the reason for which a step was executed or reused.

use clap::Args;
use dad_core::HierarchyPath;
use dad_events::Origin;
use dad_project::{AnswerOrigin, Explanation};
use dad_run::{AnsweredBy, Change, ChangeKind, internal::shorten_diff};
use dad_terminal::{BOLD, DIM, internal::mark, printable};
use serde_json::json;

use crate::app::App;
use crate::commands::runs::select::{not_found, selector};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::{json, out};

/// Say why a step was executed or reused, and what changed.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// Its id, a unique beginning of it, `last`, or `last~N` for the Nth before it.
    run: String,
    /// The step, by its path or the end of it.
    path: String,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Execute for WhyArgs {
    fn execute(&self, app: &App) -> Result<u8, CommandError> {
        let project = app.project_or_here(&self.place)?;
        let entry = project.runs()?.find(&self.run, None)?;
        let run = project.run_of(project.view(&entry)?);
        let path = run.view().select_step(&selector(&self.path)?);
        let path = path.map_err(|error| not_found(&error, &entry))?;
        print(&run.why(path.as_str())?, self.json)?;
        Ok(exit_code::DONE)
    }

    fn common(&self) -> CommonOptions {
        CommonOptions {
            place: self.place.clone(),
            json: self.json,
            ..CommonOptions::default()
        }
    }
}

/// Longer lines of a difference are shown around what differs; `changes.json` has more of them.
const LINE: usize = 240;

/// Prints the explanation.
fn print(explanation: &Explanation, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return json::print(json!(explanation));
    }
    tell(explanation)
}

fn answer_in_words(answer: &AnswerOrigin, path: &HierarchyPath) -> String {
    let from = answer
        .from
        .as_ref()
        .map(|origin| shown(origin, path))
        .unwrap_or_default();
    let how = match (answer.by, &answer.source) {
        (Some(AnsweredBy::PreviousRun), _) => format!("answer reused, from {from}"),
        (Some(AnsweredBy::ReuseAnswers), _) => {
            format!("answer reused, from {from}, as `--reuse-answers` wants it")
        }
        (Some(_), Some(source)) => format!("answered ({source})"),
        _ => "not answered yet".to_owned(),
    };
    match &answer.asked_again {
        Some(because) => format!("{how}; asked again because {because}"),
        None => how,
    }
}

fn tell(explanation: &Explanation) -> Result<(), CommandError> {
    let path = &explanation.path;
    let taken = explanation
        .reused_from
        .as_ref()
        .or(explanation.edited_from.as_ref());
    let (sign, style) = mark(explanation.status, taken.is_some());
    out::lines(&format!("{style}{sign}{style:#} {BOLD}{path}{BOLD:#}"))?;
    let what = match (taken, explanation.attempts) {
        (Some(origin), _) => format!("taken from {}", shown(origin, path)),
        (None, 0) => "not executed".to_owned(),
        (None, _) if explanation.unexecuted => "not executed again".to_owned(),
        (None, 1) => "executed".to_owned(),
        (None, attempts) => format!("executed, {attempts} attempts"),
    };
    out::lines(&format!("  {what}: {}", printable(&explanation.because)))?;
    if let Some(answer) = &explanation.answer {
        out::lines(&format!(
            "  {DIM}input{DIM:#}  {}",
            printable(&answer_in_words(answer, path))
        ))?;
    }
    for edit in &explanation.edits {
        out::lines(&format!(
            "  {DIM}changed{DIM:#}  {edit} = {}",
            printable(&edit.value.to_string())
        ))?;
    }
    for name in &explanation.not_compared {
        out::lines(&format!(
            "  {DIM}not compared{DIM:#}  the value of `{}`",
            printable(name)
        ))?;
    }
    if let Some(changes) = &explanation.changes {
        let origin = shown(&changes.compared_with, path);
        out::lines(&format!("  {DIM}compared with{DIM:#} {origin}"))?;
        for change in &changes.changes {
            tell_change(change)?;
        }
    }
    Ok(())
}

/// The origin of a result; with the path only if that differs.
fn shown(origin: &Origin, path: &HierarchyPath) -> String {
    if origin.path == *path {
        origin.run_id.to_string()
    } else {
        format!("{} {}", origin.run_id, origin.path)
    }
}

fn tell_change(change: &Change) -> Result<(), CommandError> {
    let name = match change.kind {
        // There is only one.
        ChangeKind::NodeType => format!("  {BOLD}{}{BOLD:#}", change.kind.as_str()),
        kind => format!("  {} {BOLD}{}{BOLD:#}", kind.as_str(), printable(&change.name)),
    };
    let text = |text: &Option<String>| text.as_deref().map(printable);
    match (text(&change.before), text(&change.after), &change.diff) {
        (_, _, Some(diff)) => {
            out::lines(&name)?;
            for line in shorten_diff(diff, LINE).lines() {
                out::lines(&format!("    {}", printable(line)))?;
            }
        }
        (Some(before), Some(after), None) => out::lines(&format!("{name}: {before} → {after}"))?,
        (Some(before), None, None) => out::lines(&format!("{name}: gone, was {before}"))?,
        (None, Some(after), None) => out::lines(&format!("{name}: new, {after}"))?,
        (None, None, None) => out::lines(&name)?,
    }
    Ok(())
}
