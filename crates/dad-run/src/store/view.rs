//! A run as a reader sees it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dad_core::{
    Digest, ElementId, ErrorInfo, Fingerprint, HierarchyPath, OnError, RunId, RunStatus, Timestamp,
};
use dad_fs::Dir;
use indexmap::IndexMap;

use crate::error::{RunError, SetupError};
use crate::files::{RunFiles, in_dot_run};
use crate::journal::place::{RunPlace, distinct_places};
use crate::journal::reader::{JournalEnd, Tail, read_journal};
use crate::journal::record::{Record, RecordBody};
use crate::journal::settings::RunSettings;
use crate::journal::state::{Left, OpenQuestion, Progress, RunState, ViewEntry};
use crate::journal::step_committed::{StepCommitted, Totals};
use crate::journal::stored::StoredValue;
use crate::journal::subject::{AnswersByQuestion, RecordedAnswer};
use crate::layout::{DOT_RUN, OUTPUT, PLAN, QUESTIONS, STATIC_INPUTS, STATIC_INPUTS_FILE};
use crate::origin::Origin;
use crate::origin_key::OriginKey;
use crate::rerun::decide::{FingerprintMatch, is_result};
use crate::rerun::plan::RerunPlan;
use crate::store::definition_file::{RecordedDefinition, read_definition};
use crate::store::imported::is_only_imported;
use crate::store::lease;

/// A run read from its journal, in one pass.
///
/// ```no_run
/// use dad_run::RunView;
///
/// let view = RunView::open("runs/run_20260102_030405_0a1b2c")?;
/// for step in view.steps() {
///     println!("{} {}", step.path, view.result(&step.path)?["outcome"]);
/// }
/// # Ok::<(), dad_run::RunError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct RunView {
    pub(super) files: Arc<dyn RunFiles>,
    /// Its id.
    pub run_id: RunId,
    /// Its root component.
    pub root_id: ElementId,
    /// Its status.
    pub status: RunStatus,
    /// Why it is not well.
    pub error: Option<ErrorInfo>,
    /// The run it was started from.
    pub parent: Option<RunId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its last record was written.
    pub last_record_at: Timestamp,
    /// The totals of its steps.
    pub totals: Totals,
    pub(super) entries: IndexMap<HierarchyPath, ViewEntry>,
    /// Whether the last line of the journal was cut off.
    pub torn: bool,
    /// The rest of the state, without the entries.
    pub(super) state: RunState,
    end: JournalEnd,
    /// Steps in loops by their place in the definition and their fingerprint; made when it is first asked for.
    in_loops: OnceLock<HashMap<(HierarchyPath, Fingerprint), HierarchyPath>>,
    by_question: AnswersByQuestion,
}

impl RunView {
    /// Components and steps in the order in which they were entered.
    pub fn entries(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&HierarchyPath, &ViewEntry)> + ExactSizeIterator {
        self.entries.iter()
    }

    /// The component or step at a path; `None` if the run has not come to it.
    #[must_use]
    pub fn entry(&self, path: &HierarchyPath) -> Option<&ViewEntry> {
        self.entries.get(path)
    }

    /// Reads a run. Nothing of it is changed, and a process that drives it is not disturbed.
    ///
    /// # Errors
    /// [`SetupError::OriginalSystem`] for runs without a journal, else what is wrong with the journal, by line.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, RunError> {
        Self::open_with(dir, None)
    }

    /// Reads a run as [`open`](Self::open) does, and looks whether a driver with this key wrote it.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(dir: impl AsRef<Path>, key: Option<&OriginKey>) -> Result<Self, RunError> {
        let (dir, dot_run) = open_with_journal(dir.as_ref())?;
        Self::read(Arc::new(dir), key, || lease::is_held(&dot_run))
    }

    /// Reads a run whose files are kept anywhere. Whether a process drives it is not known: one that was not sealed counts as
    /// interrupted.
    ///
    /// # Errors
    /// What is wrong with the journal, by line.
    pub fn of_files(files: Arc<dyn RunFiles>, key: Option<&OriginKey>) -> Result<Self, RunError> {
        Self::read(files, key, || Ok(false))
    }

    fn read(
        files: Arc<dyn RunFiles>,
        key: Option<&OriginKey>,
        is_driven: impl FnOnce() -> Result<bool, RunError>,
    ) -> Result<Self, RunError> {
        let mut state = RunState::default();
        let mut end = read_journal(&*files, key, |record| state.apply_read(record))?;
        if is_only_imported(&*files, end.records)? {
            end.origin = Origin::Foreign;
        }
        let tally = &state.progress.tally;
        let status = match tally.sealed {
            Some(status) => status,
            None if is_driven()? => RunStatus::Running,
            None if tally.epoch > 0 => RunStatus::Interrupted,
            None => RunStatus::Initialized,
        };
        Self::of_state(files, status, state, end)
    }

    /// A run of which the records of another system say what a journal would have said.
    pub(crate) fn of_records(
        dir: Dir,
        status: RunStatus,
        records: impl Iterator<Item = Record>,
    ) -> Result<Self, RunError> {
        let mut state = RunState::default();
        records.for_each(|record| state.apply(record));
        Self::of_state(Arc::new(dir), status, state, JournalEnd::default())
    }

    pub(super) fn of_state(
        files: Arc<dyn RunFiles>,
        status: RunStatus,
        mut state: RunState,
        end: JournalEnd,
    ) -> Result<Self, RunError> {
        let tally = &state.progress.tally;
        let Some(created) = tally.created.clone() else {
            return Err(RunError::unreadable(
                files.path_of(Path::new(DOT_RUN)),
                "its journal has no first record yet",
            ));
        };
        Ok(Self {
            run_id: created.run_id,
            root_id: created.root_id,
            status,
            error: tally.error.clone(),
            parent: created.parent,
            created_at: created.at,
            last_record_at: tally.last_at.unwrap_or(created.at),
            totals: tally.totals,
            torn: end.tail == Tail::Torn,
            entries: std::mem::take(&mut state.entries.entries),
            end,
            in_loops: OnceLock::new(),
            by_question: AnswersByQuestion::default(),
            files,
            state,
        })
    }

    /// The run directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.files.run_dir()
    }

    /// The name that it is found by: that of its directory, which is its id unless the user renamed it.
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
        fingerprint: Fingerprint,
        on_error: OnError,
    ) -> (Option<&StepCommitted>, FingerprintMatch) {
        let is_result = |step: &&StepCommitted| is_result(step, on_error);
        // What was settled by hand others go on from, but it did nothing that could fit.
        let own = self
            .step(path)
            .filter(|step| step.has_files() || !is_result(step));
        if own
            .filter(is_result)
            .is_some_and(|step| step.fingerprint == Some(fingerprint))
        {
            return (own, FingerprintMatch::Same);
        }
        match self.in_another_iteration(path, fingerprint).filter(is_result) {
            Some(other) => (Some(other), FingerprintMatch::OtherIteration),
            None => (own, FingerprintMatch::Differs),
        }
    }

    /// Whether steps of it have fingerprints of the first version.
    #[must_use]
    pub fn has_first_fingerprints(&self) -> bool {
        let fingerprint = self.steps().find_map(|step| step.fingerprint);
        fingerprint.is_some_and(|fingerprint| fingerprint.version() == 1)
    }

    /// Another iteration's step that has a fingerprint: of several the first that ended.
    fn in_another_iteration(&self, path: &HierarchyPath, fingerprint: Fingerprint) -> Option<&StepCommitted> {
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

    /// The places where it was driven, and the present one, each once.
    pub fn places(&self) -> impl Iterator<Item = RunPlace> {
        let now = RunPlace {
            run_id: self.run_id.to_string(),
            run_dir: self.dir().to_path_buf(),
            ..RunPlace::default()
        };
        distinct_places(self.state.entries.places.iter().cloned().chain([now])).into_iter()
    }

    /// The step with an effect that was executed first.
    #[must_use]
    pub fn first_effect(&self) -> Option<&HierarchyPath> {
        self.state.progress.tally.effect.as_ref()
    }

    /// The records of one step, read from the journal again.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn records_of(&self, path: &HierarchyPath) -> Result<Vec<Record>, RunError> {
        let mut found = Vec::new();
        self.each_record(|record| {
            if record.body.path() == Some(path) {
                found.push(record);
            }
        })?;
        Ok(found)
    }

    /// The steps that ended, in the order in which they did; one that ended more than once where it did last.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn ended_steps(&self) -> Result<Vec<HierarchyPath>, RunError> {
        let mut ended = indexmap::IndexSet::new();
        self.each_record(|record| {
            if let RecordBody::StepCommitted(step) = record.body {
                ended.shift_remove(&step.path);
                ended.insert(step.path);
            }
        })?;
        Ok(ended.into_iter().collect())
    }

    /// The definition that it executes, and the digest of each of its steps.
    ///
    /// # Errors
    /// If it is missing, not the one that was recorded, or of a newer version.
    pub fn definition(&self) -> Result<RecordedDefinition, RunError> {
        read_definition(self.files(), self.state.progress.tally.definition)
    }

    /// Digest of the definition that its last driver executes; none of a run of the original system.
    #[must_use]
    pub fn definition_digest(&self) -> Option<Digest> {
        self.state
            .progress
            .tally
            .definition
            .filter(|_| !self.is_original())
    }

    /// Whether its format has definitions under their digests.
    pub(crate) const fn has_definitions(&self) -> bool {
        self.state.progress.tally.format >= 2
    }

    /// Digest of the definition that it was made with.
    pub(crate) fn first_definition_digest(&self) -> Option<Digest> {
        let created = self.state.progress.tally.created.as_ref();
        created.map(|created| created.definition)
    }

    /// The files of questions that wait for an answer.
    pub(crate) fn asked_files(&self) -> Vec<(PathBuf, Digest)> {
        let open = self.state.progress.open.questions.values();
        let named = open.filter_map(|open| {
            let name = in_dot_run(QUESTIONS).join(format!("{}.json", open.id));
            Some((name, open.file?))
        });
        named.collect()
    }

    /// The files that the journal names beside those of steps, values, definitions and questions.
    pub(crate) fn named_files(&self) -> Vec<(PathBuf, Digest)> {
        let tally = &self.state.progress.tally;
        let created = tally.created.as_ref();
        let plan = created.and_then(|created| created.plan_digest);
        let static_inputs = self.static_inputs_digest();
        let named = [
            (Path::new(DOT_RUN).join(PLAN), plan),
            (Path::new(STATIC_INPUTS).join(STATIC_INPUTS_FILE), static_inputs),
            (OUTPUT.into(), tally.output),
        ];
        let is_named = |(name, digest): (PathBuf, Option<Digest>)| Some((name, digest?));
        named.into_iter().filter_map(is_named).collect()
    }

    /// The digest of the file with inputs that the run was given.
    pub(crate) fn static_inputs_digest(&self) -> Option<Digest> {
        let created = self.state.progress.tally.created.as_ref();
        created.and_then(|created| created.static_inputs_digest)
    }

    pub(super) const fn output_digest(&self) -> Option<Digest> {
        self.state.progress.tally.output
    }

    /// The settings of its last driver, which a process that resumes it takes up.
    #[must_use]
    pub fn settings(&self) -> RunSettings {
        let tally = &self.state.progress.tally;
        RunSettings {
            budget: Some(tally.budget).filter(|budget| !budget.is_unlimited()),
            ..tally.settings.clone()
        }
    }

    /// The salt for digests of values that must not be guessed; none of a run that was made before there was
    /// such a thing.
    #[must_use]
    pub fn salt(&self) -> Option<&str> {
        self.state.progress.tally.created.as_ref()?.salt.as_deref()
    }

    /// Refuses a run whose plan or static inputs are not the ones that were recorded: a driver obeys both.
    pub(crate) fn check_inputs(&self) -> Result<(), RunError> {
        for (name, digest) in self.named_files() {
            // The output is written anew.
            if name != Path::new(OUTPUT) {
                self.files().read_recorded(&name, digest)?;
            }
        }
        Ok(())
    }

    /// Every record of the journal once more.
    pub(crate) fn each_record(&self, mut each: impl FnMut(Record)) -> Result<(), RunError> {
        let each = |record| {
            each(record);
            Ok(())
        };
        read_journal(self.files(), None, each).map(drop)
    }

    /// The plan, if it is a re-run.
    ///
    /// # Errors
    /// If the plan is there and cannot be read.
    pub fn plan(&self) -> Result<Option<RerunPlan>, RunError> {
        let name = in_dot_run(PLAN);
        let Some(bytes) = self.files().read_optional(&name)? else {
            return Ok(None);
        };
        let path = self.files.path_of(&name);
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| RunError::unreadable(path, e))
    }

    /// The recorded answer of a step or component.
    pub(crate) fn answer_at(&self, path: &HierarchyPath) -> Option<&RecordedAnswer> {
        self.answers().get(path)
    }

    /// The answers of steps and components, in the order of their first records.
    pub(crate) fn answers(&self) -> &IndexMap<HierarchyPath, RecordedAnswer> {
        &self.state.entries.answers
    }

    pub(crate) fn by_question(&self) -> &AnswersByQuestion {
        &self.by_question
    }

    /// Whether a person agreed that a step or component executes as it is about to.
    #[must_use]
    pub fn is_approved(&self, path: &HierarchyPath, facts: Digest) -> bool {
        self.state.entries.approved.get(path) == Some(&facts)
    }

    pub(crate) fn stored_run_rules(&self) -> &[StoredValue] {
        &self.state.entries.run_rules
    }

    /// Whether a step had begun as a person agreed to, and not ended: it may have changed what it was shown with.
    #[must_use]
    pub fn began_as_approved(&self, path: &HierarchyPath) -> bool {
        let had_begun = matches!(self.entries.get(path), Some(ViewEntry::Running { .. }));
        had_begun && self.state.entries.approved.contains_key(path)
    }

    /// The questions that wait for an answer, in the order in which they were asked.
    pub fn open_questions(&self) -> impl Iterator<Item = &OpenQuestion> {
        self.state.progress.open.questions.values()
    }

    /// The number of questions that a step has asked.
    pub(crate) fn times_asked(&self, path: &HierarchyPath) -> u32 {
        self.state.entries.asked.get(path).copied().unwrap_or(0)
    }

    /// The status of its last seal, `None` if it is driven or was interrupted.
    #[must_use]
    pub fn sealed_status(&self) -> Option<RunStatus> {
        self.state.progress.tally.sealed
    }

    /// The state that the driver which resumes the run begins with.
    pub(crate) fn progress(&self) -> &Progress {
        &self.state.progress
    }

    /// The remains of a step that did not end well.
    pub(crate) fn left(&self, path: &HierarchyPath) -> Option<&Left> {
        self.state.entries.left.get(path)
    }

    pub(crate) fn journal_end(&self) -> &JournalEnd {
        &self.end
    }

    /// The run without what people said in it: in a run that is not the user's own, others may have said it.
    pub(crate) fn without_answers(mut self) -> Self {
        self.state.entries.answers.clear();
        self.state.entries.approved.clear();
        self.state.entries.run_rules.clear();
        self
    }

    /// Whose run it is.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.end.origin
    }

    /// Its files.
    pub(crate) fn files(&self) -> &dyn RunFiles {
        &*self.files
    }
}

/// Opens the directory of a run that has a journal, and its `.run`.
///
/// # Errors
/// [`SetupError::OriginalSystem`] for a run without one.
pub(crate) fn open_with_journal(dir: &Path) -> Result<(Dir, Dir), RunError> {
    let dir = Dir::open(dir)?;
    let Some(dot_run) = dir.open_dir_optional(DOT_RUN)? else {
        let name = dir.path().file_name().unwrap_or_default();
        return Err(SetupError::OriginalSystem(name.to_string_lossy().into_owned()).into());
    };
    Ok((dir, dot_run))
}
