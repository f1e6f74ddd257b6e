//! `dhenara runs why`: the reason for which a step was executed or reused.

use clap::Args;
use dad_core::{HierarchyPath, NodeType};
use dad_events::Origin;
use dad_project::{AnswerOrigin, Explanation};
use dad_run::{AnsweredBy, Reason};
use dad_terminal::{BOLD, DIM, internal::mark, printable};
use serde_json::json;

use crate::app::App;
use crate::commands::runs::select::{not_found, selector};
use crate::commands::{CommonOptions, Execute};
use crate::error::CommandError;
use crate::exit_code;
use crate::options::Place;
use crate::output::change::change_text;
use crate::output::hint::Hint;
use crate::output::summary::{command_in, error_at};
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
        let explanation = run.why(path.as_str())?;
        if self.json {
            json::print(json!(explanation))?;
        } else {
            tell(&explanation, &self.place)?;
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

fn tell(explanation: &Explanation, place: &Place) -> Result<(), CommandError> {
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
    if !explanation.failures.is_empty() {
        out::lines(&failures(explanation, place))?;
    }
    if let Some(open) = &explanation.waits_for {
        let words = ["answer", explanation.run_id.as_str(), open.path.as_str()];
        out::lines(&format!("  {DIM}answer{DIM:#}  `{}`", command_in(&words, place)))?;
    }
    if looks_only_at_settings(explanation) {
        out::lines(&format!(
            "  {DIM}not compared{DIM:#}  what it reads or changed besides; `reuse: never` in its definition, or `--execute {}`, \
             executes it again",
            path.leaf()
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
            out::lines(&change_text(change))?;
        }
    }
    Ok(())
}

/// The attempts that did not end well, each with its error.
fn failures(explanation: &Explanation, place: &Place) -> String {
    let mut text = String::new();
    for failed in &explanation.failures {
        let error = error_at(&failed.error).trim_end().replace('\n', "\n    ");
        text += &format!(
            "  {DIM}attempt {} {}{DIM:#}  {error}\n",
            failed.attempt, failed.status
        );
    }
    let hint = explanation.failures.last().map(|failed| &failed.error);
    let hint = hint.and_then(|error| Hint::recorded(error, explanation.run_id.as_str()));
    if let Some(hint) = hint {
        text += &format!("  {DIM}hint{DIM:#}  {}\n", printable(&hint.in_place(place)));
    }
    text
}

/// Whether a step was reused by its settings and input, though it can read or change more than they say.
fn looks_only_at_settings(explanation: &Explanation) -> bool {
    let is_unchanged = matches!(
        explanation.reason,
        Some(Reason::Unchanged | Reason::UnchangedElsewhere)
    );
    let looked_at = [NodeType::AI_MODEL_CALL, NodeType::FOLDER_ANALYZER];
    let node_type = explanation.node_type.as_ref();
    is_unchanged && node_type.is_some_and(|node_type| !looked_at.contains(node_type))
}

/// The origin of a result; with the path only if that differs.
fn shown(origin: &Origin, path: &HierarchyPath) -> String {
    if origin.path == *path {
        origin.run_id.to_string()
    } else {
        format!("{} {}", origin.run_id, origin.path)
    }
}
