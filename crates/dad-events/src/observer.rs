//! Observers: they see every event of a run, in order, and the run waits for them at its end.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{Event, RunInfo};

/// Sees everything a run does, in order, and may make it wait. Telemetry and progress displays are observers.
///
/// Open for implementation; methods added later have default bodies. What an observer cannot do is fail a run: its
/// troubles come back as warnings.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use dad_events::{Event, EventBody, RunObserver};
///
/// #[derive(Default)]
/// struct CountSteps(AtomicUsize);
///
/// #[async_trait::async_trait]
/// impl RunObserver for CountSteps {
///     fn name(&self) -> &str {
///         "count steps"
///     }
///
///     async fn observe(&self, events: &[Arc<Event>]) {
///         let ended = events.iter().filter(|event| matches!(event.body, EventBody::StepEnded(_)));
///         self.0.fetch_add(ended.count(), Ordering::Relaxed);
///     }
/// }
/// ```
#[async_trait]
pub trait RunObserver: Send + Sync {
    /// The name used in warnings.
    fn name(&self) -> &str;

    /// Whether it uses the content of calls: prompts, answers, arguments and results. Nodes gather content only for an observer
    /// that does.
    fn wants_content(&self) -> bool {
        false
    }

    /// Called once before the first event; the directory `run.trace_dir` exists.
    async fn start(&self, run: &Arc<RunInfo>) {
        let _ = run;
    }

    /// Called with events in the journal's order, as many at a time as have gathered.
    async fn observe(&self, events: &[Arc<Event>]);

    /// Called once after the last event; returns what went wrong, for people.
    async fn finish(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Something an application gives a run to be observed by; `Option` for settings that may be left out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not observe runs",
    note = "an observer is given in an `Arc`: `Arc::new(observer)`"
)]
pub trait IntoObserver {
    /// The observer, if there is one.
    fn into_observer(self) -> Option<Arc<dyn RunObserver>>;
}

impl<O: RunObserver + 'static> IntoObserver for Arc<O> {
    fn into_observer(self) -> Option<Arc<dyn RunObserver>> {
        Some(self)
    }
}

impl IntoObserver for Arc<dyn RunObserver> {
    fn into_observer(self) -> Option<Arc<dyn RunObserver>> {
        Some(self)
    }
}

impl<T: IntoObserver> IntoObserver for Option<T> {
    fn into_observer(self) -> Option<Arc<dyn RunObserver>> {
        self.and_then(IntoObserver::into_observer)
    }
}
