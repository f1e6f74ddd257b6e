//! Requests that break the rules of OpenAI.

use serde_json::{Value, json};

use super::super::Request;
use super::{DOT, Violation, remove, request, set};

fn image_url(data: &str) -> String {
    format!("data:image/png;base64,{data}")
}

fn schema() -> Value {
    json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false })
}

/// A schema that no provider enforces: it is open.
fn open_schema() -> Value {
    json!({ "type": "object", "properties": { "a": { "type": "string" } } })
}

/// One that is refused even where it is not enforced: its root is no object.
fn list_schema() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

pub(super) fn sound_chat() -> Request {
    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "weather", "arguments": "{}" } });
    request(
        "/v1/chat/completions",
        json!({
            "model": "gpt-4o", "max_tokens": 100, "temperature": 0.5, "stream": true,
            "stream_options": { "include_usage": true },
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": [
                    { "type": "text", "text": "Look." },
                    { "type": "image_url", "image_url": { "url": image_url(DOT) } },
                ] },
                { "role": "assistant", "content": null, "tool_calls": [call("a"), call("b")] },
                { "role": "tool", "tool_call_id": "b", "content": "cold" },
                { "role": "tool", "tool_call_id": "a", "content": "sunny" },
            ],
            "tools": [{ "type": "function", "function": { "name": "weather", "parameters": open_schema() } }],
            "response_format": { "type": "json_schema",
                "json_schema": { "name": "answer", "schema": schema(), "strict": true } },
        }),
    )
}

fn of_model(request: &mut Request, model: &str) {
    model.clone_into(&mut request.model);
    set(request, "/model", model.into());
    remove(request, "temperature");
    remove(request, "max_tokens");
}

fn mark() -> Value {
    json!({ "mode": "explicit" })
}

fn without_key(request: &mut Request) {
    request.headers.remove("authorization");
}

fn as_form(request: &mut Request) {
    request
        .headers
        .insert("content-type".to_owned(), "text/plain".to_owned());
}

pub(super) const CHAT: &[Violation] = &[
    Violation("openai-key", without_key),
    Violation("openai-content-type", as_form),
    Violation("openai-empty-tools", |request| set(request, "/tools", json!([]))),
    Violation("openai-cache-model", |request| {
        set(request, "/messages/1/content/0/prompt_cache_breakpoint", mark());
    }),
    Violation("openai-cache-model", |request| {
        of_model(request, "o3");
        set(request, "/prompt_cache_options", json!({ "mode": "explicit" }));
    }),
    Violation("openai-cache-assistant", |request| {
        of_model(request, "gpt-5.6-luna");
        let said = json!({ "type": "text", "text": "I look.", "prompt_cache_breakpoint": mark() });
        set(request, "/messages/2/content", json!([said]));
    }),
    Violation("chat-parallel-without-tools", |request| {
        remove(request, "tools");
        set(request, "/parallel_tool_calls", true.into());
    }),
    Violation("chat-unknown-field", |request| {
        set(request, "/thinking", json!({}));
    }),
    Violation("chat-max-tokens", |request| {
        of_model(request, "gpt-5-mini");
        set(request, "/max_tokens", 100.into());
    }),
    Violation("chat-max-tokens", |request| {
        of_model(request, "o3");
        set(request, "/max_tokens", 100.into());
    }),
    Violation("chat-temperature", |request| {
        of_model(request, "gpt-5-mini");
        set(request, "/temperature", 0.5.into());
    }),
    Violation("chat-effort-value", |request| {
        of_model(request, "gpt-5-mini");
        set(request, "/reasoning_effort", "none".into());
    }),
    Violation("chat-effort", |request| {
        set(request, "/reasoning_effort", "low".into());
    }),
    Violation("chat-effort-with-tools", |request| {
        of_model(request, "gpt-5.4");
        set(request, "/reasoning_effort", "low".into());
    }),
    Violation("chat-default-effort-with-tools", |request| {
        of_model(request, "gpt-5.6-terra");
    }),
    Violation("chat-metadata-without-store", |request| {
        set(request, "/metadata", json!({ "a": "b" }));
    }),
    Violation("chat-unanswered-call", |request| {
        set(
            request,
            "/messages/4",
            json!({ "role": "user", "content": "Well?" }),
        );
    }),
    Violation("chat-unasked-result", |request| {
        set(
            request,
            "/messages/-",
            json!({ "role": "tool", "tool_call_id": "c", "content": "what" }),
        );
    }),
    Violation("chat-empty-content", |request| {
        set(request, "/messages/0/content", Value::Null);
    }),
    Violation("chat-arguments", |request| {
        set(request, "/messages/2/tool_calls/0/function/arguments", json!({}));
    }),
    Violation("chat-null-description", |request| {
        set(request, "/tools/0/function/description", Value::Null);
    }),
    Violation("chat-names", |request| {
        set(request, "/tools/0/function/name", "the weather".into());
    }),
    Violation("chat-names", |request| {
        set(
            request,
            "/response_format/json_schema/name",
            "a".repeat(65).into(),
        );
    }),
    Violation("chat-schema", |request| {
        set(request, "/response_format/json_schema/schema", open_schema());
    }),
    Violation("chat-tool-schema", |request| {
        set(request, "/tools/0/function/parameters", list_schema());
    }),
    Violation("chat-tool-schema", |request| {
        set(request, "/tools/0/function/strict", true.into());
    }),
    Violation("chat-image", |request| {
        set(
            request,
            "/messages/1/content/1/image_url/url",
            image_url("/9j/4A==").into(),
        );
    }),
    Violation("chat-image", |request| {
        set(
            request,
            "/messages/1/content/1/image_url/url",
            image_url("").into(),
        );
    }),
    Violation("chat-types", |request| remove(request, "messages")),
    Violation("chat-types", |request| set(request, "/seed", "seven".into())),
    Violation("chat-types", |request| {
        set(request, "/messages/0/reasoning", "because".into());
    }),
];

pub(super) fn sound_responses() -> Request {
    let request = request(
        "/v1/responses",
        json!({
            "model": "gpt-5-mini", "store": false, "include": ["reasoning.encrypted_content"],
            "instructions": "Be brief.", "reasoning": { "effort": "low" },
            "input": [
                { "role": "user", "content": [
                    { "type": "input_text", "text": "Look." },
                    { "type": "input_image", "image_url": image_url(DOT), "detail": "auto" },
                ] },
                { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA" },
                { "type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "a", "output": "sunny" },
            ],
            "tools": [{ "type": "function", "name": "weather", "parameters": open_schema(), "strict": false }],
            "text": { "format": { "type": "json_schema", "name": "answer", "schema": schema(), "strict": true } },
        }),
    );
    request.issued.add("gAAA".into());
    request
}

fn of_plain_model(request: &mut Request) {
    of_model(request, "gpt-4o");
    remove(request, "reasoning");
    remove(request, "include");
}

pub(super) const RESPONSES: &[Violation] = &[
    Violation("openai-key", without_key),
    Violation("openai-content-type", as_form),
    Violation("openai-empty-tools", |request| set(request, "/tools", json!([]))),
    Violation("openai-cache-model", |request| {
        set(request, "/input/0/content/1/prompt_cache_breakpoint", mark());
    }),
    Violation("openai-cache-model", |request| {
        set(request, "/prompt_cache_options", json!({ "mode": "implicit" }));
    }),
    Violation("openai-cache-assistant", |request| {
        of_model(request, "gpt-6-sol");
        let said = json!({ "type": "input_text", "text": "I look.", "prompt_cache_breakpoint": mark() });
        set(
            request,
            "/input/-",
            json!({ "role": "assistant", "content": [said] }),
        );
    }),
    Violation("responses-unknown-field", |request| {
        set(request, "/stop", json!(["END"]));
    }),
    Violation("responses-temperature", |request| {
        set(request, "/temperature", 0.5.into());
    }),
    Violation("responses-effort-value", |request| {
        set(request, "/reasoning/effort", "xhigh".into());
    }),
    Violation("responses-effort-value", |request| {
        of_model(request, "gpt-5.4");
        set(request, "/reasoning/effort", "minimal".into());
    }),
    Violation("responses-effort", |request| {
        of_plain_model(request);
        set(request, "/reasoning", json!({ "effort": "none" }));
    }),
    Violation("responses-encrypted-model", |request| {
        of_plain_model(request);
        set(request, "/include", json!(["reasoning.encrypted_content"]));
    }),
    Violation("responses-previous-without-store", |request| {
        set(request, "/previous_response_id", "resp_1".into());
    }),
    Violation("responses-unasked-output", |request| {
        set(
            request,
            "/input/-",
            json!({ "type": "function_call_output", "call_id": "b", "output": "what" }),
        );
    }),
    Violation("responses-unanswered-call", |request| {
        set(request, "/input/3", json!({ "role": "user", "content": "Well?" }));
    }),
    Violation("responses-reasoning-followed", |request| {
        set(
            request,
            "/input/-",
            json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA" }),
        );
    }),
    Violation("responses-reasoning-status", |request| {
        set(request, "/input/1/status", "completed".into());
    }),
    Violation("responses-unkept-item", |request| {
        set(request, "/input/1/encrypted_content", Value::Null);
    }),
    Violation("responses-encrypted-content", |request| {
        set(request, "/input/1/encrypted_content", "gAAB".into());
    }),
    Violation("responses-arguments", |request| {
        set(request, "/input/2/arguments", json!({}));
    }),
    Violation("responses-names", |request| {
        set(request, "/text/format/name", "an answer".into());
    }),
    Violation("responses-schema", |request| {
        set(request, "/text/format/schema", open_schema());
    }),
    Violation("responses-tool-schema", |request| {
        set(request, "/tools/0/strict", true.into());
    }),
    Violation("responses-image", |request| {
        set(
            request,
            "/input/0/content/1/image_url",
            image_url("R0lGODlh").into(),
        );
    }),
    Violation("responses-types", |request| {
        set(request, "/tools/0/function", json!({ "name": "weather" }));
    }),
    Violation("responses-types", |request| {
        set(request, "/input/2/thought", "because".into());
    }),
];
