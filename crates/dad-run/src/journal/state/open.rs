//! The part of a run's state that has begun and not ended: it grows with depth and concurrency.

use std::collections::BTreeMap;

use dad_core::{ComponentKind, Digest, HierarchyPath, Timestamp};
use dad_events::QuestionKind;
use indexmap::IndexMap;
use serde::Serialize;

use super::tally::Tally;
use crate::journal::record::{ControlKind, RecordBody};
use crate::journal::session::Child;
use crate::journal::settled::Settled;

/// The components, steps and questions of a run that have begun and not ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Open {
    pub(crate) components: BTreeMap<HierarchyPath, OpenComponent>,
    pub(crate) steps: BTreeMap<HierarchyPath, OpenStep>,
    /// Questions without an answer, by id.
    pub(crate) questions: IndexMap<String, OpenQuestion>,
    /// Steps that the user settled by hand, until that is recorded as their end.
    pub(crate) settled: BTreeMap<HierarchyPath, Settled>,
}

/// A component that was entered and not left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OpenComponent {
    /// The session that entered it.
    pub(crate) epoch: u32,
    pub(crate) entered_at: Timestamp,
    pub(crate) kind: ComponentKind,
    /// Whether its branch or its items are decided.
    pub(crate) is_decided: bool,
    /// The last iteration of a loop of which it was decided whether another follows.
    pub(crate) last_iteration: Option<u64>,
}

/// A step that has begun, or asked, and not ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OpenStep {
    /// The session in which it did.
    pub(crate) epoch: u32,
    pub(crate) attempt: u32,
    pub(crate) phase: Phase,
    /// The process that it started last.
    pub(crate) child: Option<Child>,
}

/// The phase of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It asks before it executes.
    Asking,
    /// It executes.
    Executing,
    /// An attempt failed, and another follows.
    Paused,
}

impl Open {
    /// Whether a step executes, or waits for its next attempt.
    pub(crate) fn executes(&self, path: &HierarchyPath) -> bool {
        let step = self.steps.get(path);
        step.is_some_and(|step| step.phase != Phase::Asking)
    }

    pub(super) fn apply(&mut self, at: Timestamp, body: &RecordBody, tally: &Tally) {
        let epoch = tally.epoch;
        match body {
            RecordBody::ComponentStarted { path, kind, .. } => self.component_started(path, *kind, at, epoch),
            RecordBody::ComponentCompleted { path, .. } => {
                self.components.remove(path);
            }
            RecordBody::BranchTaken { path, .. } | RecordBody::LoopStarted { path, .. } => {
                self.component(path, |component| component.is_decided = true);
            }
            RecordBody::LoopDecided { path, iteration, .. } => {
                self.component(path, |component| component.last_iteration = Some(*iteration));
            }
            RecordBody::Question {
                id, path, kind, file, ..
            } => {
                let asked = OpenQuestion {
                    id: id.clone(),
                    path: path.clone(),
                    kind: *kind,
                    file: *file,
                };
                self.question(asked, epoch);
            }
            RecordBody::Answered { id: Some(id), .. } => {
                self.questions.shift_remove(id);
            }
            RecordBody::StepStarted { path, attempt, .. } => {
                let step = OpenStep {
                    epoch,
                    attempt: *attempt,
                    phase: Phase::Executing,
                    child: self.steps.get(path).and_then(|before| before.child.clone()),
                };
                self.steps.insert(path.clone(), step);
            }
            RecordBody::ProcessStarted { .. } => self.process_started(body, tally),
            RecordBody::AttemptFailed { path, attempt, .. } => {
                let step = OpenStep {
                    epoch,
                    attempt: *attempt,
                    phase: Phase::Paused,
                    child: None,
                };
                self.steps.insert(path.clone(), step);
            }
            RecordBody::StepCommitted(step) => self.step_committed(&step.path),
            RecordBody::Control {
                kind,
                path: Some(path),
                value,
                ..
            } => {
                let reason = value.as_ref().and_then(|value| value.as_str()).map(str::to_owned);
                match kind {
                    ControlKind::Skip => {
                        self.settled.insert(path.clone(), Settled::Skipped(reason));
                    }
                    ControlKind::Fail => {
                        self.settled.insert(path.clone(), Settled::Failed(reason));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn component_started(&mut self, path: &HierarchyPath, kind: ComponentKind, at: Timestamp, epoch: u32) {
        self.questions.retain(|_, open| open.path != *path);
        // It asked before it was entered, and has its answer.
        self.steps.remove(path);
        // What was decided before the run was resumed is not decided again.
        let before = self.components.get(path);
        let component = OpenComponent {
            epoch,
            entered_at: at,
            kind,
            is_decided: before.is_some_and(|before| before.is_decided),
            last_iteration: before.and_then(|before| before.last_iteration),
        };
        self.components.insert(path.clone(), component);
    }

    fn component(&mut self, path: &HierarchyPath, change: impl FnOnce(&mut OpenComponent)) {
        if let Some(component) = self.components.get_mut(path) {
            change(component);
        }
    }

    fn question(&mut self, asked: OpenQuestion, epoch: u32) {
        // What is about to happen may have changed since it was asked before.
        self.questions
            .retain(|_, open| open.path != asked.path || open.kind != asked.kind);
        let path = &asked.path;
        // A step that asks while it executes continues with the answer.
        if !self.executes(path) {
            let step = OpenStep {
                epoch,
                attempt: 0,
                phase: Phase::Asking,
                child: None,
            };
            self.steps.insert(path.clone(), step);
        }
        self.questions.insert(asked.id.clone(), asked);
    }

    fn process_started(&mut self, body: &RecordBody, tally: &Tally) {
        if let RecordBody::ProcessStarted {
            path,
            pgid,
            start_time,
            token,
            ..
        } = body
            && let Some(step) = self.steps.get_mut(path)
        {
            step.child = Some(Child {
                pgid: *pgid,
                start_time: *start_time,
                token: token.clone(),
                session: tally.session.clone(),
            });
        }
    }

    fn step_committed(&mut self, path: &HierarchyPath) {
        self.settled.remove(path);
        if self.steps.remove(path).is_some() {
            self.questions.retain(|_, open| open.path != *path);
        }
    }
}

/// A question that waits for its answer. It serialises as `dhenara runs show --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OpenQuestion {
    /// Its id.
    pub id: String,
    /// The step that asks.
    pub path: HierarchyPath,
    /// The kind of the requested answer.
    pub kind: QuestionKind,
    /// Digest of its file, if the journal has it.
    #[serde(skip)]
    pub(crate) file: Option<Digest>,
}
