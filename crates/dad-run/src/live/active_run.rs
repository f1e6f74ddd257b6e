use std::borrow::Cow;
use std::error::Error;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dad_core::{
    Clean, ComponentKind, Definition, Digest, ErrorInfo, FirstFailure, HierarchyPath, RunStatus,
    SecretRegistry, StepStatus, Timestamp,
};
use dad_definition::{NodeTypes, Program, SpanMap};
use dad_events::{EventBody, RunIdentity, RunStarted};
use dad_fs::{Dir, FsResult};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::adopt::adopted;
use crate::drive::watch_inbox;
use crate::end::RunEnd;
use crate::error::RunError;
use crate::inner::RunInner;
use crate::inputs::{GivenInput, UnresolvedInput};
use crate::journal::record::{RangeBounds, RecordBody, Totals};
use crate::layout::{ATTEMPTS, OUTPUT};
use crate::plan::{RerunPlan, RunPlace};
use crate::projection;
use crate::resources::Resources;
use crate::settings::RunSettings;
use crate::view::RunView;

/// How many failures a component or run names.
pub(crate) const FIRST_FAILURES: usize = 10;

/// The single owner of a run that is being driven.
///
/// Ends by [`complete_run`](Self::complete_run). Dropping it cancels what executes and seals the run as failed with
/// the error `abandoned`; a process that dies leaves the run interrupted.
#[must_use = "a run that is dropped is sealed as abandoned"]
#[derive(Debug)]
pub struct ActiveRun {
    handle: RunHandle,
    ended: bool,
}

/// Access to a run for nodes and listeners. Nothing can be recorded by it: that is for the [`driver`](crate::driver).
#[derive(Clone, Debug)]
pub struct RunHandle {
    inner: Arc<RunInner>,
}

/// What templates of every step can see of the run.
#[derive(Clone, Debug, Default)]
pub struct RunScope {
    /// Run variables by name: `run_id`, `run_dir` and so on.
    pub run_variables: Map<String, Value>,
    /// Variables given from outside, data and never templates.
    pub given_variables: Map<String, Value>,
    /// Where the definition stands in files, if it does.
    pub spans: Option<Arc<SpanMap>>,
}

impl RunScope {
    /// Where bytes of a template stand, as `FILE:LINE:COLUMN`; `place` is that of the template in the definition, such as
    /// `elements[0].settings.prompt`.
    #[must_use]
    pub fn position(&self, place: &str, template: &str, part: Range<usize>) -> Option<String> {
        let spans = self.spans.as_ref()?;
        let found = spans
            .within(place, template, part)
            .or_else(|| spans.nearest(place))?;
        Some(format!("{}:{}:{}", found.file, found.line, found.column))
    }

    /// Where the run is driven.
    pub(crate) fn place(&self) -> RunPlace {
        let variable = |name: &str| {
            let value = self.run_variables.get(name);
            value.and_then(|value| value.as_str()).unwrap_or_default()
        };
        RunPlace {
            run_id: variable("run_id").to_owned(),
            run_dir: variable("run_dir").into(),
            run_root: variable("run_root").into(),
            project_root: variable("project_root").into(),
        }
    }
}

/// A step or component that a cancel of it reaches; dropped when it has ended.
#[derive(Debug)]
#[must_use = "a cancel does not reach what is dropped"]
pub struct Stoppable {
    pub(crate) run: RunHandle,
    pub(crate) path: HierarchyPath,
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        self.run.inner.state().stoppable.remove(&self.path);
    }
}

/// What stops a step or component, and what shields it.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) token: CancellationToken,
    /// The component in whose `finally` it stands.
    pub(crate) shield: Option<HierarchyPath>,
}

/// Whether a cancel of `cancelled` reaches `path`. The `finally` of a component executes however the component ended: what
/// is in it is reached only by a cancel of something inside that component.
pub(crate) fn reaches(
    cancelled: &HierarchyPath,
    path: &HierarchyPath,
    shield: Option<&HierarchyPath>,
) -> bool {
    let is_inside = |shield: &HierarchyPath| cancelled != shield && cancelled.is_within(shield);
    path.is_within(cancelled) && shield.is_none_or(is_inside)
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct SealedRun {
    /// The status it was sealed with.
    pub status: RunStatus,
    /// Why, if not well.
    pub error: Option<ErrorInfo>,
    /// What its steps came to.
    pub totals: Totals,
    /// The first steps that failed, at most ten.
    pub first_failures: Vec<FirstFailure>,
    /// Since this process began to drive it.
    pub duration: Duration,
    /// What went wrong beside the run itself: observers and handlers.
    pub warnings: Vec<String>,
}

/// An entered component: its directory and when it was entered.
#[derive(Debug)]
pub struct EnteredComponent {
    /// Its place.
    pub path: HierarchyPath,
    pub(crate) kind: ComponentKind,
    pub(crate) dir: ComponentDir,
    pub(crate) created_at: Timestamp,
    pub(crate) since: Instant,
}

/// The directory of a component.
#[derive(Debug)]
pub(crate) enum ComponentDir {
    Open(Dir),
    /// Opened where it is needed: components that execute at the same time keep no descriptor each.
    Closed {
        run: Dir,
        name: PathBuf,
    },
}

impl ComponentDir {
    pub(crate) fn open(&self) -> FsResult<Cow<'_, Dir>> {
        match self {
            Self::Open(dir) => Ok(Cow::Borrowed(dir)),
            Self::Closed { run, name } => run.open_dir(name).map(Cow::Owned),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Open(dir) => dir.path().to_path_buf(),
            Self::Closed { run, name } => run.path().join(name),
        }
    }
}

/// How a component ended.
#[derive(Clone, Copy, Debug)]
pub struct ComponentEnd<'a> {
    /// Its status.
    pub status: StepStatus,
    /// What its steps came to.
    pub totals: Totals,
    /// The first steps that failed; at most ten are kept.
    pub first_failures: &'a [FirstFailure],
    /// Of a loop: how many iterations were begun.
    pub iterations: Option<u64>,
    /// Of a conditional: which branch was taken.
    pub branch: Option<bool>,
    /// Whether the run continues behind it although it failed.
    pub absorbed: bool,
}

/// What a loop goes over, as it was decided once.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopStart {
    /// The items.
    pub items: Items,
    /// How many there are.
    pub count: u64,
    /// The number of the first iteration, as its variable has it.
    pub start_index: i64,
}

/// The items of a loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Items {
    /// Numbers, kept by their bounds.
    Range(RangeBounds),
    /// A JSON list.
    List(Clean<Value>),
}

impl ActiveRun {
    pub(crate) fn new(inner: RunInner) -> Self {
        Self {
            handle: RunHandle {
                inner: Arc::new_cyclic(|this| RunInner {
                    this: Weak::clone(this),
                    ..inner
                }),
            },
            ended: false,
        }
    }

    pub(crate) fn inner(&self) -> &RunInner {
        self.handle.inner()
    }

    /// Which run this is.
    #[must_use]
    pub fn identity(&self) -> &Arc<RunIdentity> {
        self.handle.identity()
    }

    /// Access for nodes and listeners.
    #[must_use]
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Gives a node or component its input, as the builder's method of that name does before the run is set up. The
    /// variables of the root component are given to the builder: here they would come too late.
    ///
    /// # Errors
    /// If there is no such node or component, the input does not fit it, or it has already started.
    pub fn register_node_static_input(&self, node: &str, input: impl Serialize) -> Result<(), RunError> {
        let value = serde_json::to_value(input).map_err(|e| RunError::unreadable(node, e))?;
        let given = GivenInput {
            source: "register_node_static_input".to_owned(),
            value,
        };
        let inner = &self.handle.inner;
        let mut state = inner.state();
        let mut inputs = state.inputs.clone();
        let path = inputs.add(
            UnresolvedInput {
                selector: node.to_owned(),
                given,
            },
            &inner.reader.program,
            &*inner.types,
        )?;
        if state.started.contains(&path) {
            return Err(RunError::InputTooLate(path));
        }
        state.inputs = inputs;
        Ok(())
    }

    /// Writes `output.json`: what the definition's `output` came to. The record that seals the run as completed names it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_output(&self, output: &Clean<Value>) -> Result<(), RunError> {
        let inner = &self.handle.inner;
        let text = projection::to_file_text(OUTPUT, output.get())?;
        inner
            .dir
            .replace_through_dir(&inner.dot_run, OUTPUT, &text, inner.durability)?;
        inner.state().output = Some(Digest::of(&text));
        Ok(())
    }

    /// Seals the run: the last record, then metadata and summary; gives the lease back and waits until every
    /// listener has what happened.
    ///
    /// # Errors
    /// If the record or a projection of it cannot be written. [`RunError::QuestionOpen`] and
    /// [`RunError::RootNotCompleted`] if the run is called completed and is not; it is then sealed as what it is, so that a
    /// question that is open can still be answered.
    pub fn complete_run(
        self,
        end: RunEnd,
        error: Option<&dyn Error>,
    ) -> impl Future<Output = Result<SealedRun, RunError>> + Send + use<> {
        // Turned into its recorded form before anything waits, so that the future can be sent between threads.
        let error = error.map(|error| ErrorInfo::from_error("run_failed", error));
        self.seal(end, error)
    }

    /// As [`complete_run`](Self::complete_run), with an error that says its code, place and hint.
    ///
    /// # Errors
    /// As there.
    pub async fn seal(mut self, end: RunEnd, error: Option<ErrorInfo>) -> Result<SealedRun, RunError> {
        self.ended = true;
        // A cancel that was sent before the run came to rest was accepted, and has to stand in the journal.
        self.handle.inner.read_inbox();
        let inner = &self.handle.inner;
        let end = match end {
            RunEnd::Waiting if inner.is_stopped() => RunEnd::Cancelled,
            end => end,
        };
        let refused = match end {
            RunEnd::Completed => inner.is_not_completed(),
            _ => Ok(None),
        };
        let sealed = match refused {
            Ok(None) => inner.seal(end, error),
            Ok(Some((end, refused))) => {
                let error = (end == RunEnd::Failed).then(|| refused.to_info());
                inner.seal(end, error).and(Err(refused))
            }
            Err(unread) => inner
                .seal(RunEnd::Failed, Some(unread.to_info()))
                .and(Err(unread)),
        };
        let warnings = inner.bus.close().await;
        let mut sealed = sealed?;
        sealed.warnings.extend(warnings);
        Ok(sealed)
    }
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let inner = Arc::clone(&self.handle.inner);
        inner.cancelled.cancel();
        let error = ErrorInfo::new("abandoned", "the run was dropped before it was completed");
        if let Err(error) = inner.seal(RunEnd::Failed, Some(error)) {
            tracing::error!(run_id = %inner.identity.run_id, %error, "an abandoned run could not be sealed");
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { inner.bus.close().await });
        }
    }
}

impl RunHandle {
    pub(crate) fn inner(&self) -> &RunInner {
        &self.inner
    }

    /// Which run this is.
    #[must_use]
    pub fn identity(&self) -> &Arc<RunIdentity> {
        &self.inner.identity
    }

    /// The checked definition.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.inner.reader.program
    }

    /// The files that the definition was read from, itself first; none if it was built in Rust.
    #[must_use]
    pub fn definition_files(&self) -> &[PathBuf] {
        &self.inner.definition_files
    }

    /// The node types it was checked with.
    #[must_use]
    pub fn node_types(&self) -> &Arc<dyn NodeTypes> {
        &self.inner.types
    }

    /// What the run was given to work with.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.inner.resources
    }

    /// The secrets of the run.
    #[must_use]
    pub fn secrets(&self) -> &SecretRegistry {
        &self.inner.secrets
    }

    /// What templates of every step can see.
    #[must_use]
    pub fn scope(&self) -> &RunScope {
        &self.inner.reader.scope
    }

    /// Where this run and those it was started from were driven: what of the machine stands in their results.
    #[must_use]
    pub fn places(&self) -> Vec<RunPlace> {
        let inner = &self.inner;
        let mut places = vec![inner.place()];
        let seen = [self.history(), inner.reader.parent.as_deref()];
        places.extend(seen.into_iter().flatten().flat_map(RunView::places));
        places.extend(inner.plan.iter().flat_map(|plan| plan.ancestors.iter().cloned()));
        places
    }

    pub(crate) fn history(&self) -> Option<&RunView> {
        self.inner.reader.history.as_deref()
    }

    /// The input that was given for a step before it asked.
    #[must_use]
    pub fn given_input(&self, path: &HierarchyPath) -> Option<GivenInput> {
        self.inner.state().inputs.get(path).cloned()
    }

    /// Whether the run is to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.is_cancelled()
    }

    /// The run this one was started from.
    #[must_use]
    pub fn parent(&self) -> Option<&RunView> {
        self.inner.reader.parent.as_deref()
    }

    /// Whether somebody sits at a terminal to be asked.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        self.inner.interactive
    }

    /// The present time of the run's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Begins to execute the run: the record of the driver, and the event.
    pub(crate) fn start(&self) -> Result<(), RunError> {
        let session = self.inner.session();
        let resumed = self.history().is_some();
        let event = EventBody::RunStarted(RunStarted {
            resumed,
            steps: self.inner.reader.program.steps().count(),
            plan: self.inner.plan.as_ref().map(RerunPlan::summary),
        });
        let body = match resumed {
            false => RecordBody::RunStarted(session),
            true => RecordBody::RunResumed(session),
        };
        self.inner.record(&body, Some(event))?;
        tokio::spawn(watch_inbox(Weak::clone(&self.inner.this)));
        Ok(())
    }

    /// What the last attempt of a step left, if it did not end well before this process took the run over: the newest
    /// directory first.
    ///
    /// # Errors
    /// If the directories cannot be opened.
    pub fn left_behind(&self, path: &HierarchyPath) -> Result<Vec<Dir>, RunError> {
        let started = self.history().and_then(|history| history.left(path));
        let Some(attempts) = self.inner.dot_run.open_dir_optional(ATTEMPTS)? else {
            return Ok(Vec::new());
        };
        let mut left = Vec::new();
        for seq in started.into_iter().flat_map(|left| left.started.iter().rev()) {
            let is_of = |name: &str| name.split('_').next() == Some(seq.to_string().as_str());
            for entry in attempts
                .entries()?
                .iter()
                .rev()
                .filter(|entry| is_of(&entry.name))
            {
                left.push(attempts.open_dir(&entry.name)?);
            }
        }
        Ok(left)
    }

    /// What it is driven with.
    #[must_use]
    pub fn settings(&self) -> &RunSettings {
        &self.inner.settings
    }

    /// Whether it executes a definition that its caller gave: as it is, but for the models that were chosen for the run, and
    /// for known secrets in it.
    ///
    /// # Errors
    /// If the definition cannot be read without the secrets in it.
    pub fn executes(&self, definition: &Definition) -> Result<bool, RunError> {
        let adopted = adopted(definition, &self.inner.settings.models, &self.inner.secrets)?;
        Ok(*self.program().definition == *adopted)
    }

    /// What the environment of a child process must hold as [`TOKEN_VARIABLE`](crate::TOKEN_VARIABLE): by it a later driver
    /// tells the children of this one from other processes.
    #[must_use]
    pub fn process_token(&self) -> &str {
        &self.inner.token
    }

    /// The bytes of a committed step's `result.json`, or of a component's `component_result.json`; `None` if the
    /// place was not reached or the step was skipped.
    ///
    /// # Errors
    /// If the file exists and cannot be read, or is not the one that an earlier process recorded.
    pub fn read_result(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        self.inner.reader.read_result(path)
    }
}
