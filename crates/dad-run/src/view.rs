use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dad_core::{
    ArtifactRef, Budget, Digest, ElementId, ErrorInfo, HierarchyPath, OnError, RunId, RunStatus, StepStatus,
    Timestamp,
};
use dad_events::QuestionKind;
use dad_fs::Dir;
use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::decide::{Fit, is_result};
use crate::error::RunError;
use crate::journal::{JournalEnd, read_journal};
use crate::layout::{COMPONENT_RESULT, DOT_RUN, PLAN, QUESTIONS, RESULT};
use crate::lease;
use crate::origin::{Child, Session};
use crate::plan::{Recorded, RerunPlan, RunPlace, distinct_places};
use crate::question::Question;
use crate::record::{ControlKind, LoopItems, Record, RecordBody, StepCommitted, StoredValue, Totals};
use crate::recorded::{RecordedDefinition, read_definition};
use crate::resume::Settled;
use crate::run::{Items, LoopStart};
use crate::step::read_artifact;
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
    places: Vec<RunPlace>,
    /// Of the definition, as its first record says; none of the original system.
    definition_digest: Option<Digest>,
    /// Steps in loops by their place in the definition and their fingerprint; made when it is first asked for.
    in_loops: OnceLock<HashMap<(HierarchyPath, Digest), HierarchyPath>>,
}

/// What somebody needs who goes on with the run.
#[derive(Debug, Default)]
pub(crate) struct OpenEnds {
    /// How many processes have driven it.
    pub(crate) epoch: u32,
    /// How often each step asked.
    pub(crate) asked: HashMap<HierarchyPath, u32>,
    /// Questions without an answer, by id.
    pub(crate) questions: IndexMap<String, OpenQuestion>,
    /// The `step_started` records of the last attempt of steps that did not end well, which name what they left: several
    /// if the attempt was gone on with and interrupted again.
    pub(crate) started: HashMap<HierarchyPath, Vec<u64>>,
    /// A child of each step that did not end.
    pub(crate) children: HashMap<HierarchyPath, Child>,
    /// The process that drove it last.
    pub(crate) session: Option<Arc<Session>>,
    /// The last attempt of each step that failed and was to be followed by another, unless that began.
    pub(crate) failed: HashMap<HierarchyPath, u32>,
    /// Steps that somebody settled by hand.
    pub(crate) settled: HashMap<HierarchyPath, Settled>,
    /// The first step with an effect that was executed.
    pub(crate) effect: Option<HierarchyPath>,
    /// How long it was driven, by one process after the other.
    pub(crate) driven: Duration,
    /// What it was told that it may consume, beside what the definition says.
    pub(crate) budget: Budget,
    /// What somebody agreed to last, of each step and component.
    approved: HashMap<HierarchyPath, Digest>,
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
    /// A step that waits for an answer.
    Waiting {
        /// When it asked.
        since: Timestamp,
        /// What for.
        kind: QuestionKind,
    },
    /// A step that ended.
    Step(Box<StepCommitted>),
}

/// A question that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenQuestion {
    /// Its id.
    pub id: String,
    /// The step that asks.
    pub path: HierarchyPath,
    /// What kind of answer is wanted.
    pub kind: QuestionKind,
}

impl ViewEntry {
    /// How it stands.
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
        let status = match fold.sealed {
            Some(status) => status,
            None if lease::is_held(&dot_run)? => RunStatus::Running,
            None if fold.started => RunStatus::Interrupted,
            None => RunStatus::Initialized,
        };
        Self::of_fold(dir, dot_run, status, fold, end)
    }

    /// A run of which somebody else says what our journal would have said.
    pub(crate) fn of_records(
        dir: Dir,
        status: RunStatus,
        records: impl Iterator<Item = Record>,
    ) -> Result<Self, RunError> {
        let mut fold = Fold::default();
        records.for_each(|record| fold.apply(record));
        Self::of_fold(dir.clone(), dir, status, fold, JournalEnd::default())
    }

    fn of_fold(
        dir: Dir,
        dot_run: Dir,
        status: RunStatus,
        fold: Fold,
        end: JournalEnd,
    ) -> Result<Self, RunError> {
        let Some((run_id, root_id, created_at)) = fold.created else {
            return Err(RunError::unreadable(
                dot_run.path(),
                "its journal has no first record yet",
            ));
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
            places: fold.places,
            definition_digest: fold.definition_digest,
            in_loops: OnceLock::new(),
            dot_run,
            dir,
        })
    }

    /// The run directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it is found by: the name of its directory, which is its id unless somebody renamed it.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        self.dir().file_name().unwrap_or_default().to_string_lossy()
    }

    /// Whether it was made by the original system, which kept no journal.
    #[must_use]
    pub fn is_original(&self) -> bool {
        self.end.records == 0
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

    /// The result that fits a fingerprint: of the step itself, else of another iteration; if none does, how the step
    /// itself ended.
    #[must_use]
    pub fn fitting(
        &self,
        path: &HierarchyPath,
        fingerprint: Digest,
        on_error: OnError,
    ) -> (Option<&StepCommitted>, Fit) {
        let is_result = |step: &&StepCommitted| is_result(step, on_error);
        // What was settled by hand others go on from, but it did nothing that could fit.
        let own = self
            .step(path)
            .filter(|step| step.has_files() || !is_result(step));
        if own
            .filter(is_result)
            .is_some_and(|step| step.fingerprint == Some(fingerprint))
        {
            return (own, Fit::Same);
        }
        match self.in_another_iteration(path, fingerprint).filter(is_result) {
            Some(other) => (Some(other), Fit::OtherIteration),
            None => (own, Fit::Differs),
        }
    }

    /// Another iteration's step that has a fingerprint: of several the first that ended.
    fn in_another_iteration(&self, path: &HierarchyPath, fingerprint: Digest) -> Option<&StepCommitted> {
        let in_loops = self.in_loops.get_or_init(|| {
            let mut found = HashMap::new();
            for step in self.steps() {
                let place = step.path.without_iterations();
                if let Some(fingerprint) = step.fingerprint.filter(|_| place != step.path) {
                    found
                        .entry((place, fingerprint))
                        .or_insert_with(|| step.path.clone());
                }
            }
            found
        });
        let found = in_loops.get(&(path.without_iterations(), fingerprint))?;
        self.step(found)
    }

    /// Where it was driven, and where it lies now, each place once.
    pub fn places(&self) -> impl Iterator<Item = RunPlace> {
        let now = RunPlace {
            run_id: self.run_id.to_string(),
            run_dir: self.dir.path().to_path_buf(),
            ..RunPlace::default()
        };
        distinct_places(self.places.iter().cloned().chain([now])).into_iter()
    }

    /// The step with an effect that was executed first.
    #[must_use]
    pub fn first_effect(&self) -> Option<&HierarchyPath> {
        self.open.effect.as_ref()
    }

    /// The records of one step, read from the journal again.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn records_of(&self, path: &HierarchyPath) -> Result<Vec<Record>, RunError> {
        let mut found = Vec::new();
        read_journal(&self.dot_run, |record| {
            if record.body.path() == Some(path) {
                found.push(record);
            }
        })?;
        Ok(found)
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
    /// If the file is missing, is not the one that was recorded, or no JSON.
    pub fn result(&self, path: &HierarchyPath) -> Result<Value, RunError> {
        let name = path.to_relative_dir().join(RESULT);
        let bytes = match self.recorded_result(path)? {
            Some(bytes) => bytes,
            None => self.dir.read(&name)?,
        };
        serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(self.dir.path().join(name), e))
    }

    /// The result of a step, if the journal has its digest; the original system's has none.
    fn recorded_result(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        let Some(step) = self.step(path) else {
            return Ok(None);
        };
        let artifacts = self.artifacts(step)?;
        let recorded = artifacts.iter().find(|artifact| artifact.name == RESULT);
        let place = (&self.dir, &*path.to_relative_dir());
        recorded
            .map(|recorded| read_artifact(place, recorded))
            .transpose()
    }

    /// A JSON file of a step, `None` if it has none of that name.
    ///
    /// # Errors
    /// If the file cannot be read, or is no JSON of that shape.
    pub fn step_file<T: DeserializeOwned>(
        &self,
        path: &HierarchyPath,
        name: &str,
    ) -> Result<Option<T>, RunError> {
        let name = path.to_relative_dir().join(name);
        let Some(bytes) = self.dir.read_optional(&name)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| RunError::unreadable(self.dir.path().join(name), e))
    }

    /// The definition that it executes, and the digest of each of its steps.
    ///
    /// # Errors
    /// If it is missing, not the one that was recorded, or of a newer version.
    pub fn definition(&self) -> Result<RecordedDefinition, RunError> {
        read_definition(&self.dot_run, self.definition_digest)
    }

    /// Every record of the journal once more.
    pub(crate) fn each_record(&self, each: impl FnMut(Record)) -> Result<(), RunError> {
        read_journal(&self.dot_run, each).map(drop)
    }

    /// What it was started from, if it is a re-run.
    ///
    /// # Errors
    /// If the plan is there and cannot be read.
    pub fn plan(&self) -> Result<Option<RerunPlan>, RunError> {
        let Some(bytes) = self.dot_run.read_optional(PLAN)? else {
            return Ok(None);
        };
        let path = self.dot_run.path().join(PLAN);
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| RunError::unreadable(path, e))
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

    /// The inputs that steps and components were given, in the order in which they were recorded.
    pub fn inputs(&self) -> impl Iterator<Item = Result<(&HierarchyPath, Value), RunError>> {
        let load = |(path, stored)| Ok((path, load_value(&self.dot_run, stored)?));
        self.answers.iter().map(load)
    }

    /// Whether somebody agreed that a step or component executes as it is about to.
    #[must_use]
    pub fn is_approved(&self, path: &HierarchyPath, fingerprint: Digest) -> bool {
        self.open.approved.get(path) == Some(&fingerprint)
    }

    /// The questions that wait for an answer, in the order in which they were asked.
    pub fn open_questions(&self) -> impl Iterator<Item = &OpenQuestion> {
        self.open.questions.values()
    }

    /// How many questions a step has asked.
    pub(crate) fn times_asked(&self, path: &HierarchyPath) -> u32 {
        self.open.asked.get(path).copied().unwrap_or(0)
    }

    /// What a question asks.
    ///
    /// # Errors
    /// If its file is missing or damaged.
    pub fn question(&self, id: &str) -> Result<Question, RunError> {
        let name = Path::new(QUESTIONS).join(format!("{id}.json"));
        let bytes = self.dot_run.read(&name)?;
        serde_json::from_slice(&bytes).map_err(|e| RunError::unreadable(self.dot_run.path().join(name), e))
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
    /// If it cannot be read, or is not the one that was recorded.
    pub fn result_bytes(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        match self.recorded_result(path)? {
            Some(bytes) => Ok(Some(bytes)),
            None => read_result(&self.dir, path),
        }
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

    pub(crate) fn dot_run(&self) -> &Dir {
        &self.dot_run
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

/// Whether the answer to a question for approval is yes; it is never so long that it is kept apart.
fn says_yes(answer: &StoredValue) -> bool {
    match answer {
        StoredValue::Value(answer) => answer.get("approve") == Some(&Value::Bool(true)),
        StoredValue::Stored(_) => false,
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
    definition_digest: Option<Digest>,
    entries: IndexMap<HierarchyPath, ViewEntry>,
    answers: IndexMap<HierarchyPath, StoredValue>,
    decisions: Decisions,
    given: Option<StoredValue>,
    open: OpenEnds,
    places: Vec<RunPlace>,
    driven_since: Option<Timestamp>,
}

impl Fold {
    /// Adds the time in which a process drove the run: of one that died, up to its last record.
    fn driven_until(&mut self, end: Option<Timestamp>) {
        if let (Some(since), Some(end)) = (self.driven_since.take(), end) {
            // A clock that went backwards measured nothing.
            self.open.driven += Duration::try_from(end.duration_since(since)).unwrap_or_default();
        }
    }

    /// What executes again, or asks to, voids how it ended before; what that consumed stays consumed.
    fn void(&mut self, path: &HierarchyPath) {
        if let Some(ViewEntry::Step(voided)) = self.entries.get(path) {
            self.totals.counts.remove(&voided.totals().counts);
        }
    }

    fn budgeted(&mut self, budget: Option<&Value>) {
        let budget = budget.and_then(|budget| Budget::deserialize(budget).ok());
        self.open.budget = self.open.budget.overridden_by(budget.unwrap_or_default());
    }

    fn apply(&mut self, record: Record) {
        let before = self.last_at.replace(record.at);
        match record.body {
            RecordBody::RunCreated {
                run_id,
                root_id,
                parent,
                definition_digest,
                ..
            } => {
                self.created = Some((run_id, root_id, record.at));
                self.definition_digest = Some(definition_digest);
                self.parent = parent;
            }
            RecordBody::RunStarted(driver) | RecordBody::RunResumed(driver) => {
                self.driven_until(before);
                self.driven_since = Some(record.at);
                self.open.epoch = driver.epoch;
                self.open.session = Some(Arc::new(Session::from(&driver)));
                if let Some((run_id, ..)) = &self.created {
                    self.places.push(RunPlace {
                        run_id: run_id.to_string(),
                        run_dir: driver.run_dir,
                        run_root: driver.run_root,
                        project_root: driver.project_root,
                    });
                }
                self.started = true;
                self.sealed = None;
                self.error = None;
            }
            RecordBody::ComponentStarted { path, variables, .. } => {
                self.open.questions.retain(|_, open| open.path != path);
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
            RecordBody::StepStarted {
                path,
                attempt,
                effect,
                ..
            } => {
                if effect {
                    self.open.effect.get_or_insert_with(|| path.clone());
                }
                let goes_on = matches!(
                    self.entries.get(&path),
                    Some(ViewEntry::Running { attempt: before, .. }) if *before == attempt
                );
                self.open.failed.remove(&path);
                let started = self.open.started.entry(path.clone()).or_default();
                if !goes_on {
                    started.clear();
                }
                started.push(record.seq);
                self.void(&path);
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
                let child = Child {
                    pgid,
                    start_time,
                    session: self.open.session.clone(),
                };
                self.open.children.insert(path, child);
            }
            RecordBody::AttemptFailed {
                path, attempt, usage, ..
            } => {
                self.totals.usage += usage;
                self.open.started.remove(&path);
                self.open.children.remove(&path);
                self.open.failed.insert(path.clone(), attempt);
                let entry = ViewEntry::Running {
                    attempt: attempt + 1,
                    started_at: record.at,
                };
                self.entries.insert(path, entry);
            }
            RecordBody::StepCommitted(mut step) => {
                self.open.settled.remove(&step.path);
                self.open.questions.retain(|_, open| open.path != step.path);
                // What is settled by hand, or taken over, was not begun again.
                self.void(&step.path);
                self.open.children.remove(&step.path);
                if step.status == StepStatus::Completed {
                    self.open.started.remove(&step.path);
                    self.open.failed.remove(&step.path);
                }
                self.totals.add(&step.totals());
                match self.entries.entry(step.path.clone()) {
                    Entry::Occupied(mut entry) => {
                        // One text for both: of very many steps the paths alone take much memory.
                        step.path = entry.key().clone();
                        entry.insert(ViewEntry::Step(step));
                    }
                    Entry::Vacant(entry) => drop(entry.insert(ViewEntry::Step(step))),
                }
            }
            RecordBody::Question { id, path, kind, .. } => {
                // What is about to happen may have changed since it was asked before.
                let same = |open: &OpenQuestion| open.path == path && open.kind == kind;
                self.open.questions.retain(|_, open| !same(open));
                let since = record.at;
                *self.open.asked.entry(path.clone()).or_default() += 1;
                // A step that asks in the midst of its execution is gone on with.
                if !matches!(self.entries.get(&path), Some(ViewEntry::Running { .. })) {
                    self.void(&path);
                    let waiting = ViewEntry::Waiting { since, kind };
                    self.entries.insert(path.clone(), waiting);
                }
                let open = OpenQuestion {
                    id: id.clone(),
                    path,
                    kind,
                };
                self.open.questions.insert(id, open);
            }
            RecordBody::Answered {
                path,
                kind,
                fingerprint,
                id,
                input,
                ..
            } => {
                if let Some(id) = id {
                    self.open.questions.shift_remove(&id);
                }
                match (kind, fingerprint) {
                    (QuestionKind::Input, _) => drop(self.answers.insert(path, input)),
                    (QuestionKind::Approval, Some(fingerprint)) if says_yes(&input) => {
                        self.open.approved.insert(path, fingerprint);
                    }
                    _ => {}
                }
            }
            RecordBody::Inputs { variables, options } => {
                self.given = Some(variables);
                self.budgeted(options.get("budget"));
            }
            RecordBody::Control {
                kind: ControlKind::Budget,
                value,
                ..
            } => self.budgeted(value.as_ref()),
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
            RecordBody::Control {
                kind,
                path: Some(path),
                value,
                ..
            } => {
                let reason = value.and_then(|value| value.as_str().map(str::to_owned));
                match kind {
                    ControlKind::Skip => drop(self.open.settled.insert(path, Settled::Skipped(reason))),
                    ControlKind::Fail => drop(self.open.settled.insert(path, Settled::Failed(reason))),
                    _ => {}
                }
            }
            RecordBody::RunSealed { status, error, .. } => {
                self.driven_until(Some(record.at));
                self.sealed = Some(status);
                self.error = error;
            }
            _ => {}
        }
    }
}
