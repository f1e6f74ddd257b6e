use std::error::Error;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dad_core::{
    ComponentKind, ComponentResult, Digest, ErrorInfo, FirstFailure, HierarchyPath, RunStatus,
    SCHEMA_VERSION, SecretRegistry, StepStatus, Timestamp, Usage,
};
use dad_definition::{NodeTypes, Program};
use dad_events::{
    AttemptFailed, ComponentEnded, ComponentStarted, Custom, Event, EventBody, EventBus, RunIdentity,
    RunStarted, TextStreamed,
};
use dad_fs::{Dir, Durability};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::drive::watch_inbox;
use crate::end::RunEnd;
use crate::error::RunError;
use crate::inner::{RunInner, State};
use crate::inputs::{GivenInput, UnresolvedInput, check_external};
use crate::journal::record::{ControlKind, LoopItems, RangeBounds, RecordBody, Totals};
use crate::journal::values::store_value;
use crate::layout::{ATTEMPTS, COMPONENT_RESULT, OUTPUT};
use crate::machine;
use crate::plan::{RerunPlan, RunPlace};
use crate::projection::{self, shorten_text};
use crate::resources::Resources;
use crate::resume::{Interrupted, Settled};
use crate::view::RunView;

/// How much of a reason given from outside is recorded, in bytes.
const CONTROL_TEXT: usize = 4 * 1024;

/// How much of the name of a message's sender is recorded, in bytes.
pub(crate) const SOURCE: usize = 256;

/// How many failures a component or run names.
const FIRST_FAILURES: usize = 10;

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

/// Access to a run for nodes and runners; its methods fail once the run has ended.
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
}

impl RunScope {
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
    run: RunHandle,
    path: HierarchyPath,
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        self.run.inner.state().stoppable.remove(&self.path);
    }
}

/// What stops a step or component, and what shields it.
#[derive(Debug)]
pub(crate) struct Stop {
    token: CancellationToken,
    /// The component in whose `finally` it stands.
    shield: Option<HierarchyPath>,
}

/// Whether a cancel of `cancelled` reaches `path`. The `finally` of a component executes however the component ended: what
/// is in it is reached only by a cancel of something inside that component.
fn reaches(cancelled: &HierarchyPath, path: &HierarchyPath, shield: Option<&HierarchyPath>) -> bool {
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
    kind: ComponentKind,
    pub(crate) dir: Dir,
    created_at: Timestamp,
    since: Instant,
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
    List(Value),
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

    /// Access for nodes and runners.
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
    pub fn write_output(&self, output: &Value) -> Result<(), RunError> {
        let inner = &self.handle.inner;
        let mut output = output.clone();
        inner.secrets.redactor().redact_json(&mut output);
        let text = projection::to_file_text(OUTPUT, &output)?;
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
        self.handle.read_inbox();
        let inner = &self.handle.inner;
        let end = match end {
            RunEnd::Waiting if inner.cancelled.is_cancelled() => RunEnd::Cancelled,
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

impl Deref for ActiveRun {
    type Target = RunHandle;

    fn deref(&self) -> &RunHandle {
        &self.handle
    }
}

impl RunHandle {
    /// A handle of a run that has not been dropped.
    pub(crate) fn of(run: &Weak<RunInner>) -> Option<Self> {
        let inner = run.upgrade()?;
        Some(Self { inner })
    }

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

    /// Where events are published.
    #[must_use]
    pub fn bus(&self) -> &EventBus {
        &self.inner.bus
    }

    /// What templates of every step can see.
    #[must_use]
    pub fn scope(&self) -> &RunScope {
        &self.inner.reader.scope
    }

    /// Fires when the run is to stop.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.inner.cancelled
    }

    /// The plan, if this is a re-run.
    #[must_use]
    pub fn plan(&self) -> Option<&RerunPlan> {
        self.inner.plan.as_ref()
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

    /// The input that was given for a step before it asked.
    #[must_use]
    pub fn given_input(&self, path: &HierarchyPath) -> Option<GivenInput> {
        self.inner.state().inputs.get(path).cloned()
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

    /// What the run did before this process took it over, if it is resumed.
    #[must_use]
    pub fn history(&self) -> Option<&RunView> {
        self.inner.reader.history.as_deref()
    }

    /// The attempt that a step is to go on with because it was interrupted; given once.
    #[must_use]
    pub fn take_interrupted(&self, path: &HierarchyPath) -> Option<Interrupted> {
        // Asked at every step, and only resumed runs have any.
        self.history()?;
        self.inner.state().interrupted.remove(path)
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

    /// Enters a component: its directory and its record.
    ///
    /// # Errors
    /// If the run has ended, or the directory or record cannot be written.
    pub fn enter_component(
        &self,
        path: &HierarchyPath,
        kind: ComponentKind,
        variables: Map<String, Value>,
    ) -> Result<EnteredComponent, RunError> {
        let name = path.to_relative_dir();
        let dir = self.inner.dir.create_dir_all(&name)?;
        if self.inner.durability == Durability::Disk {
            // Those above it have been entered before and are there.
            self.inner.dir.sync_name(&name)?;
        }
        self.inner.state().started.insert(path.without_iterations());
        let variables = store_value(&self.inner.dot_run, variables.into(), self.inner.durability)?;
        let body = RecordBody::ComponentStarted {
            path: path.clone(),
            kind,
            variables,
        };
        let event = EventBody::ComponentStarted(ComponentStarted {
            path: path.clone(),
            kind,
        });
        self.inner.record(&body, Some(event))?;
        let entered = EnteredComponent {
            path: path.clone(),
            kind,
            dir,
            created_at: self.now(),
            since: Instant::now(),
        };
        Ok(entered)
    }

    /// Enters an iteration or branch of a component: a directory without records of its own.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn enter_part(
        &self,
        component: &EnteredComponent,
        path: &HierarchyPath,
    ) -> Result<EnteredComponent, RunError> {
        let dir = match self.history() {
            // Nobody else makes directories here: it is not there yet.
            None => component.dir.create_dir(path.leaf())?,
            Some(_) => component.dir.create_dir_all(path.leaf())?,
        };
        if self.inner.durability == Durability::Disk {
            component.dir.sync()?;
        }
        Ok(EnteredComponent {
            path: path.clone(),
            dir,
            ..*component
        })
    }

    /// Notes which branch a conditional takes.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn branch_taken(&self, path: &HierarchyPath, branch: bool) -> Result<(), RunError> {
        let path = path.clone();
        let body = RecordBody::BranchTaken { path, branch };
        self.inner.record(&body, None).map(drop)
    }

    /// Notes what a loop goes over.
    ///
    /// # Errors
    /// If the run has ended, or the items or the record cannot be written.
    pub fn loop_started(&self, path: &HierarchyPath, start: &LoopStart) -> Result<(), RunError> {
        let LoopStart {
            items,
            count,
            start_index,
        } = start;
        let items = match items {
            Items::Range(bounds) => LoopItems::Range(*bounds),
            Items::List(list) => {
                let stored = store_value(&self.inner.dot_run, list.clone(), self.inner.durability)?;
                LoopItems::List(stored)
            }
        };
        let body = RecordBody::LoopStarted {
            path: path.clone(),
            items,
            count: *count,
            start_index: *start_index,
        };
        self.inner.record(&body, None).map(drop)
    }

    /// Notes whether a loop ends after an iteration.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn loop_decided(&self, path: &HierarchyPath, iteration: u64, stop: bool) -> Result<(), RunError> {
        let body = RecordBody::LoopDecided {
            path: path.clone(),
            iteration,
            stop,
        };
        self.inner.record(&body, None).map(drop)
    }

    /// Leaves a component: its record, then `component_result.json`.
    ///
    /// # Errors
    /// If the run has ended, or the record or file cannot be written.
    pub fn leave_component(
        &self,
        component: &EnteredComponent,
        end: &ComponentEnd<'_>,
    ) -> Result<(), RunError> {
        let EnteredComponent {
            path,
            kind,
            dir,
            created_at,
            since,
        } = component;
        let ComponentEnd {
            status,
            totals,
            first_failures,
            iterations,
            branch,
            absorbed,
        } = *end;
        if !matches!(status, StepStatus::Completed) && !status.is_failure() && status != StepStatus::Waiting {
            return Err(RunError::NotAnEnd(path.clone(), status));
        }
        let inner = &self.inner;
        let result = ComponentResult {
            schema_version: SCHEMA_VERSION,
            path: path.clone(),
            executable_type: *kind,
            component_id: path.leaf().to_owned(),
            is_rerun: inner.plan.is_some(),
            start_hierarchy_path: inner.plan.as_ref().and_then(|plan| plan.entry_point.clone()),
            execution_status: status,
            iterations,
            branch,
            counts: totals.counts,
            first_failures: first_failures.iter().take(FIRST_FAILURES).cloned().collect(),
            created_at: *created_at,
            completed_at: Some(self.now()),
            agg_usage_cost: totals.usage.cost,
            agg_usage_prompt_tokens: totals.usage.prompt_tokens,
            agg_usage_completion_tokens: totals.usage.completion_tokens,
            agg_usage_total_tokens: totals.usage.total_tokens,
        };
        let error = first_failures.first().map(|failure| failure.error.clone());
        let body = RecordBody::ComponentCompleted {
            path: path.clone(),
            status,
            totals,
            iterations,
            error: error.as_ref().map(projection::shorten),
            absorbed,
        };
        let event = EventBody::ComponentEnded(ComponentEnded {
            path: path.clone(),
            kind: *kind,
            status,
            counts: totals.counts,
            usage: totals.usage,
            duration: since.elapsed(),
            error,
        });
        // The file before the event, so that a handler finds it.
        let place = (dir, &inner.dot_run);
        projection::write_json_beside_others(place, COMPONENT_RESULT, &result, inner.durability)?;
        inner.record(&body, Some(event)).map(drop)
    }

    /// What a run came to that could not be sealed; its directory says that it was interrupted.
    #[must_use]
    pub fn unsealed(&self, error: ErrorInfo) -> SealedRun {
        SealedRun {
            status: RunStatus::Failed,
            error: Some(error),
            totals: self.inner.state().journal.progress().tally.totals,
            first_failures: Vec::new(),
            duration: self.inner.started.elapsed(),
            warnings: Vec::new(),
        }
    }

    /// Notes that an attempt failed and another will follow.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn attempt_failed(
        &self,
        path: &HierarchyPath,
        attempt: u32,
        error: &ErrorInfo,
        retry_at: Timestamp,
        usage: Usage,
    ) -> Result<(), RunError> {
        let failed = AttemptFailed {
            path: path.clone(),
            attempt,
            error: error.clone(),
            retry_at,
        };
        let body = RecordBody::AttemptFailed {
            path: path.clone(),
            attempt,
            error: projection::shorten(error),
            retry_at,
            usage,
        };
        let event = Some(EventBody::AttemptFailed(failed));
        self.inner.record(&body, event).map(drop)
    }

    /// What the environment of a child process must hold as [`TOKEN_VARIABLE`](crate::TOKEN_VARIABLE): by it a later driver
    /// tells the children of this one from other processes.
    #[must_use]
    pub fn process_token(&self) -> &str {
        &self.inner.token
    }

    /// Records a child process of a step, which waits until this returns before it executes anything.
    ///
    /// # Errors
    /// [`RunError::Stopped`] if the step was cancelled meanwhile, so that the child must not execute; else if the run has
    /// ended or the record cannot be written.
    pub fn process_started(
        &self,
        path: &HierarchyPath,
        pgid: u32,
        start_time: Option<u64>,
    ) -> Result<(), RunError> {
        let body = RecordBody::ProcessStarted {
            path: path.clone(),
            pgid,
            start_time,
            host: Some(machine::host()),
            boot_id: machine::boot_id(),
            token: Some(self.inner.token.clone()),
        };
        let mut state = self.inner.state();
        let stop = state.stoppable.get(path);
        if stop.is_some_and(|stop| stop.token.is_cancelled()) {
            return Err(RunError::Stopped(path.clone()));
        }
        self.inner.record_in(&mut state, &body, None, false).map(drop)
    }

    /// Notes that somebody outside intervenes.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn control(
        &self,
        kind: ControlKind,
        path: Option<&HierarchyPath>,
        source: &str,
        value: Option<Value>,
    ) -> Result<(), RunError> {
        self.control_in(&mut self.inner.state(), kind, path, source, value)
    }

    fn control_in(
        &self,
        state: &mut State,
        kind: ControlKind,
        path: Option<&HierarchyPath>,
        source: &str,
        value: Option<Value>,
    ) -> Result<(), RunError> {
        let value = value.map(|value| match value {
            // A message that was longer lies whole in the inbox.
            Value::String(text) => shorten_text(&text, CONTROL_TEXT).into(),
            value => value,
        });
        let body = RecordBody::Control {
            kind,
            path: path.cloned(),
            source: shorten_text(source, SOURCE),
            value,
        };
        self.inner.record_in(state, &body, None, false).map(drop)
    }

    /// Stops the run, or one step or component of it, because somebody outside wants it.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn cancel(&self, path: Option<&HierarchyPath>, source: &str) -> Result<(), RunError> {
        // One critical section for the record and the tokens: what asks for its token in another one begins before the
        // record, or not at all.
        let mut state = self.inner.state();
        self.control_in(&mut state, ControlKind::Cancel, path, source, None)?;
        let Some(path) = path else {
            self.inner.cancelled.cancel();
            return Ok(());
        };
        state.cancelled.push(path.clone());
        for (stoppable, stop) in &state.stoppable {
            if reaches(path, stoppable, stop.shield.as_ref()) {
                stop.token.cancel();
            }
        }
        self.inner.any_cancelled.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a step or component was cancelled by itself or with a component around it, beside the whole run. `shield` is
    /// the component in whose `finally` it stands, if it does.
    #[must_use]
    pub fn is_cancelled_at(&self, path: &HierarchyPath, shield: Option<&HierarchyPath>) -> bool {
        let reached = |cancelled: &HierarchyPath| reaches(cancelled, path, shield);
        self.inner.any_cancelled.load(Ordering::Acquire) && self.inner.state().cancelled.iter().any(reached)
    }

    /// Has `token` cancelled when a step or component is cancelled, until the guard is dropped; at once if it was cancelled
    /// before. `shield` as in [`is_cancelled_at`](Self::is_cancelled_at).
    pub fn stoppable(
        &self,
        path: &HierarchyPath,
        token: &CancellationToken,
        shield: Option<&HierarchyPath>,
    ) -> Stoppable {
        let stop = Stop {
            token: token.clone(),
            shield: shield.cloned(),
        };
        let mut state = self.inner.state();
        if state
            .cancelled
            .iter()
            .any(|cancelled| reaches(cancelled, path, shield))
        {
            token.cancel();
        }
        state.stoppable.insert(path.clone(), stop);
        drop(state);
        Stoppable {
            run: self.clone(),
            path: path.clone(),
        }
    }

    /// Notes that a step waits for an answer, or no longer.
    pub fn waits(&self, for_answer: bool) {
        let mut state = self.inner.state();
        state.open_questions = match for_answer {
            true => state.open_questions + 1,
            false => state.open_questions.saturating_sub(1),
        };
    }

    /// How a step was settled by hand, if it was.
    #[must_use]
    pub fn settled(&self, path: &HierarchyPath) -> Option<Settled> {
        // Asked at every step, and only resumed runs have any.
        self.history()?;
        self.inner
            .state()
            .journal
            .progress()
            .open
            .settled
            .get(path)
            .cloned()
    }

    /// Tells listeners a piece of a text that a step is about to have in its outcome; `text` holds no secrets. It is not
    /// recorded.
    pub fn stream_text(&self, path: &HierarchyPath, text: String) {
        self.inner.bus.publish(Event {
            seq: None,
            at: self.now(),
            run: Arc::clone(&self.inner.identity),
            body: EventBody::TextStreamed(TextStreamed {
                path: path.clone(),
                text,
            }),
        });
    }

    /// Publishes an event of the application and records it.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn custom(
        &self,
        name: &str,
        path: Option<&HierarchyPath>,
        mut payload: Value,
    ) -> Result<u64, RunError> {
        check_external(&format!("the payload of `{name}`"), &payload)?;
        self.inner.secrets.redactor().redact_json(&mut payload);
        let stored = store_value(&self.inner.dot_run, payload.clone(), self.inner.durability)?;
        let body = RecordBody::Custom {
            name: name.to_owned(),
            path: path.cloned(),
            payload: stored,
        };
        let event = Custom {
            name: name.to_owned(),
            path: path.cloned(),
            payload,
        };
        self.inner.record(&body, Some(EventBody::Custom(event)))
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
