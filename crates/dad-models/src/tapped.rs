//! Parts that are taken from a stream as it arrives, because the library drops or changes them.

use std::sync::Arc;

use genai::chat::{ChatOptions, ContentPart};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use crate::catalog::Protocol;

/// The pieces of a stream in the protocol of OpenAI or Google.
#[derive(Clone)]
pub(crate) struct Tap {
    tapped: Arc<Mutex<Tapped>>,
    most_mib: u64,
}

#[derive(Default)]
struct Tapped {
    files: Vec<ContentPart>,
    calls: Vec<StreamedCall>,
    /// Bytes that arrived.
    len: u64,
}

/// A call of a tool, as far as it has arrived.
#[derive(Debug, Default)]
struct StreamedCall {
    /// As the server numbers it: any number, or none. It tells pieces apart and is never a place in a list.
    index: Option<Value>,
    id: Option<String>,
    name: String,
    arguments: String,
}

impl Tap {
    /// On a stream of at most so many MiB.
    pub(crate) fn of_at_most(most_mib: u64) -> Self {
        Self {
            tapped: Arc::default(),
            most_mib,
        }
    }

    pub(crate) const fn most_mib(&self) -> u64 {
        self.most_mib
    }

    pub(crate) fn on(&self, options: ChatOptions, protocol: Protocol) -> ChatOptions {
        let tap = self.clone();
        options.with_raw_frame_fn(move |_, frame| tap.piece(protocol, frame.data))
    }

    /// Whether more arrived than an answer may be.
    pub(crate) fn is_too_long(&self) -> bool {
        self.tapped().len > self.most_mib.saturating_mul(1 << 20)
    }

    /// The parts that were taken, in the order of their arrival.
    pub(crate) fn take(&self) -> Vec<ContentPart> {
        let Tapped { files, calls, .. } = std::mem::take(&mut *self.tapped());
        let mut ids: Vec<String> = calls.iter().filter_map(|call| call.id.clone()).collect();
        let calls = calls.into_iter().map(|call| call.into_part(&mut ids));
        files.into_iter().chain(calls).collect()
    }

    fn tapped(&self) -> MutexGuard<'_, Tapped> {
        self.tapped.lock()
    }

    /// Takes what is wanted from one piece of an answer; the library complains of one that cannot be read.
    fn piece(&self, protocol: Protocol, piece: &str) {
        let mut tapped = self.tapped();
        tapped.len = tapped.len.saturating_add(piece.len() as u64);
        let (sign, pointer) = match protocol {
            Protocol::OpenAi | Protocol::OpenAiResponses => ("tool_calls", "/choices/0/delta/tool_calls"),
            Protocol::Google => ("inlineData", "/candidates/0/content/parts"),
            Protocol::Anthropic => return,
        };
        if !piece.contains(sign) {
            return;
        }
        let piece: Value = serde_json::from_str(piece).unwrap_or_default();
        for part in piece
            .pointer(pointer)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            match protocol {
                Protocol::OpenAi | Protocol::OpenAiResponses => tapped.call(part),
                _ => tapped.files.extend(file(part)),
            }
        }
    }
}

fn file(part: &Value) -> Option<ContentPart> {
    let text = |name: &str| part.get("inlineData")?.get(name)?.as_str();
    let (media_type, data) = (text("mimeType")?, text("data")?);
    Some(ContentPart::from_binary_base64(media_type, data, None))
}

impl Tapped {
    fn call(&mut self, piece: &Value) {
        let Some(function) = piece.get("function") else {
            return;
        };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let piece = StreamedCall {
            index: piece.get("index").filter(|index| !index.is_null()).cloned(),
            id: Some(text(piece.get("id"))).filter(|id| !id.is_empty()),
            name: text(function.get("name")),
            arguments: match function.get("arguments") {
                // Some servers send them as they are, at once.
                Some(whole @ Value::Object(_)) => whole.to_string(),
                arguments => text(arguments),
            },
        };
        match self.calls.iter_mut().rev().find(|call| call.includes(&piece)) {
            Some(call) => call.add(piece),
            None => self.calls.push(piece),
        }
    }
}

impl StreamedCall {
    /// Whether a piece belongs to this call: by index and id, as far as the server gives them.
    fn includes(&self, piece: &Self) -> bool {
        let same_index = match (&self.index, &piece.index) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let same_id = match (&self.id, &piece.id) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        // A name begins a call, but servers repeat it with each piece too.
        let is_named = !piece.name.is_empty() && !self.name.is_empty();
        let has_ids = self.id.is_some() && piece.id.is_some();
        let begins = is_named && !has_ids && self.is_whole();
        same_index && same_id && !begins
    }

    fn is_whole(&self) -> bool {
        serde_json::from_str::<Value>(&self.arguments).is_ok()
    }

    fn add(&mut self, piece: Self) {
        self.arguments.push_str(&piece.arguments);
        self.index = self.index.take().or(piece.index);
        self.id = self.id.take().or(piece.id);
        if self.name.is_empty() {
            self.name = piece.name;
        }
    }

    /// The call; one without an id gets one that no other has.
    fn into_part(self, ids: &mut Vec<String>) -> ContentPart {
        let call_id = self.id.unwrap_or_else(|| {
            let mut number = 0;
            while ids.contains(&format!("call_{number}")) {
                number += 1;
            }
            ids.push(format!("call_{number}"));
            format!("call_{number}")
        });
        ContentPart::ToolCall(genai::chat::ToolCall {
            call_id,
            fn_name: self.name,
            fn_arguments: Value::String(self.arguments),
            thought_signatures: None,
        })
    }
}
