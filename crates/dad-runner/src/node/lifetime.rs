//! The time limit of an attempt, what becomes of it when it is stopped, and when it is over.

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

/// How long a node that listens for a stop may take to return.
const GRACE: Duration = Duration::from_secs(10);

/// How long after a stop guards may keep an attempt from being over.
pub(crate) const MAX_STOP: Duration = Duration::from_secs(70);

/// The code of a step that was asked to stop and did.
pub(crate) const CANCELLED: &str = "cancelled";

/// What stands for no time limit: a century.
const NO_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Whether an attempt is to stop, and what still belongs to it.
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

/// Keeps an attempt from being over: threads, processes and tasks may outlive the future of a step, and nothing is recorded
/// of it before they have ended.
#[derive(Debug)]
#[must_use = "the attempt may be over once this is dropped"]
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
            // Before it is looked, so that none is missed.
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

/// Waits for an attempt; at its time limit, or when the run is cancelled, asks it to stop. One that listens has a while to
/// return, any other is dropped at once. `None` if something of it goes on all the same: what that does is unknown.
pub(crate) async fn within_limits(
    attempt: impl Future<Output = Result<NodeOutput, NodeError>>,
    limit: Option<Duration>,
    life: &Life,
) -> Option<(StepStatus, Result<NodeOutput, NodeError>)> {
    let (stopped, ended) = until_stopped(attempt, limit, life).await;
    life.is_over(stopped).await.then_some(ended)
}

/// How an attempt ended, and when it was asked to stop. Its future is dropped.
async fn until_stopped(
    attempt: impl Future<Output = Result<NodeOutput, NodeError>>,
    limit: Option<Duration>,
    life: &Life,
) -> (Option<Instant>, (StepStatus, Result<NodeOutput, NodeError>)) {
    // Waiting for a person or for one's turn at a provider does not count.
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
    let ended = match life.listens.load(Ordering::Acquire) {
        true => tokio::time::timeout_at(stopped + GRACE, attempt).await.ok(),
        false => None,
    };
    let partial = match ended {
        // It finished all the same: what it did counts.
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
