//! The scripted model behind Anthropic's Messages API.
//!
//! The form of answers and events: PyPI anthropic 2.14.0, types/message.py and raw_*_event.py.

use serde_json::{Value, json};

use super::openai_chat::words;
use super::script::{Asked, Choice, INPUT, OUTPUT, Turn, tool};
use super::{Answer, named_event, pieces};
use crate::provider_rules::{Issued, Request};

pub(super) fn asked(request: &Request) -> Asked {
    let messages = request.list("/messages");
    let is_prompt = |message: &Value| message["role"] == "user" && !words(&message["content"]).is_empty();
    let prompt = messages.iter().rposition(is_prompt);
    let since = prompt.map_or(messages, |at| &messages[at..]);
    Asked {
        prompt: prompt
            .map(|at| words(&messages[at]["content"]))
            .unwrap_or_default(),
        tools: request
            .list("/tools")
            .iter()
            .map(|spec| tool(spec.get("name"), spec.get("input_schema")))
            .collect(),
        choice: match request.text("/tool_choice/type") {
            Some("none") => Choice::Never,
            Some("any") => Choice::Any,
            Some("tool") => Choice::Only(request.text("/tool_choice/name").unwrap_or_default().to_owned()),
            _ => Choice::Auto,
        },
        schema: {
            let schema = request.get("/output_config/format/schema");
            schema.or(request.get("/output_format/schema")).cloned()
        },
        rounds: since
            .iter()
            .filter(|message| message["role"] == "assistant")
            .count(),
        thinks: matches!(request.text("/thinking/type"), Some("enabled" | "adaptive")),
        begins: !messages.iter().any(|message| message["role"] == "assistant"),
    }
}

fn content(turn: &Turn, issued: &Issued) -> Vec<Value> {
    let mut content = Vec::new();
    if let Some(thoughts) = &turn.thoughts {
        let signature = format!("EqQBCg-{}-{}", turn.number, thoughts.len());
        let block = json!({ "type": "thinking", "thinking": thoughts, "signature": signature });
        issued.add(block.clone());
        content.push(block);
        if turn.number % 2 == 1 {
            let hidden = json!({ "type": "redacted_thinking", "data": format!("EmwKAh-{}", turn.number) });
            issued.add(hidden.clone());
            content.push(hidden);
        }
    }
    if !turn.text.is_empty() {
        content.push(json!({ "type": "text", "text": turn.text, "citations": null }));
    }
    content.extend(turn.calls.iter().map(|call| {
        json!({ "type": "tool_use", "id": format!("toolu_{}", call.id), "name": call.name, "input": call.arguments })
    }));
    content
}

pub(super) fn answer(request: &Request, turn: &Turn, issued: &Issued) -> Answer {
    let content = content(turn, issued);
    let reason = if turn.refuses {
        "refusal"
    } else if turn.calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    };
    let usage = json!({
        "input_tokens": INPUT, "output_tokens": OUTPUT, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "service_tier": "standard",
    });
    let mut message = json!({
        "id": format!("msg_{}", turn.number), "type": "message", "role": "assistant", "model": request.model,
        "content": content, "stop_reason": reason, "stop_sequence": null, "usage": usage,
    });
    if turn.refuses {
        message["stop_details"] =
            json!({ "type": "refusal", "category": null, "explanation": "I cannot help with that." });
    }
    if !request.streams {
        return Answer::Whole(message);
    }
    let mut begun = message.clone();
    begun["content"] = json!([]);
    begun["stop_reason"] = Value::Null;
    let mut events = vec![
        json!({ "type": "message_start", "message": begun }),
        json!({ "type": "ping" }),
    ];
    for (index, block) in content.iter().enumerate() {
        events.extend(block_events(index, block));
    }
    let delta =
        json!({ "stop_reason": reason, "stop_sequence": null, "stop_details": message.get("stop_details") });
    events.push(json!({ "type": "message_delta", "delta": delta, "usage": { "output_tokens": OUTPUT } }));
    events.push(json!({ "type": "message_stop" }));
    Answer::Stream(events.iter().map(named_event).collect())
}

fn block_events(index: usize, block: &Value) -> Vec<Value> {
    let mut begun = block.clone();
    let delta = |delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let mut deltas = Vec::new();
    match block["type"].as_str() {
        Some("text") => {
            begun["text"] = "".into();
            let text = pieces(block["text"].as_str().unwrap_or_default()).into_iter();
            deltas.extend(text.map(|text| delta(json!({ "type": "text_delta", "text": text }))));
        }
        Some("thinking") => {
            begun["thinking"] = "".into();
            begun["signature"] = "".into();
            let text = pieces(block["thinking"].as_str().unwrap_or_default()).into_iter();
            deltas.extend(text.map(|text| delta(json!({ "type": "thinking_delta", "thinking": text }))));
            deltas.push(delta(
                json!({ "type": "signature_delta", "signature": block["signature"] }),
            ));
        }
        Some("tool_use") => {
            begun["input"] = json!({});
            let text = pieces(&block["input"].to_string()).into_iter();
            deltas
                .extend(text.map(|text| delta(json!({ "type": "input_json_delta", "partial_json": text }))));
        }
        _ => {}
    }
    let mut events = vec![json!({ "type": "content_block_start", "index": index, "content_block": begun })];
    events.extend(deltas);
    events.push(json!({ "type": "content_block_stop", "index": index }));
    events
}
