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
use crate::commands::Execute;
use crate::commands::runs::select::{not_found, selector, step_of};
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

    fn place(&self) -> Place {
        self.place.clone()
    }

    fn wants_json(&self) -> bool {
        self.json
    }
}

/// Longer lines of a difference are shown around what differs; `changes.json` has more of them.
const LINE: usize = 240;

/// What the journal and the files of a step say of why it was executed or reused.
struct Explanation {
    reason: Option<Reason>,
    after: Option<HierarchyPath>,
    /// How it ended without being executed, in words.
    unexecuted: Option<String>,
    attempts: u64,
    reused_from: Option<Origin>,
    edited_from: Option<Origin>,
    edits: Vec<Edit>,
    changes: Option<Changes>,
    /// What the step uses and re-runs do not compare, as its settings name it.
    not_compared: Vec<String>,
    /// How its input came about, if it asks for one.
    answer: Option<AnswerTold>,
}

/// How the input of a step or component came about.
#[derive(Default, serde::Serialize)]
struct AnswerTold {
    by: Option<AnsweredBy>,
    source: Option<String>,
    from: Option<Origin>,
    asked_again: Option<AskedAgain>,
}

/// Prints the explanation.
fn print(view: &RunView, path: &HierarchyPath, as_json: bool) -> Result<(), CommandError> {
    let explanation = explain(view, path)?;
    let status = view
        .entries
        .get(path)
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
    let mut found = Explanation {
        reason: None,
        after: None,
        unexecuted: None,
        attempts: 0,
        reused_from: None,
        edited_from: None,
        edits: Vec::new(),
        changes: None,
        not_compared: Vec::new(),
        answer: None,
    };
    let mut begun = false;
    for record in view.records_of(path)? {
        match record.body {
            RecordBody::StepStarted {
                attempt,
                reason,
                after,
                ..
            } => {
                // One that was interrupted and gone on with is the same.
                found.attempts = found.attempts.max(attempt.into());
                begun = true;
                found.unexecuted = None;
                // Why it was repeated does not say why it was executed at all.
                if !matches!(reason, Reason::Retry | Reason::Resumed) || found.reason.is_none() {
                    (found.reason, found.after) = (Some(reason), after);
                }
            }
            RecordBody::StepCommitted(step) if step.is_taken() => {
                found.reason = step.reason;
                found.reused_from = step.reused_from;
                found.edited_from = step.edited_from;
            }
            // Whoever settles it does so whatever became of the attempt before.
            RecordBody::Control {
                kind: ControlKind::Skip | ControlKind::Fail,
                ..
            } => begun = false,
            RecordBody::Question {
                asked: Some(_),
                asked_again,
                ..
            } => {
                found.answer = Some(AnswerTold {
                    asked_again,
                    ..AnswerTold::default()
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
                let asked_before = found.answer.take().and_then(|answer| answer.asked_again);
                found.answer = Some(AnswerTold {
                    by: Some(by),
                    source: Some(source.into_inner()),
                    from,
                    asked_again: asked_again.or(asked_before),
                });
            }
            RecordBody::StepCommitted(step) if !std::mem::take(&mut begun) => {
                (found.reason, found.after) = (None, None);
                found.unexecuted = Some(without_execution(&step));
            }
            _ => {}
        }
    }
    if let (0, Some(ViewEntry::Waiting { kind, .. })) = (found.attempts, view.entries.get(path)) {
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
    // The user may have changed what does not count, and wonder.
    if found.reused_from.is_some() {
        found.not_compared = dad_nodes::not_compared(&view.result(path)?["settings"]);
    }
    Ok(found)
}

/// How a step ended that nobody executed: somebody settled it, or it could not even begin.
fn without_execution(step: &StepCommitted) -> String {
    let said = match &step.error {
        Some(error) => Some(error.message.as_str()),
        None => step.summary.as_deref(),
    };
    let by_hand = match &step.error {
        None => true,
        Some(error) => error.code == "failed_by_hand",
    };
    let how = match by_hand {
        true => format!("{} by hand", step.status),
        false => "it failed before it began".to_owned(),
    };
    match said {
        Some(said) => format!("{how}: {}", printable(said)),
        None => how,
    }
}

impl AnswerTold {
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
    let entry = view.entries.get(path);
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

/// Where a result comes from; the place only if it is another one.
fn shown(origin: &Origin, path: &HierarchyPath) -> String {
    match origin.path == *path {
        true => origin.run_id.to_string(),
        false => format!("{} {}", origin.run_id, origin.path),
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
