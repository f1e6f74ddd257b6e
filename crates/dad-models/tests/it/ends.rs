//! Ends of answers and streams, and their usage.

use dad_models::{FinishReason, Limits, Message, ModelClient, Role, ToolCall};
use serde_json::json;
use std::io::{Read, Write};
use wiremock::ResponseTemplate;

use crate::exchanges::{CHAT, GOOGLE, MESSAGES, RESPONSES, answered, chat, events, streamed};
use crate::providers::{call, client, request, sent, server};

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
async fn a_count_that_no_call_has_is_none() {
    let start = json!({ "type": "message_start", "message": { "id": "1", "content": [],
        "usage": { "input_tokens": 3, "cache_read_input_tokens": u64::MAX, "output_tokens": 1 } } });
    let block = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "Hi" } });
    let stop = json!({ "type": "content_block_stop", "index": 0 });
    let delta = json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" },
        "usage": { "cache_creation_input_tokens": u64::MAX, "output_tokens": 5 } });
    let (answered_by_events, _) = streamed("anthropic", MESSAGES, events(&[start, block, stop, delta])).await;
    let usage = answered_by_events.unwrap().usage;
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (3, 5));
    let mut body = chat(&json!({ "content": "Hi" }), "stop");
    body["usage"] = json!({ "prompt_tokens": 18_000_000_000_000_000_000_u64, "completion_tokens": 5 });
    let usage = answered("openai", CHAT, body).await.unwrap().usage;
    assert_eq!(usage.total_tokens, 5);
}

#[tokio::test]
async fn usage_counts_also_where_the_answer_is_none() {
    let blocked =
        json!({ "candidates": [], "usageMetadata": { "promptTokenCount": 1000, "totalTokenCount": 1000 } });
    let failed = json!({ "id": "1", "status": "failed", "output": [], "error": { "code": "server_error", "message": "no" },
        "usage": { "input_tokens": 10, "output_tokens": 2, "total_tokens": 12 } });
    for (protocol, place, body, tokens) in [
        ("google", GOOGLE, blocked, 1000),
        ("openai_responses", RESPONSES, failed.clone(), 12),
    ] {
        let error = answered(protocol, place, body).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(
            error.usage().map(|usage| usage.total_tokens),
            Some(tokens),
            "{error}"
        );
    }
    let begun = json!({ "type": "response.output_text.delta", "delta": "Hi" });
    let failed = json!({ "type": "response.failed", "response": failed });
    let (error, _) = streamed("openai_responses", RESPONSES, events(&[begun, failed])).await;
    assert_eq!(
        error.unwrap_err().usage().map(|usage| usage.total_tokens),
        Some(12)
    );
    // Within the choice, and nothing beside it.
    let mut body = chat(&json!({ "content": "Hi" }), "stop");
    body["choices"][0]["usage"] = body["usage"].take();
    let usage = answered("openai", CHAT, body).await.unwrap().usage;
    assert_eq!(usage.total_tokens, 15);
}

#[tokio::test]
async fn an_answer_to_a_stream_may_be_whole_whatever_its_type() {
    for media_type in ["text/plain", "text/event-stream", "application/json"] {
        let whole = format!(" \n{}", chat(&json!({ "content": "Hi" }), "stop"));
        let server = server(CHAT, ResponseTemplate::new(200).set_body_raw(whole, media_type)).await;
        let response = client("openai", &server.uri())
            .stream(&request(), &call(), &|_| {})
            .await;
        assert_eq!(response.unwrap().text, "Hi", "{media_type}");
    }
}

#[tokio::test]
async fn a_page_is_no_answer_and_costs_nothing() {
    let page = "<!doctype html><title>Sign in</title>";
    let server = server(CHAT, ResponseTemplate::new(200).set_body_raw(page, "text/html")).await;
    let asked = client("openai", &server.uri());
    for error in [
        asked.complete(&request(), &call()).await.unwrap_err(),
        asked.stream(&request(), &call(), &|_| {}).await.unwrap_err(),
    ] {
        assert!(
            error
                .to_string()
                .contains("a page with the title \"Sign in\"; check its `base_url`"),
            "{error}"
        );
        assert!(!error.is_retryable() && error.usage().is_some_and(|usage| usage.total_tokens == 0));
    }
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
    let made = ToolCall::new("x", "note", json!({}));
    request
        .messages
        .push(Message::new(Role::Assistant, "\n\n").tool_calls(vec![made.clone()]));
    request.messages.push(
        Message::new(Role::Tool, "noted")
            .tool_call_id("x".to_owned())
            .tool_calls(vec![made]),
    );
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

/// A server that answers each connection with a head and then a piece over and over, as often as wanted.
fn endless(head: &'static str, piece: &'static [u8], times: usize) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 65536];
            let _ = connection.read(&mut request);
            let _ = connection.write_all(head.as_bytes());
            for _ in 0..times {
                // The client hangs up when it has had enough.
                if connection.write_all(piece).is_err() {
                    break;
                }
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn what_a_server_sends_without_end_or_sense_is_an_error_of_its_kind() {
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    const REFUSED: &str = "HTTP/1.1 500 No\r\n\r\n";
    let event = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"xxxxxxxx\"}}]}\n\n";
    let limits = Limits::default().answer_mib(std::num::NonZeroU64::new(1));
    for (head, piece, times, code, again) in [
        (OK, &event[..], usize::MAX, "answer_too_long", false),
        (OK, &b": a comment\n"[..], usize::MAX, "answer_too_long", false),
        (OK, &b"data: x"[..], usize::MAX, "answer_too_long", false),
        (JSON, &b"[[[["[..], usize::MAX, "answer_too_long", false),
        (REFUSED, &b"<html>"[..], usize::MAX, "model_status", true),
        (OK, &event[..], 3, "model_connection", true),
        (OK, &b"data: {\"choi"[..], 1, "model_answer", true),
        (OK, &b"\xff\xfe\n\n"[..], 1, "model_connection", true),
        (OK, &b"data: \xff\xfe\n\n"[..], 1, "model_answer", true),
        (OK, &b""[..], 0, "model_connection", true),
        (JSON, &b""[..], 0, "model_answer", true),
        (JSON, &b"[[[["[..], 100_000, "model_answer", true),
        (JSON, &b"null"[..], 1, "model_connection", true),
        ("", &b"HELO\r\n"[..], 1, "model_connection", true),
    ] {
        let client = client("openai", &endless(head, piece, times)).with_limits(limits);
        for streams in [false, true] {
            let (request, call) = (request(), call());
            let asked = if streams {
                client.stream(&request, &call, &|_| {}).await
            } else {
                client.complete(&request, &call).await
            };
            let error = asked.unwrap_err();
            let shown = String::from_utf8_lossy(piece).into_owned();
            if streams || head != OK {
                assert_eq!(
                    (error.code(), error.is_retryable()),
                    (code, again),
                    "{streams} {shown}: {error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_a_server_broke_off_is_none() {
    let call = json!({ "id": "x", "function": { "name": "note", "arguments": "" } });
    for (word, message, fine) in [
        ("abort", json!({ "content": "Half of" }), false),
        (
            "insufficient_system_resource",
            json!({ "content": "Half of" }),
            false,
        ),
        ("news_of_2030", json!({ "content": "All of it." }), true),
        ("news_of_2030", json!({ "tool_calls": [call] }), false),
        ("TOOL_CALLS", json!({ "tool_calls": [call] }), true),
    ] {
        let answered = answered("openai", CHAT, chat(&message, word)).await;
        assert_eq!(answered.is_ok(), fine, "{word}: {answered:?}");
        assert!(fine || answered.unwrap_err().is_retryable(), "{word}");
    }
    // The provider's tool for the answer, cut: what came of it may obey the schema.
    for reason in ["max_tokens", "tool_use"] {
        let block = json!({ "type": "tool_use", "id": "x", "name": "final_answer", "input": { "n": [1] } });
        let body = json!({ "id": "1", "content": [block], "stop_reason": reason, "usage": { "input_tokens": 10, "output_tokens": 5 } });
        let server = server(MESSAGES, ResponseTemplate::new(200).set_body_json(body)).await;
        let mut request = request();
        request.options.schema =
            Some(json!({ "type": "object", "properties": { "n": { "type": "array" } } }));
        let answered = client("anthropic", &server.uri())
            .complete(&request, &self::call())
            .await;
        match reason {
            "tool_use" => assert_eq!(answered.unwrap().text, "{\"n\":[1]}"),
            _ => assert!(
                answered
                    .unwrap_err()
                    .to_string()
                    .contains("cut at its longest length")
            ),
        }
    }
}

#[tokio::test]
async fn a_finished_answer_does_not_wait_for_its_server() {
    const OPEN: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let stop = json!({ "choices": [{ "index": 0, "delta": { "content": "Hi" }, "finish_reason": "stop" }] });
    let body = events(&[stop]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 65536];
        let _ = connection.read(&mut request);
        let chunk = format!("{OPEN}{:x}\r\n{body}\r\n", body.len());
        connection.write_all(chunk.as_bytes()).unwrap();
        // It neither ends the stream nor says more.
        std::thread::sleep(std::time::Duration::from_secs(60));
    });
    let limits = Limits::default().idle_timeout(std::num::NonZeroU64::new(1));
    let client = client("openai", &url).with_limits(limits);
    let response = client.stream(&request(), &call(), &|_| {}).await.unwrap();
    assert_eq!(response.text, "Hi");
}

#[tokio::test]
async fn what_a_broken_answer_took_is_not_known() {
    let delta = json!({ "choices": [{ "index": 0, "delta": { "content": "Hi" } }] });
    let error = json!({ "error": { "code": 502, "message": "upstream" } });
    let (begun, _) = streamed("openai", CHAT, events(&[delta, error.clone()])).await;
    assert_eq!(begun.unwrap_err().usage(), None);
    let (refused, _) = streamed("openai", CHAT, events(&[error])).await;
    assert_eq!(
        refused.unwrap_err().usage().map(|usage| usage.total_tokens),
        Some(0)
    );
    // xAI counts reasoning beside the rest.
    let mut body = chat(&json!({ "content": "Hi" }), "stop");
    body["usage"] = json!({ "prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 399, "completion_tokens_details": { "reasoning_tokens": 386 } });
    let usage = answered("openai", CHAT, body).await.unwrap().usage;
    assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (387, 386));
}

#[tokio::test]
async fn many_calls_are_refused_in_linear_time() {
    let call = json!({ "function": { "name": "a", "arguments": "{}" } });
    let body = chat(&json!({ "tool_calls": vec![call; 200_000] }), "tool_calls");
    let error = answered("openai", CHAT, body).await.unwrap_err();
    assert!(error.to_string().contains("more than 1000 calls"), "{error}");
    let piece = json!({ "function": { "name": "a", "arguments": "{\"a\":{}}" } });
    let pieces = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": vec![piece; 200_000] } }] });
    let (error, _) = streamed("openai", CHAT, events(&[pieces])).await;
    assert!(error.unwrap_err().to_string().contains("more than 1000 calls"));
}
