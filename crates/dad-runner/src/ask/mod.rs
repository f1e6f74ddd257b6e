//! Questions of a run: inputs and approvals, from event handlers and from people.

pub(crate) mod approval;
pub(crate) mod asker;
pub(crate) mod input;
pub(crate) mod request;
pub(crate) mod subject;
