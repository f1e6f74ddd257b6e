//! Requests that break the rules of Google.

use serde_json::{Value, json};

use super::super::Request;
use super::{DOT, Violation, remove, request, set};

fn call() -> Value {
    json!({ "functionCall": { "name": "weather", "args": {} }, "thoughtSignature": "CiQB" })
}

fn response() -> Value {
    json!({ "functionResponse": { "name": "weather", "response": { "output": "sunny" } } })
}

pub(super) fn sound() -> Request {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let request = request(
        "/v1beta/models/gemini-3-flash-preview:generateContent",
        json!({
            "contents": [
                { "role": "user", "parts": [
                    { "text": "Look." },
                    { "inlineData": { "mimeType": "image/png", "data": DOT } },
                ] },
                { "role": "model", "parts": [
                    { "text": "Hm.", "thoughtSignature": "CiQA" },
                    call(),
                    { "functionCall": { "name": "weather", "args": {} } },
                ] },
                { "role": "user", "parts": [response(), response()] },
            ],
            "systemInstruction": { "parts": [{ "text": "Be brief." }] },
            "tools": [{ "functionDeclarations": [{ "name": "weather", "parametersJsonSchema": schema }] }],
            "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["weather"] } },
            "generationConfig": {
                "responseMimeType": "application/json", "responseJsonSchema": schema, "maxOutputTokens": 100,
                "thinkingConfig": { "thinkingLevel": "LOW", "includeThoughts": true },
            },
        }),
    );
    request.issued.add("CiQA".into());
    request.issued.add(call());
    request
}

fn of_old_model(request: &mut Request) {
    request.model = "gemini-2.5-flash".to_owned();
    set(request, "/generationConfig", json!({}));
}

pub(super) const VIOLATIONS: &[Violation] = &[
    Violation("google-key", |request| {
        request.headers.remove("x-goog-api-key");
    }),
    Violation("google-content-type", |request| {
        request.headers.remove("content-type");
    }),
    Violation("google-unknown-field", |request| {
        set(request, "/metadata", json!({}));
    }),
    Violation("google-role", |request| {
        set(request, "/contents/1/role", "assistant".into());
    }),
    Violation("google-empty-parts", |request| {
        set(request, "/contents/0/parts", json!([]));
    }),
    Violation("google-empty-part", |request| {
        set(
            request,
            "/contents/1/parts/0",
            json!({ "thoughtSignature": "CiQA" }),
        );
    }),
    Violation("google-call-turn", |request| {
        request.body["contents"].as_array_mut().unwrap().remove(0);
    }),
    Violation("google-response-turn", |request| {
        set(
            request,
            "/contents/-",
            json!({ "role": "user", "parts": [response()] }),
        );
    }),
    Violation("google-response-count", |request| {
        request.body["contents"][2]["parts"].as_array_mut().unwrap().pop();
    }),
    Violation("google-response-alone", |request| {
        set(request, "/contents/2/parts/-", json!({ "text": "Well?" }));
    }),
    Violation("google-last-role", |request| {
        set(
            request,
            "/contents/-",
            json!({ "role": "model", "parts": [{ "text": "Well." }] }),
        );
    }),
    Violation("google-missing-signature", |request| {
        request.body["contents"][1]["parts"][1]
            .as_object_mut()
            .unwrap()
            .remove("thoughtSignature");
    }),
    Violation("google-wrong-signature", |request| {
        set(request, "/contents/1/parts/1/thoughtSignature", "CiQC".into());
    }),
    // It belongs to the arguments, too.
    Violation("google-wrong-signature", |request| {
        set(
            request,
            "/contents/1/parts/1/functionCall/args",
            json!({ "city": "Bern" }),
        );
    }),
    Violation("google-wrong-signature", |request| {
        set(request, "/contents/1/parts/0/thoughtSignature", "CiQC".into());
    }),
    Violation("google-format-with-tools", |request| {
        of_old_model(request);
        set(
            request,
            "/generationConfig/responseMimeType",
            "application/json".into(),
        );
    }),
    Violation("google-level-and-budget", |request| {
        set(
            request,
            "/generationConfig/thinkingConfig/thinkingBudget",
            100.into(),
        );
    }),
    Violation("google-zero-budget", |request| {
        set(
            request,
            "/generationConfig/thinkingConfig",
            json!({ "thinkingBudget": 0 }),
        );
    }),
    Violation("google-level-model", |request| {
        of_old_model(request);
        set(
            request,
            "/generationConfig/thinkingConfig",
            json!({ "thinkingLevel": "LOW" }),
        );
    }),
    Violation("google-names", |request| {
        set(
            request,
            "/tools/0/functionDeclarations/0/name",
            "2nd weather".into(),
        );
    }),
    Violation("google-allowed-names", |request| {
        set(request, "/toolConfig/functionCallingConfig/mode", "AUTO".into());
    }),
    Violation("google-schema", |request| {
        set(
            request,
            "/generationConfig/responseJsonSchema",
            json!({ "type": "string", "pattern": "a" }),
        );
    }),
    Violation("google-tool-schema", |request| {
        let schema = json!({ "type": "object", "const": {} });
        set(
            request,
            "/tools/0/functionDeclarations/0/parametersJsonSchema",
            schema,
        );
    }),
    Violation("google-types", |request| remove(request, "contents")),
    Violation("google-types", |request| {
        set(request, "/contents/0/parts/0/type", "text".into());
    }),
    Violation("google-types", |request| {
        set(request, "/generationConfig/maxOutputTokens", "many".into());
    }),
];
