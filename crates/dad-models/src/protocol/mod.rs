//! The protocols of providers: requests in the form of each, and answers and streams read from it.
//!
//! Reading is tolerant: unknown fields, parts and events are passed over, numbers may be texts or floats, and nothing that a
//! server sends is trusted as a length or a place.

mod anthropic;
mod calls;
mod capabilities;
mod error;
mod google;
mod json;
mod openai_chat;
mod openai_responses;
mod outgoing;
mod parts;
mod reply;
mod wanted;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::catalog::{Protocol, Target};
use crate::error::ModelError;
use crate::request::ModelRequest;

pub(crate) use error::{Refusal, refused, retry_after};
pub(crate) use reply::Reply;

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
    /// The request in the form of its provider's protocol.
    ///
    /// # Errors
    /// [`ModelError::Request`] if the protocol, or the model, cannot be asked so.
    pub(crate) fn outgoing(&self) -> Result<Outgoing, ModelError> {
        match self.target.provider.protocol {
            Protocol::OpenAi => openai_chat::outgoing(self),
            Protocol::OpenAiResponses => openai_responses::outgoing(self),
            Protocol::Anthropic => anthropic::outgoing(self),
            Protocol::Google => google::outgoing(self),
        }
    }

    /// The error of a request that cannot be made.
    fn unfit(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Request {
            model: self.request.model.clone(),
            reason: reason.into(),
        }
    }
}

/// Reads an answer that came as a whole.
///
/// # Errors
/// The error that the provider reports in it.
pub(crate) fn read(protocol: Protocol, body: Value) -> Result<Reply, Refusal> {
    if let Some(refusal) = error::in_body(&body) {
        return Err(refusal);
    }
    Ok(match protocol {
        Protocol::OpenAi => openai_chat::read(&body),
        Protocol::OpenAiResponses => return openai_responses::read(body),
        Protocol::Anthropic => anthropic::read(body),
        Protocol::Google => google::read(body),
    })
}

/// The reader of a stream.
pub(crate) fn stream_reader(protocol: Protocol) -> Box<dyn StreamReader> {
    match protocol {
        Protocol::OpenAi => Box::<openai_chat::Stream>::default(),
        Protocol::OpenAiResponses => Box::<openai_responses::Stream>::default(),
        Protocol::Anthropic => Box::<anthropic::Stream>::default(),
        Protocol::Google => Box::<google::Stream>::default(),
    }
}
