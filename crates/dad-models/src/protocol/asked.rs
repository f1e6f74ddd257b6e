//! Requests on their way into the form of a protocol.

use reqwest::header::HeaderMap;
use serde_json::Value;

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

impl Asked<'_> {
    /// The error of a request that cannot be made.
    pub(super) fn unfit(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Request {
            model: self.request.model.clone(),
            reason: reason.into(),
        }
    }
}
