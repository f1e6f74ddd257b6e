//! Each protocol, against servers that speak it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dad_core::SecretRegistry;
use dad_models::{
    CallContext, Credentials, FinishReason, HttpClient, Limits, Message, MessageFile, ModelCatalog,
    ModelClient, ModelError, ModelRequest, ModelResponse, Role, ToolCall, ToolChoice, ToolSpec,
};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A way in which a provider is spoken to.
struct Protocol {
    name: &'static str,
    /// The path of a call, whole and as a stream.
    paths: [&'static str; 2],
    /// An answer of text, of a tool call, and the text as a stream.
    text: fn() -> Value,
    tool: fn() -> Value,
    stream: &'static str,
}

const PROTOCOLS: [Protocol; 3] = [
    Protocol {
        name: "openai",
        paths: ["/v1/chat/completions", "/v1/chat/completions"],
        text: || {
            json!({
                "id": "1", "object": "chat.completion", "model": "tiny-2",
                "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "Hello Ada" } }],
                "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
            })
        },
        tool: || {
            json!({
                "id": "1", "object": "chat.completion", "model": "tiny-2",
                "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": { "role": "assistant", "content": null,
                    "tool_calls": [{ "id": "call_1", "type": "function",
                        "function": { "name": "weather", "arguments": "{\"city\":\"Bern\"}" } }] } }],
                "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
            })
        },
        stream: concat!(
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"tiny-2\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"}}]}\n\n",
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"tiny-2\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" Ada\"}}]}\n\n",
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"tiny-2\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"tiny-2\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}\n\n",
            "data: [DONE]\n\n",
        ),
    },
    Protocol {
        name: "anthropic",
        paths: ["/v1/messages", "/v1/messages"],
        text: || {
            json!({
                "id": "1", "type": "message", "role": "assistant", "model": "tiny-2", "stop_reason": "end_turn",
                "content": [{ "type": "text", "text": "Hello Ada" }],
                "usage": { "input_tokens": 10, "output_tokens": 5 },
            })
        },
        tool: || {
            json!({
                "id": "1", "type": "message", "role": "assistant", "model": "tiny-2", "stop_reason": "tool_use",
                "content": [{ "type": "tool_use", "id": "call_1", "name": "weather", "input": { "city": "Bern" } }],
                "usage": { "input_tokens": 10, "output_tokens": 5 },
            })
        },
        stream: concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"tiny-2\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" Ada\"}}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":5}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
    },
    Protocol {
        name: "google",
        paths: [
            "/v1/models/tiny:generateContent",
            "/v1/models/tiny:streamGenerateContent",
        ],
        text: || {
            json!({
                "candidates": [{ "content": { "parts": [{ "text": "Hello Ada" }], "role": "model" }, "finishReason": "STOP", "index": 0 }],
                "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15 },
                "modelVersion": "tiny-2",
            })
        },
        tool: || {
            json!({
                "candidates": [{ "content": { "parts": [{ "functionCall": { "name": "weather", "args": { "city": "Bern" } } }], "role": "model" }, "finishReason": "STOP", "index": 0 }],
                "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15 },
                "modelVersion": "tiny-2",
            })
        },
        stream: concat!(
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello\"}],\"role\":\"model\"},\"index\":0}]}\n\n",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" Ada\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":5,\"totalTokenCount\":15}}\n\n",
        ),
    },
];

/// A client whose model `m` answers at `url` by a protocol.
pub(crate) fn client(protocol: &str, url: &str) -> HttpClient {
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir(project.path().join(".dhenara")).unwrap();
    let models = format!(
        "- {{ name: m, provider: here, model: tiny, protocol: {protocol}, base_url: \"{url}/v1\", price: {{ input: 1.0, output: 2.0 }} }}\n"
    );
    std::fs::write(project.path().join(".dhenara/models.yaml"), models).unwrap();
    let catalog = ModelCatalog::load(project.path()).unwrap();
    HttpClient::new(
        catalog,
        Credentials::new(project.path(), None, SecretRegistry::new()),
    )
}

pub(crate) fn request() -> ModelRequest {
    ModelRequest::new("m".to_owned(), vec![Message::new(Role::User, "Greet Ada.")])
        .system(vec!["Be brief.".into()])
}

pub(crate) fn call() -> CallContext {
    CallContext::new("root.flow.ask".parse().unwrap()).idempotency_key("key-1".to_owned())
}

pub(crate) async fn server(place: &str, response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(place))
        .respond_with(response)
        .mount(&server)
        .await;
    server
}

pub(crate) async fn sent(server: &MockServer) -> Value {
    let requests = server.received_requests().await.unwrap();
    serde_json::from_slice(&requests.last().unwrap().body).unwrap()
}

fn check(protocol: &str, response: &ModelResponse) {
    assert_eq!(response.text, "Hello Ada", "{protocol}");
    assert_eq!(response.finish_reason, FinishReason::Completed, "{protocol}");
    let usage = response.usage;
    assert_eq!(
        (usage.calls, usage.prompt_tokens, usage.completion_tokens),
        (1, 10, 5),
        "{protocol}"
    );
    assert_eq!(usage.total_tokens, 15, "{protocol}");
    assert!(
        (usage.cost.unwrap() - 20e-6).abs() < 1e-12,
        "{protocol}: {usage:?}"
    );
}

#[tokio::test]
async fn every_protocol_answers_whole_and_as_a_stream() {
    for protocol in &PROTOCOLS {
        let body = ResponseTemplate::new(200).set_body_json((protocol.text)());
        let whole = server(protocol.paths[0], body).await;
        let asked = client(protocol.name, &whole.uri());
        check(protocol.name, &asked.complete(&request(), &call()).await.unwrap());
        let reported = sent(&whole).await.to_string();
        assert!(
            reported.contains("Be brief.") && reported.contains("Greet Ada."),
            "{reported}"
        );

        let body = ResponseTemplate::new(200).set_body_raw(protocol.stream, "text/event-stream");
        let streaming = server(protocol.paths[1], body).await;
        let pieces: Arc<Mutex<Vec<String>>> = Arc::default();
        let asked = client(protocol.name, &streaming.uri());
        let heard = |piece: &str| pieces.lock().unwrap().push(piece.to_owned());
        let response = asked.stream(&request(), &call(), &heard).await.unwrap();
        check(protocol.name, &response);
        assert_eq!(*pieces.lock().unwrap(), ["Hello", " Ada"], "{}", protocol.name);
    }
}

#[tokio::test]
async fn images_in_a_stream_are_kept() {
    let image = |data: &str| json!({ "inlineData": { "mimeType": "image/png", "data": data } });
    let piece = |parts: Value, finish: Value| {
        let candidate =
            json!({ "content": { "parts": parts, "role": "model" }, "finishReason": finish, "index": 0 });
        format!("data: {}\n\n", json!({ "candidates": [candidate] }))
    };
    let pieces = [
        piece(json!([{ "text": "a dot" }, image("AQID")]), Value::Null),
        piece(json!([image("BAUG")]), "STOP".into()),
    ];
    let body = ResponseTemplate::new(200).set_body_raw(pieces.concat(), "text/event-stream");
    let server = server(PROTOCOLS[2].paths[1], body).await;
    let response = client("google", &server.uri())
        .stream(&request(), &call(), &|_| {})
        .await
        .unwrap();
    let files: Vec<(&str, &str)> = response
        .files
        .iter()
        .map(|file| (file.media_type.as_str(), file.base64.as_str()))
        .collect();
    assert_eq!(files, [("image/png", "AQID"), ("image/png", "BAUG")]);
    assert_eq!(response.text, "a dot");
}

#[tokio::test]
async fn every_protocol_knows_schemas_tools_images_and_limits() {
    for protocol in &PROTOCOLS {
        let body = ResponseTemplate::new(200).set_body_json((protocol.tool)());
        let server = server(protocol.paths[0], body).await;
        let weather = ToolSpec::new(
            "weather".to_owned(),
            json!({ "type": "object", "required": ["city"], "properties": { "city": { "type": "string" } } }),
        )
        .description("The weather of a city.".to_owned())
        .cache(false);
        let mut request = request();
        request.messages[0]
            .files
            .push(MessageFile::new("dot.png", "image/png", vec![1_u8, 2, 3]));
        request.options.tools.push(weather);
        request.options.tool_choice = Some(ToolChoice::Required);
        let limited = call().max_output_tokens(77);
        let asked = client(protocol.name, &server.uri());
        let response = asked.complete(&request, &limited).await.unwrap();
        assert_eq!(
            response.finish_reason,
            FinishReason::ToolCall,
            "{}",
            protocol.name
        );
        let ToolCall {
            id, name, arguments, ..
        } = response.tool_calls[0].clone();
        assert_eq!(
            (name.as_str(), &arguments),
            ("weather", &json!({ "city": "Bern" })),
            "{}",
            protocol.name
        );
        let reported = sent(&server).await.to_string();
        for expected in ["The weather of a city.", "AQID", "image/png", "77"] {
            assert!(
                reported.contains(expected),
                "{}: {expected}: {reported}",
                protocol.name
            );
        }

        // The result of the tool goes back with the call that it answers.
        request
            .messages
            .push(Message::new(Role::Assistant, "").tool_calls(response.tool_calls.clone()));
        request.messages.push(
            Message::new(Role::Tool, "sunny")
                .tool_call_id(id)
                .tool_calls(response.tool_calls),
        );
        request.options.tool_choice = None;
        request.options.schema = Some(
            json!({ "type": "object", "properties": { "answer_of_mine": { "type": "string" } },
            "required": ["answer_of_mine"], "additionalProperties": false }),
        );
        drop(asked.complete(&request, &call()).await.unwrap());
        let reported = sent(&server).await.to_string();
        for expected in ["sunny", "weather", "answer_of_mine"] {
            assert!(
                reported.contains(expected),
                "{}: {expected}: {reported}",
                protocol.name
            );
        }
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_are_reported_as_they_are() {
    let Protocol {
        name, paths, tool, ..
    } = &PROTOCOLS[0];
    for (arguments, read) in [("{not json", json!("{not json")), ("", json!({}))] {
        let mut body = tool();
        body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = arguments.into();
        let server = server(paths[0], ResponseTemplate::new(200).set_body_json(body)).await;
        let asked = client(name, &server.uri());
        let response = asked.complete(&request(), &call()).await.unwrap();
        assert_eq!(response.tool_calls[0].arguments, read);
        assert_eq!(
            (
                response.finish_reason,
                response.usage.total_tokens,
                response.model.as_str()
            ),
            (FinishReason::ToolCall, 15, "tiny-2")
        );
        // It goes back as an object, because there are servers that take nothing else.
        let mut again = request();
        again
            .messages
            .push(Message::new(Role::Assistant, "").tool_calls(response.tool_calls));
        again.messages.push(Message::new(Role::User, "Again."));
        drop(asked.complete(&again, &call()).await.unwrap());
        let sent = sent(&server).await;
        assert_eq!(
            sent["messages"][2]["tool_calls"][0]["function"]["arguments"],
            "{}"
        );
    }
}

#[tokio::test]
async fn every_protocol_says_what_was_refused() {
    for protocol in &PROTOCOLS {
        let refused =
            ResponseTemplate::new(400).set_body_string("{\"error\":{\"message\":\"no such model\"}}");
        let server = server(protocol.paths[0], refused).await;
        let error = client(protocol.name, &server.uri())
            .complete(&request(), &call())
            .await
            .unwrap_err();
        assert!(
            !error.is_retryable() && error.may_fall_back(),
            "{}: {error}",
            protocol.name
        );
        assert!(
            error.to_string().contains("no such model"),
            "{}: {error}",
            protocol.name
        );

        let broken = self::server(
            protocol.paths[0],
            ResponseTemplate::new(200).set_body_string("{\"oops"),
        )
        .await;
        let error = client(protocol.name, &broken.uri())
            .complete(&request(), &call())
            .await
            .unwrap_err();
        assert!(
            matches!(error, ModelError::Answer { .. }) && error.is_retryable(),
            "{}: {error:?}",
            protocol.name
        );
    }
}

#[tokio::test]
async fn neither_key_nor_prompt_follow_a_redirect() {
    for protocol in &PROTOCOLS {
        let elsewhere = MockServer::start().await;
        for (place, streams) in protocol.paths.iter().zip([false, true]) {
            let location = format!("{}{place}", elsewhere.uri());
            let redirect = ResponseTemplate::new(307).insert_header("location", location.as_str());
            let server = server(place, redirect).await;
            let client = client(protocol.name, &server.uri());
            let (request, call) = (request(), call());
            let answered = if !streams {
                client.complete(&request, &call).await
            } else {
                client.stream(&request, &call, &|_| {}).await
            };
            let error = answered.unwrap_err();
            assert!(
                error.to_string().contains(&location) && !error.is_retryable() && error.may_fall_back(),
                "{}: {error}",
                protocol.name
            );
        }
        assert!(elsewhere.received_requests().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_says_why_and_how_long() {
    for protocol in &PROTOCOLS {
        let busy = ResponseTemplate::new(429)
            .insert_header("retry-after", "7")
            .set_body_string("slow down");
        let server = server(protocol.paths[1], busy).await;
        let error = client(protocol.name, &server.uri())
            .stream(&request(), &call(), &|_| {})
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.retry_after()),
            ("rate_limited", Some(Duration::from_secs(7))),
            "{}: {error}",
            protocol.name
        );
    }
}

#[tokio::test]
async fn a_rate_limited_provider_is_not_called_by_any_call() {
    let busy = MockServer::start().await;
    let slow_down = ResponseTemplate::new(429)
        .insert_header("retry-after", "1")
        .set_body_string("slow down");
    Mock::given(method("POST"))
        .respond_with(slow_down)
        .up_to_n_times(1)
        .mount(&busy)
        .await;
    let fine = ResponseTemplate::new(200).set_body_json((PROTOCOLS[0].text)());
    Mock::given(method("POST")).respond_with(fine).mount(&busy).await;
    let client = client("openai", &busy.uri());
    let error = client.complete(&request(), &call()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.retry_after()),
        ("rate_limited", Some(Duration::from_secs(1)))
    );
    let began = Instant::now();
    let call = call();
    let request = request();
    let (one, other) = tokio::join!(client.complete(&request, &call), client.complete(&request, &call));
    assert!(one.is_ok() && other.is_ok());
    assert!(
        began.elapsed() >= Duration::from_millis(950),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_pause_may_be_given_as_a_date() {
    let then = std::time::SystemTime::now() + Duration::from_secs(30);
    for (reported, at_least) in [
        (httpdate::fmt_http_date(then), Some(Duration::from_secs(20))),
        ("Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), None),
        ("soon".to_owned(), None),
        ("1e300".to_owned(), None),
        ("1e18".to_owned(), Some(Duration::from_hours(24 * 365))),
    ] {
        let busy = ResponseTemplate::new(429).insert_header("retry-after", reported.as_str());
        let server = server("/v1/chat/completions", busy).await;
        let error = client("openai", &server.uri())
            .complete(&request(), &call())
            .await
            .unwrap_err();
        let pause = error.retry_after();
        assert!(
            pause >= at_least && pause.is_some() == at_least.is_some(),
            "{reported}: {pause:?}"
        );
    }
}

#[tokio::test]
async fn a_rate_limit_longer_than_a_step_waits_fails_the_call() {
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "100000");
    let server = server("/v1/chat/completions", busy).await;
    let client = client("openai", &server.uri());
    drop(client.complete(&request(), &call()).await.unwrap_err());
    let error = client.complete(&request(), &call()).await.unwrap_err();
    assert!(
        error.to_string().contains("not to be called for another 27h 46m"),
        "{error}"
    );
    assert!(error.code() == "rate_limited" && error.may_fall_back() && error.retry_after().is_some());
    assert!(error.usage().unwrap().is_zero());
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn calls_keep_to_the_limits_of_their_client() {
    let body = ResponseTemplate::new(200)
        .set_body_json((PROTOCOLS[0].text)())
        .set_delay(Duration::from_millis(100));
    let server = server("/v1/chat/completions", body).await;
    let one_at_a_time = Limits::default().max_concurrency(1);
    let limited = client("openai", &server.uri()).with_limits(one_at_a_time);
    let (request, call) = (request(), call());
    let began = Instant::now();
    let asked = futures_util::future::join_all((0..3).map(|_| limited.complete(&request, &call)));
    assert!(asked.await.iter().all(Result::is_ok));
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );

    let spread = Limits::default().requests_per_minute(300);
    let limited = client("openai", &server.uri()).with_limits(spread);
    let began = Instant::now();
    let asked = futures_util::future::join_all((0..4).map(|_| limited.complete(&request, &call)));
    assert!(asked.await.iter().all(Result::is_ok));
    assert!(
        began.elapsed() >= Duration::from_millis(600),
        "one in 200 ms: {:?}",
        began.elapsed()
    );
}

/// A server that sends pieces of a stream with pauses, then closes the connection.
fn raw_server(pieces: Vec<String>, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 65536];
        let _ = connection.read(&mut request).unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        connection.write_all(head.as_bytes()).unwrap();
        for piece in pieces {
            std::thread::sleep(pause);
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            // The other end may have given up.
            if connection.write_all(chunk.as_bytes()).is_err() {
                return;
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_stream_that_is_cut_is_no_answer() {
    for protocol in &PROTOCOLS {
        // Whole lines, but not the last one that says why it ended.
        let whole = protocol.stream.split_inclusive("\n\n").map(str::to_owned);
        let pieces: Vec<String> = whole
            .take_while(|piece| !piece.contains("stop") && !piece.contains("STOP"))
            .collect();
        let cut = raw_server(pieces, Duration::ZERO);
        let error = client(protocol.name, &cut)
            .stream(&request(), &call(), &|_| {})
            .await
            .unwrap_err();
        assert!(error.is_retryable(), "{}: {error:?}", protocol.name);
    }
}

#[tokio::test]
async fn slow_bytes_arrive_and_a_call_has_its_time() {
    let bytes: Vec<String> = PROTOCOLS[0].stream.chars().map(String::from).collect();
    let slow = raw_server(bytes.clone(), Duration::from_micros(200));
    let response = client("openai", &slow)
        .stream(&request(), &call(), &|_| {})
        .await
        .unwrap();
    check("openai", &response);

    let slower = raw_server(bytes, Duration::from_millis(20));
    let hurried = call().timeout(Duration::from_millis(300));
    let error = client("openai", &slower)
        .stream(&request(), &hurried, &|_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(error, ModelError::TimedOut { .. }) && error.is_retryable(),
        "{error:?}"
    );
}

/// A stream in the protocol of OpenAI that is made of some deltas, and why it ended.
fn chunks(deltas: &[Value], reason: &str) -> String {
    let chunk = |delta: &Value, reason: Value| {
        let choices = json!([{ "index": 0, "delta": delta, "finish_reason": reason }]);
        format!(
            "data: {}\n\n",
            json!({ "id": "1", "model": "tiny", "choices": choices })
        )
    };
    let mut text: String = deltas.iter().map(|delta| chunk(delta, Value::Null)).collect();
    text.push_str(&chunk(&json!({}), json!(reason)));
    text + "data: [DONE]\n\n"
}

async fn streamed(protocol: &str, place: &str, body: String) -> Result<ModelResponse, ModelError> {
    let server = server(
        place,
        ResponseTemplate::new(200).set_body_raw(body, "text/event-stream"),
    )
    .await;
    client(protocol, &server.uri())
        .stream(&request(), &call(), &|_| {})
        .await
}

async fn streamed_calls(pieces: &[Value]) -> Vec<(String, String, Value)> {
    let deltas: Vec<Value> = pieces
        .iter()
        .map(|piece| json!({ "tool_calls": [piece] }))
        .collect();
    let body = chunks(&deltas, "tool_calls");
    let response = streamed("openai", "/v1/chat/completions", body).await.unwrap();
    let calls = response.tool_calls.into_iter();
    calls.map(|call| (call.id, call.name, call.arguments)).collect()
}

#[tokio::test]
async fn streamed_calls_are_made_once_however_they_are_numbered() {
    let whole = |index: Value, id: Value, name: &str| {
        let arguments = json!({ "of": name }).to_string();
        json!({ "index": index, "id": id, "function": { "name": name, "arguments": arguments } })
    };
    let called = |id: &str, name: &str| (id.to_owned(), name.to_owned(), json!({ "of": name }));
    let odd = [
        json!(0),
        json!(3),
        json!(u32::MAX),
        json!(-1),
        json!(1e300),
        json!("a"),
        Value::Null,
    ];
    for index in &odd {
        let calls = streamed_calls(&[whole(index.clone(), json!("x"), "one")]).await;
        assert_eq!(calls, [called("x", "one")], "{index}");
        // In pieces, the id and name with the first or with each.
        for repeated in [false, true] {
            let mut pieces = Vec::new();
            for (number, text) in ["{\"of\"", ":\"o", "ne\"}"].iter().enumerate() {
                let mut piece = json!({ "index": index, "function": { "arguments": text } });
                if number == 0 || repeated {
                    piece["id"] = "x".into();
                    piece["function"]["name"] = "one".into();
                }
                pieces.push(piece);
            }
            let calls = streamed_calls(&pieces).await;
            assert_eq!(calls, [called("x", "one")], "{index} {repeated}");
        }
    }
    // Several: in any order, all with one number, without numbers, without ids.
    let calls = streamed_calls(&[
        whole(json!(7), json!("x"), "one"),
        whole(json!(2), json!("y"), "two"),
    ])
    .await;
    assert_eq!(calls, [called("x", "one"), called("y", "two")]);
    for index in [json!(0), Value::Null] {
        let calls = streamed_calls(&[
            whole(index.clone(), json!("x"), "one"),
            whole(index.clone(), json!("y"), "two"),
        ])
        .await;
        assert_eq!(calls, [called("x", "one"), called("y", "two")], "{index}");
        let calls = streamed_calls(&[
            whole(index.clone(), Value::Null, "one"),
            whole(index.clone(), json!(""), "two"),
            whole(index, json!("call_0"), "three"),
        ])
        .await;
        let ids: Vec<&str> = calls.iter().map(|(id, ..)| id.as_str()).collect();
        assert_eq!(ids, ["call_1", "call_2", "call_0"], "no two have one id");
    }
    // Two calls whose pieces come by turns.
    let piece = |index: u32, text: &str| json!({ "index": index, "function": { "arguments": text } });
    let begin = |index: u32, id: &str, name: &str| json!({ "index": index, "id": id, "function": { "name": name, "arguments": "" } });
    let calls = streamed_calls(&[
        begin(5, "x", "one"),
        begin(9, "y", "two"),
        piece(5, "{\"of\":"),
        piece(9, "{\"of\":"),
        piece(5, "\"one\"}"),
        piece(9, "\"two\"}"),
    ])
    .await;
    assert_eq!(calls, [called("x", "one"), called("y", "two")]);
}

#[tokio::test]
async fn a_piece_without_a_name_belongs_to_the_call_before_it() {
    let begin = |index: Value, id: &str| json!({ "index": index, "id": id, "function": { "name": "wipe" } });
    let rest = |index: Value, id: &str| json!({ "index": index, "id": id, "function": { "arguments": "{\"of\":\"wipe\"}" } });
    let wanted = [("a".to_owned(), "wipe".to_owned(), json!({ "of": "wipe" }))];
    // Some servers make a new id for each piece.
    let calls = streamed_calls(&[begin(json!(0), "a"), rest(json!(0), "b")]).await;
    assert_eq!(calls, wanted);
    let calls = streamed_calls(&[begin(Value::Null, "a"), rest(Value::Null, "")]).await;
    assert_eq!(calls, wanted);
    // The name may come behind the id.
    let late = [
        json!({ "index": 0, "id": "a", "function": { "name": "" } }),
        json!({ "index": 0, "function": { "name": "wipe", "arguments": "{\"of\":\"wipe\"}" } }),
    ];
    assert_eq!(streamed_calls(&late).await, wanted);
    // One whose name never comes is none.
    let nameless = chunks(&[json!({ "tool_calls": [rest(json!(3), "x")] })], "tool_calls");
    let error = streamed("openai", "/v1/chat/completions", nameless)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("it calls a tool without a name"),
        "{error}"
    );
    // Calls without index and id, the first with long arguments in which there are brackets and escapes.
    let text = "}\\\"{[".repeat(2000);
    let long = json!({ "of": text }).to_string();
    let (one, other) = long.split_at(5000);
    let calls = streamed_calls(&[
        json!({ "function": { "name": "one", "arguments": one } }),
        json!({ "function": { "name": "one", "arguments": other } }),
        json!({ "function": { "name": "two", "arguments": "{}" } }),
    ])
    .await;
    let named: Vec<&str> = calls.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(named, ["one", "two"]);
    assert_eq!(calls[0].2, json!({ "of": text }));
}

#[tokio::test]
async fn a_call_of_an_answer_that_was_cut_says_so() {
    let call = json!({ "index": 0, "id": "x", "function": { "name": "one", "arguments": "{}" } });
    for (reason, wanted) in [
        ("length", FinishReason::Length),
        ("content_filter", FinishReason::ContentFilter),
        ("stop", FinishReason::ToolCall),
        ("tool_calls", FinishReason::ToolCall),
    ] {
        let body = chunks(&[json!({ "tool_calls": [call] })], reason);
        let response = streamed("openai", "/v1/chat/completions", body).await.unwrap();
        assert_eq!(
            (response.finish_reason, response.tool_calls.len()),
            (wanted, 1),
            "{reason}"
        );
    }
    for (protocol, changed, reason, wanted) in [
        (0, "/choices/0/finish_reason", "length", FinishReason::Length),
        (1, "/stop_reason", "max_tokens", FinishReason::Length),
        (1, "/stop_reason", "refusal", FinishReason::ContentFilter),
        (
            1,
            "/stop_reason",
            "model_context_window_exceeded",
            FinishReason::Length,
        ),
        (
            2,
            "/candidates/0/finishReason",
            "MAX_TOKENS",
            FinishReason::Length,
        ),
    ] {
        let protocol = &PROTOCOLS[protocol];
        let mut body = (protocol.tool)();
        *body.pointer_mut(changed).unwrap() = reason.into();
        let server = server(protocol.paths[0], ResponseTemplate::new(200).set_body_json(body)).await;
        let client = client(protocol.name, &server.uri());
        let response = client.complete(&request(), &self::call()).await.unwrap();
        assert_eq!(
            (response.finish_reason, response.tool_calls.len()),
            (wanted, 1),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn integers_in_arguments_are_not_rounded() {
    const LARGE: &str = "{\"n\":123456789012345678901}";
    let piece = json!({ "index": 0, "id": "x", "function": { "name": "one", "arguments": LARGE } });
    let streamed_by_openai = streamed_calls(&[piece]).await.remove(0).2;
    assert_eq!(streamed_by_openai, LARGE, "as text, which no tool takes");

    let mut body = (PROTOCOLS[0].tool)();
    body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = LARGE.into();
    let whole = server(
        PROTOCOLS[0].paths[0],
        ResponseTemplate::new(200).set_body_json(body),
    )
    .await;
    let client = client("openai", &whole.uri());
    let response = client.complete(&request(), &call()).await.unwrap();
    assert_eq!(response.tool_calls[0].arguments, LARGE);

    let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let body: String = [
        json!({ "type": "message_start", "message": { "id": "1", "content": [], "usage": { "input_tokens": 1, "output_tokens": 1 } } }),
        json!({ "type": "content_block_start", "index": 4, "content_block": { "type": "tool_use", "id": "x", "name": "one", "input": {} } }),
        json!({ "type": "content_block_delta", "index": 4, "delta": { "type": "input_json_delta", "partial_json": LARGE } }),
        json!({ "type": "content_block_stop", "index": 4 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 2 } }),
        json!({ "type": "message_stop" }),
    ]
    .iter()
    .map(event)
    .collect();
    let response = streamed("anthropic", "/v1/messages", body).await.unwrap();
    assert_eq!(response.tool_calls[0].arguments, LARGE);
    assert_eq!(response.tool_calls.len(), 1);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let idle = Limits::default().idle_timeout(std::num::NonZeroU64::new(1));
    // It takes connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let client_of = |url: &str| client("openai", url).with_limits(idle);
    let pieces: Vec<String> = PROTOCOLS[0]
        .stream
        .split_inclusive("\n\n")
        .map(str::to_owned)
        .collect();
    let stalled = raw_server(pieces, Duration::from_secs(5));
    let (request, call) = (request(), call());
    for (url, streams) in [(&silent, false), (&silent, true), (&stalled, true)] {
        let client = client_of(url);
        let asked = if streams {
            client.stream(&request, &call, &|_| {}).await
        } else {
            client.complete(&request, &call).await
        };
        let error = asked.unwrap_err();
        assert!(matches!(error, ModelError::Silent { .. }), "{error:?}");
        assert_eq!((error.code(), error.is_retryable()), ("model_timeout", true));
        assert!(error.hint().unwrap().contains("idle_timeout"));
        assert_eq!(error.usage(), None, "what it took is not known");
    }
    // Comments of an event stream are bytes.
    let mut pieces = vec![": still here\n\n".to_owned(); 6];
    pieces.push(PROTOCOLS[0].stream.to_owned());
    let slow = raw_server(pieces, Duration::from_millis(400));
    let answered = client_of(&slow).stream(&request, &call, &|_| {}).await.unwrap();
    assert_eq!(answered.text, "Hello Ada");
}
