//! Turns of models as they go back to their providers.

use dad_models::{
    FinishReason, Message, MessageFile, ModelClient, ModelResponse, NativeTurn, Role, ToolCall, ToolSpec,
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::exchanges::{CHAT, GOOGLE, GOOGLE_STREAM, MESSAGES, RESPONSES, answered, chat, events, streamed};
use crate::providers::{call, client, request, sent, server};

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
        request.options.tools.push(
            ToolSpec::new(
                "weather".to_owned(),
                json!({ "type": "object", "properties": { "city": { "type": "string" } } }),
            )
            .cache(false),
        );
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
        request.messages.push(
            Message::new(Role::Assistant, response.text)
                .tool_calls(response.tool_calls.clone())
                .native(response.native),
        );
        for (index, one) in response.tool_calls.into_iter().enumerate() {
            request.messages.push(
                Message::new(Role::Tool, format!("result {index}"))
                    .tool_call_id(one.id.clone())
                    .tool_calls(vec![one])
                    .is_error(index == 1),
            );
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

        // Another model, and one of the same name of another provider, get the words and the calls, and nothing that only the
        // first could read.
        let change_model = |native: &mut NativeTurn| native.model = "another".to_owned();
        let change_provider = |native: &mut NativeTurn| native.provider = Some("elsewhere".to_owned());
        for change in [&change_model as &dyn Fn(&mut NativeTurn), &change_provider] {
            let mut request = request.clone();
            let turns = request.messages.iter_mut();
            turns
                .filter_map(|message| message.native.as_mut())
                .for_each(change);
            asked.complete(&request, &call()).await.unwrap();
            let next = sent(&server).await.to_string();
            assert!(!next.contains("c2lnbmVk") && !next.contains("c2VhbGVk"), "{next}");
            assert!(next.contains("Bern") && next.contains("result 1"), "{next}");
        }
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
async fn calls_of_another_model_get_ids_that_each_provider_takes() {
    for (protocol, place) in [("anthropic", MESSAGES), ("openai_responses", RESPONSES)] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let mut request = request();
        // Two turns of a model whose server gives every turn the same ids, in a form of its own.
        for turn in 0..2 {
            let made = ["functions.note:0", "functions.note:1"]
                .map(|id| ToolCall::new(id, "note", json!({ "turn": turn })));
            request
                .messages
                .push(Message::new(Role::Assistant, "").tool_calls(made.to_vec()));
            for call in made {
                request.messages.push(
                    Message::new(Role::Tool, "noted")
                        .tool_call_id(call.id.clone())
                        .tool_calls(vec![call]),
                );
            }
        }
        client(protocol, &server.uri())
            .complete(&request, &call())
            .await
            .unwrap_err();
        let body = sent(&server).await.to_string();
        for id in ["call_1_1", "call_1_2", "call_2_1", "call_2_2"] {
            assert_eq!(body.matches(id).count(), 2, "{protocol}: {id}: {body}");
        }
        assert!(!body.contains("functions"), "{protocol}: {body}");
    }
}

#[tokio::test]
async fn reasoning_that_a_provider_cannot_take_back_is_left_out() {
    let output = json!([
        { "type": "reasoning", "id": "rs_1", "summary": [] },
        { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{ "type": "output_text", "text": "So.", "annotations": [] }] },
        { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "note", "arguments": "{}" },
    ]);
    let body = json!({ "id": "1", "status": "completed", "output": output, "usage": { "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 } });
    let response = answered("openai_responses", RESPONSES, body).await.unwrap();
    let native = json!(response.native.unwrap().content);
    let kinds: Vec<&Value> = native
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["type"])
        .collect();
    assert_eq!(kinds, ["message", "function_call"]);
    assert!(
        !native.to_string().contains("_1\"") || !native.to_string().contains("msg_1"),
        "{native}"
    );
}

#[tokio::test]
async fn mistral_gets_ids_of_its_form() {
    let server = server(CHAT, ResponseTemplate::new(400)).await;
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(project.path().join(".dhenara/.secrets")).unwrap();
    std::fs::write(
        project.path().join(".dhenara/.secrets/.credentials.yaml"),
        "mistral: { api_key: x }\n",
    )
    .unwrap();
    let entry = format!(
        "[{{ name: m, provider: mistral, model: tiny, base_url: \"{}/v1\" }}]",
        server.uri()
    );
    std::fs::write(project.path().join(".dhenara/models.yaml"), entry).unwrap();
    let catalog = dad_models::ModelCatalog::load(project.path()).unwrap();
    let credentials = dad_models::Credentials::new(project.path(), None, dad_core::SecretRegistry::new());
    let client = dad_models::HttpClient::new(catalog, credentials);
    let mut request = request();
    for id in ["toolu_01A09q90qw90lq917835lq9", "abcDEF123"] {
        let made = ToolCall::new(id, "note", json!({}));
        request
            .messages
            .push(Message::new(Role::Assistant, "").tool_calls(vec![made.clone()]));
        request.messages.push(
            Message::new(Role::Tool, "noted")
                .tool_call_id(id.to_owned())
                .tool_calls(vec![made]),
        );
    }
    client.complete(&request, &call()).await.unwrap_err();
    let body = sent(&server).await.to_string();
    assert!(!body.contains("toolu"), "{body}");
    assert_eq!(
        (
            body.matches("c00010001").count(),
            body.matches("abcDEF123").count()
        ),
        (2, 2),
        "{body}"
    );
}

#[tokio::test]
async fn a_result_may_have_images() {
    let image = MessageFile::new("chart.png", "image/png", b"\x89PNG\r\n\x1a\nrest".to_vec());
    let call_of_tool = ToolCall::new("call_1", "plot", json!({}));
    let data = "iVBORw0KGgpyZXN0";
    for (protocol, place, image_at, text_at) in [
        (
            "anthropic",
            MESSAGES,
            "/messages/2/content/0/content/1/source/data",
            "/messages/2/content/0/content/0/text",
        ),
        (
            "openai_responses",
            RESPONSES,
            "/input/2/output/1/image_url",
            "/input/2/output/0/text",
        ),
        (
            "openai",
            CHAT,
            "/messages/4/content/1/image_url/url",
            "/messages/3/content",
        ),
        (
            "google",
            GOOGLE,
            "/contents/2/parts/1/inlineData/data",
            "/contents/2/parts/0/functionResponse/response/output",
        ),
    ] {
        let server = server(place, ResponseTemplate::new(400)).await;
        let mut request = request();
        request
            .messages
            .push(Message::new(Role::Assistant, "").tool_calls(vec![call_of_tool.clone()]));
        request.messages.push(
            Message::new(Role::Tool, "a chart")
                .tool_calls(vec![call_of_tool.clone()])
                .tool_call_id("call_1".to_owned())
                .files(vec![image.clone()]),
        );
        client(protocol, &server.uri())
            .complete(&request, &call())
            .await
            .unwrap_err();
        let body = sent(&server).await;
        let text = |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_default();
        assert!(text(image_at).ends_with(data), "{protocol}: {body:#}");
        assert_eq!(text(text_at), "a chart", "{protocol}: {body:#}");
    }
}
