//! Driving a run: everything that executes the definition writes down what it decides and does through a [`RunDriver`], of
//! which a run has one at a time. Nodes have a [`RunHandle`], by which nothing can be recorded.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use dad_core::{
    Clean, ComponentKind, ComponentResult, Digest, ErrorInfo, HierarchyPath, RunStatus, StepStatus,
    Timestamp, Usage, canonical_json,
};
use dad_events::{AttemptFailed, ComponentEnded, ComponentStarted, Event, EventBody, EventBus, TextStreamed};
use dad_fs::Durability;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

pub use crate::budget::StepAccount;
use crate::error::RunError;
use crate::inner::RunInner;
use crate::journal::record::{ControlKind, LoopItems, RecordBody};
use crate::journal::values::store_value;
use crate::layout::COMPONENT_RESULT;
use crate::machine;
use crate::plan::RerunPlan;
use crate::projection;
pub use crate::question::{NewAnswer, NewQuestion};
pub use crate::resume::{Interrupted, Settled};
use crate::run::{ActiveRun, ComponentDir, FIRST_FAILURES, RunHandle, SealedRun, Stop, reaches};
pub use crate::run::{ComponentEnd, EnteredComponent, Items, LoopStart, Stoppable};
pub use crate::step::{CommitDetails, StagedStep, StepStart};
use crate::view::RunView;

/// The one that drives a run; its methods fail once the run has ended. It is given back when it is dropped.
#[derive(Debug)]
pub struct RunDriver {
    run: RunHandle,
}

impl Drop for RunDriver {
    fn drop(&mut self) {
        self.inner().is_driven.store(false, Ordering::Release);
    }
}

/// What an application does to a run while it is driven: it stops the run or a part of it, and adds events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RunControl(RunHandle);

impl ActiveRun {
    /// The driver of the run, for an application that executes the definition itself.
    ///
    /// # Errors
    /// [`RunError::AlreadyDriven`] as long as there is another one.
    pub fn driver(&self) -> Result<RunDriver, RunError> {
        let run = self.handle();
        match run.inner().is_driven.swap(true, Ordering::AcqRel) {
            true => Err(RunError::AlreadyDriven),
            false => Ok(RunDriver { run }),
        }
    }

    /// What the application does to the run while it is driven.
    #[must_use]
    pub fn control(&self) -> RunControl {
        RunControl(self.handle())
    }
}

impl RunControl {
    /// Stops the run, or one step or component of it.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn cancel(&self, path: Option<&HierarchyPath>, source: &str) -> Result<(), RunError> {
        self.0.inner().cancel(path, source)
    }

    /// Publishes an event of the application and records it; gives the number of its record.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn custom(&self, name: &str, path: Option<&HierarchyPath>, payload: Value) -> Result<u64, RunError> {
        self.0.inner().custom(name, path, payload)
    }

    /// Where events are published.
    #[must_use]
    pub fn bus(&self) -> &EventBus {
        &self.0.inner().bus
    }

    /// What a run came to that could not be sealed; its directory says that it was interrupted.
    #[must_use]
    pub fn unsealed(&self, error: ErrorInfo) -> SealedRun {
        SealedRun {
            status: RunStatus::Failed,
            error: Some(error),
            totals: self.0.inner().state().journal.progress().tally.totals,
            first_failures: Vec::new(),
            duration: self.0.inner().started.elapsed(),
            warnings: Vec::new(),
        }
    }
}

impl RunDriver {
    pub(crate) fn inner(&self) -> &RunInner {
        self.run.inner()
    }

    /// Access for nodes.
    #[must_use]
    pub fn handle(&self) -> &RunHandle {
        &self.run
    }

    /// Does what other processes have asked for since the last look.
    pub fn read_inbox(&self) {
        self.inner().read_inbox();
    }

    /// Publishes an event of the application and records it; gives the number of its record.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn custom(&self, name: &str, path: Option<&HierarchyPath>, payload: Value) -> Result<u64, RunError> {
        self.inner().custom(name, path, payload)
    }

    /// The interrupted attempt that a step continues; given once.
    #[must_use]
    pub fn take_interrupted(&self, path: &HierarchyPath) -> Option<Interrupted> {
        // Asked at every step, and only resumed runs have any.
        self.history()?;
        self.inner().state().interrupted.remove(path)
    }

    /// Enters a component: its directory and its record.
    ///
    /// # Errors
    /// If the run has ended, or the directory or record cannot be written.
    pub fn enter_component(
        &self,
        path: &HierarchyPath,
        kind: ComponentKind,
        variables: Clean<Map<String, Value>>,
    ) -> Result<EnteredComponent, RunError> {
        let name = path.to_relative_dir();
        let dir = self.inner().dir.create_dir_all(&name)?;
        if self.inner().durability == Durability::Disk {
            // Those above it have been entered before and are there.
            self.inner().dir.sync_name(&name)?;
        }
        self.inner().state().started.insert(path.without_iterations());
        let variables = store_value(
            &self.inner().dot_run,
            variables.into_inner().into(),
            self.inner().durability,
        )?;
        let body = RecordBody::ComponentStarted {
            path: path.clone(),
            kind,
            variables,
        };
        let event = EventBody::ComponentStarted(ComponentStarted {
            path: path.clone(),
            kind,
        });
        self.inner().record(&body, Some(event))?;
        let entered = EnteredComponent {
            path: path.clone(),
            kind,
            dir: ComponentDir::Open(dir),
            created_at: self.run.now(),
            since: Instant::now(),
        };
        Ok(entered)
    }

    /// The same component without a descriptor for its directory, which is opened where it is needed: for one of many that are
    /// entered at the same time.
    #[must_use]
    pub fn without_descriptor(&self, component: EnteredComponent) -> EnteredComponent {
        EnteredComponent {
            dir: ComponentDir::Closed {
                run: self.inner().dir.clone(),
                name: component.path.to_relative_dir(),
            },
            ..component
        }
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
        let around = component.dir.open()?;
        let dir = match self.history() {
            // Only the driver makes directories here, so it is not there yet.
            None => around.create_dir(path.leaf())?,
            Some(_) => around.create_dir_all(path.leaf())?,
        };
        if self.inner().durability == Durability::Disk {
            around.sync()?;
        }
        Ok(EnteredComponent {
            path: path.clone(),
            dir: ComponentDir::Open(dir),
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
        self.inner().record(&body, None).map(drop)
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
                let stored = store_value(&self.inner().dot_run, list.get().clone(), self.inner().durability)?;
                LoopItems::List(stored)
            }
        };
        let body = RecordBody::LoopStarted {
            path: path.clone(),
            items,
            count: *count,
            start_index: *start_index,
        };
        self.inner().record(&body, None).map(drop)
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
        self.inner().record(&body, None).map(drop)
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
        let inner = self.inner();
        let result = ComponentResult {
            schema_version: ComponentResult::FORMAT,
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
            completed_at: Some(self.run.now()),
            agg_usage_cost: totals.usage.cost,
            agg_usage_prompt_tokens: totals.usage.prompt_tokens,
            agg_usage_completion_tokens: totals.usage.completion_tokens,
            agg_usage_total_tokens: totals.usage.total_tokens,
        };
        let error = first_failures.first().map(|failure| ErrorInfo {
            path: Some(failure.path.clone()),
            ..failure.error.clone()
        });
        let body = RecordBody::ComponentCompleted {
            path: path.clone(),
            status,
            totals,
            iterations,
            error: error.as_ref().map(Into::into),
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
        let dir = dir.open()?;
        let place = (&*dir, &inner.dot_run);
        projection::write_json_beside_others(place, COMPONENT_RESULT, &result, inner.durability)?;
        inner.record(&body, Some(event)).map(drop)
    }

    /// Notes that an attempt failed and another will follow.
    ///
    /// # Errors
    /// If the run has ended or the record cannot be written.
    pub fn attempt_failed(
        &self,
        path: &HierarchyPath,
        attempt: u32,
        error: &Clean<ErrorInfo>,
        retry_at: Timestamp,
        usage: Usage,
    ) -> Result<(), RunError> {
        let error = error.get();
        let failed = AttemptFailed {
            path: path.clone(),
            attempt,
            error: error.clone(),
            retry_at,
        };
        let body = RecordBody::AttemptFailed {
            path: path.clone(),
            attempt,
            error: error.into(),
            retry_at,
            usage,
        };
        let event = Some(EventBody::AttemptFailed(failed));
        self.inner().record(&body, event).map(drop)
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
            token: Some(self.inner().token.clone()),
        };
        let mut state = self.inner().state();
        let stop = state.stoppable.get(path);
        if stop.is_some_and(|stop| stop.token.is_cancelled()) {
            return Err(RunError::Stopped(path.clone()));
        }
        self.inner().record_in(&mut state, &body, None, false).map(drop)
    }

    /// Notes that a person outside intervenes.
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
        let inner = self.inner();
        inner.control(&mut inner.state(), kind, path, source, value)
    }

    /// Whether a step or component was cancelled by itself or with a component around it, beside the whole run. `shield` is
    /// the component in whose `finally` it stands, if it does.
    #[must_use]
    pub fn is_cancelled_at(&self, path: &HierarchyPath, shield: Option<&HierarchyPath>) -> bool {
        let reached = |cancelled: &HierarchyPath| reaches(cancelled, path, shield);
        self.inner().any_cancelled.load(Ordering::Acquire)
            && self.inner().state().cancelled.iter().any(reached)
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
        let mut state = self.inner().state();
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
            run: self.run.clone(),
            path: path.clone(),
        }
    }

    /// Notes that a step waits for an answer, or no longer.
    pub fn waits(&self, for_answer: bool) {
        let mut state = self.inner().state();
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
        self.inner()
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
        self.inner().bus.publish(Event {
            seq: None,
            at: self.run.now(),
            run: Arc::clone(&self.inner().identity),
            body: EventBody::TextStreamed(TextStreamed {
                path: path.clone(),
                text,
            }),
        });
    }

    /// What the run did before this process took it over, if it is resumed.
    #[must_use]
    pub fn history(&self) -> Option<&RunView> {
        self.inner().reader.history.as_deref()
    }

    /// The digest of what a person is shown before something executes. It is made with the user's key, or with the salt of the
    /// run, so that nothing can be guessed from it.
    #[must_use]
    pub fn facts_digest(&self, facts: &Value) -> Digest {
        let mut hasher = self.inner().facts_hasher.clone();
        hasher.update(canonical_json(facts).as_bytes());
        hasher.finalize().into()
    }

    /// What digests of values that must not be guessed are made with; a re-run has that of its parent.
    #[must_use]
    pub fn salt(&self) -> &str {
        &self.inner().salt
    }

    /// The plan, if this is a re-run.
    #[must_use]
    pub fn plan(&self) -> Option<&RerunPlan> {
        self.inner().plan.as_ref()
    }

    /// Whether the run is to stop. What the application asked for is recorded now, if it was not yet.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.inner().is_stopped()
    }

    /// Fires when the run is to stop.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.inner().cancelled
    }

    /// Fires when what stands under `finally` is to stop as well.
    #[must_use]
    pub fn ended_at_once(&self) -> &CancellationToken {
        &self.inner().ended_at_once
    }

    /// Where events are published.
    #[must_use]
    pub fn bus(&self) -> &EventBus {
        &self.inner().bus
    }
}
