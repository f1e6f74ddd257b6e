//! The part of a run's state that only readers keep: it grows with the number of steps.

use std::collections::HashMap;

use dad_core::{Digest, ErrorInfo, HierarchyPath, StepStatus, Timestamp};
use dad_events::QuestionKind;
use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::open::Open;
use super::progress::Progress;
use crate::journal::loops::LoopItems;
use crate::journal::place::RunPlace;
use crate::journal::record::{Driver, RecordBody};
use crate::journal::step_committed::{StepCommitted, Totals};
use crate::journal::stored::StoredValue;
use crate::journal::subject::{AnsweredBy, RecordedAnswer, Subject};
use crate::journal::text::RecordedError;

/// The state of a run that only readers keep, beside its [`Progress`].
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Components and steps in the order in which they were entered.
    pub(crate) entries: IndexMap<HierarchyPath, ViewEntry>,
    /// The answers of steps and components, in the order of their records.
    pub(crate) answers: IndexMap<HierarchyPath, RecordedAnswer>,
    /// The variables that the run was given.
    pub(crate) given: Option<StoredValue>,
    /// The number of questions of each step or component.
    pub(crate) asked: HashMap<HierarchyPath, u32>,
    /// The agreements for the rest of the run.
    pub(crate) run_rules: Vec<StoredValue>,
    /// The last approval of each step and component.
    pub(crate) approved: HashMap<HierarchyPath, Digest>,
    pub(crate) branches: HashMap<HierarchyPath, bool>,
    /// The items of each loop, how many there are, and the number of the first iteration.
    pub(crate) loops: HashMap<HierarchyPath, (LoopItems, u64, i64)>,
    /// The last iteration of each loop that was decided on, and whether it ended the loop: those before did not.
    pub(crate) ends: HashMap<HierarchyPath, (u64, bool)>,
    /// Variables of components that did not end well.
    pub(crate) variables: HashMap<HierarchyPath, StoredValue>,
    /// Of steps that did not end well.
    pub(crate) left: HashMap<HierarchyPath, Left>,
    /// The places where the run was driven.
    pub(crate) places: Vec<RunPlace>,
}

/// The remains of a step that did not end well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Left {
    /// The `step_started` records of its last attempt, which name its directories: several if the attempt was interrupted,
    /// continued, and interrupted again.
    pub(crate) started: Vec<u64>,
    /// The last attempt that failed and was to be followed by another, unless that began.
    pub(crate) failed: Option<u32>,
    /// The last attempt with which the step ended in failure; attempts behind it are those of a new visit.
    pub(crate) ended: u32,
}

impl Entries {
    /// The step at a path, if it ended.
    pub(crate) fn step(&self, path: &HierarchyPath) -> Option<&StepCommitted> {
        match self.entries.get(path)? {
            ViewEntry::Step(step) => Some(step),
            _ => None,
        }
    }

    /// Refuses a second end of a step that was not begun again: what is settled by hand had not ended well.
    pub(crate) fn check(&self, body: &RecordBody, open: &Open) -> Result<(), String> {
        let RecordBody::StepCommitted(step) = body else {
            return Ok(());
        };
        let earlier = self.step(&step.path).map(|earlier| earlier.status);
        Self::check_end(step, earlier, open)
    }

    /// Refuses the end of a step that ended as `earlier` before, and was not begun again.
    pub(crate) fn check_end(
        step: &StepCommitted,
        earlier: Option<StepStatus>,
        open: &Open,
    ) -> Result<(), String> {
        let is_settled_twice = earlier == Some(StepStatus::Completed)
            && !step.is_taken()
            && !open.steps.contains_key(&step.path);
        if is_settled_twice {
            Err(format!("`{}` has ended already", step.path))
        } else {
            Ok(())
        }
    }

    pub(crate) fn apply(&mut self, seq: u64, at: Timestamp, body: RecordBody, progress: &Progress) {
        match body {
            RecordBody::RunStarted(start) | RecordBody::RunResumed(start) => {
                self.driver(start.driver, progress);
            }
            RecordBody::Inputs { variables, .. } => self.given = Some(variables),
            RecordBody::ComponentStarted { path, variables, .. } => self.component_started(path, variables),
            RecordBody::ComponentCompleted {
                path,
                status,
                totals,
                absorbed,
                error,
                ..
            } => {
                // An approval covers one visit of its component.
                self.approved.remove(&path);
                if status == StepStatus::Completed {
                    self.variables.remove(&path);
                }
                let totals = Some(totals);
                let entry = ViewEntry::Component {
                    status,
                    totals,
                    absorbed,
                    error: error.map(RecordedError::into_inner),
                };
                self.entries.insert(path, entry);
            }
            RecordBody::BranchTaken { path, branch } => {
                self.branches.insert(path, branch);
            }
            RecordBody::LoopStarted {
                path,
                items,
                count,
                start_index,
            } => {
                self.loops.insert(path, (items, count, start_index));
            }
            RecordBody::LoopDecided {
                path,
                iteration,
                stop,
            } => {
                self.ends.insert(path, (iteration, stop));
            }
            RecordBody::Question { path, kind, .. } => self.question(path, kind, at),
            RecordBody::Answered {
                path,
                kind,
                facts,
                asked,
                about,
                input,
                by,
                rule,
                ..
            } => {
                // What a rule decided is decided anew by the rules that there are.
                let facts = facts.filter(|_| by != Some(AnsweredBy::Rule));
                self.run_rules
                    .extend(rule.filter(|_| by != Some(AnsweredBy::Rule)));
                self.answered(path, kind, facts, Subject::recorded(asked, about), input);
            }
            RecordBody::StepStarted { path, attempt, .. } => self.step_started(path, attempt, seq, at),
            RecordBody::AttemptFailed { path, attempt, .. } => {
                let left = self.left.entry(path.clone()).or_default();
                left.started.clear();
                left.failed = Some(attempt);
                let running = ViewEntry::Running {
                    attempt: attempt.saturating_add(1),
                    started_at: at,
                };
                self.entries.insert(path, running);
            }
            RecordBody::StepCommitted(mut step) => {
                step.session = progress.tally.epoch;
                self.step_committed(step);
            }
            _ => {}
        }
    }

    fn driver(&mut self, driver: Driver, progress: &Progress) {
        if let Some(created) = &progress.tally.created {
            self.places.push(RunPlace {
                run_id: created.run_id.to_string(),
                run_dir: driver.run_dir,
                run_root: driver.run_root,
                project_root: driver.project_root,
            });
        }
    }

    fn component_started(&mut self, path: HierarchyPath, variables: StoredValue) {
        self.variables.insert(path.clone(), variables);
        let entry = ViewEntry::Component {
            status: StepStatus::Running,
            totals: None,
            absorbed: false,
            error: None,
        };
        self.entries.insert(path, entry);
    }

    fn question(&mut self, path: HierarchyPath, kind: QuestionKind, since: Timestamp) {
        *self.asked.entry(path.clone()).or_default() += 1;
        // A step that asks while it executes continues with the answer.
        if !matches!(self.entries.get(&path), Some(ViewEntry::Running { .. })) {
            self.entries.insert(path, ViewEntry::Waiting { since, kind });
        }
    }

    fn answered(
        &mut self,
        path: HierarchyPath,
        kind: QuestionKind,
        facts: Option<Digest>,
        subject: Option<Subject>,
        input: StoredValue,
    ) {
        match (kind, facts) {
            (QuestionKind::Input, _) => {
                self.answers.insert(path, RecordedAnswer { input, subject });
            }
            (QuestionKind::Approval, Some(facts)) if says_yes(&input) => {
                self.approved.insert(path, facts);
            }
            _ => {}
        }
    }

    fn step_started(&mut self, path: HierarchyPath, attempt: u32, seq: u64, started_at: Timestamp) {
        let continues = matches!(
            self.entries.get(&path),
            Some(ViewEntry::Running { attempt: before, .. }) if *before == attempt
        );
        let left = self.left.entry(path.clone()).or_default();
        left.failed = None;
        if !continues {
            left.started.clear();
        }
        left.started.push(seq);
        let running = ViewEntry::Running { attempt, started_at };
        self.entries.insert(path, running);
    }

    fn step_committed(&mut self, mut step: Box<StepCommitted>) {
        // An approval covers one visit of its step, with its retries.
        self.approved.remove(&step.path);
        match step.status {
            StepStatus::Completed => {
                self.left.remove(&step.path);
            }
            // It continues as one that was interrupted.
            StepStatus::Cancelled => {}
            status if status.is_failure() => {
                self.left.entry(step.path.clone()).or_default().ended = step.attempt;
            }
            _ => {}
        }
        match self.entries.entry(step.path.clone()) {
            Entry::Occupied(mut entry) => {
                // One text for both: of very many steps the paths alone take much memory.
                step.path = entry.key().clone();
                entry.insert(ViewEntry::Step(step));
            }
            Entry::Vacant(entry) => {
                entry.insert(ViewEntry::Step(step));
            }
        }
    }
}

/// Whether the answer to a question for approval is yes; it is never so long that it is kept apart.
fn says_yes(answer: &StoredValue) -> bool {
    match answer {
        StoredValue::Value(answer) => answer.get("approve") == Some(&Value::Bool(true)),
        StoredValue::Stored(_) => false,
    }
}

/// A component or step of a [`RunView`](crate::RunView). It serialises as `dhenara runs show --json` prints it, without its path.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ViewEntry {
    /// A component.
    Component {
        /// Its status.
        status: StepStatus,
        /// The totals of its steps, once it ended.
        totals: Option<Totals>,
        /// Whether the run continues behind it although it failed or was cancelled.
        absorbed: bool,
        /// The first failure in it, with the step or component where that happened.
        error: Option<ErrorInfo>,
    },
    /// A step that has started and not ended.
    Running {
        /// The attempt, from 1.
        attempt: u32,
        /// When it began.
        started_at: Timestamp,
    },
    /// A step that waits for an answer.
    Waiting {
        /// When it asked.
        since: Timestamp,
        /// The kind of the requested answer.
        kind: QuestionKind,
    },
    /// A step that ended.
    Step(Box<StepCommitted>),
}

impl Serialize for ViewEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        enum Written<'a> {
            Component {
                status: StepStatus,
                totals: &'a Option<Totals>,
                #[serde(skip_serializing_if = "Option::is_none")]
                error: &'a Option<ErrorInfo>,
            },
            Step(Step<'a>),
        }
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Step<'a> {
            Running {
                status: StepStatus,
                attempt: u32,
                started_at: Timestamp,
            },
            Waiting {
                status: StepStatus,
                since: Timestamp,
                asks_for: QuestionKind,
            },
            Ended(&'a StepCommitted),
        }
        let status = self.status();
        let written = match self {
            Self::Component { totals, error, .. } => Written::Component {
                status,
                totals,
                error,
            },
            Self::Running { attempt, started_at } => Written::Step(Step::Running {
                status,
                attempt: *attempt,
                started_at: *started_at,
            }),
            Self::Waiting { since, kind } => Written::Step(Step::Waiting {
                status,
                since: *since,
                asks_for: *kind,
            }),
            Self::Step(step) => Written::Step(Step::Ended(step)),
        };
        written.serialize(serializer)
    }
}

impl ViewEntry {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> StepStatus {
        match self {
            Self::Component { status, .. } => *status,
            Self::Running { .. } => StepStatus::Running,
            Self::Waiting { .. } => StepStatus::Waiting,
            Self::Step(step) => step.status,
        }
    }
}
