//! The scripted model behind OpenAI's Responses API.
//!
//! The form of answers and events: PyPI openai 3.57.0, types/responses/response.py and response_*_event.py.

use serde_json::{Value, json};

use super::openai_chat::words;
use super::script::{Asked, Choice, INPUT, OUTPUT, Turn, tool};
use super::{Answer, Call, named_event, pieces};
use crate::provider_rules::{Issued, Request};

pub(super) fn asked(request: &Request) -> Asked {
    let text = request.text("/input");
    let items = request.list("/input");
    let prompt = items.iter().rposition(|item| item["role"] == "user");
    let since = prompt.map_or(items, |at| &items[at..]);
    // Calls that follow each other are one round.
    let is_call = |item: &Value| item["type"] == "function_call";
    let rounds = (0..since.len())
        .filter(|at| is_call(&since[*at]) && since.get(at + 1).is_none_or(|next| !is_call(next)));
    let of_model = request.model.starts_with("gpt-5") || request.model.starts_with('o');
    Asked {
        prompt: text.map_or_else(
            || prompt.map(|at| words(&items[at]["content"])).unwrap_or_default(),
            str::to_owned,
        ),
        tools: request
            .list("/tools")
            .iter()
            .map(|spec| tool(spec.get("name"), spec.get("parameters")))
            .collect(),
        choice: match request.get("/tool_choice") {
            Some(Value::String(word)) if word == "none" => Choice::Never,
            Some(Value::String(word)) if word == "required" => Choice::Any,
            Some(only @ Value::Object(_)) => Choice::Only(words(&only["name"])),
            _ => Choice::Auto,
        },
        schema: request.get("/text/format/schema").cloned(),
        rounds: rounds.count(),
        thinks: of_model && request.text("/reasoning/effort") != Some("none"),
        begins: !items
            .iter()
            .any(|item| item["role"] == "assistant" || is_call(item)),
    }
}

pub(super) fn answer(request: &Request, turn: &Turn, issued: &Issued) -> Answer {
    let output = items(request, turn, issued);
    let response = |status: &str, output: &[Value], usage: Value| {
        json!({
            "id": format!("resp_{}", turn.number), "object": "response", "created_at": 1_796_000_000,
            "status": status, "background": false, "error": null, "incomplete_details": null,
            "instructions": request.get("/instructions"), "max_output_tokens": request.get("/max_output_tokens"),
            "model": request.model, "output": output, "parallel_tool_calls": true, "previous_response_id": null,
            "reasoning": { "effort": request.get("/reasoning/effort"), "summary": null },
            "service_tier": "default", "store": request.get("/store").cloned().unwrap_or(Value::Bool(true)),
            "temperature": 1.0, "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [],
            "top_p": 1.0, "truncation": "disabled", "usage": usage, "metadata": {},
        })
    };
    let usage = json!({
        "input_tokens": INPUT, "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
        "output_tokens": OUTPUT, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": INPUT + OUTPUT,
    });
    let whole = response("completed", &output, usage);
    if !request.streams {
        return Answer::Whole(whole);
    }
    let begun = response("in_progress", &[], Value::Null);
    let mut events = vec![
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.in_progress", "response": begun }),
    ];
    for (index, item) in output.iter().enumerate() {
        events.extend(item_events(index, item));
    }
    events.push(json!({ "type": "response.completed", "response": whole }));
    let numbered = events.into_iter().enumerate().map(|(number, mut data)| {
        data["sequence_number"] = number.into();
        named_event(&data)
    });
    Answer::Stream(numbered.collect())
}

fn items(request: &Request, turn: &Turn, issued: &Issued) -> Vec<Value> {
    let number = turn.number;
    let mut items = Vec::new();
    if let Some(thoughts) = &turn.thoughts {
        let mut item = json!({ "id": format!("rs_{number}"), "type": "reasoning",
            "summary": [{ "type": "summary_text", "text": thoughts }] });
        if request
            .list("/include")
            .iter()
            .any(|field| field == "reasoning.encrypted_content")
        {
            let content = Value::from(format!("gAAAA-{number}-{}", thoughts.len()));
            issued.add(content.clone());
            item["encrypted_content"] = content;
        }
        items.push(item);
    }
    let part = if turn.refuses {
        Some(json!({ "type": "refusal", "refusal": "I cannot help with that." }))
    } else {
        let text = Some(&turn.text).filter(|text| !text.is_empty());
        text.map(|text| json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }))
    };
    items.extend(part.map(|part| {
        json!({ "id": format!("msg_{number}"), "type": "message", "role": "assistant", "status": "completed",
            "content": [part] })
    }));
    items.extend(turn.calls.iter().map(call));
    items
}

fn call(call: &Call) -> Value {
    json!({ "id": format!("fc_{}", call.id), "type": "function_call", "call_id": call.id, "name": call.name,
        "arguments": call.arguments.to_string(), "status": "completed" })
}

fn item_events(index: usize, item: &Value) -> Vec<Value> {
    let id = &item["id"];
    let mut begun = item.clone();
    let mut inner = Vec::new();
    match item["type"].as_str() {
        Some("message") => {
            begun["content"] = json!([]);
            begun["status"] = "in_progress".into();
            let part = &item["content"][0];
            let (field, kind) = match part["type"].as_str() {
                Some("refusal") => ("refusal", "response.refusal"),
                _ => ("text", "response.output_text"),
            };
            let mut empty = part.clone();
            empty[field] = "".into();
            let place = json!({ "item_id": id, "output_index": index, "content_index": 0 });
            inner.push(with(&place, "response.content_part.added", "part", &empty));
            let text = part[field].as_str().unwrap_or_default();
            inner.extend(
                pieces(text)
                    .into_iter()
                    .map(|piece| with(&place, &format!("{kind}.delta"), "delta", &piece.into())),
            );
            inner.push(with(&place, &format!("{kind}.done"), field, &part[field]));
            inner.push(with(&place, "response.content_part.done", "part", part));
        }
        Some("function_call") => {
            begun["arguments"] = "".into();
            begun["status"] = "in_progress".into();
            let place = json!({ "item_id": id, "output_index": index });
            let kind = "response.function_call_arguments";
            let text = item["arguments"].as_str().unwrap_or_default();
            inner.extend(
                pieces(text)
                    .into_iter()
                    .map(|piece| with(&place, &format!("{kind}.delta"), "delta", &piece.into())),
            );
            let mut done = with(&place, &format!("{kind}.done"), "arguments", &item["arguments"]);
            done["name"] = item["name"].clone();
            inner.push(done);
        }
        _ => {}
    }
    let place = json!({ "output_index": index });
    let mut events = vec![with(&place, "response.output_item.added", "item", &begun)];
    events.extend(inner);
    events.push(with(&place, "response.output_item.done", "item", item));
    events
}

fn with(place: &Value, kind: &str, field: &str, value: &Value) -> Value {
    let mut event = place.clone();
    event["type"] = kind.into();
    event[field] = value.clone();
    event
}
