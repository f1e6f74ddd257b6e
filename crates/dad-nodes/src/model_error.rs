//! Errors of models and of their clients, as those of a node.

use dad_models::ModelError;
use dad_runner::NodeError;

pub(crate) fn node_error(error: &ModelError) -> NodeError {
    let mut failed = NodeError::from_error(error.code(), error);
    if let Some(hint) = error.hint() {
        failed = failed.with_hint(hint);
    }
    if let Some(pause) = error.retry_after() {
        failed = failed.retry_after(pause);
    }
    failed.may_fall_back = error.may_fall_back();
    if error.is_retryable() {
        failed
    } else {
        failed.permanent()
    }
}
