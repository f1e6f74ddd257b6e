//! The driver of a run: everything that executes the definition records its decisions and effects through it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dad_core::{Clean, Digest, ErrorInfo, HierarchyPath, RunStatus, Timestamp, Usage, canonical_json};
use dad_events::{AttemptFailed, Event, EventBody, EventBus, TextStreamed};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::RunError;
use crate::host;
use crate::journal::record::{ControlKind, RecordBody};
use crate::journal::settled::Settled;
use crate::live::active_run::ActiveRun;
use crate::live::handle::RunHandle;
use crate::live::interrupted::Interrupted;
use crate::live::sealed_run::SealedRun;
use crate::live::shared::RunShared;
use crate::rerun::plan::RerunPlan;
use crate::store::view::RunView;

/// The one that drives a run; its methods fail once the run has ended. It is given back when it is dropped.
///
/// ```no_run
/// use dad_run::driver::RunDriver;
/// use dad_run::{ActiveRun, RunEnd, RunError};
///
/// async fn drive(run: ActiveRun) -> Result<(), RunError> {
///     let driver: RunDriver = run.driver()?;
///     // One driver at a time: it decides and records, and handles for nodes only read.
///     assert!(run.driver().is_err());
///     println!("driving {}", driver.handle().identity().run_id);
///     drop(driver);
///     run.complete_run(RunEnd::Cancelled, None).await?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct RunDriver {
    pub(super) run: RunHandle,
}

impl Drop for RunDriver {
    fn drop(&mut self) {
        self.inner().is_driven.store(false, Ordering::Release);
    }
}

/// The controls of an application over a run that is driven: it stops the run or a part of it, and adds events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RunControl(RunHandle);

impl ActiveRun {
    /// The driver of the run, for an application that executes the definition itself.
    ///
    /// # Errors
    /// [`RunError::AlreadyDriven`] as long as there is another one.
    pub fn driver(&self) -> Result<RunDriver, RunError> {
        let run = self.handle();
        if run.inner().is_driven.swap(true, Ordering::AcqRel) {
            Err(RunError::AlreadyDriven)
        } else {
            Ok(RunDriver { run })
        }
    }

    /// The controls of the application over the run.
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

    /// The bus on which events are published.
    #[must_use]
    pub fn bus(&self) -> &EventBus {
        &self.0.inner().bus
    }

    /// The report of a run that could not be sealed; its directory says that it was interrupted.
    #[must_use]
    pub fn interrupted_report(&self, error: ErrorInfo) -> SealedRun {
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
    pub(crate) fn inner(&self) -> &RunShared {
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
        let failed = AttemptFailed::new(path.clone(), attempt, error.clone(), retry_at);
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
            host: Some(host::name()),
            boot_id: host::boot_id(),
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

    /// Counts a step that waits for an answer.
    pub fn question_opened(&self) {
        self.inner().state().open_questions += 1;
    }

    /// Counts a step as no longer waiting.
    pub fn question_closed(&self) {
        let mut state = self.inner().state();
        state.open_questions = state.open_questions.saturating_sub(1);
    }

    /// The user's decision about a step, if there is one.
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
        self.inner().bus.publish(Event::new(
            None,
            self.run.now(),
            Arc::clone(&self.inner().identity),
            EventBody::TextStreamed(TextStreamed::new(path.clone(), text)),
        ));
    }

    /// The run as earlier processes left it, if it is resumed.
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
        Digest::from(*hasher.finalize().as_bytes())
    }

    /// The salt for digests of values that must not be guessed; a re-run has that of its parent.
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

    /// The bus on which events are published.
    #[must_use]
    pub fn bus(&self) -> &EventBus {
        &self.inner().bus
    }
}
