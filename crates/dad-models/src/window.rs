//! Requests that cannot fit into the context window of their model.

use std::cmp::Reverse;

use crate::error::ModelError;
use crate::request::{ModelRequest, Role};

/// The most bytes of text that a token stands for on average. Tokens of common languages stand for three to five; a request is
/// refused only if it would not fit even with these.
const MAX_BYTES_OF_A_TOKEN: u64 = 8;

/// The number of parts that a refusal names.
const NAMED_PARTS: usize = 3;

/// Refuses a request whose texts cannot fit into a window.
///
/// # Errors
/// [`ModelError::TooLarge`] with the largest parts.
pub(crate) fn check(request: &ModelRequest, window: Option<u64>) -> Result<(), ModelError> {
    let Some(window) = window else { return Ok(()) };
    let mut parts = parts(request);
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    let tokens = bytes / MAX_BYTES_OF_A_TOKEN;
    if tokens <= window {
        return Ok(());
    }
    parts.sort_by_key(|part| Reverse(part.bytes));
    let named = parts.iter().take(NAMED_PARTS);
    let named: Vec<String> = named
        .map(|part| format!("{} ({})", part.name, dad_core::format_size(part.bytes)))
        .collect();
    Err(ModelError::TooLarge {
        model: request.model.clone(),
        tokens,
        window,
        parts: named.join(", "),
    })
}

/// A part of a request, and its size.
struct Part {
    name: String,
    bytes: u64,
}

fn parts(request: &ModelRequest) -> Vec<Part> {
    let part = |name: String, bytes: usize| Part {
        name,
        bytes: bytes as u64,
    };
    let system = request.system.iter();
    let system = system.map(|one| part("the system instructions".to_owned(), one.text.len()));
    let last = request.messages.len().saturating_sub(1);
    let messages = request.messages.iter().enumerate();
    let messages = messages.map(|(index, message)| {
        let role = message.role.as_str();
        let name = match index {
            index if index == last => format!("the last message ({role})"),
            index => format!("message {} ({role})", index + 1),
        };
        let calls = message
            .tool_calls
            .iter()
            .filter(|_| message.role == Role::Assistant);
        let calls: usize = calls.map(|call| call.arguments.to_string().len()).sum();
        part(name, message.text.len() + calls)
    });
    let files = request.messages.iter().flat_map(|message| &message.files);
    // Providers count images and sound by other measures.
    let texts = files.filter(|file| file.media_type.starts_with("text/"));
    let texts = texts.map(|file| part(format!("the file `{}`", file.name), file.bytes.len()));
    let tools = request.options.tools.iter();
    let tools = tools.map(|tool| part(format!("the tool `{}`", tool.name), tool.schema.to_string().len()));
    system.chain(messages).chain(texts).chain(tools).collect()
}
