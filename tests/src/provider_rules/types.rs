//! The types of requests as the official clients have them: `tests/clients/request_types.py` writes them down as JSON Schema.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::request::{Protocol, Request};

const DATA: &str = include_str!("../../data/clients/request_types.json");

/// The schemas of a protocol: fields, their types, which ones must be there, and that there are no others.
static TYPES: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(DATA).unwrap_or_else(|error| panic!("request_types.json: {error}"))
});

static CHAT: LazyLock<Validator> = LazyLock::new(|| compiled("openai"));
static RESPONSES: LazyLock<Validator> = LazyLock::new(|| compiled("openai_responses"));
static MESSAGES: LazyLock<Validator> = LazyLock::new(|| compiled("anthropic"));
static GOOGLE: LazyLock<Validator> = LazyLock::new(|| compiled("google"));

fn compiled(name: &str) -> Validator {
    jsonschema::validator_for(&TYPES[name]).unwrap_or_else(|error| panic!("the types of {name}: {error}"))
}

const fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenAi => "openai",
        Protocol::OpenAiResponses => "openai_responses",
        Protocol::Anthropic => "anthropic",
        Protocol::Google => "google",
    }
}

/// The first field at the top of a request that its protocol does not have.
pub(super) fn unknown_field(request: &Request) -> Option<&str> {
    let known = &TYPES[name(request.protocol)]["properties"];
    let mut fields = request.body.as_object()?.keys();
    fields
        .find(|field| known.get(*field).is_none())
        .map(String::as_str)
}

/// The first place where a request is not of its protocol's types.
pub(super) fn wrong_type(request: &Request) -> Option<String> {
    let types = match request.protocol {
        Protocol::OpenAi => &CHAT,
        Protocol::OpenAiResponses => &RESPONSES,
        Protocol::Anthropic => &MESSAGES,
        Protocol::Google => &GOOGLE,
    };
    let error = types.iter_errors(&request.body).next()?;
    let mut words = format!("{}: {error}", error.instance_path());
    if let Some((at, _)) = words.char_indices().nth(600) {
        words.truncate(at);
    }
    Some(words)
}
