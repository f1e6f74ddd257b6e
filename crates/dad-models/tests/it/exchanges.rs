//! Exchanges with servers that answer as one provider does: their paths, bodies and streams.

use dad_models::{ModelClient, ModelError, ModelResponse};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::providers::{call, client, request, server};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const GOOGLE: &str = "/v1/models/tiny:generateContent";
pub(crate) const GOOGLE_STREAM: &str = "/v1/models/tiny:streamGenerateContent";

pub(crate) async fn answered(protocol: &str, place: &str, body: Value) -> Result<ModelResponse, ModelError> {
    let server = server(place, ResponseTemplate::new(200).set_body_json(body)).await;
    client(protocol, &server.uri())
        .complete(&request(), &call())
        .await
}

pub(crate) fn events(events: &[Value]) -> String {
    let lines = events.iter().map(|event| format!("data: {event}\n\n"));
    lines.collect()
}

pub(crate) async fn streamed(
    protocol: &str,
    place: &str,
    body: String,
) -> (Result<ModelResponse, ModelError>, String) {
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

pub(crate) fn chat(message: &Value, finish: &str) -> Value {
    json!({
        "id": "chat-1", "model": "tiny-2",
        "choices": [{ "index": 0, "finish_reason": finish, "message": message }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    })
}
