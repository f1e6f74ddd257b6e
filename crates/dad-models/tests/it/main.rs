//! Model clients against a server that speaks the protocol, and against recorded exchanges.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]
#![expect(clippy::disallowed_methods, reason = "tests make the files a user would have")]
#![expect(clippy::too_many_lines, reason = "a test of many cases is one table")]

mod conformance;
mod costs;
mod endpoints;
mod ends;
mod exchanges;
mod page;
mod providers;
mod refusals;
mod requests;
mod turns;

// By path: the servers belong to the tests of the whole system, which build this crate.
#[expect(unreachable_pub, reason = "a public module of another crate")]
#[path = "../../../../tests/src/provider_rules/mod.rs"]
mod provider_rules;
#[expect(unreachable_pub, reason = "a public module of another crate")]
#[path = "../../../../tests/src/strict_server/mod.rs"]
mod strict_server;
#[path = "../../src/schema/tests/types.rs"]
mod types;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dad_core::Clean;
use dad_core::SecretRegistry;
use dad_models::{
    CallContext, Credentials, FinishReason, HttpClient, Message, ModelCatalog, ModelClient, ModelError,
    ModelOptions, ModelRequest, ModelResponse, ReplayClient, Role,
};
use dad_run::MemoLine;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn request(text: &str) -> ModelRequest {
    ModelRequest::new("local/tiny".to_owned(), vec![Message::new(Role::User, text)])
        .system(vec!["Be brief.".into()])
        .options(
            ModelOptions::default()
                .max_output_tokens(50)
                .schema(json!({ "type": "object", "properties": {}, "additionalProperties": false }))
                .other([("temperature".to_owned(), json!(0.5))].into_iter().collect()),
        )
}

fn call(number: u32) -> CallContext {
    CallContext::new("root.flow.ask".parse().unwrap())
        .number(number)
        .idempotency_key("key-1".to_owned())
}

/// A project whose model `local/tiny` answers at `url`.
fn project(url: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".dhenara")).unwrap();
    let models =
        format!("- name: local/tiny\n  base_url: {url}/v1\n  price: {{ input: 1.0, output: 2.0 }}\n");
    std::fs::write(dir.path().join(".dhenara/models.yaml"), models).unwrap();
    dir
}

fn client(project: &tempfile::TempDir) -> HttpClient {
    let credentials = Credentials::new(project.path(), None, SecretRegistry::new());
    HttpClient::new(ModelCatalog::load(project.path()).unwrap(), credentials)
}

async fn server(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let mock = Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .and(header("idempotency-key", "key-1"));
    mock.respond_with(response).mount(&server).await;
    server
}

fn answer(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id": "1", "object": "chat.completion", "model": "tiny-2",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
    }))
}

#[tokio::test]
async fn an_answer_comes_with_its_usage_and_cost() {
    let server = server(answer("{}")).await;
    let response = client(&project(&server.uri()))
        .complete(&request("Hi"), &call(1))
        .await
        .unwrap();
    assert_eq!(
        (response.text.as_str(), response.finish_reason),
        ("{}", FinishReason::Completed)
    );
    assert_eq!(response.usage.total_tokens, 1500);
    assert!(
        (response.usage.cost.unwrap() - 0.002).abs() < 1e-12,
        "1000 × $1 + 500 × $2 a million"
    );
    let sent: Value = serde_json::from_slice(&server.received_requests().await.unwrap()[0].body).unwrap();
    assert_eq!(sent["model"], "tiny");
    assert_eq!(
        sent["messages"][0],
        json!({"role": "system", "content": "Be brief."})
    );
    assert_eq!(sent["messages"][1]["content"], "Hi");
    assert_eq!(sent["response_format"]["type"], "json_schema");
    assert_eq!(sent["temperature"], 0.5);
}

#[tokio::test]
async fn refusals_say_what_and_how_long() {
    let busy = server(
        ResponseTemplate::new(429)
            .insert_header("retry-after", "7")
            .set_body_string("slow down"),
    )
    .await;
    let error = client(&project(&busy.uri()))
        .complete(&request("Hi"), &call(1))
        .await
        .unwrap_err();
    assert!(error.is_retryable());
    match error {
        ModelError::Status {
            status,
            body,
            retry_after,
            ..
        } => {
            assert_eq!(
                (status, body.as_str(), retry_after),
                (429, "slow down", Some(Duration::from_secs(7)))
            );
        }
        other => panic!("{other}"),
    }
    let broken = server(ResponseTemplate::new(200).set_body_string("not json")).await;
    let error = client(&project(&broken.uri()))
        .complete(&request("Hi"), &call(1))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "model_answer");
    let unreachable = client(&project("http://127.0.0.1:9"))
        .complete(&request("Hi"), &call(1))
        .await
        .unwrap_err();
    assert_eq!(
        (unreachable.code(), unreachable.is_retryable()),
        ("model_connection", true)
    );
}

#[tokio::test]
async fn keys_are_read_only_when_they_are_needed() {
    let project = tempfile::tempdir().unwrap();
    let secrets = SecretRegistry::new();
    let credentials = Credentials::new(project.path(), None, secrets.clone());
    let client = HttpClient::new(ModelCatalog::default(), credentials);
    let asked = request("Hi").model("openrouter/some-model".to_owned());
    let error = client.complete(&asked, &call(1)).await.unwrap_err();
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("OPENROUTER_API_KEY") && hint.contains("openrouter:\n  api_key: …"),
        "{hint}"
    );

    let dir = project.path().join(".dhenara/.secrets");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(
        dir.join(".credentials.yaml"),
        "openrouter:\n  api_key: sk-from-file\n",
    )
    .unwrap();
    let credentials = Credentials::new(project.path(), None, secrets.clone());
    credentials.api_key("openrouter").unwrap();
    assert_eq!(
        secrets.redactor().redact("the key is sk-from-file"),
        "the key is [redacted]"
    );
}

#[tokio::test]
async fn a_server_on_this_machine_is_given_a_key_if_there_is_one() {
    let server = server(answer("{}")).await;
    let project = project(&server.uri());
    drop(client(&project).complete(&request("Hi"), &call(1)).await.unwrap());
    std::fs::create_dir(project.path().join(".dhenara/.secrets")).unwrap();
    let file = project.path().join(".dhenara/.secrets/.credentials.yaml");
    std::fs::write(file, "local:\n  api_key: sk-of-this-machine\n").unwrap();
    drop(client(&project).complete(&request("Hi"), &call(1)).await.unwrap());
    let sent = server.received_requests().await.unwrap();
    let keys: Vec<Option<&str>> = sent
        .iter()
        .map(|request| Some(request.headers.get("authorization")?.to_str().unwrap()))
        .collect();
    assert_eq!(keys, [None, Some("Bearer sk-of-this-machine")]);
}

#[tokio::test]
async fn a_recording_is_played_again_by_step_and_call() {
    let server = server(answer("recorded")).await;
    let response = client(&project(&server.uri()))
        .complete(&request("one\ntwo"), &call(1))
        .await
        .unwrap();
    let cassette = tempfile::tempdir().unwrap();
    let dir = cassette.path().join("root/flow/ask");
    std::fs::create_dir_all(&dir).unwrap();
    let request_json = serde_json::to_value(request("one\ntwo")).unwrap();
    let response_json = serde_json::to_value(&response).unwrap();
    let line = MemoLine::new(
        "model_call",
        1,
        dad_core::Digest::of_json(&request_json),
        Clean::from_store(request_json),
        Clean::from_store(response_json),
        dad_core::Timestamp::now(),
    );
    std::fs::write(
        dir.join("memo.jsonl"),
        serde_json::to_string(&line).unwrap() + "\n{\"torn",
    )
    .unwrap();

    let notes: Arc<Mutex<Vec<String>>> = Arc::default();
    let reported = Arc::clone(&notes);
    let replay = ReplayClient::new(cassette.path(), move |note| {
        reported.lock().unwrap().push(note.to_string());
    });
    let again: ModelResponse = replay.complete(&request("one\n2"), &call(1)).await.unwrap();
    let replayed = response.usage(dad_core::Usage::default().replayed(1));
    assert_eq!(
        again, replayed,
        "but for what it took, an exchange replays identically"
    );
    assert!(notes.lock().unwrap()[0].contains("2 lines differ"), "{notes:?}");
    let missing = replay.complete(&request("one"), &call(2)).await.unwrap_err();
    assert_eq!(missing.code(), "not_recorded");
    assert_eq!(
        server.received_requests().await.unwrap().len(),
        1,
        "the recording called no server"
    );
}

#[tokio::test]
async fn a_key_that_a_provider_tells_back_is_masked_before_its_answer_is_shortened() {
    const KEY: &str = "sk-from-the-file-0123456789";
    for status in [401, 200] {
        for before in (380..500).step_by(5) {
            let body = format!("{}{KEY} and more", "x".repeat(before));
            let server = server(ResponseTemplate::new(status).set_body_string(body)).await;
            // Written so, it is not taken for a server that wants no key.
            let project = project(&server.uri().replace("http:", "HTTP:"));
            std::fs::create_dir(project.path().join(".dhenara/.secrets")).unwrap();
            let file = project.path().join(".dhenara/.secrets/.credentials.yaml");
            std::fs::write(file, format!("local:\n  api_key: {KEY}\n")).unwrap();
            let error = client(&project)
                .complete(&request("hello"), &call(1))
                .await
                .unwrap_err();
            let reported = format!("{error} {error:?}");
            assert!(reported.contains("xxx"), "{reported}");
            assert!(!reported.contains(&KEY[..8]), "{before}: {reported}");
        }
    }
}

#[test]
fn a_price_that_cannot_be_charged_is_refused() {
    for price in ["-1.0", "1e999", ".nan"] {
        let project = project("http://127.0.0.1:9");
        let file = project.path().join(".dhenara/models.yaml");
        let models = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, models.replace("output: 2.0", &format!("output: {price}"))).unwrap();
        let error = ModelCatalog::load(project.path()).unwrap_err().to_string();
        assert!(error.contains("models.yaml"), "{price}: {error}");
    }
}

#[test]
fn an_address_has_no_parameters() {
    for (address, words) in [
        ("http://127.0.0.1:9?api-version=1", "they stand in `query`"),
        ("http://127.0.0.1:9/v1#a", "a fragment"),
    ] {
        let project = project(address);
        let error = ModelCatalog::load(project.path()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_wrong_value_is_shown_with_its_place() {
    let project = project("http://127.0.0.1:9");
    let file = project.path().join(".dhenara/models.yaml");
    for (field, words) in [
        (
            "window: lots",
            "expected a whole number that is not negative, found the text \"lots\"",
        ),
        ("retires: 2026-13-40", "expected a day such as 2027-06-30"),
        ("widow: 3", "did you mean `window`?"),
    ] {
        std::fs::write(&file, format!("- name: a/b\n  {field}\n")).unwrap();
        let error = ModelCatalog::load(project.path()).unwrap_err();
        assert_eq!(error.code(), "models");
        let shown = error.to_string();
        assert!(
            shown.contains("models.yaml:2:") && shown.contains(words),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn what_a_failed_call_took_is_known_or_said_not_to_be() {
    let no_text = json!({
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": null}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
    });
    let mut untold = no_text.clone();
    untold.as_object_mut().unwrap().remove("usage");
    let mut unreadable = no_text.clone();
    unreadable["choices"][0]["message"]["tool_calls"] = "none".into();
    let cases = [
        (ResponseTemplate::new(200).set_body_json(no_text), Some((1, 1500))),
        (
            ResponseTemplate::new(200).set_body_json(unreadable),
            Some((1, 1500)),
        ),
        (ResponseTemplate::new(200).set_body_json(untold), None),
        (ResponseTemplate::new(200).set_body_string("not json"), None),
        (ResponseTemplate::new(503), Some((1, 0))),
    ];
    for (response, expected) in cases {
        let server = server(response).await;
        let error = client(&project(&server.uri()))
            .complete(&request("Hi"), &call(1))
            .await
            .unwrap_err();
        let usage = error.usage().map(|usage| (usage.calls, usage.total_tokens));
        assert_eq!(usage, expected, "{error}");
        assert!(
            !error.to_string().contains("Be brief."),
            "the request is not repeated: {error}"
        );
    }
    let unreachable = client(&project("http://127.0.0.1:9"))
        .complete(&request("Hi"), &call(1))
        .await
        .unwrap_err();
    assert!(unreachable.usage().unwrap().is_zero());
}

#[test]
fn a_broken_credentials_file_is_reported_without_its_content() {
    let project = tempfile::tempdir().unwrap();
    let dir = project.path().join(".dhenara/.secrets");
    std::fs::create_dir_all(&dir).unwrap();
    let credentials = Credentials::new(project.path(), None, SecretRegistry::new());
    let write = |text: &str| std::fs::write(dir.join(".credentials.yaml"), text).unwrap();
    write("openai: { api_key: sk-do-not-tell-it\n");
    let reported = credentials.api_key("openai").unwrap_err().to_string();
    assert!(
        reported.contains("cannot be read") && !reported.contains("do-not-tell"),
        "{reported}"
    );
    // Secrets of nodes in the same file are no key of a provider, and no mistake.
    write("secrets: { DEPLOY: deploy-me }\nplain: text-of-some-length\nopenai: { api_key: sk-1234567 }\n");
    assert_eq!(
        credentials.api_key("openai").unwrap().expose_secret(),
        "sk-1234567"
    );
}
