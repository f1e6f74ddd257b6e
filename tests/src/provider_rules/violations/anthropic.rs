//! Requests that break the rules of Anthropic.

use serde_json::{Value, json};

use super::super::Request;
use super::{DOT, Violation, remove, request, set};

fn thought() -> Value {
    json!({ "type": "thinking", "thinking": "Hm.", "signature": "EqQB" })
}

fn mark() -> Value {
    json!({ "type": "ephemeral" })
}

pub(super) fn sound() -> Request {
    let call = |id: &str| json!({ "type": "tool_use", "id": id, "name": "weather", "input": {} });
    let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "sunny" });
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string", "minLength": 1 } } });
    let format = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let request = request(
        "/v1/messages",
        json!({
            "model": "claude-haiku-4-5", "max_tokens": 4000, "system": "Be brief.",
            "thinking": { "type": "enabled", "budget_tokens": 2000 },
            "messages": [
                { "role": "user", "content": [
                    { "type": "text", "text": "Look." },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": DOT } },
                ] },
                { "role": "assistant", "content": [thought(), call("a"), call("b")] },
                { "role": "user", "content": [result("b"), result("a")] },
            ],
            "tools": [{ "name": "weather", "input_schema": schema }],
            "output_config": { "format": { "type": "json_schema", "schema": format } },
        }),
    );
    request.issued.add(thought());
    request
}

fn of_new_model(request: &mut Request) {
    request.model = "claude-opus-4-8".to_owned();
    set(request, "/model", "claude-opus-4-8".into());
    set(request, "/thinking", json!({ "type": "adaptive" }));
}

fn of_new_version(request: &mut Request) {
    let version = "2026-10-21".to_owned();
    request.headers.insert("anthropic-version".to_owned(), version);
}

fn text(words: &str) -> Value {
    json!([{ "type": "text", "text": words }])
}

/// A conversation that ends with a text of the model.
fn ends_with(request: &mut Request, words: &str) {
    remove(request, "thinking");
    let messages = json!([
        { "role": "user", "content": "Begin." },
        { "role": "assistant", "content": text(words) },
    ]);
    set(request, "/messages", messages);
}

pub(super) const VIOLATIONS: &[Violation] = &[
    Violation("anthropic-key", |request| {
        request.headers.remove("authorization");
    }),
    Violation("anthropic-version", |request| {
        request.headers.remove("anthropic-version");
    }),
    Violation("anthropic-version-sampling", |request| {
        of_new_version(request);
        set(request, "/temperature", 1.0.into());
    }),
    Violation("anthropic-version-document", |request| {
        of_new_version(request);
        let source = json!({ "type": "text", "media_type": "text/plain", "data": "Notes" });
        set(
            request,
            "/messages/1/content/-",
            json!({ "type": "document", "source": source }),
        );
    }),
    Violation("anthropic-content-type", |request| {
        request.headers.remove("content-type");
    }),
    Violation("anthropic-unknown-field", |request| {
        set(request, "/seed", 7.into());
    }),
    Violation("anthropic-unknown-field", |request| {
        let format = request.body["output_config"]["format"].clone();
        set(request, "/output_format", format);
    }),
    Violation("anthropic-max-tokens", |request| remove(request, "max_tokens")),
    Violation("anthropic-small-budget", |request| {
        set(request, "/thinking/budget_tokens", 1023.into());
    }),
    Violation("anthropic-large-budget", |request| {
        set(request, "/max_tokens", 2000.into());
    }),
    Violation("anthropic-adaptive-model", |request| {
        of_new_model(request);
        set(
            request,
            "/thinking",
            json!({ "type": "enabled", "budget_tokens": 2000 }),
        );
    }),
    Violation("anthropic-sampling-model", |request| {
        of_new_model(request);
        set(request, "/top_k", 5.into());
    }),
    Violation("anthropic-thinking-forced-tool", |request| {
        set(request, "/tool_choice", json!({ "type": "any" }));
    }),
    Violation("anthropic-thinking-temperature", |request| {
        set(request, "/temperature", 0.5.into());
    }),
    // The mark of the whole request counts with the others, wherever they stand.
    Violation("anthropic-cache-marks", |request| {
        set(request, "/cache_control", mark());
        set(request, "/tools/0/cache_control", mark());
        set(
            request,
            "/system",
            json!([{ "type": "text", "text": "Be brief.", "cache_control": mark() }]),
        );
        set(request, "/messages/0/content/0/cache_control", mark());
        set(request, "/messages/2/content/1/cache_control", mark());
    }),
    Violation("anthropic-cache-thinking", |request| {
        set(request, "/messages/1/content/0/cache_control", mark());
    }),
    Violation("anthropic-cache-thinking", |request| {
        let hidden = json!({ "type": "redacted_thinking", "data": "EmwK", "cache_control": mark() });
        set(request, "/messages/1/content/0", hidden);
    }),
    Violation("anthropic-cache-empty-text", |request| {
        set(
            request,
            "/system",
            json!([{ "type": "text", "text": "", "cache_control": mark() }]),
        );
    }),
    Violation("anthropic-cache-empty-text", |request| {
        set(
            request,
            "/messages/0/content/0",
            json!({ "type": "text", "text": "", "cache_control": mark() }),
        );
    }),
    Violation("anthropic-first-role", |request| {
        set(
            request,
            "/messages/0",
            json!({ "role": "assistant", "content": "Hello." }),
        );
    }),
    Violation("anthropic-prefill", |request| {
        ends_with(request, "Well");
        of_new_model(request);
    }),
    Violation("anthropic-trailing-space", |request| ends_with(request, "Well ")),
    Violation("anthropic-empty-text", |request| {
        set(request, "/messages/0/content/0/text", "".into());
    }),
    Violation("anthropic-blank-text", |request| {
        set(request, "/messages/0/content/0/text", " \n".into());
    }),
    Violation("anthropic-unanswered-call", |request| {
        set(
            request,
            "/messages/2/content/0",
            json!({ "type": "text", "text": "Well?" }),
        );
    }),
    // A result behind a text does not count.
    Violation("anthropic-unanswered-call", |request| {
        let content = request.body["messages"][2]["content"].as_array_mut().unwrap();
        content.insert(0, json!({ "type": "text", "text": "Well?" }));
    }),
    Violation("anthropic-unasked-result", |request| {
        let result = json!({ "type": "tool_result", "tool_use_id": "c", "content": "what" });
        set(request, "/messages/2/content/-", result);
    }),
    Violation("anthropic-thinking-first", |request| {
        request.body["messages"][1]["content"]
            .as_array_mut()
            .unwrap()
            .remove(0);
    }),
    Violation("anthropic-thinking-modified", |request| {
        set(request, "/messages/1/content/0/thinking", "Hm!".into());
    }),
    Violation("anthropic-thinking-modified", |request| {
        set(request, "/messages/1/content/0/signature", "EqQC".into());
    }),
    Violation("anthropic-image", |request| {
        set(
            request,
            "/messages/0/content/1/source/media_type",
            "image/jpeg".into(),
        );
    }),
    Violation("anthropic-image", |request| {
        set(
            request,
            "/messages/0/content/1/source/media_type",
            "image/bmp".into(),
        );
    }),
    Violation("anthropic-image", |request| {
        set(request, "/messages/0/content/1/source/data", "".into());
    }),
    Violation("anthropic-names", |request| {
        set(request, "/tools/0/name", "caldav.create".into());
    }),
    Violation("anthropic-unique-names", |request| {
        let tool = request.body["tools"][0].clone();
        set(request, "/tools/-", tool);
    }),
    Violation("anthropic-schema", |request| {
        set(
            request,
            "/output_config/format/schema",
            json!({ "type": "object", "properties": {} }),
        );
    }),
    Violation("anthropic-tool-schema", |request| {
        set(request, "/tools/0/strict", true.into());
    }),
    Violation("anthropic-types", |request| {
        set(request, "/messages/0/name", "Ada".into());
    }),
    Violation("anthropic-types", |request| {
        set(request, "/messages/1/content/1/input", "{}".into());
    }),
];
