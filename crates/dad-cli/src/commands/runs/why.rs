//! `dhenara runs why`: the reason for which a step was executed or reused.

use clap::Args;
use dad_core::HierarchyPath;
use dad_events::Origin;
use dad_run::{
    AnsweredBy, AskedAgain, Change, ChangeKind, Changes, ControlKind, Edit, QuestionKind, Reason, RecordBody,
    RerunPlan, RunView, StepCommitted, ViewEntry, layout, shorten_diff,
};
use dad_terminal::{BOLD, DIM, mark, printable};
use serde_json::json;

use crate::app::App;
use crate::commands::runs::select::{not_found, selector, step_of};
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
        let view = project.view(&entry)?;
        let path = step_of(&selector(&self.path)?, &view).map_err(|error| not_found(&error, &entry))?;
        print(&view, &path, self.json)?;
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

/// The reason for which a step was executed or reused, from the journal and the files of the step.
#[derive(Default)]
struct Explanation {
    /// Whether the attempt of the last record has begun and has not ended.
    has_begun: bool,
    reason: Option<Reason>,
    after: Option<HierarchyPath>,
    /// Its end without an execution, in words.
    unexecuted: Option<String>,
    attempts: u64,
    reused_from: Option<Origin>,
    edited_from: Option<Origin>,
    edits: Vec<Edit>,
    changes: Option<Changes>,
    /// The values that the step uses and re-runs do not compare, by the names in its settings.
    not_compared: Vec<String>,
    /// The origin of its input, if it asks for one.
    answer: Option<AnswerOrigin>,
}

/// The origin of the input of a step or component.
#[derive(Default, serde::Serialize)]
struct AnswerOrigin {
    by: Option<AnsweredBy>,
    source: Option<String>,
    from: Option<Origin>,
    asked_again: Option<AskedAgain>,
}

/// Prints the explanation.
fn print(view: &RunView, path: &HierarchyPath, as_json: bool) -> Result<(), CommandError> {
    let explanation = explain(view, path)?;
    let status = view
        .entry(path)
        .map_or("pending", |entry| entry.status().as_str());
    if as_json {
        json::print(json!({
            "run_id": view.run_id,
            "path": path,
            "status": status,
            "reason": explanation.reason,
            "because": explanation.because(),
            "after": explanation.after,
            "attempts": explanation.attempts,
            "reused_from": explanation.reused_from,
            "edited_from": explanation.edited_from,
            "edits": explanation.edits,
            "changes": explanation.changes,
            "not_compared": explanation.not_compared,
            "answer": explanation.answer,
        }))?;
        return Ok(());
    }
    tell(view, path, &explanation)?;
    Ok(())
}

fn explain(view: &RunView, path: &HierarchyPath) -> Result<Explanation, CommandError> {
    let mut found = Explanation::default();
    for record in view.records_of(path)? {
        found.note(record.body);
    }
    if let (0, Some(ViewEntry::Waiting { kind, .. })) = (found.attempts, view.entry(path)) {
        let what = match kind {
            QuestionKind::Approval => "approval",
            _ => "an answer",
        };
        found.unexecuted = Some(format!("it waits for {what}"));
    }
    if found.edited_from.is_some() {
        let plan = view.plan()?;
        let edits = plan.iter().flat_map(RerunPlan::all_edits);
        found.edits = edits.filter(|edit| edit.path == *path).cloned().collect();
    }
    if found.reason == Some(Reason::Changed) {
        found.changes = view.step_file(path, layout::CHANGES)?;
    }
    // The user may have changed a value that does not count.
    if found.reused_from.is_some() {
        found.not_compared = dad_nodes::not_compared(&view.result(path)?["settings"]);
    }
    Ok(found)
}

/// The end of a step that did not execute: the user settled it, or it could not begin.
fn without_execution(step: &StepCommitted) -> String {
    let said = match &step.error {
        Some(error) => Some(error.message.as_str()),
        None => step.summary.as_deref(),
    };
    let by_hand = match &step.error {
        None => true,
        Some(error) => error.code == "failed_by_hand",
    };
    let how = if by_hand {
        format!("{} by hand", step.status)
    } else {
        "it failed before it began".to_owned()
    };
    match said {
        Some(said) => format!("{how}: {}", printable(said)),
        None => how,
    }
}

impl AnswerOrigin {
    fn in_words(&self, path: &HierarchyPath) -> String {
        let from = self
            .from
            .as_ref()
            .map(|origin| shown(origin, path))
            .unwrap_or_default();
        let how = match (self.by, &self.source) {
            (Some(AnsweredBy::PreviousRun), _) => format!("answer reused, from {from}"),
            (Some(AnsweredBy::ReuseAnswers), _) => {
                format!("answer reused, from {from}, as `--reuse-answers` wants it")
            }
            (Some(_), Some(source)) => format!("answered ({source})"),
            _ => "not answered yet".to_owned(),
        };
        match &self.asked_again {
            Some(because) => format!("{how}; asked again because {because}"),
            None => how,
        }
    }
}

impl Explanation {
    /// Notes a record of the step.
    fn note(&mut self, record: RecordBody) {
        match record {
            RecordBody::StepStarted {
                attempt,
                reason,
                after,
                ..
            } => {
                // A resumed attempt is the same attempt.
                self.attempts = self.attempts.max(attempt.into());
                self.has_begun = true;
                self.unexecuted = None;
                // The reason for a repetition does not explain the first execution.
                if !matches!(reason, Reason::Retry | Reason::Resumed) || self.reason.is_none() {
                    (self.reason, self.after) = (Some(reason), after);
                }
            }
            RecordBody::StepCommitted(step) if step.is_taken() => {
                self.reason = step.reason;
                self.reused_from = step.reused_from;
                self.edited_from = step.edited_from;
            }
            // The user can settle a step after any outcome of the attempt before.
            RecordBody::Control {
                kind: ControlKind::Skip | ControlKind::Fail,
                ..
            } => self.has_begun = false,
            RecordBody::Question {
                asked: Some(_),
                asked_again,
                ..
            } => {
                self.answer = Some(AnswerOrigin {
                    asked_again,
                    ..AnswerOrigin::default()
                });
            }
            RecordBody::Answered {
                kind: QuestionKind::Input,
                by: Some(by),
                asked: Some(_),
                asked_again,
                from,
                source,
                ..
            } => {
                let asked_before = self.answer.take().and_then(|answer| answer.asked_again);
                self.answer = Some(AnswerOrigin {
                    by: Some(by),
                    source: Some(source.into_inner()),
                    from,
                    asked_again: asked_again.or(asked_before),
                });
            }
            RecordBody::StepCommitted(step) if !std::mem::take(&mut self.has_begun) => {
                (self.reason, self.after) = (None, None);
                self.unexecuted = Some(without_execution(&step));
            }
            _ => {}
        }
    }

    fn because(&self) -> String {
        match (&self.unexecuted, self.reason, &self.after) {
            (Some(unexecuted), ..) => unexecuted.clone(),
            (None, Some(_), Some(after)) => format!("`{after}` had an effect before it"),
            (None, Some(reason), None) => reason.to_string(),
            (None, None, _) => "it has not been reached".to_owned(),
        }
    }
}

fn tell(view: &RunView, path: &HierarchyPath, explanation: &Explanation) -> Result<(), CommandError> {
    let entry = view.entry(path);
    let taken = explanation
        .reused_from
        .as_ref()
        .or(explanation.edited_from.as_ref());
    let status = entry.map(ViewEntry::status);
    let (sign, style) = mark(status.unwrap_or(dad_core::StepStatus::Pending), taken.is_some());
    out::lines(&format!("{style}{sign}{style:#} {BOLD}{path}{BOLD:#}"))?;
    let what = match (taken, explanation.attempts) {
        (Some(origin), _) => format!("taken from {}", shown(origin, path)),
        (None, 0) => "not executed".to_owned(),
        (None, _) if explanation.unexecuted.is_some() => "not executed again".to_owned(),
        (None, 1) => "executed".to_owned(),
        (None, attempts) => format!("executed, {attempts} attempts"),
    };
    out::lines(&format!("  {what}: {}", explanation.because()))?;
    if let Some(answer) = &explanation.answer {
        out::lines(&format!(
            "  {DIM}input{DIM:#}  {}",
            printable(&answer.in_words(path))
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
