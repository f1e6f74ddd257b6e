//! The time limit of a handler that is asked, which stands still while a person is at the prompt.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

tokio::task_local! {
    /// The limit of the handler that this task runs for.
    static PATIENCE: Arc<Patience>;
}

struct Patience {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// When it ends, if it runs.
    deadline: Instant,
    /// How many wait for a person.
    paused: usize,
    /// When the first of them began to wait.
    since: Instant,
}

/// The time limit of the handler that calls [`pause_time_limit`] stands still until this is dropped.
#[must_use = "the time limit runs on once this is dropped"]
pub struct LimitPause(Option<Arc<Patience>>);

/// Lets the time limit of the handler that runs here stand still, because a person is asked. Does nothing outside a
/// handler that answers questions, nor in a task that the handler has spawned.
pub fn pause_time_limit() -> LimitPause {
    let patience = PATIENCE.try_with(Arc::clone).ok();
    if let Some(patience) = &patience {
        let mut state = patience.state();
        if state.paused == 0 {
            state.since = Instant::now();
        }
        state.paused += 1;
        patience.changed.notify_one();
    }
    LimitPause(patience)
}

impl Drop for LimitPause {
    fn drop(&mut self) {
        let Some(patience) = &self.0 else { return };
        let mut state = patience.state();
        state.paused -= 1;
        if state.paused == 0 {
            let waited = state.since.elapsed();
            state.deadline += waited;
        }
        patience.changed.notify_one();
    }
}

impl Patience {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_out(&self) {
        loop {
            let changed = self.changed.notified();
            let deadline = {
                let state = self.state();
                (state.paused == 0).then_some(state.deadline)
            };
            match deadline {
                None => changed.await,
                Some(deadline) if deadline <= Instant::now() => return,
                // Whichever comes first, it is looked again.
                Some(deadline) => drop(timeout_at(deadline, changed).await),
            }
        }
    }
}

/// Waits for a handler, but no longer than `limit`; `None` if it has not returned by then.
pub(crate) async fn within<F: Future>(limit: Duration, handler: F) -> Option<F::Output> {
    let now = Instant::now();
    let patience = Arc::new(Patience {
        state: Mutex::new(State {
            deadline: now + limit,
            paused: 0,
            since: now,
        }),
        changed: Notify::new(),
    });
    let handler = pin!(PATIENCE.scope(Arc::clone(&patience), handler));
    match select(handler, pin!(patience.run_out())).await {
        Either::Left((returned, _)) => Some(returned),
        Either::Right(((), _)) => None,
    }
}

impl std::fmt::Debug for LimitPause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LimitPause").field(&self.0.is_some()).finish()
    }
}
