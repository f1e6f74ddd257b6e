//! The reason for which a step was executed or reused, from the journal and the files of the step.

use dad_core::{ErrorInfo, HierarchyPath, NodeType, RunId, RunStatus, Segment, StepStatus};
use dad_events::Origin;
use dad_nodes::internal::not_compared;
use dad_run::{
    AnsweredBy, AskedAgain, Changes, ControlKind, Edit, OpenQuestion, QuestionKind, Reason, RecordBody,
    RerunPlan, RunError, RunView, StepCommitted, ViewEntry, layout,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The reason for which a step was executed or reused. Its JSON is that of `dhenara runs why --json`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The run.
    pub run_id: RunId,
    /// The step.
    pub path: HierarchyPath,
    /// Its status; pending if the run did not reach it.
    pub status: StepStatus,
    /// The reason; `None` if it was not executed, and not reused.
    pub reason: Option<Reason>,
    /// The reason in words.
    pub because: String,
    /// The step that had an effect before it, if that is the reason.
    pub after: Option<HierarchyPath>,
    /// The type of its node; `None` of a step without a result.
    pub node_type: Option<NodeType>,
    /// The attempts that did not end well, the last of them with the whole error of the step.
    pub failures: Vec<FailedAttempt>,
    /// The question that it waits for.
    pub waits_for: Option<OpenQuestion>,
    /// The number of attempts that were begun; an interrupted attempt that was resumed counts once.
    pub attempts: u64,
    /// The origin of its result, if it was reused.
    pub reused_from: Option<Origin>,
    /// The origin of its result, if it was reused with a change.
    pub edited_from: Option<Origin>,
    /// The changes of its result.
    pub edits: Vec<Edit>,
    /// The differences from the previous run, if they are the reason.
    pub changes: Option<Changes>,
    /// The values that a reused step uses and re-runs do not compare, by the names in its settings.
    pub not_compared: Vec<String>,
    /// The origin of its input, if it asks for one.
    pub answer: Option<AnswerOrigin>,
    /// Whether the step ended, or waits, without the execution that its attempts began.
    #[serde(skip)]
    pub unexecuted: bool,
}

/// An attempt that did not end well.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Its status.
    pub status: StepStatus,
    /// The error.
    pub error: ErrorInfo,
}

/// The origin of the input of a step or component.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct AnswerOrigin {
    /// The kind of its giver; `None` while it waits.
    pub by: Option<AnsweredBy>,
    /// Its giver, for people.
    pub source: Option<String>,
    /// Its place in the previous run, if it was reused.
    pub from: Option<Origin>,
    /// The reason for which it was not reused.
    pub asked_again: Option<AskedAgain>,
}

impl Explanation {
    /// Explains a step of a run.
    pub(crate) fn of(view: &RunView, path: HierarchyPath) -> Result<Self, RunError> {
        let mut found = Noted::default();
        for record in view.records_of(&path)? {
            found.note(record.body);
        }
        let entry = view.entry(&path);
        if let (0, Some(ViewEntry::Waiting { kind, .. })) = (found.attempts, entry) {
            let what = match kind {
                QuestionKind::Approval => "approval",
                _ => "an answer",
            };
            found.unexecuted = Some(format!("it waits for {what}"));
        }
        let mut edits = Vec::new();
        if found.edited_from.is_some() {
            let plan = view.plan()?;
            let all = plan.iter().flat_map(RerunPlan::all_edits);
            edits = all.filter(|edit| edit.path == path).cloned().collect();
        }
        let changes = match found.reason {
            Some(Reason::Changed) => view.step_file(&path, layout::CHANGES)?,
            _ => None,
        };
        // The user may have changed a value that does not count.
        let not_compared = match found.reused_from {
            Some(_) => not_compared(&view.result(&path)?["settings"]),
            None => Vec::new(),
        };
        let result = match view.step(&path) {
            Some(step) if step.has_files() => Some(view.result(&path)?),
            _ => None,
        };
        let node_type = result.as_ref().and_then(|result| result["node_type"].as_str());
        let because = match entry {
            None => not_reached(view, &path)?,
            Some(_) => found.because(),
        };
        Ok(Self {
            run_id: view.run_id.clone(),
            status: entry.map_or(StepStatus::Pending, ViewEntry::status),
            because,
            node_type: node_type.map(NodeType::new),
            failures: failures(view, &path, result.as_ref())?,
            waits_for: view.open_questions().find(|open| open.path == path).cloned(),
            unexecuted: found.unexecuted.is_some(),
            path,
            reason: found.reason,
            after: found.after,
            attempts: found.attempts,
            reused_from: found.reused_from,
            edited_from: found.edited_from,
            edits,
            changes,
            not_compared,
            answer: found.answer,
        })
    }
}

/// The attempts of a step that did not end well. The journal has their errors shortened, the result has the last one whole.
fn failures(
    view: &RunView,
    step: &HierarchyPath,
    result: Option<&Value>,
) -> Result<Vec<FailedAttempt>, RunError> {
    let failed = view.attempts(step)?.into_iter().filter_map(|ended| {
        let (attempt, status) = (ended.attempt, ended.status);
        let error = ended.error?;
        Some(FailedAttempt {
            attempt,
            status,
            error,
        })
    });
    let mut failures: Vec<FailedAttempt> = failed.collect();
    let is_failure = view
        .step(step)
        .is_some_and(|step| step.status != StepStatus::Completed);
    let whole = result.and_then(|result| ErrorInfo::deserialize(&result["error"]).ok());
    if let (true, Some(whole), Some(last)) = (is_failure, whole, failures.last_mut()) {
        last.error = whole;
    }
    Ok(failures)
}

/// Why the run did not come to a step, in words.
fn not_reached(view: &RunView, step: &HierarchyPath) -> Result<String, RunError> {
    let around = std::iter::successors(step.parent(), HierarchyPath::parent);
    for (branch, conditional) in around.clone().zip(around.skip(1)) {
        let Segment::Branch(wanted) = Segment::of(branch.leaf()) else {
            continue;
        };
        for record in view.records_of(&conditional)? {
            match record.body {
                RecordBody::BranchTaken { branch, .. } if branch != wanted => {
                    return Ok(format!("the condition of `{conditional}` was {branch}"));
                }
                _ => {}
            }
        }
    }
    let stopped = view.entries().find_map(|(path, entry)| match entry {
        ViewEntry::Step(step) if step.status.is_failure() && !step.absorbed => {
            Some(format!("`{path}` {} before it", step.status))
        }
        ViewEntry::Waiting {
            kind: QuestionKind::Approval,
            ..
        } => Some(format!("`{path}` waits for approval")),
        ViewEntry::Waiting { .. } => Some(format!("`{path}` waits for an answer")),
        _ => None,
    });
    Ok(match (stopped, view.status) {
        (Some(stopped), status) if status != RunStatus::Completed => {
            format!("it has not been reached: {stopped}")
        }
        (_, RunStatus::Completed) => "the run ended without it".to_owned(),
        _ => "it has not been reached".to_owned(),
    })
}

/// The records of a step, as far as they explain it.
#[derive(Default)]
struct Noted {
    /// Whether the attempt of the last record has begun and has not ended.
    has_begun: bool,
    reason: Option<Reason>,
    after: Option<HierarchyPath>,
    /// Its end without an execution, in words.
    unexecuted: Option<String>,
    attempts: u64,
    reused_from: Option<Origin>,
    edited_from: Option<Origin>,
    answer: Option<AnswerOrigin>,
}

impl Noted {
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
        Some(said) => format!("{how}: {said}"),
        None => how,
    }
}
