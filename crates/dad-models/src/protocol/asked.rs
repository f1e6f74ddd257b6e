//! Requests on their way into the form of a protocol, and the readers of streams.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::error::Refusal;
use super::reply::Reply;
use crate::catalog::Target;
use crate::error::ModelError;
use crate::request::ModelRequest;

/// A request that is about to be sent.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) target: &'a Target,
    pub(crate) request: &'a ModelRequest,
    /// The longest answer in tokens, by the settings and the budgets.
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) streams: bool,
}

/// A request in the form of a protocol.
pub(crate) struct Outgoing {
    /// The path below the provider's address, with its query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Reads the events of one stream.
pub(crate) trait StreamReader: Send {
    /// Takes an event, and gives the text that it adds to the answer.
    ///
    /// # Errors
    /// The error that the provider reports in it.
    fn event(&mut self, data: Value) -> Result<String, Refusal>;

    /// Whether the reason has come for which the answer ended: all that follows is its usage.
    fn is_finished(&self) -> bool;

    /// Takes the mark with which some servers end a stream.
    fn done(&mut self) {}

    /// The answer, as far as it came.
    fn reply(self: Box<Self>) -> Reply;
}

impl Asked<'_> {
    /// The error of a request that cannot be made.
    pub(super) fn unfit(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Request {
            model: self.request.model.clone(),
            reason: reason.into(),
        }
    }
}
