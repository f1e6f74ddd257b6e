//! Blocking work, on threads of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Span;

use crate::node::error::NodeError;

/// Whether work is to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether the work is to return as soon as it can.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks the work to return.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sets a stop when it is dropped.
struct SetOnDrop(Stop);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Runs a look at files that blocks, for [`BoundStep::world`](crate::BoundStep::world) and
/// [`BoundStep::preview`](crate::BoundStep::preview), which change nothing. `stop` is set when the future is dropped.
///
/// # Errors
/// What the look returns, or that it panicked.
pub async fn look<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    run_blocking(work, Span::current(), std::future::pending()).await
}

/// Runs work in a thread of its own; it is asked to stop when `cancelled` resolves or this is dropped.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> Result<T, NodeError> + Send + 'static,
    span: Span,
    cancelled: impl Future<Output = ()> + Send,
) -> Result<T, NodeError> {
    let stop = SetOnDrop(Stop::default());
    let theirs = stop.0.clone();
    let mut task = tokio::task::spawn_blocking(move || span.in_scope(|| work(&theirs)));
    let ended = tokio::select! {
        ended = &mut task => ended,
        () = cancelled => {
            stop.0.set();
            task.await
        }
    };
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => Err(NodeError::panicked(&*panic)),
        Err(error) => Err(NodeError::from_error("node_failed", &error)),
    })
}
