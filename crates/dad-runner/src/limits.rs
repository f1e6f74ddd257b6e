//! The time limit of an attempt, and what becomes of it when it is stopped.

use std::time::Duration;

use dad_core::StepStatus;
use dad_events::TimeLimit;
use tokio_util::sync::CancellationToken;

use crate::node_error::NodeError;
use crate::output::NodeOutput;

/// How long a node that was asked to stop may take to return.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// The code of a step that was asked to stop and did.
pub(crate) const CANCELLED: &str = "cancelled";

/// What stands for no time limit: a century.
const NO_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Waits for an attempt; at its time limit, or when the run is cancelled, asks it to stop and waits a little longer.
/// `None` if it has not returned then: what it still does is unknown.
pub(crate) async fn within_limits(
    attempt: impl Future<Output = Result<NodeOutput, NodeError>>,
    limit: Option<Duration>,
    stop: &CancellationToken,
) -> Option<(StepStatus, Result<NodeOutput, NodeError>)> {
    // Waiting for a person or for one's turn at a provider does not count.
    let clock = TimeLimit::new(limit.unwrap_or(NO_LIMIT));
    let mut attempt = std::pin::pin!(clock.scope(attempt));
    let deadline = async {
        match limit {
            Some(_) => clock.run_out().await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        // A node that returns because it was asked to stop must not be taken for one that failed by itself.
        biased;
        () = stop.cancelled() => StepStatus::Cancelled,
        () = deadline => StepStatus::TimedOut,
        ended = &mut attempt => match ended {
            // It was stopped while it was polled.
            Err(error) if stop.is_cancelled() => {
                return Some((StepStatus::Cancelled, Err(cancelled().with_partial(*error.partial))));
            }
            ended => return Some((status_of(&ended), ended)),
        },
    };
    stop.cancel();
    let partial = match tokio::time::timeout(GRACE, attempt).await.ok()? {
        // It finished all the same: what it did counts.
        Ok(output) => return Some((StepStatus::Completed, Ok(output))),
        Err(error) => error.partial,
    };
    let error = match (stopped, limit) {
        (StepStatus::TimedOut, Some(limit)) => {
            let limit = dad_core::format_duration(limit);
            NodeError::new("timed_out", format!("the step did not finish within {limit}"))
        }
        _ => cancelled(),
    };
    Some((stopped, Err(error.with_partial(*partial))))
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
