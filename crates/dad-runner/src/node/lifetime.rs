//! The lifetime of an attempt: its time limit, its stop and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dad_core::StepStatus;
use dad_events::TimeLimit;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::concurrency::room::Room;
use crate::node::error::NodeError;
use crate::node::output::NodeOutput;

/// The time in which a node that listens for a stop must return.
const GRACE: Duration = Duration::from_secs(10);

/// The time after a stop in which guards must be dropped.
pub(crate) const MAX_STOP: Duration = Duration::from_secs(70);

/// The code of a step that was asked to stop and did.
pub(crate) const CANCELLED: &str = "cancelled";

/// The time limit of a step without one, a century: its clock still stands still and gives the room back while a person is asked.
const NO_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The stop of an attempt, and the guards that keep it from ending.
#[derive(Debug)]
pub(crate) struct Life {
    /// Fires when it is to stop.
    pub(crate) stop: CancellationToken,
    /// Whether the node listens for that.
    listens: AtomicBool,
    guards: AtomicUsize,
    guard_dropped: Notify,
    /// The room of its step.
    pub(crate) room: Arc<Room>,
}

/// Keeps an attempt from ending. Threads, processes and tasks may outlive the future of a step, and its result is recorded only
/// after they have ended.
#[derive(Debug)]
#[must_use = "the attempt can end once this is dropped"]
pub struct Guard(Arc<Life>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.guards.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.guard_dropped.notify_waiters();
        }
    }
}

impl Life {
    pub(crate) fn new(stop: CancellationToken, room: Arc<Room>) -> Self {
        Self {
            stop,
            room,
            listens: AtomicBool::new(false),
            guards: AtomicUsize::new(0),
            guard_dropped: Notify::new(),
        }
    }

    /// Notes that the node listens for a stop: it is given time to return.
    pub(crate) fn listen(&self) -> &CancellationToken {
        self.listens.store(true, Ordering::Release);
        &self.stop
    }

    pub(crate) fn guard(self: &Arc<Self>) -> Guard {
        self.guards.fetch_add(1, Ordering::AcqRel);
        Guard(Arc::clone(self))
    }

    /// Resolves when no guard is left.
    async fn over(&self) {
        loop {
            let dropped = self.guard_dropped.notified();
            tokio::pin!(dropped);
            // Registered before the count is read, so that no drop between the two is missed.
            dropped.as_mut().enable();
            if self.guards.load(Ordering::Acquire) == 0 {
                return;
            }
            dropped.await;
        }
    }

    /// Waits until an attempt is over whose future has ended; says whether it was in time.
    async fn is_over(&self, stopped: Option<Instant>) -> bool {
        if self.guards.load(Ordering::Acquire) == 0 {
            return true;
        }
        self.stop.cancel();
        let stopped = stopped.unwrap_or_else(Instant::now);
        tokio::time::timeout_at(stopped + MAX_STOP, self.over())
            .await
            .is_ok()
    }
}

/// Waits for an attempt; at its time limit, or when the run is cancelled, asks it to stop. A node that listens has [`GRACE`] to
/// return, any other is dropped at once. `None` if a guard is still held [`MAX_STOP`] after that: the effects of its owner are unknown.
pub(crate) async fn within_limits(
    attempt: impl Future<Output = Result<NodeOutput, NodeError>>,
    limit: Option<Duration>,
    life: &Life,
) -> Option<(StepStatus, Result<NodeOutput, NodeError>)> {
    let (stopped, ended) = until_stopped(attempt, limit, life).await;
    life.is_over(stopped).await.then_some(ended)
}

/// The end of an attempt, with the time at which it was asked to stop. Its future is dropped.
async fn until_stopped(
    attempt: impl Future<Output = Result<NodeOutput, NodeError>>,
    limit: Option<Duration>,
    life: &Life,
) -> (Option<Instant>, (StepStatus, Result<NodeOutput, NodeError>)) {
    // The wait for a person, or for a turn at a provider, does not count.
    let clock = TimeLimit::of_step(limit.unwrap_or(NO_LIMIT), Arc::clone(&life.room) as _);
    let mut attempt = std::pin::pin!(clock.scope(attempt));
    let deadline = async {
        match limit {
            Some(_) => clock.run_out().await,
            None => std::future::pending().await,
        }
    };
    let status = tokio::select! {
        // A node that returns because it was asked to stop must not be taken for one that failed by itself.
        biased;
        () = life.stop.cancelled() => StepStatus::Cancelled,
        () = deadline => StepStatus::TimedOut,
        ended = &mut attempt => return (None, match ended {
            // It was stopped while it was polled.
            Err(error) if life.stop.is_cancelled() => {
                (StepStatus::Cancelled, Err(cancelled().with_partial(*error.partial)))
            }
            ended => (status_of(&ended), ended),
        }),
    };
    let stopped = Instant::now();
    life.stop.cancel();
    let ended = if life.listens.load(Ordering::Acquire) {
        tokio::time::timeout_at(stopped + GRACE, attempt).await.ok()
    } else {
        None
    };
    let partial = match ended {
        // It finished in its grace: its result counts.
        Some(Ok(output)) => return (Some(stopped), (StepStatus::Completed, Ok(output))),
        Some(Err(error)) => error.partial,
        None => Box::default(),
    };
    let error = match (status, limit) {
        (StepStatus::TimedOut, Some(limit)) => {
            let limit = dad_core::format_duration(limit);
            NodeError::new("timed_out", format!("the step did not finish within {limit}"))
        }
        _ => cancelled(),
    };
    (Some(stopped), (status, Err(error.with_partial(*partial))))
}

fn cancelled() -> NodeError {
    NodeError::new(CANCELLED, "the step was cancelled").permanent()
}

fn status_of(ended: &Result<NodeOutput, NodeError>) -> StepStatus {
    if ended.is_ok() {
        StepStatus::Completed
    } else {
        StepStatus::Failed
    }
}
