//! Refusals of models and providers, in their own words.

use std::time::Duration;

use dad_models::{FinishReason, ModelClient, ModelError};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::exchanges::{CHAT, GOOGLE, MESSAGES, RESPONSES, answered, chat, events, streamed};
use crate::providers::{call, client, request, server};

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
            "openai",
            CHAT,
            json!({ "choices": [{ "index": 0, "message": { "content": "" }, "finish_reason": "error",
                "error": { "code": 502, "message": "Upstream idle" } }] }),
            502,
            true,
            "Upstream idle",
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
async fn an_empty_error_beside_an_answer_is_none() {
    for error in [json!(null), json!(""), json!({}), json!(false)] {
        let mut body = chat(&json!({ "content": "Hi" }), "stop");
        body["error"] = error;
        assert_eq!(answered("openai", CHAT, body).await.unwrap().text, "Hi");
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
            openai("rate_limit_exceeded", "Try again in 1 minute 3 seconds, please"),
            Some(63_000),
            true,
        ),
        (
            "google",
            GOOGLE,
            json!({ "error": { "code": 429, "message": "You exceeded it. Please retry in 7.5s." } }),
            Some(7500),
            true,
        ),
        (
            "openai",
            CHAT,
            json!({ "error": { "type": "insufficient_quota", "code": "billing_hard_limit_reached", "message": "limit" } }),
            None,
            false,
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
    let soon = ResponseTemplate::new(429).insert_header("retry-after-ms", "1500.5");
    let server_of_soon = server(CHAT, soon).await;
    let error = client("openai", &server_of_soon.uri())
        .complete(&request(), &call())
        .await
        .unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_micros(1_500_500)));
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
async fn a_word_of_the_provider_holds_no_key() {
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(project.path().join(".dhenara/.secrets")).unwrap();
    std::fs::write(
        project.path().join(".dhenara/.secrets/.credentials.yaml"),
        "here: { api_key: sk-of-the-user }\n",
    )
    .unwrap();
    let long = "y".repeat(100_000);
    let body = json!({ "error": { "code": format!("bad key sk-of-the-user {long}"), "message": "no" } });
    let server = server(CHAT, ResponseTemplate::new(401).set_body_json(body)).await;
    let entry = format!(
        "[{{ name: m, provider: here, model: tiny, base_url: \"{}/v1\" }}]",
        server.uri()
    );
    std::fs::write(project.path().join(".dhenara/models.yaml"), entry).unwrap();
    let catalog = dad_models::ModelCatalog::load(project.path()).unwrap();
    let credentials = dad_models::Credentials::new(project.path(), None, dad_core::SecretRegistry::new());
    let error = dad_models::HttpClient::new(catalog, credentials)
        .complete(&request(), &call())
        .await
        .unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("sk-of-the-user") && shown.len() < 5000, "{shown}");
}
