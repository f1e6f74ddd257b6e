//! Servers that speak the protocols of the providers and refuse, in their words, what the providers refuse.
//!
//! Behind them is a small scripted model: its prompt says how many rounds of tools it calls. What it signs it wants back byte
//! for byte. Each server remembers what it refused.

mod anthropic;
mod example;
mod google;
mod openai_chat;
mod openai_responses;
mod script;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Respond, ResponseTemplate};

use crate::provider_rules::{Issued, Protocol, Request, refusal};
use script::{Asked, Turn};

/// A server with all protocols, each at the path that its provider has.
#[derive(Debug)]
pub struct StrictServer {
    server: MockServer,
    state: Arc<State>,
}

/// A request that was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The name of the rule that it breaks.
    pub rule: &'static str,
    /// The provider's words.
    pub message: String,
    /// The body of the request.
    pub body: Value,
}

/// A request that came, refused or not.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The path with its query.
    pub path: String,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
}

#[derive(Debug, Default)]
struct State {
    issued: Arc<Issued>,
    refused: Mutex<Vec<Refused>>,
    seen: Mutex<Vec<Seen>>,
    answers: AtomicUsize,
}

impl StrictServer {
    /// Starts a server at a free port of this machine.
    pub async fn start() -> Self {
        Self::of(MockServer::start().await).await
    }

    async fn of(server: MockServer) -> Self {
        let state = Arc::new(State::default());
        let responder = Responder(Arc::clone(&state));
        Mock::given(any()).respond_with(responder).mount(&server).await;
        Self { server, state }
    }

    /// The address, without a path.
    #[must_use]
    pub fn uri(&self) -> String {
        self.server.uri()
    }

    /// The requests that were refused.
    #[must_use]
    pub fn refused(&self) -> Vec<Refused> {
        self.state
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All requests.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

struct Responder(Arc<State>);

impl Respond for Responder {
    fn respond(&self, request: &wiremock::Request) -> ResponseTemplate {
        let headers = request
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        let headers: BTreeMap<String, String> = headers.collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let state = &self.0;
        let query = request
            .url
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let seen = Seen {
            path: format!("{}{query}", request.url.path()),
            headers: headers.clone(),
            body: body.clone(),
        };
        state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen);
        let issued = Arc::clone(&state.issued);
        match Request::new(request.url.path(), headers, body, issued) {
            Some(request) => state.answer(&request),
            None => {
                ResponseTemplate::new(404).set_body_json(json!({ "error": { "message": "unknown path" } }))
            }
        }
    }
}

impl State {
    fn answer(&self, request: &Request) -> ResponseTemplate {
        if let Some(refusal) = refusal(request) {
            let refused = Refused {
                rule: refusal.rule.id,
                message: refusal.message.clone(),
                body: request.body.clone(),
            };
            self.refused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(refused);
            let body = refusal.body(request.protocol);
            return ResponseTemplate::new(refusal.rule.status).set_body_json(body);
        }
        let asked = match request.protocol {
            Protocol::OpenAi => openai_chat::asked(request),
            Protocol::OpenAiResponses => openai_responses::asked(request),
            Protocol::Anthropic => anthropic::asked(request),
            Protocol::Google => google::asked(request),
        };
        // The same conversation gets the same ids each time.
        if asked.begins {
            self.answers.store(0, Ordering::Relaxed);
        }
        let turn = asked.turn(self.answers.fetch_add(1, Ordering::Relaxed));
        self.written(request, &asked, &turn)
    }

    fn written(&self, request: &Request, asked: &Asked, turn: &Turn) -> ResponseTemplate {
        let answer = match request.protocol {
            Protocol::OpenAi => openai_chat::answer(request, turn),
            Protocol::OpenAiResponses => openai_responses::answer(request, turn, &self.issued),
            Protocol::Anthropic => anthropic::answer(request, turn, &self.issued),
            Protocol::Google => google::answer(request, asked, turn, &self.issued),
        };
        match answer {
            Answer::Whole(body) => ResponseTemplate::new(200).set_body_json(body),
            Answer::Stream(events) => ResponseTemplate::new(200).set_body_raw(events, "text/event-stream"),
        }
    }
}

/// An answer in the form of a protocol.
enum Answer {
    Whole(Value),
    /// The events of a stream, as they are sent.
    Stream(String),
}

/// An event of a stream, without a name.
fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// An event that is named by its type, as OpenAI's responses and Anthropic have them.
fn named_event(data: &Value) -> String {
    let kind = data["type"].as_str().unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n")
}

/// A text in pieces of a few letters.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(7).map(|piece| piece.iter().collect()).collect()
}

/// A call of a tool, as the model writes it.
#[derive(Clone, Debug)]
struct Call {
    id: String,
    name: String,
    arguments: Value,
}
