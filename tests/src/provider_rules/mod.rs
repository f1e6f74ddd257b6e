//! The rules of model providers, as data with their sources, for the servers that tests talk to.
//!
//! They share no code with the crates: a rule that both got wrong the same way would prove nothing.

mod anthropic;
mod google;
mod media;
mod openai;
mod openai_chat;
mod openai_responses;
mod request;
// By path: the unit tests of `dad-models` need it too, and a package holds no file of another one.
#[path = "../../../crates/dad-models/src/schema/tests/checker.rs"]
pub mod schema;
mod types;
#[cfg(test)]
mod violations;

use serde_json::{Value, json};

pub use request::{Issued, Protocol, Request, one_notation};

/// A rule for requests of one protocol.
#[derive(Debug)]
pub struct Rule {
    /// A name for tests and for the refusal.
    pub id: &'static str,
    /// The document, issue or file that says so.
    pub source: &'static str,
    /// The status with which the provider refuses.
    pub status: u16,
    /// Gives the provider's words where a request breaks it.
    check: fn(&Request) -> Option<String>,
}

const fn rule(id: &'static str, source: &'static str, check: fn(&Request) -> Option<String>) -> Rule {
    Rule {
        id,
        source,
        status: 400,
        check,
    }
}

/// A request that a rule refuses.
#[derive(Debug)]
pub struct Refusal {
    /// The rule.
    pub rule: &'static Rule,
    /// The provider's words.
    pub message: String,
}

impl Protocol {
    /// The rules in the order in which they are checked: the special ones first, as their words say more.
    #[must_use]
    pub fn rules(self) -> Vec<&'static Rule> {
        let lists: &[&'static [Rule]] = match self {
            Self::OpenAi => &[openai::RULES, openai_chat::RULES],
            Self::OpenAiResponses => &[openai::RULES, openai_responses::RULES],
            Self::Anthropic => &[anthropic::RULES],
            Self::Google => &[google::RULES],
        };
        lists.iter().copied().flatten().collect()
    }
}

/// The first rule that a request breaks.
#[must_use]
pub fn refusal(request: &Request) -> Option<Refusal> {
    let rules = request.protocol.rules().into_iter();
    let mut broken = rules.filter_map(|rule| {
        let message = (rule.check)(request)?;
        Some(Refusal { rule, message })
    });
    broken.next()
}

impl Refusal {
    /// The body in the provider's form, with the name of the rule.
    #[must_use]
    pub fn body(&self, protocol: Protocol) -> Value {
        let Self { rule, message } = self;
        let is_key = rule.status == 401;
        match protocol {
            Protocol::OpenAi | Protocol::OpenAiResponses => {
                json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": rule.id } })
            }
            Protocol::Anthropic => {
                let kind = if is_key {
                    "authentication_error"
                } else {
                    "invalid_request_error"
                };
                let message = format!("{message} [{}]", rule.id);
                json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_strict" })
            }
            Protocol::Google => {
                let status = if is_key {
                    "UNAUTHENTICATED"
                } else {
                    "INVALID_ARGUMENT"
                };
                let message = format!("{message} [{}]", rule.id);
                json!({ "error": { "code": rule.status, "message": message, "status": status } })
            }
        }
    }
}
