//! The scripted model behind OpenAI's chat completions.
//!
//! The form of answers and chunks: PyPI openai 3.57.0, types/chat/chat_completion.py and chat_completion_chunk.py.

use serde_json::{Value, json};

use super::script::{Asked, Choice, INPUT, OUTPUT, Turn, tool};
use super::{Answer, event, pieces};
use crate::provider_rules::Request;

pub(super) fn asked(request: &Request) -> Asked {
    let messages = request.list("/messages");
    let prompt = messages.iter().rposition(|message| message["role"] == "user");
    let since = prompt.map_or(messages, |at| &messages[at..]);
    let tools = request.list("/tools").iter();
    Asked {
        prompt: prompt
            .map(|at| words(&messages[at]["content"]))
            .unwrap_or_default(),
        tools: tools
            .map(|spec| {
                tool(
                    spec.pointer("/function/name"),
                    spec.pointer("/function/parameters"),
                )
            })
            .collect(),
        choice: match request.get("/tool_choice") {
            Some(Value::String(word)) if word == "none" => Choice::Never,
            Some(Value::String(word)) if word == "required" => Choice::Any,
            Some(only @ Value::Object(_)) => Choice::Only(words(&only["function"]["name"])),
            _ => Choice::Auto,
        },
        schema: request.get("/response_format/json_schema/schema").cloned(),
        rounds: since
            .iter()
            .filter(|message| message["tool_calls"].is_array())
            .count(),
        thinks: false,
        begins: !messages.iter().any(|message| message["role"] == "assistant"),
    }
}

/// The text of a content, which may be a list of parts.
pub(super) fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn usage() -> Value {
    json!({
        "prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0 },
    })
}

fn finish(turn: &Turn) -> &'static str {
    if turn.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    }
}

pub(super) fn answer(request: &Request, turn: &Turn) -> Answer {
    let id = format!("chatcmpl-{}", turn.number);
    if request.streams {
        return Answer::Stream(stream(request, turn, &id));
    }
    let calls = turn.calls.iter().map(|call| {
        json!({ "id": call.id, "type": "function",
            "function": { "name": call.name, "arguments": call.arguments.to_string() } })
    });
    let calls: Vec<Value> = calls.collect();
    let content = (!turn.text.is_empty()).then_some(&turn.text);
    let refusal = turn.refuses.then_some("I cannot help with that.");
    let mut message =
        json!({ "role": "assistant", "content": content, "refusal": refusal, "annotations": [] });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Answer::Whole(json!({
        "id": id, "object": "chat.completion", "created": 1_796_000_000, "model": request.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish(turn) }],
        "usage": usage(), "service_tier": "default", "system_fingerprint": "fp_strict",
    }))
}

fn stream(request: &Request, turn: &Turn, id: &str) -> String {
    let with_usage = request.get("/stream_options/include_usage") == Some(&Value::Bool(true));
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": 1_796_000_000, "model": request.model,
            "service_tier": "default", "system_fingerprint": "fp_strict", "choices": choices,
        });
        if with_usage {
            chunk["usage"] = usage;
        }
        event(&chunk)
    };
    let delta = |delta: Value, end: Option<&str>| {
        chunk(
            json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": end }]),
            Value::Null,
        )
    };
    let mut events = delta(
        json!({ "role": "assistant", "content": "", "refusal": null }),
        None,
    );
    if turn.refuses {
        events += &delta(json!({ "refusal": "I cannot help with that." }), None);
    }
    for piece in pieces(&turn.text) {
        events += &delta(json!({ "content": piece }), None);
    }
    for (index, call) in turn.calls.iter().enumerate() {
        let begun = json!([{ "index": index, "id": call.id, "type": "function",
            "function": { "name": call.name, "arguments": "" } }]);
        events += &delta(json!({ "tool_calls": begun }), None);
        for piece in pieces(&call.arguments.to_string()) {
            let piece = json!([{ "index": index, "function": { "arguments": piece } }]);
            events += &delta(json!({ "tool_calls": piece }), None);
        }
    }
    events += &delta(json!({}), Some(finish(turn)));
    if with_usage {
        events += &chunk(json!([]), usage());
    }
    events + "data: [DONE]\n\n"
}
