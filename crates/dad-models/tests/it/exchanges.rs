//! Exchanges as providers have them today: what goes back, what an end means, what a refusal says.

use std::time::Duration;

use dad_models::{
    FinishReason, Message, MessageFile, ModelClient, ModelError, ModelResponse, Role, ToolCall, ToolSpec,
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::providers::{call, client, request, sent, server};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const GOOGLE: &str = "/v1/models/tiny:generateContent";
const GOOGLE_STREAM: &str = "/v1/models/tiny:streamGenerateContent";

async fn answered(protocol: &str, place: &str, body: Value) -> Result<ModelResponse, ModelError> {
    let server = server(place, ResponseTemplate::new(200).set_body_json(body)).await;
    client(protocol, &server.uri())
        .complete(&request(), &call())
        .await
}

fn events(events: &[Value]) -> String {
    let lines = events.iter().map(|event| format!("data: {event}\n\n"));
    lines.collect()
}

async fn streamed(protocol: &str, place: &str, body: String) -> (Result<ModelResponse, ModelError>, String) {
    let pieces = std::sync::Mutex::new(String::new());
    let server = server(
        place,
        ResponseTemplate::new(200).set_body_raw(body, "text/event-stream"),
    )
    .await;
    let heard = |piece: &str| pieces.lock().unwrap().push_str(piece);
    let answered = client(protocol, &server.uri())
        .stream(&request(), &call(), &heard)
        .await;
    (answered, pieces.into_inner().unwrap())
}

fn chat(message: &Value, finish: &str) -> Value {
    json!({
        "id": "chat-1", "model": "tiny-2",
        "choices": [{ "index": 0, "finish_reason": finish, "message": message }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    })
}

/// A turn of a model that calls a tool, as each protocol has it, and where it stands in the next request.
struct Turn {
    protocol: &'static str,
    place: &'static str,
    body: Value,
    /// The parts of the next request that hold the turn, and the turn in them.
    returned: fn(&Value) -> Value,
    expected: Value,
}

fn turns() -> [Turn; 4] {
    let anthropic = json!([
        { "type": "thinking", "thinking": "I look.", "signature": "c2lnbmVk" },
        { "type": "redacted_thinking", "data": "aGlkZGVu" },
        { "type": "text", "text": "\n\n" },
        { "type": "text", "text": "Looking it up." },
        { "type": "tool_use", "id": "call_1", "name": "weather", "input": { "city": "Bern" } },
        { "type": "tool_use", "id": "call_2", "name": "weather", "input": { "city": "Chur" } },
    ]);
    let kept = |blocks: &Value| -> Value {
        let blocks = blocks.as_array().unwrap().iter();
        blocks.filter(|block| block["text"] != "\n\n").cloned().collect()
    };
    let google = json!([
        { "text": "I look.", "thought": true },
        { "text": "Looking it up." },
        { "functionCall": { "name": "weather", "args": { "city": "Bern" } }, "thoughtSignature": "c2lnbmVk" },
        { "functionCall": { "name": "weather", "args": { "city": "Chur" } } },
    ]);
    let item = |id: &str, city: &str| json!({ "type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "weather", "arguments": json!({ "city": city }).to_string(), "status": "completed" });
    let without = |mut item: Value| {
        let fields = item.as_object_mut().unwrap();
        fields.remove("id");
        fields.remove("status");
        item
    };
    let reasoning = json!({ "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "I look." }], "encrypted_content": "c2VhbGVk" });
    let calls = [item("call_1", "Bern"), item("call_2", "Chur")];
    [
        Turn {
            protocol: "anthropic",
            place: MESSAGES,
            expected: kept(&anthropic),
            body: json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-2", "stop_reason": "tool_use",
                "content": anthropic, "usage": { "input_tokens": 10, "output_tokens": 5 } }),
            returned: |sent| sent["messages"][1]["content"].clone(),
        },
        Turn {
            protocol: "google",
            place: GOOGLE,
            expected: google.clone(),
            body: json!({ "candidates": [{ "content": { "role": "model", "parts": google }, "finishReason": "STOP" }],
                "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 15 } }),
            returned: |sent| sent["contents"][1]["parts"].clone(),
        },
        Turn {
            protocol: "openai_responses",
            place: RESPONSES,
            expected: json!([
                reasoning.clone(),
                without(calls[0].clone()),
                without(calls[1].clone())
            ]),
            body: json!({ "id": "resp_1", "object": "response", "status": "completed", "model": "tiny-2", "output": [reasoning, calls[0], calls[1]],
                "usage": { "input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "output_tokens_details": { "reasoning_tokens": 2 } } }),
            returned: |sent| sent["input"].as_array().unwrap()[1..4].iter().cloned().collect(),
        },
        Turn {
            protocol: "openai",
            place: CHAT,
            expected: json!([{ "type": "reasoning.text", "text": "I look.", "signature": "c2lnbmVk", "index": 0 }]),
            body: chat(
                &json!({ "role": "assistant", "content": null, "reasoning": "I look.",
                    "reasoning_details": [{ "type": "reasoning.text", "text": "I look.", "signature": "c2lnbmVk", "index": 0 }],
                    "tool_calls": [
                        { "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": "{\"city\":\"Bern\"}" } },
                        { "id": "call_2", "type": "function", "function": { "name": "weather", "arguments": "{\"city\":\"Chur\"}" } },
                    ] }),
                "tool_calls",
            ),
            returned: |sent| sent["messages"][2]["reasoning_details"].clone(),
        },
    ]
}

#[tokio::test]
async fn a_turn_with_reasoning_goes_back_as_its_provider_wrote_it() {
    for turn in turns() {
        let server = server(turn.place, ResponseTemplate::new(200).set_body_json(turn.body)).await;
        let asked = client(turn.protocol, &server.uri());
        let mut request = request();
        request.options.tools.push(ToolSpec {
            name: "weather".to_owned(),
            description: None,
            schema: json!({ "type": "object", "properties": { "city": { "type": "string" } } }),
        });
        let response = asked.complete(&request, &call()).await.unwrap();
        assert_eq!(
            response.reasoning.as_deref(),
            Some("I look."),
            "{}",
            turn.protocol
        );
        assert_eq!(
            response.finish_reason,
            FinishReason::ToolCall,
            "{}",
            turn.protocol
        );
        assert_eq!(
            (response.usage.total_tokens, response.tool_calls.len()),
            (15, 2),
            "{}",
            turn.protocol
        );
        // As a memo keeps it.
        let recorded = serde_json::to_string(&response).unwrap();
        let response: ModelResponse = serde_json::from_str(&recorded).unwrap();
        request.messages.push(Message {
            tool_calls: response.tool_calls.clone(),
            native: response.native,
            ..Message::new(Role::Assistant, response.text)
        });
        for (index, one) in response.tool_calls.into_iter().enumerate() {
            request.messages.push(Message {
                tool_call_id: Some(one.id.clone()),
                tool_calls: vec![one],
                is_error: index == 1,
                ..Message::new(Role::Tool, format!("result {index}"))
            });
        }
        asked.complete(&request, &call()).await.unwrap();
        let next = sent(&server).await;
        assert_eq!((turn.returned)(&next), turn.expected, "{}: {next}", turn.protocol);
        let text = next.to_string();
        assert!(text.contains("result 0") && text.contains("result 1"), "{text}");
        assert!(!text.contains("\"description\":null"), "{text}");
        match turn.protocol {
            "anthropic" => {
                assert_eq!(
                    next["messages"].as_array().unwrap().len(),
                    3,
                    "results stand in one message"
                );
                assert_eq!(next["messages"][2]["content"][1]["is_error"], true);
            }
            "google" => {
                let results = &next["contents"][2]["parts"];
                assert_eq!(
                    results.as_array().unwrap().len(),
                    2,
                    "results stand in one content"
                );
                assert_eq!(results[1]["functionResponse"]["response"]["error"], "result 1");
            }
            "openai_responses" => assert_eq!(next["store"], false),
            _ => {}
        }

        // Another model gets the words and the calls, and nothing that only the first could read.
        for message in &mut request.messages {
            if let Some(native) = &mut message.native {
                native.model = "another".to_owned();
            }
        }
        asked.complete(&request, &call()).await.unwrap();
        let next = sent(&server).await.to_string();
        assert!(!next.contains("c2lnbmVk") && !next.contains("c2VhbGVk"), "{next}");
        assert!(next.contains("Bern") && next.contains("result 1"), "{next}");
    }
}

#[tokio::test]
async fn a_streamed_turn_is_the_same_as_a_whole_one() {
    let anthropic = [
        json!({ "type": "message_start", "message": { "id": "msg_1", "model": "tiny-2", "content": [], "usage": { "input_tokens": 10, "output_tokens": 1 } } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "thinking", "thinking": "", "signature": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "thinking_delta", "thinking": "I " } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "thinking_delta", "thinking": "look." } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "signature_delta", "signature": "c2lnbmVk" } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "ping" }),
        // The beginning of a block may have content, and deltas may be of a kind that is not known.
        json!({ "type": "content_block_start", "index": 1, "content_block": { "type": "text", "text": "Hel" } }),
        json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "citations_delta", "citation": {} } }),
        json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "text_delta", "text": "lo" } }),
        json!({ "type": "content_block_stop", "index": 1 }),
        json!({ "type": "content_block_start", "index": 2, "content_block": { "type": "news_of_2030", "data": 1 } }),
        json!({ "type": "content_block_stop", "index": 2 }),
        json!({ "type": "content_block_start", "index": 3, "content_block": { "type": "tool_use", "id": "call_1", "name": "weather", "input": { "city": "Bern" } } }),
        json!({ "type": "content_block_stop", "index": 3 }),
        json!({ "type": "content_block_start", "index": 4, "content_block": { "type": "tool_use", "id": "call_2", "name": "weather", "input": {} } }),
        json!({ "type": "content_block_delta", "index": 4, "delta": { "type": "input_json_delta", "partial_json": "{\"city\":" } }),
        json!({ "type": "content_block_delta", "index": 4, "delta": { "type": "input_json_delta", "partial_json": "\"Chur\"}" } }),
        json!({ "type": "content_block_stop", "index": 4 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 5 } }),
        json!({ "type": "message_stop" }),
    ];
    let item = |id: &str, city: &str| json!({ "type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "weather", "arguments": json!({ "city": city }).to_string() });
    let output = json!([
        { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "I look." }], "encrypted_content": "c2lnbmVk" },
        { "type": "message", "id": "msg_1", "role": "assistant", "content": [{ "type": "output_text", "text": "Hello", "annotations": [] }] },
        item("call_1", "Bern"), item("call_2", "Chur"),
    ]);
    let responses = [
        json!({ "type": "response.created", "response": { "id": "resp_1", "status": "in_progress", "output": [] } }),
        json!({ "type": "response.output_item.added", "output_index": 1, "item": { "type": "message", "content": [] } }),
        json!({ "type": "response.output_text.delta", "delta": "Hel" }),
        json!({ "type": "response.output_text.delta", "delta": "lo" }),
        json!({ "type": "response.news_of_2030", "data": [1] }),
        json!({ "type": "response.completed", "response": { "id": "resp_1", "status": "completed", "model": "tiny-2", "output": output,
            "usage": { "input_tokens": 10, "output_tokens": 5, "total_tokens": 15 } } }),
    ];
    let google = [
        json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "I ", "thought": true }] } }] }),
        json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "look.", "thought": true }] } }] }),
        json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "Hel" }] } }] }),
        json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "lo" }] } }] }),
        json!({ "candidates": [{ "content": { "role": "model", "parts": [
            { "functionCall": { "id": "call_1", "name": "weather", "args": { "city": "Bern" } }, "thoughtSignature": "c2lnbmVk" },
            { "functionCall": { "id": "call_2", "name": "weather", "args": { "city": "Chur" } } } ] } }] }),
        json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "" }] }, "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15 } }),
    ];
    for (protocol, place, events_of) in [
        ("anthropic", MESSAGES, anthropic.as_slice()),
        ("openai_responses", RESPONSES, responses.as_slice()),
        ("google", GOOGLE_STREAM, google.as_slice()),
    ] {
        let (answered, heard) = streamed(protocol, place, events(events_of)).await;
        let response = answered.unwrap_or_else(|error| panic!("{protocol}: {error}"));
        assert_eq!(
            (heard.as_str(), response.text.as_str()),
            ("Hello", "Hello"),
            "{protocol}"
        );
        assert_eq!(response.reasoning.as_deref(), Some("I look."), "{protocol}");
        let calls: Vec<(&str, &Value)> = response
            .tool_calls
            .iter()
            .map(|call| (call.id.as_str(), &call.arguments))
            .collect();
        assert_eq!(
            calls,
            [
                ("call_1", &json!({ "city": "Bern" })),
                ("call_2", &json!({ "city": "Chur" }))
            ],
            "{protocol}"
        );
        assert_eq!(response.usage.total_tokens, 15, "{protocol}");
        let native = json!(response.native.unwrap()).to_string();
        assert!(
            native.contains("c2lnbmVk") && native.contains("I look."),
            "{protocol}: {native}"
        );
        assert!(!native.contains("2030"), "{protocol}: {native}");
        assert_eq!(response.finish_reason, FinishReason::ToolCall, "{protocol}");
    }
}

#[tokio::test]
async fn usage_counts_wherever_it_comes() {
    let delta = |text: &str| json!({ "id": "1", "model": "tiny-2", "choices": [{ "index": 0, "delta": { "content": text } }] });
    let usage = json!({ "prompt_tokens": 10.0, "completion_tokens": "5", "prompt_tokens_details": { "cached_tokens": 8 }, "completion_tokens_details": { "reasoning_tokens": 3 } });
    for last in [
        json!({ "choices": [{ "index": 0, "delta": {} }], "usage": usage }),
        json!({ "choices": [], "usage": usage }),
        json!({ "choices": [{ "index": 0, "delta": {}, "usage": usage }] }),
        json!({ "usage": usage }),
    ] {
        let finish =
            json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }], "usage": null });
        let (answered, _) = streamed("openai", CHAT, events(&[delta("Hi"), finish, last.clone()])).await;
        let usage = answered.unwrap().usage;
        let counted = (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cached_tokens,
            usage.reasoning_tokens,
        );
        assert_eq!(counted, (10, 5, 8, 3), "{last}");
    }
    let usage = json!({ "input_tokens": 10, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 20,
        "cache_creation": { "ephemeral_1h_input_tokens": 5 }, "output_tokens": 5 });
    let body = json!({ "id": "1", "content": [{ "type": "text", "text": "Hi" }], "stop_reason": "end_turn", "usage": usage });
    let usage = answered("anthropic", MESSAGES, body).await.unwrap().usage;
    assert_eq!(
        (usage.prompt_tokens, usage.cached_tokens, usage.cache_write_tokens),
        (110, 80, 20)
    );
}

#[tokio::test]
async fn a_stream_is_whole_when_its_reason_came() {
    let hi = json!({ "choices": [{ "index": 0, "delta": { "content": "Hi" } }] });
    let stop = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    let whole = events(&[hi.clone(), stop.clone()]);
    for (body, note) in [
        (whole.clone(), "without the mark"),
        (format!("{}data: [DONE]\n\n", events(&[hi])), "without the reason"),
        (whole.trim_end().to_owned(), "without the last empty line"),
        (format!("{whole}data: {{\"cut"), "with half an event behind it"),
        (whole.replace('\n', "\r\n"), "with other line ends"),
        (format!("\u{feff}: comment\n\n{whole}"), "with a comment"),
    ] {
        let (answered, heard) = streamed("openai", CHAT, body).await;
        let response = answered.unwrap_or_else(|error| panic!("{note}: {error}"));
        assert_eq!((response.text.as_str(), heard.as_str()), ("Hi", "Hi"), "{note}");
    }
    // A server that does not stream.
    let whole = ResponseTemplate::new(200).set_body_json(chat(&json!({ "content": "Hi" }), "stop"));
    let server = server(CHAT, whole).await;
    let heard = std::sync::Mutex::new(String::new());
    let on_text = |piece: &str| heard.lock().unwrap().push_str(piece);
    let response = client("openai", &server.uri())
        .stream(&request(), &call(), &on_text)
        .await
        .unwrap();
    assert_eq!(
        (response.text.as_str(), heard.lock().unwrap().as_str()),
        ("Hi", "Hi")
    );
}

#[tokio::test]
async fn an_empty_end_is_judged_by_its_reason() {
    let google = |reason: &str| {
        json!({ "candidates": [{ "content": { "role": "model", "parts": [] }, "finishReason": reason }],
        "usageMetadata": { "promptTokenCount": 10, "totalTokenCount": 10 } })
    };
    let anthropic = |reason: &str| json!({ "id": "1", "content": [], "stop_reason": reason, "usage": { "input_tokens": 10, "output_tokens": 0 } });
    for (protocol, place, body, again, words) in [
        (
            "google",
            GOOGLE,
            google("MALFORMED_FUNCTION_CALL"),
            true,
            "MALFORMED_FUNCTION_CALL",
        ),
        (
            "google",
            GOOGLE,
            google("UNEXPECTED_TOOL_CALL"),
            true,
            "UNEXPECTED_TOOL_CALL",
        ),
        (
            "google",
            GOOGLE,
            google("MAX_TOKENS"),
            false,
            "raise `max_output_tokens`",
        ),
        ("google", GOOGLE, google("STOP"), true, "it holds no text"),
        (
            "openai",
            CHAT,
            chat(&json!({ "content": null }), "tool_calls"),
            true,
            "holds none",
        ),
        (
            "openai",
            CHAT,
            chat(&json!({ "content": "\n" }), "stop"),
            true,
            "it holds no text",
        ),
        (
            "anthropic",
            MESSAGES,
            anthropic("end_turn"),
            true,
            "it holds no text",
        ),
        (
            "anthropic",
            MESSAGES,
            anthropic("max_tokens"),
            false,
            "before any text",
        ),
    ] {
        let error = answered(protocol, place, body).await.unwrap_err();
        assert_eq!(error.is_retryable(), again, "{protocol}: {error}");
        assert!(
            error.to_string().contains(words) && error.may_fall_back(),
            "{protocol}: {error}"
        );
        assert_eq!(
            error.usage().map(|usage| usage.prompt_tokens),
            Some(10),
            "{protocol}: {error}"
        );
    }
    // After the results of tools a model may have nothing to add.
    let server = server(
        MESSAGES,
        ResponseTemplate::new(200).set_body_json(anthropic("end_turn")),
    )
    .await;
    let mut request = request();
    let made = ToolCall {
        id: "x".to_owned(),
        name: "note".to_owned(),
        arguments: json!({}),
        signatures: Vec::new(),
    };
    request.messages.push(Message {
        tool_calls: vec![made.clone()],
        ..Message::new(Role::Assistant, "\n\n")
    });
    request.messages.push(Message {
        tool_call_id: Some("x".to_owned()),
        tool_calls: vec![made],
        ..Message::new(Role::Tool, "noted")
    });
    let response = client("anthropic", &server.uri())
        .complete(&request, &call())
        .await
        .unwrap();
    assert_eq!(
        (response.text.as_str(), response.finish_reason),
        ("", FinishReason::Completed)
    );
    // The blank text before the call is not sent back.
    let blocks = sent(&server).await["messages"][1]["content"].clone();
    assert_eq!(blocks.as_array().unwrap().len(), 1, "{blocks}");
}

#[tokio::test]
async fn a_provider_that_refuses_is_quoted() {
    let refusal = chat(
        &json!({ "content": null, "refusal": "I cannot help with that." }),
        "stop",
    );
    let blocked = json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" }, "usageMetadata": { "promptTokenCount": 10, "totalTokenCount": 10 } });
    let stopped = json!({ "id": "1", "content": [], "stop_reason": "refusal", "stop_details": { "type": "refusal", "explanation": "This may be harmful." },
        "usage": { "input_tokens": 10, "output_tokens": 1 } });
    let item = json!({ "type": "message", "role": "assistant", "content": [{ "type": "refusal", "refusal": "I cannot help with that." }] });
    let responses = json!({ "id": "1", "status": "completed", "output": [item], "usage": { "input_tokens": 10, "output_tokens": 1 } });
    for (protocol, place, body, words) in [
        ("openai", CHAT, refusal, "I cannot help with that."),
        (
            "google",
            GOOGLE,
            blocked,
            "the prompt was blocked (PROHIBITED_CONTENT)",
        ),
        ("anthropic", MESSAGES, stopped, "This may be harmful."),
        (
            "openai_responses",
            RESPONSES,
            responses,
            "I cannot help with that.",
        ),
    ] {
        let response = answered(protocol, place, body).await.unwrap();
        assert_eq!(response.finish_reason, FinishReason::ContentFilter, "{protocol}");
        assert_eq!(response.refusal.as_deref(), Some(words), "{protocol}");
        assert_eq!(response.usage.prompt_tokens, 10, "{protocol}");
    }
}

#[tokio::test]
async fn an_error_inside_an_answer_is_one() {
    let openrouter = |code: u16| json!({ "error": { "code": code, "message": "Provider returned error", "metadata": { "raw": "no credit", "provider_name": "x" } } });
    let failed = json!({ "id": "resp_1", "status": "failed", "output": [], "error": { "code": "server_error", "message": "The server had an error." } });
    for (protocol, place, body, status, again, words) in [
        (
            "openai",
            CHAT,
            openrouter(402),
            402,
            false,
            "Provider returned error: no credit",
        ),
        (
            "openai",
            CHAT,
            openrouter(502),
            502,
            true,
            "Provider returned error",
        ),
        (
            "openai",
            CHAT,
            json!({ "error": "no such model" }),
            200,
            false,
            "no such model",
        ),
        (
            "openai_responses",
            RESPONSES,
            failed,
            500,
            true,
            "The server had an error.",
        ),
        (
            "google",
            GOOGLE,
            json!([{ "error": { "code": 503, "message": "overloaded", "status": "UNAVAILABLE" } }]),
            503,
            true,
            "overloaded",
        ),
        (
            "anthropic",
            MESSAGES,
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }),
            529,
            true,
            "Overloaded",
        ),
    ] {
        let error = answered(protocol, place, body.clone()).await.unwrap_err();
        let ModelError::Status { status: found, .. } = &error else {
            panic!("{protocol}: {error:?}")
        };
        assert_eq!(
            (*found, error.is_retryable()),
            (status, again),
            "{protocol}: {error}"
        );
        assert!(
            error.to_string().contains(words) && !error.to_string().contains('{'),
            "{protocol}: {error}"
        );
        // The same within a stream.
        if protocol != "google" {
            let (error, _) = streamed(protocol, place, events(&[body])).await;
            let error = error.unwrap_err();
            assert!(error.to_string().contains(words), "{protocol}: {error}");
        }
    }
}

#[tokio::test]
async fn delays_and_quotas_in_bodies_count() {
    let google = |details: Value| json!({ "error": { "code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details } });
    let retry = json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "4.5s" });
    let quota = |id: &str| json!({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{ "quotaId": id }] });
    let openai = |code: &str, message: &str| json!({ "error": { "code": code, "message": message, "type": "requests" } });
    for (protocol, place, body, pause, again) in [
        (
            "google",
            GOOGLE,
            google(json!([quota("GenerateRequestsPerMinutePerProject"), retry])),
            Some(4500),
            true,
        ),
        (
            "google",
            GOOGLE,
            google(json!([quota("GenerateRequestsPerDayPerProject"), retry])),
            Some(4500),
            false,
        ),
        ("google", GOOGLE, google(json!([])), None, true),
        (
            "openai",
            CHAT,
            openai(
                "rate_limit_exceeded",
                "Rate limit reached. Please try again in 1m2.5s.",
            ),
            Some(62_500),
            true,
        ),
        (
            "openai",
            CHAT,
            openai(
                "rate_limit_exceeded",
                "Please try again in 250ms. Visit the site.",
            ),
            Some(250),
            true,
        ),
        (
            "openai",
            CHAT,
            openai("rate_limit_exceeded", "Please try again in a while"),
            None,
            true,
        ),
        (
            "openai",
            CHAT,
            openai("insufficient_quota", "You exceeded your current quota"),
            None,
            false,
        ),
    ] {
        let server = server(place, ResponseTemplate::new(429).set_body_json(&body)).await;
        let error = client(protocol, &server.uri())
            .complete(&request(), &call())
            .await
            .unwrap_err();
        assert_eq!(error.retry_after(), pause.map(Duration::from_millis), "{body}");
        assert_eq!(
            (error.code(), error.is_retryable()),
            ("rate_limited", again),
            "{body}"
        );
        assert!(
            !error.to_string().contains('{'),
            "the message, and not its JSON: {error}"
        );
    }
    let page = ResponseTemplate::new(502)
        .set_body_string("<html><head><TITLE>502 Bad Gateway</TITLE></head><body>…");
    let server = server(CHAT, page.insert_header("x-request-id", "req_7")).await;
    let error = client("openai", &server.uri())
        .complete(&request(), &call())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a page with the title \"502 Bad Gateway\" (request req_7)"),
        "{error}"
    );
}

#[tokio::test]
async fn the_content_of_a_file_says_what_it_is() {
    const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF, 0xE0, 0, 16, b'J', b'F', b'I', b'F', 0];
    for (protocol, place) in [
        ("openai", CHAT),
        ("anthropic", MESSAGES),
        ("google", GOOGLE),
        ("openai_responses", RESPONSES),
    ] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let mut request = request();
        request.messages[0]
            .files
            .push(MessageFile::new("dot.png", "image/png", JPEG.to_vec()));
        let asked = client(protocol, &server.uri());
        asked.complete(&request, &call()).await.unwrap_err();
        let body = sent(&server).await.to_string();
        assert!(
            body.contains("image/jpeg") && !body.contains("image/png"),
            "{protocol}: {body}"
        );
        request.messages[0].files[0] = MessageFile::new("dot.png", "image/png", Vec::new());
        let error = asked.complete(&request, &call()).await.unwrap_err();
        assert!(
            error.to_string().contains("the file `dot.png` is empty"),
            "{error}"
        );
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{protocol}");
    }
}

#[tokio::test]
async fn an_option_is_sent_or_refused() {
    let everything =
        json!({ "temperature": 0.5, "top_p": 0.9, "parallel_tool_calls": false, "service_tier": "flex" });
    for (protocol, place) in [("openai", CHAT), ("openai_responses", RESPONSES)] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let mut request = request();
        request.options.other = everything.as_object().unwrap().clone();
        request.options.other.insert(
            "extra_body".to_owned(),
            json!({ "user": "ada", "temperature": 0.25 }),
        );
        request
            .options
            .other
            .insert("extra_headers".to_owned(), json!({ "X-Title": "Letters" }));
        client(protocol, &server.uri())
            .complete(&request, &call())
            .await
            .unwrap_err();
        let body = sent(&server).await;
        assert_eq!(body["top_p"], 0.9);
        assert_eq!(
            (&body["user"], &body["temperature"]),
            (&json!("ada"), &json!(0.25)),
            "the body's own fields win"
        );
        let headers = &server.received_requests().await.unwrap()[0].headers;
        assert_eq!(headers["x-title"], "Letters");
        assert!(headers["user-agent"].to_str().unwrap().starts_with("dhenara/"));
    }
    for (protocol, place, options, words) in [
        (
            "anthropic",
            MESSAGES,
            json!({ "seed": 1 }),
            "has no option `seed`",
        ),
        (
            "openai_responses",
            RESPONSES,
            json!({ "stop": "END" }),
            "has no option `stop`",
        ),
        ("openai", CHAT, json!({ "top_k": 3 }), "has no option `top_k`"),
        (
            "google",
            GOOGLE,
            json!({ "temprature": 1 }),
            "did you mean `temperature`?",
        ),
        (
            "google",
            GOOGLE,
            json!({ "temperature": "hot" }),
            "the option `temperature` cannot be \"hot\"",
        ),
        (
            "google",
            GOOGLE,
            json!({ "extra_headers": { "Authorization": "Bearer x" } }),
            "set by the client itself",
        ),
    ] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let mut request = request();
        request.options.other = options.as_object().unwrap().clone();
        let error = client(protocol, &server.uri())
            .complete(&request, &call())
            .await
            .unwrap_err();
        assert!(
            matches!(error, ModelError::Request { .. }) && error.to_string().contains(words),
            "{error}"
        );
        assert!(server.received_requests().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn long_answers_take_linear_time_and_no_more_than_they_may() {
    // One event of 16 MB, and a million of a few bytes.
    let big = "x".repeat(16 << 20);
    let one = json!({ "choices": [{ "index": 0, "delta": { "content": big } }] });
    let stop = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    let small = format!(
        "data: {}\n\n",
        json!({ "choices": [{ "index": 0, "delta": { "content": "x" } }] })
    );
    let many = small.repeat(1_000_000) + &events(std::slice::from_ref(&stop));
    for (body, len) in [(events(&[one, stop]), 16 << 20), (many, 1_000_000)] {
        let server = server(
            CHAT,
            ResponseTemplate::new(200).set_body_raw(body, "text/event-stream"),
        )
        .await;
        let response = client("openai", &server.uri())
            .stream(&request(), &call(), &|_| {})
            .await
            .unwrap();
        assert_eq!(response.text.len(), len);
    }
}

#[tokio::test]
async fn reasoning_and_the_longest_answer_fit_each_other() {
    let server = server(MESSAGES, ResponseTemplate::new(400)).await;
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir(project.path().join(".dhenara")).unwrap();
    let entry = |name: &str, thinking: &str| {
        format!(
            "- {{ name: {name}, provider: here, model: {name}, protocol: anthropic, base_url: \"{}/v1\", capabilities: {{ thinking: {thinking} }} }}\n",
            server.uri()
        )
    };
    let models = ["none", "budget", "adaptive", "always_adaptive"]
        .map(|kind| entry(kind, kind))
        .concat();
    std::fs::write(project.path().join(".dhenara/models.yaml"), models).unwrap();
    let catalog = dad_models::ModelCatalog::load(project.path()).unwrap();
    let credentials = dad_models::Credentials::new(project.path(), None, dad_core::SecretRegistry::new());
    let client = dad_models::HttpClient::new(catalog, credentials);
    let ask = async |model: &str, effort: Option<&str>, tokens: Option<u32>, most: Option<u32>| {
        let mut request = request();
        request.model = model.to_owned();
        request.options.reasoning_effort = effort.map(str::to_owned);
        request.options.max_reasoning_tokens = tokens;
        request.options.max_output_tokens = most;
        let error = client.complete(&request, &call()).await.unwrap_err();
        match error {
            ModelError::Status { .. } => Ok(sent(&server).await),
            error => Err(error.to_string()),
        }
    };
    // The provider's rule: 1024 <= budget < longest answer.
    for most in [1025, 2000, 4000, 5000, 8000, 20_000] {
        for wanted in [Some(1), Some(1024), Some(8000), Some(100_000), None] {
            let effort = wanted.is_none().then_some("medium");
            let body = ask("budget", effort, wanted, Some(most)).await.unwrap();
            let budget = body["thinking"]["budget_tokens"].as_u64().unwrap();
            assert_eq!(body["max_tokens"], most);
            assert!(
                (1024..u64::from(most)).contains(&budget),
                "{most} {wanted:?}: {body}"
            );
        }
    }
    let refused = ask("budget", Some("high"), None, Some(1024)).await.unwrap_err();
    assert!(refused.contains("no room for reasoning"), "{refused}");
    let body = ask("budget", Some("high"), None, None).await.unwrap();
    let budget = body["thinking"]["budget_tokens"].as_u64().unwrap();
    assert!(
        budget == 24_000 && body["max_tokens"].as_u64().unwrap() > budget,
        "{body}"
    );

    let body = ask("adaptive", Some("high"), None, None).await.unwrap();
    assert_eq!(body["thinking"], json!({ "type": "adaptive" }));
    assert_eq!(body["output_config"], json!({ "effort": "high" }));
    let body = ask("adaptive", Some("none"), None, None).await.unwrap();
    assert_eq!(body["thinking"], json!({ "type": "disabled" }));
    let body = ask("none", None, None, None).await.unwrap();
    assert_eq!(body.get("thinking"), None);
    for (model, effort, tokens, words) in [
        (
            "adaptive",
            None,
            Some(2000),
            "takes a `reasoning_effort`, and no `max_reasoning_tokens`",
        ),
        ("always_adaptive", Some("none"), None, "always reasons"),
        ("none", Some("low"), None, "does not reason"),
    ] {
        let refused = ask(model, effort, tokens, None).await.unwrap_err();
        assert!(refused.contains(words), "{refused}");
        // The same is known before anything executes.
        let options = dad_models::ModelOptions {
            reasoning_effort: effort.map(str::to_owned),
            max_reasoning_tokens: tokens,
            ..Default::default()
        };
        let refused = client.check_options(model, &options).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_fit_is_not_sent() {
    let server = server(
        CHAT,
        ResponseTemplate::new(200).set_body_json(chat(&json!({ "content": "Hi" }), "stop")),
    )
    .await;
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir(project.path().join(".dhenara")).unwrap();
    let models = format!(
        "[{{ name: m, provider: here, model: tiny, base_url: \"{}/v1\", window: 1000 }}]",
        server.uri()
    );
    std::fs::write(project.path().join(".dhenara/models.yaml"), models).unwrap();
    let catalog = dad_models::ModelCatalog::load(project.path()).unwrap();
    let credentials = dad_models::Credentials::new(project.path(), None, dad_core::SecretRegistry::new());
    let client = dad_models::HttpClient::new(catalog, credentials);
    let mut request = request();
    request
        .messages
        .insert(0, Message::new(Role::User, "x".repeat(6000)));
    client.complete(&request, &call()).await.unwrap();
    request.system.push("y".repeat(7000));
    let error = client.complete(&request, &call()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_retryable(), error.may_fall_back()),
        ("context_window", false, true)
    );
    let words = "the largest parts are the system instructions (7.0 KB), message 1 (user) (6.0 KB)";
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}
