//! The protocols of providers: requests in the form of each, and answers and streams read from it.
//!
//! Reading is tolerant: unknown fields, parts and events are passed over, numbers may be texts or floats, and nothing that a
//! server sends is trusted as a length or a place.

mod anthropic;
mod asked;
mod calls;
mod capabilities;
mod checks;
mod error;
mod google;
mod json;
mod marks;
mod openai_chat;
mod openai_responses;
mod outgoing;
mod parts;
mod reply;
mod wanted;

use serde_json::Value;

use crate::catalog::Protocol;
use crate::error::ModelError;

pub(crate) use asked::{Asked, Outgoing};
pub(crate) use checks::check_conversation;
pub(crate) use error::{Refusal, refused, retry_after, text_of_page};
pub use marks::MAX_CACHE_MARKS;
pub(crate) use reply::{Reply, StreamReader};
pub use wanted::ANSWER_TOOL;

/// A request in the form of its provider's protocol.
///
/// # Errors
/// [`ModelError::Request`] if the protocol, or the model, cannot be asked so.
pub(crate) fn outgoing(asked: &Asked<'_>) -> Result<Outgoing, ModelError> {
    checks::check(asked)?;
    match asked.target.provider.protocol {
        Protocol::OpenAi => openai_chat::outgoing(asked),
        Protocol::OpenAiResponses => openai_responses::outgoing(asked),
        Protocol::Anthropic => anthropic::outgoing(asked),
        Protocol::Google => google::outgoing(asked),
    }
}

/// Reads an answer that came as a whole.
///
/// # Errors
/// The error that the provider reports in it.
pub(crate) fn read(protocol: Protocol, body: Value) -> Result<Reply, Refusal> {
    let read = match protocol {
        // Its errors stand within the answer, with the tokens of the call.
        Protocol::OpenAiResponses => return openai_responses::read(body),
        Protocol::OpenAi => |body: Value| openai_chat::read(&body),
        Protocol::Anthropic => anthropic::read,
        Protocol::Google => google::read,
    };
    match error::in_body(&body) {
        Some(refusal) => Err(refusal),
        None => Ok(read(body)),
    }
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
