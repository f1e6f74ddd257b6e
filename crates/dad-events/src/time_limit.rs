//! Time limits that stand still while a person is asked, or while a turn is waited for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

tokio::task_local! {
    /// The innermost limit of what runs in this task.
    static LIMIT: Arc<Limit>;
}

/// A time limit of a future. What runs in it can let the limit stand still by [`pause_time_limit`].
#[derive(Clone, Debug)]
pub struct TimeLimit(Arc<Limit>);

/// Room that a step has among those that execute at the same time: it gives it back while it waits for its turn, and takes it again
/// before it continues.
#[async_trait]
pub trait StepRoom: std::fmt::Debug + Send + Sync {
    /// Gives it back; nothing happens if that was done.
    fn leave(&self);

    /// Waits until there is room again; resolves at once if it was not given back.
    async fn back(&self);

    /// Takes it again without waiting, as far as that goes.
    fn back_now(&self);
}

#[derive(Debug)]
struct Limit {
    state: Mutex<State>,
    changed: Notify,
    /// Notified when it begins to stand still.
    paused: Notify,
    room: Option<Arc<dyn StepRoom>>,
}

#[derive(Debug)]
struct State {
    /// When it ends, if it runs.
    deadline: Instant,
    /// The number of callers that let it stand still.
    paused: usize,
    /// When the first of them began.
    since: Instant,
}

impl TimeLimit {
    /// A limit that runs from now on.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self::of(limit, None)
    }

    /// The limit of a step, which gives its room back while the limit stands still.
    #[must_use]
    pub fn of_step(limit: Duration, room: Arc<dyn StepRoom>) -> Self {
        Self::of(limit, Some(room))
    }

    fn of(limit: Duration, room: Option<Arc<dyn StepRoom>>) -> Self {
        let now = Instant::now();
        Self(Arc::new(Limit {
            state: Mutex::new(State {
                deadline: now + limit,
                paused: 0,
                since: now,
            }),
            changed: Notify::new(),
            paused: Notify::new(),
            room,
        }))
    }

    /// A future with this limit. The limit does not stop it: the caller that polls both decides what happens.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        LIMIT.scope(Arc::clone(&self.0), future)
    }

    /// Resolves once what runs in it has let it stand still.
    pub(crate) async fn paused(&self) {
        loop {
            let changed = self.0.paused.notified();
            if self.0.state().paused > 0 {
                return;
            }
            changed.await;
        }
    }

    /// Resolves when the limit has run out.
    pub async fn run_out(&self) {
        loop {
            let changed = self.0.changed.notified();
            let deadline = {
                let state = self.0.state();
                (state.paused == 0).then_some(state.deadline)
            };
            match deadline {
                None => changed.await,
                Some(deadline) if deadline <= Instant::now() => return,
                // Whichever comes first, it is looked again.
                Some(deadline) => {
                    let _ = timeout_at(deadline, changed).await;
                }
            }
        }
    }
}

/// The time limit of the task that called [`pause_time_limit`] stands still until this is dropped.
#[derive(Debug)]
#[must_use = "the time limit runs on once this is dropped"]
pub struct LimitPause(Option<Arc<Limit>>);

/// Lets the time limit of the handler or step that runs here stand still, because a person is asked, or because it is not
/// its turn. Does nothing outside of both, nor in a task that they have spawned.
pub fn pause_time_limit() -> LimitPause {
    let limit = LIMIT.try_with(Arc::clone).ok();
    if let Some(limit) = &limit {
        let mut state = limit.state();
        state.paused += 1;
        if state.paused == 1 {
            state.since = Instant::now();
            limit.room.iter().for_each(|room| room.leave());
        }
        drop(state);
        limit.changed.notify_one();
        limit.paused.notify_one();
    }
    LimitPause(limit)
}

impl LimitPause {
    /// Ends the pause when there is room for the step again. A pause that is dropped ends at once.
    pub async fn end(self) {
        let Some(limit) = &self.0 else { return };
        let is_last = limit.state().paused == 1;
        if let Some(room) = limit.room.as_ref().filter(|_| is_last) {
            room.back().await;
        }
    }
}

impl Drop for LimitPause {
    fn drop(&mut self) {
        let Some(limit) = &self.0 else { return };
        let mut state = limit.state();
        state.paused -= 1;
        if state.paused == 0 {
            let waited = state.since.elapsed();
            state.deadline += waited;
            limit.room.iter().for_each(|room| room.back_now());
        }
        limit.changed.notify_one();
    }
}

impl Limit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
