//! A request as a server gets it, and the memory of what a server gave out before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// A protocol with rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// OpenAI's chat completions.
    OpenAi,
    /// OpenAI's Responses API.
    OpenAiResponses,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's generateContent.
    Google,
}

/// Signed parts of turns that a server gave out and wants back unchanged.
#[derive(Debug, Default)]
pub struct Issued(Mutex<Vec<Value>>);

impl Issued {
    /// Remembers a part.
    pub fn add(&self, part: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(part);
    }

    /// Whether the server gave out this very part.
    #[must_use]
    pub fn has(&self, part: &Value) -> bool {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.contains(part)
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The protocol, by its path.
    pub protocol: Protocol,
    /// The model, by the body or by the path.
    pub model: String,
    /// Whether the answer is to be a stream.
    pub streams: bool,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
    /// The parts that the server gave out.
    pub issued: Arc<Issued>,
}

impl Request {
    /// A request by its path; `None` if no protocol has the path.
    #[must_use]
    pub fn new(
        path: &str,
        headers: BTreeMap<String, String>,
        mut body: Value,
        issued: Arc<Issued>,
    ) -> Option<Self> {
        if path.contains("/models/") {
            one_notation(&mut body);
        }
        let (_, call) = path.split_once("/v1")?;
        let call = call.strip_prefix("beta").unwrap_or(call);
        let in_body = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let asks_stream = body.get("stream") == Some(&Value::Bool(true));
        let (protocol, model, streams) = match call {
            "/chat/completions" => (Protocol::OpenAi, in_body("model"), asks_stream),
            "/responses" => (Protocol::OpenAiResponses, in_body("model"), asks_stream),
            "/messages" => (Protocol::Anthropic, in_body("model"), asks_stream),
            _ => {
                let (model, method) = call.strip_prefix("/models/")?.split_once(':')?;
                let streams = match method {
                    "generateContent" => false,
                    "streamGenerateContent" => true,
                    _ => return None,
                };
                (Protocol::Google, model, streams)
            }
        };
        Some(Self {
            protocol,
            model: model.to_owned(),
            streams,
            headers,
            body,
            issued,
        })
    }

    /// The list at a pointer; an absent one is empty.
    #[must_use]
    pub fn list(&self, pointer: &str) -> &[Value] {
        list(&self.body, pointer)
    }

    /// The value at a pointer, unless it is absent or `null`.
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.body.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The text at a pointer.
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer)?.as_str()
    }

    /// The refusal of a body that is not said to be JSON.
    pub(super) fn wrong_content_type(&self) -> Option<String> {
        let kind = self.headers.get("content-type").map_or("", String::as_str);
        (!kind.starts_with("application/json")).then(|| format!("Unsupported content type: '{kind}'"))
    }
}

/// Writes the names of fields in one notation. Google takes `mime_type` for `mimeType` too, as JSON of protocol buffers is read,
/// and its client sends both (PyPI google-genai 3.6.1, models.py). Names that a user chose stay.
pub fn one_notation(value: &mut Value) {
    const OF_USERS: [&str; 4] = ["args", "response", "parametersJsonSchema", "responseJsonSchema"];
    match value {
        Value::Array(items) => items.iter_mut().for_each(one_notation),
        Value::Object(fields) => {
            for (name, mut field) in std::mem::take(fields) {
                let name = camel_case(&name);
                if !OF_USERS.contains(&name.as_str()) {
                    one_notation(&mut field);
                }
                fields.insert(name, field);
            }
        }
        _ => {}
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &capital.into_iter().chain(letters).collect::<String>()
    })
}

/// The list at a pointer of a value; an absent one is empty.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The text at a pointer of a value; an absent one is empty.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a name has only letters, digits, underscores and dashes, and is no longer than providers allow.
pub(super) fn is_plain_name(name: &str, longest: usize) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    !name.is_empty() && name.len() <= longest && name.chars().all(is_plain)
}
