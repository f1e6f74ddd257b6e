//! Answers in Google's form, whole and as streams.

use serde_json::Value;

use super::super::calls::Ids;
use super::super::error::{Refusal, in_body};
use super::super::json::{arguments_of_value, count, list, owned, take_list, text};
use super::super::reply::StreamReader;
use super::super::reply::{End, Reply};
use crate::price::Tokens;
use crate::request::ToolCall;
use crate::response::{FinishReason, ResponseFile};

/// Reads an answer that came as a whole.
pub(in crate::protocol) fn read(body: Value) -> Reply {
    let mut stream = Stream::default();
    // Some servers send the pieces of a stream as one list.
    let pieces = match body {
        Value::Array(pieces) => pieces,
        one => vec![one],
    };
    for piece in pieces {
        stream.take(piece);
    }
    stream.reply
}

/// Reads a stream of pieces, each of which has the form of an answer.
#[derive(Default)]
pub(in crate::protocol) struct Stream {
    reply: Reply,
    ids: Ids,
}

impl StreamReader for Stream {
    fn event(&mut self, data: Value) -> Result<String, Refusal> {
        match in_body(&data) {
            Some(refusal) => Err(refusal),
            None => Ok(self.take(data)),
        }
    }

    fn is_finished(&self) -> bool {
        self.reply.end.is_some()
    }

    fn reply(self: Box<Self>) -> Reply {
        self.reply
    }
}

impl Stream {
    /// Takes a piece, and gives the text that it adds.
    fn take(&mut self, mut piece: Value) -> String {
        let reply = &mut self.reply;
        reply.id = reply.id.take().or_else(|| owned(&piece, "/responseId"));
        reply.model = owned(&piece, "/modelVersion").or_else(|| reply.model.take());
        if let Some(usage) = piece.get("usageMetadata").filter(|usage| usage.is_object()) {
            reply.tokens = Some(tokens_of(usage));
            let tier = owned(usage, "/serviceTier").map(|tier| tier.to_lowercase());
            reply.service_tier = tier
                .filter(|tier| tier != "standard")
                .or(reply.service_tier.take());
        }
        if let Some(word) = text(&piece, "/promptFeedback/blockReason") {
            reply.refusal = block_reason(&piece, word);
            reply.end = Some(End {
                word: word.to_owned(),
                reason: FinishReason::ContentFilter,
            });
        }
        let before = reply.text.len();
        let parts = take_list(&mut piece, "/candidates/0/content/parts");
        for part in parts {
            self.part(part);
        }
        let candidate = piece.pointer("/candidates/0").unwrap_or(&Value::Null);
        if let Some(word) = text(candidate, "/finishReason") {
            let end = end_of(word);
            if let Some(message) = owned(candidate, "/finishMessage")
                && end.reason == FinishReason::ContentFilter
            {
                self.reply.refusal = message;
            }
            self.reply.end = Some(end);
        }
        self.reply.text[before..].to_owned()
    }

    fn part(&mut self, part: Value) {
        let is_thought = part.get("thought").and_then(Value::as_bool).unwrap_or(false);
        if let Some(text) = text(&part, "/text") {
            let text_of = if is_thought {
                &mut self.reply.reasoning
            } else {
                &mut self.reply.text
            };
            text_of.push_str(text);
        }
        if let Some(call) = part.get("functionCall") {
            let id = self.ids.of(owned(call, "/id"));
            self.reply.calls.push(ToolCall {
                id,
                name: owned(call, "/name").unwrap_or_default(),
                arguments: arguments_of_value(call.get("args").cloned().unwrap_or_default()),
                signatures: owned(&part, "/thoughtSignature").into_iter().collect(),
            });
        }
        if let Some(data) = part.get("inlineData").filter(|_| !is_thought) {
            self.reply.files.extend(file_of(data));
        }
        self.keep(part);
    }

    /// Keeps a part as it goes back. Pieces of one text become one part, for its length; a signature ends it.
    fn keep(&mut self, part: Value) {
        let is_plain = |part: &Value| {
            let fields = part.as_object();
            fields.is_some_and(|fields| {
                fields
                    .keys()
                    .all(|name| ["text", "thought"].contains(&name.as_str()))
            })
        };
        if let Some(last) = self.reply.native.last_mut()
            && is_plain(last)
            && last.get("thought") == part.get("thought")
            && part.get("text").is_some()
        {
            join(last, part);
            return;
        }
        self.reply.native.push(part);
    }
}

/// Adds a piece of text, and the signature that may stand beside it.
fn join(last: &mut Value, piece: Value) {
    let (Some(fields), Value::Object(piece)) = (last.as_object_mut(), piece) else {
        return;
    };
    for (name, value) in piece {
        match (fields.get_mut(&name), value) {
            (Some(Value::String(text)), Value::String(more)) if name == "text" => text.push_str(&more),
            (None, value) => {
                fields.insert(name, value);
            }
            _ => {}
        }
    }
}

fn file_of(data: &Value) -> Option<ResponseFile> {
    Some(ResponseFile {
        media_type: owned(data, "/mimeType")?,
        base64: owned(data, "/data")?,
    })
}

fn block_reason(piece: &Value, word: &str) -> String {
    match text(piece, "/promptFeedback/blockReasonMessage") {
        Some(message) => format!("the prompt was blocked ({word}): {message}"),
        None => format!("the prompt was blocked ({word})"),
    }
}

fn tokens_of(usage: &Value) -> Tokens {
    let tokens = |pointer: &str| count(usage, pointer).unwrap_or(0);
    let of_kind = |pointer: &str, kind: &str| -> u64 {
        let details = list(usage, pointer).iter();
        let details = details.filter(|detail| text(detail, "/modality") == Some(kind));
        details
            .filter_map(|detail| count(detail, "/tokenCount"))
            .fold(0, u64::saturating_add)
    };
    let reasoning = tokens("/thoughtsTokenCount");
    Tokens {
        input: tokens("/promptTokenCount").saturating_add(tokens("/toolUsePromptTokenCount")),
        cached: tokens("/cachedContentTokenCount"),
        audio_input: of_kind("/promptTokensDetails", "AUDIO"),
        output: tokens("/candidatesTokenCount").saturating_add(reasoning),
        reasoning,
        audio_output: of_kind("/candidatesTokensDetails", "AUDIO"),
        image_output: of_kind("/candidatesTokensDetails", "IMAGE"),
        total: tokens("/totalTokenCount"),
        ..Tokens::default()
    }
}

/// Source: `FinishReason` of the client google-genai 3.6.
fn end_of(word: &str) -> End {
    let reason = match word {
        "STOP" => FinishReason::Completed,
        "MAX_TOKENS" | "CONTINUATION" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "ESCALATION"
        | "MODEL_ARMOR"
        | "PUP_LIMITED_DISABLED" => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE" => FinishReason::Malformed,
        _ => FinishReason::Other,
    };
    End {
        word: word.to_owned(),
        reason,
    }
}
