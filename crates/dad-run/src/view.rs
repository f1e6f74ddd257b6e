use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dad_core::{ArtifactRef, ElementId, ErrorInfo, HierarchyPath, RunId, RunStatus, StepStatus, Timestamp};
use dad_fs::Dir;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::error::RunError;
use crate::journal::{JournalEnd, read_journal};
use crate::layout::{COMPONENT_RESULT, DOT_RUN, RESULT};
use crate::lease;
use crate::plan::{Recorded, RerunPlan};
use crate::record::{LoopItems, Record, RecordBody, StepCommitted, StoredValue, Totals};
use crate::recorded::{RecordedDefinition, read_definition};
use crate::resume::read_plan;
use crate::run::{Items, LoopStart};
use crate::values::{load_artifacts, load_value};

/// A run read from its journal, in one pass.
#[derive(Debug)]
pub struct RunView {
    dir: Dir,
    dot_run: Dir,
    /// Its id.
    pub run_id: RunId,
    /// Its root component.
    pub root_id: ElementId,
    /// How it stands.
    pub status: RunStatus,
    /// Why it is not well.
    pub error: Option<ErrorInfo>,
    /// The run it was started from.
    pub parent: Option<RunId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its last record was written.
    pub last_record_at: Timestamp,
    /// What its steps came to.
    pub totals: Totals,
    /// Components and steps in the order in which they were entered.
    pub entries: IndexMap<HierarchyPath, ViewEntry>,
    /// Whether the last line of the journal was cut off.
    pub torn: bool,
    answers: IndexMap<HierarchyPath, StoredValue>,
    decisions: Decisions,
    given: Option<StoredValue>,
    sealed: Option<RunStatus>,
    open: OpenEnds,
    end: JournalEnd,
}

/// What somebody needs who goes on with the run.
#[derive(Debug, Default)]
pub(crate) struct OpenEnds {
    /// How many processes have driven it.
    pub(crate) epoch: u32,
    /// The `step_started` records of the last attempt of steps that did not end well, which name what they left: several
    /// if the attempt was gone on with and interrupted again.
    pub(crate) started: HashMap<HierarchyPath, Vec<u64>>,
    /// Process group and start time of a child of each step that did not end.
    pub(crate) children: HashMap<HierarchyPath, (u32, Option<u64>)>,
    /// Variables of components that did not end well.
    variables: HashMap<HierarchyPath, StoredValue>,
}

/// What was decided in a run, by conditional or loop.
#[derive(Debug, Default)]
struct Decisions {
    branches: HashMap<HierarchyPath, bool>,
    /// The items, how many there are, and the number of the first iteration.
    loops: HashMap<HierarchyPath, (LoopItems, u64, i64)>,
    /// The last iteration that was decided on, and whether it ended the loop: of those before it is known that they
    /// did not.
    ends: HashMap<HierarchyPath, (u64, bool)>,
}

/// A component or step of a [`RunView`].
#[derive(Clone, Debug)]
pub enum ViewEntry {
    /// A component.
    Component {
        /// How it stands.
        status: StepStatus,
        /// What its steps came to, once it ended.
        totals: Option<Totals>,
    },
    /// A step that has started and not ended.
    Running {
        /// The attempt, from 1.
        attempt: u32,
        /// When it began.
        started_at: Timestamp,
    },
    /// A step that ended.
    Step(Box<StepCommitted>),
}

impl ViewEntry {
    /// How it stands.
    #[must_use]
    pub fn status(&self) -> StepStatus {
        match self {
            Self::Component { status, .. } => *status,
            Self::Running { .. } => StepStatus::Running,
            Self::Step(step) => step.status,
        }
    }
}

impl RunView {
    /// Reads a run. Nothing of it is changed, and a process that drives it is not disturbed.
    ///
    /// # Errors
    /// [`RunError::OriginalSystem`] for runs without a journal, else what is wrong with the journal, by line.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, RunError> {
        let dir = Dir::open(dir)?;
        let name = || {
            dir.path()
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let dot_run = dir
            .open_dir_optional(DOT_RUN)?
            .ok_or_else(|| RunError::OriginalSystem(name()))?;
        let mut fold = Fold::default();
        let end = read_journal(&dot_run, |record| fold.apply(record))?;
        let Some((run_id, root_id, created_at)) = fold.created else {
            return Err(RunError::unreadable(
                dot_run.path(),
                "its journal has no first record yet",
            ));
        };
        let status = match fold.sealed {
            Some(status) => status,
            None if lease::is_held(&dot_run)? => RunStatus::Running,
            None if fold.started => RunStatus::Interrupted,
            None => RunStatus::Initialized,
        };
        Ok(Self {
            run_id,
            root_id,
            status,
            error: fold.error,
            parent: fold.parent,
            created_at,
            last_record_at: fold.last_at.unwrap_or(created_at),
            totals: fold.totals,
            entries: fold.entries,
            torn: end.torn,
            answers: fold.answers,
            decisions: fold.decisions,
            given: fold.given,
            sealed: fold.sealed,
            open: fold.open,
            end,
            dot_run,
            dir,
        })
    }

    /// The run directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The steps that ended.
    pub fn steps(&self) -> impl Iterator<Item = &StepCommitted> {
        self.entries.values().filter_map(|entry| match entry {
            ViewEntry::Step(step) => Some(&**step),
            _ => None,
        })
    }

    /// The step at a path, if it ended.
    #[must_use]
    pub fn step(&self, path: &HierarchyPath) -> Option<&StepCommitted> {
        match self.entries.get(path)? {
            ViewEntry::Step(step) => Some(step),
            _ => None,
        }
    }

    /// The directory of a step or component.
    #[must_use]
    pub fn dir_of(&self, path: &HierarchyPath) -> PathBuf {
        self.dir.path().join(path.to_relative_dir())
    }

    /// The files of a step.
    ///
    /// # Errors
    /// If their list was kept apart and cannot be read.
    pub fn artifacts(&self, step: &StepCommitted) -> Result<Vec<ArtifactRef>, RunError> {
        load_artifacts(&self.dot_run, &step.artifacts)
    }

    /// The result of a step as its file has it.
    ///
    /// # Errors
    /// If the file is missing or no JSON.
    pub fn result(&self, path: &HierarchyPath) -> Result<Value, RunError> {
        let name = path.to_relative_dir().join(RESULT);
        let bytes = self.dir.read(&name)?;
        serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(self.dir.path().join(name), e))
    }

    /// Of a re-run, what it was started from and what was meant to happen.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn plan(&self) -> Result<Option<RerunPlan>, RunError> {
        read_plan(&self.dot_run)
    }

    /// The definition that it executes, and the digest of each of its steps.
    ///
    /// # Errors
    /// If it is missing, damaged, or of a newer version.
    pub fn definition(&self) -> Result<RecordedDefinition, RunError> {
        read_definition(&self.dot_run)
    }

    /// The input a step was given.
    ///
    /// # Errors
    /// If it was kept apart and cannot be read.
    pub fn input(&self, path: &HierarchyPath) -> Result<Option<Value>, RunError> {
        self.answers
            .get(path)
            .map(|stored| load_value(&self.dot_run, stored))
            .transpose()
    }

    /// How it was sealed last, `None` if it is driven or was interrupted.
    #[must_use]
    pub fn sealed_status(&self) -> Option<RunStatus> {
        self.sealed
    }

    pub(crate) fn open_ends(&self) -> &OpenEnds {
        &self.open
    }

    pub(crate) fn journal_end(&self) -> JournalEnd {
        self.end
    }

    /// The variables of a component that did not end well, as they were evaluated when it was entered.
    ///
    /// # Errors
    /// If they were kept apart and cannot be read.
    pub fn variables(&self, path: &HierarchyPath) -> Result<Option<Map<String, Value>>, RunError> {
        let stored = self.open.variables.get(path);
        let value = stored
            .map(|stored| load_value(&self.dot_run, stored))
            .transpose()?;
        Ok(value.and_then(|value| match value {
            Value::Object(variables) => Some(variables),
            _ => None,
        }))
    }

    /// The variables the run was given from outside.
    ///
    /// # Errors
    /// If they were kept apart and cannot be read.
    pub fn given_variables(&self) -> Result<Map<String, Value>, RunError> {
        let given = self.given.as_ref().map(|given| load_value(&self.dot_run, given));
        Ok(match given.transpose()? {
            Some(Value::Object(variables)) => variables,
            _ => Map::new(),
        })
    }

    /// The result of a step or component as its file has it, `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn result_bytes(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        read_result(&self.dir, path)
    }

    /// Which branch a conditional took.
    #[must_use]
    pub fn branch(&self, path: &HierarchyPath) -> Option<bool> {
        self.decisions.branches.get(path).copied()
    }

    /// What a loop went over.
    ///
    /// # Errors
    /// If the items were kept apart and cannot be read.
    pub fn loop_start(&self, path: &HierarchyPath) -> Result<Option<LoopStart>, RunError> {
        let Some((items, count, start_index)) = self.decisions.loops.get(path) else {
            return Ok(None);
        };
        let items = match items {
            LoopItems::Range(bounds) => Items::Range(*bounds),
            LoopItems::List(stored) => Items::List(load_value(&self.dot_run, stored)?),
        };
        Ok(Some(LoopStart {
            items,
            count: *count,
            start_index: *start_index,
        }))
    }

    /// Whether a loop ended after an iteration, if that was decided.
    #[must_use]
    pub fn loop_decided(&self, path: &HierarchyPath, iteration: u64) -> Option<bool> {
        let (last, stop) = *self.decisions.ends.get(path)?;
        match iteration.cmp(&last) {
            std::cmp::Ordering::Less => Some(false),
            std::cmp::Ordering::Equal => Some(stop),
            std::cmp::Ordering::Greater => None,
        }
    }

    pub(crate) fn handle(&self) -> &Dir {
        &self.dir
    }
}

impl Recorded for RunView {
    fn step(&self, path: &HierarchyPath) -> Option<&StepCommitted> {
        self.step(path)
    }

    fn branch(&self, path: &HierarchyPath) -> Option<bool> {
        self.branch(path)
    }

    fn iterations(&self, path: &HierarchyPath) -> (Option<u64>, Option<(u64, bool)>) {
        let items = self.decisions.loops.get(path).map(|(_, count, _)| *count);
        (items, self.decisions.ends.get(path).copied())
    }
}

/// The result of a step or component in a run directory.
pub(crate) fn read_result(run: &Dir, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
    let dir = path.to_relative_dir();
    match run.read_optional(dir.join(RESULT))? {
        Some(bytes) => Ok(Some(bytes)),
        None => Ok(run.read_optional(dir.join(COMPONENT_RESULT))?),
    }
}

#[derive(Default)]
struct Fold {
    created: Option<(RunId, ElementId, Timestamp)>,
    parent: Option<RunId>,
    started: bool,
    sealed: Option<RunStatus>,
    error: Option<ErrorInfo>,
    last_at: Option<Timestamp>,
    totals: Totals,
    entries: IndexMap<HierarchyPath, ViewEntry>,
    answers: IndexMap<HierarchyPath, StoredValue>,
    decisions: Decisions,
    given: Option<StoredValue>,
    open: OpenEnds,
}

impl Fold {
    fn apply(&mut self, record: Record) {
        self.last_at = Some(record.at);
        match record.body {
            RecordBody::RunCreated {
                run_id,
                root_id,
                parent,
                ..
            } => {
                self.created = Some((run_id, root_id, record.at));
                self.parent = parent;
            }
            RecordBody::RunStarted(driver) | RecordBody::RunResumed(driver) => {
                self.open.epoch = driver.epoch;
                self.started = true;
                self.sealed = None;
                self.error = None;
            }
            RecordBody::ComponentStarted { path, variables, .. } => {
                self.open.variables.insert(path.clone(), variables);
                let entry = ViewEntry::Component {
                    status: StepStatus::Running,
                    totals: None,
                };
                self.entries.insert(path, entry);
            }
            RecordBody::ComponentCompleted {
                path, status, totals, ..
            } => {
                if status == StepStatus::Completed {
                    self.open.variables.remove(&path);
                }
                self.entries.insert(
                    path,
                    ViewEntry::Component {
                        status,
                        totals: Some(totals),
                    },
                );
            }
            RecordBody::StepStarted { path, attempt, .. } => {
                let goes_on = matches!(
                    self.entries.get(&path),
                    Some(ViewEntry::Running { attempt: before, .. }) if *before == attempt
                );
                let started = self.open.started.entry(path.clone()).or_default();
                if !goes_on {
                    started.clear();
                }
                started.push(record.seq);
                // What executes again voids how it ended before; what that consumed stays consumed.
                if let Some(ViewEntry::Step(voided)) = self.entries.get(&path) {
                    self.totals.counts.remove(&voided.totals().counts);
                }
                self.entries.insert(
                    path,
                    ViewEntry::Running {
                        attempt,
                        started_at: record.at,
                    },
                );
            }
            RecordBody::ProcessStarted {
                path,
                pgid,
                start_time,
            } => {
                self.open.children.insert(path, (pgid, start_time));
            }
            RecordBody::AttemptFailed { path, attempt, .. } => {
                self.open.started.remove(&path);
                self.open.children.remove(&path);
                let entry = ViewEntry::Running {
                    attempt: attempt + 1,
                    started_at: record.at,
                };
                self.entries.insert(path, entry);
            }
            RecordBody::StepCommitted(step) => {
                self.open.children.remove(&step.path);
                if step.status == StepStatus::Completed {
                    self.open.started.remove(&step.path);
                }
                self.totals.add(&step.totals());
                self.entries.insert(step.path.clone(), ViewEntry::Step(step));
            }
            RecordBody::Answered { path, input, .. } => {
                self.answers.insert(path, input);
            }
            RecordBody::Inputs { variables, .. } => self.given = Some(variables),
            RecordBody::BranchTaken { path, branch } => {
                self.decisions.branches.insert(path, branch);
            }
            RecordBody::LoopStarted {
                path,
                items,
                count,
                start_index,
            } => {
                self.decisions.loops.insert(path, (items, count, start_index));
            }
            RecordBody::LoopDecided {
                path,
                iteration,
                stop,
            } => {
                self.decisions.ends.insert(path, (iteration, stop));
            }
            RecordBody::RunSealed { status, error, .. } => {
                self.sealed = Some(status);
                self.error = error;
            }
            _ => {}
        }
    }
}
