//! Answers in Anthropic's form, whole and as streams.

use serde_json::{Value, json};

use super::super::error::{Refusal, in_body};
use super::super::json::{arguments_of_text, arguments_of_value, count, owned, set, take_list, text};
use super::super::reply::StreamReader;
use super::super::reply::{End, Reply};
use crate::price::Tokens;
use crate::request::ToolCall;
use crate::response::FinishReason;

/// Reads an answer that came as a whole.
pub(in crate::protocol) fn read(mut body: Value) -> Reply {
    let mut reply = Reply {
        id: owned(&body, "/id"),
        model: owned(&body, "/model"),
        end: text(&body, "/stop_reason").map(end_of),
        ..Reply::default()
    };
    take_refusal(&mut reply, &body);
    take_usage(&mut reply, &body);
    for block in take_list(&mut body, "/content") {
        take_block(&mut reply, block, None);
    }
    reply
}

/// The words of a refusal beside its reason.
fn take_refusal(reply: &mut Reply, body: &Value) {
    if let Some(words) = owned(body, "/stop_details/explanation") {
        reply.refusal = words;
    }
}

fn take_usage(reply: &mut Reply, body: &Value) {
    let Some(usage) = body.get("usage").filter(|usage| usage.is_object()) else {
        return;
    };
    let before = reply.tokens.unwrap_or_default();
    let new = |pointer: &str, before: u64| count(usage, pointer).unwrap_or(before);
    // The prompt's own tokens are those that no cache had and none took up.
    let beside = before
        .input
        .saturating_sub(before.cached)
        .saturating_sub(before.cache_write.saturating_add(before.cache_write_long));
    let cached = new("/cache_read_input_tokens", before.cached);
    let written = new(
        "/cache_creation_input_tokens",
        before.cache_write.saturating_add(before.cache_write_long),
    );
    let long = new(
        "/cache_creation/ephemeral_1h_input_tokens",
        before.cache_write_long,
    )
    .min(written);
    let input = new("/input_tokens", beside)
        .saturating_add(cached)
        .saturating_add(written);
    reply.tokens = Some(Tokens {
        input,
        cached,
        cache_write: written - long,
        cache_write_long: long,
        output: new("/output_tokens", before.output),
        reasoning: new("/output_tokens_details/thinking_tokens", before.reasoning),
        ..Tokens::default()
    });
    let tier = owned(usage, "/service_tier").filter(|tier| tier != "standard");
    reply.service_tier = tier.or(reply.service_tier.take());
}

/// Takes a block into the reply. The arguments of a streamed call came apart, as a text.
fn take_block(reply: &mut Reply, mut block: Value, arguments: Option<&str>) {
    match text(&block, "/type") {
        Some("text") => {
            let text = text(&block, "/text").unwrap_or_default();
            reply.text.push_str(text);
            // The API refuses a blank text that goes back.
            if text.trim().is_empty() {
                return;
            }
        }
        Some("thinking") => reply
            .reasoning
            .push_str(text(&block, "/thinking").unwrap_or_default()),
        Some("tool_use") => {
            let input = block.get("input").cloned().unwrap_or_default();
            let call = ToolCall {
                id: owned(&block, "/id").unwrap_or_else(|| format!("call_{}", reply.calls.len())),
                name: owned(&block, "/name").unwrap_or_default(),
                arguments: arguments.map_or_else(|| arguments_of_value(input), arguments_of_text),
                signatures: Vec::new(),
            };
            let input = if call.arguments.is_object() {
                call.arguments.clone()
            } else {
                json!({})
            };
            set(&mut block, "input", input);
            reply.calls.push(call);
        }
        Some("redacted_thinking") => {}
        // The API does not want its own words about blocks of the future back.
        _ => return,
    }
    if block.get("citations").is_some_and(Value::is_null)
        && let Some(fields) = block.as_object_mut()
    {
        fields.remove("citations");
    }
    reply.native.push(block);
}

fn end_of(word: &str) -> End {
    let reason = match word {
        "end_turn" | "stop_sequence" => FinishReason::Completed,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCall,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    };
    End {
        word: word.to_owned(),
        reason,
    }
}

/// A block of a stream, as far as it came.
struct Begun {
    index: Value,
    block: Value,
    arguments: String,
}

/// Reads a stream of events.
#[derive(Default)]
pub(in crate::protocol) struct Stream {
    reply: Reply,
    /// The blocks that have begun and not ended; servers send one at a time.
    open: Vec<Begun>,
    /// Whether the event came that ends the message.
    is_over: bool,
}

/// The largest number of blocks that are open at a time.
const MAX_OPEN: usize = 64;

impl StreamReader for Stream {
    fn event(&mut self, mut data: Value) -> Result<String, Refusal> {
        if let Some(refusal) = in_body(&data) {
            return Err(refusal);
        }
        let kind = owned(&data, "/type").unwrap_or_default();
        let index = data.get("index").cloned().unwrap_or_default();
        match kind.as_str() {
            "message_start" => {
                let message = data.get_mut("message").map(Value::take).unwrap_or_default();
                self.reply.id = owned(&message, "/id");
                self.reply.model = owned(&message, "/model");
                take_usage(&mut self.reply, &message);
            }
            "content_block_start" => {
                let block = data.get_mut("content_block").map(Value::take).unwrap_or_default();
                return Ok(self.begin(index, block));
            }
            "content_block_delta" => {
                let delta = data.get("delta").unwrap_or(&Value::Null);
                return Ok(self.delta(&index, delta));
            }
            "content_block_stop" => self.close(&index),
            "message_delta" => {
                take_usage(&mut self.reply, &data);
                let delta = data.get("delta").unwrap_or(&Value::Null);
                take_refusal(&mut self.reply, delta);
                if let Some(word) = text(delta, "/stop_reason") {
                    self.reply.end = Some(end_of(word));
                }
            }
            "message_stop" => self.is_over = true,
            // A server that was not asked for a stream.
            "message" => self.reply = read(data),
            _ => {}
        }
        Ok(String::new())
    }

    fn is_finished(&self) -> bool {
        self.reply.end.is_some()
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn reply(mut self: Box<Self>) -> Reply {
        while !self.open.is_empty() {
            let index = self.open[0].index.clone();
            self.close(&index);
        }
        self.reply
    }
}

impl Stream {
    /// Begins a block, and gives the text that it begins with.
    fn begin(&mut self, index: Value, block: Value) -> String {
        if self.open.len() >= MAX_OPEN {
            let first = self.open[0].index.clone();
            self.close(&first);
        }
        let begins_with = text(&block, "/text").unwrap_or_default().to_owned();
        let is_text = text(&block, "/type") == Some("text");
        self.open.push(Begun {
            index,
            block,
            arguments: String::new(),
        });
        if is_text { begins_with } else { String::new() }
    }

    /// Adds to a block, and gives the text that is added to the answer. Of deltas that are not known nothing is taken.
    fn delta(&mut self, index: &Value, delta: &Value) -> String {
        let Some(begun) = self.open.iter_mut().find(|begun| begun.index == *index) else {
            return String::new();
        };
        let append = |block: &mut Value, name: &str, piece: &str| match block.get_mut(name) {
            Some(Value::String(text)) => text.push_str(piece),
            _ => set(block, name, piece),
        };
        match text(delta, "/type") {
            Some("text_delta") => {
                let piece = text(delta, "/text").unwrap_or_default();
                append(&mut begun.block, "text", piece);
                return piece.to_owned();
            }
            Some("input_json_delta") => {
                begun
                    .arguments
                    .push_str(text(delta, "/partial_json").unwrap_or_default());
            }
            Some("thinking_delta") => {
                append(
                    &mut begun.block,
                    "thinking",
                    text(delta, "/thinking").unwrap_or_default(),
                );
            }
            Some("signature_delta") => {
                set(
                    &mut begun.block,
                    "signature",
                    text(delta, "/signature").unwrap_or_default(),
                );
            }
            _ => {}
        }
        String::new()
    }

    fn close(&mut self, index: &Value) {
        let Some(at) = self.open.iter().position(|begun| begun.index == *index) else {
            return;
        };
        let Begun { block, arguments, .. } = self.open.remove(at);
        // The arguments may stand in the beginning of the block, whole.
        let arguments = Some(arguments.as_str()).filter(|arguments| !arguments.is_empty());
        take_block(&mut self.reply, block, arguments);
    }
}
