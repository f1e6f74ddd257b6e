//! The `http` node, against servers on this machine: what it asks and whom, what it keeps of answers, and when it asks again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use dhenara::run::RunView;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::harness::{CommandOutput, TestEnvironment, read_json, read_lines, records, workspace};
use crate::models::{Scripted, calls, node, says};
use crate::secrets::{KEY, assert_clean, assert_runs_clean};

fn element(settings: &Value) -> Value {
    json!({ "node": "ask", "type": "http", "settings": settings })
}

fn flow(elements: &[Value]) -> TestEnvironment {
    let env = TestEnvironment::new();
    let flow = json!({ "schema_version": 1, "kind": "flow", "variables": { "v": "" }, "elements": elements });
    env.write("flow.json", &flow.to_string());
    env
}

fn asks(settings: &Value) -> TestEnvironment {
    flow(&[element(settings)])
}

fn run(env: &TestEnvironment, more: &[&str]) -> CommandOutput {
    env.run(&[&["run", "flow", "flow.json"], more].concat())
}

fn outcome(env: &TestEnvironment) -> Value {
    read_json(&env.last_run().join("flow_root/ask/outcome.json"))
}

/// The error of a run that fails.
#[track_caller]
fn failure(env: &TestEnvironment, more: &[&str]) -> Value {
    drop(run(env, more).expect(1));
    read_json(&env.last_run().join("flow_root/ask/result.json"))["error"].clone()
}

async fn serve(answers: &[(&str, ResponseTemplate)]) -> MockServer {
    let server = MockServer::start().await;
    for (at, answer) in answers {
        Mock::given(path(*at))
            .respond_with(answer.clone())
            .mount(&server)
            .await;
    }
    server
}

async fn asked(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap_or_default()
}

fn redirect(status: u16, to: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).insert_header("location", to)
}

fn text(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_asked_and_its_answer_has_a_shape() {
    let answer = ResponseTemplate::new(200)
        .insert_header("etag", "\"1\"")
        .insert_header("set-cookie", "session=1")
        .set_body_json(json!({ "items": [1, 2] }));
    let server = serve(&[("/items", answer)]).await;
    let env = asks(&json!({
        "url": format!("{}/items", server.uri()),
        "query": { "page": 2, "tag": ["a b", "c&d"], "none": null },
        "headers": { "Accept": "application/json" },
        "output": "json",
        "allowed_hosts": ["127.0.0.1"],
    }));
    drop(run(&env, &[]).expect(0));
    let told = outcome(&env);
    assert_eq!(told["status"], 200);
    assert_eq!(told["json"], json!({ "items": [1, 2] }));
    assert_eq!(
        told["url"],
        format!("{}/items?page=2&tag=a%20b&tag=c%26d", server.uri())
    );
    assert_eq!(told["headers"]["etag"], "\"1\"");
    assert_eq!(told["headers"].get("set-cookie"), None, "{told}");
    let asked = asked(&server).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].headers["accept"], "application/json");
    assert!(
        asked[0].headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("dhenara/")
    );
    assert!(!asked[0].headers.contains_key("idempotency-key"), "it only reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_a_text_or_json_and_an_effect_has_a_key_of_its_own() {
    let server = serve(&[("/", text("ok"))]).await;
    for (body, sent, media_type) in [
        (json!("plain"), "plain", "text/plain; charset=utf-8"),
        (
            json!({ "a": [1, "$var{v}"] }),
            "{\"a\":[1,\"x\\\"y\"]}",
            "application/json",
        ),
    ] {
        let env = asks(
            &json!({ "method": "POST", "url": server.uri(), "body": body, "allowed_hosts": ["127.0.0.1"] }),
        );
        drop(run(&env, &["--var", "v=x\"y"]).expect(0));
        let asked = asked(&server).await;
        let last = asked.last().unwrap();
        assert_eq!(String::from_utf8_lossy(&last.body), sent);
        assert_eq!(last.headers["content-type"], media_type);
        assert!(last.headers.contains_key("idempotency-key"));
        assert_eq!(outcome(&env)["body"], "ok");
    }
    // Some servers refuse a request that does not say that it has no body.
    let env = asks(&json!({ "method": "POST", "url": server.uri(), "allowed_hosts": ["127.0.0.1"] }));
    drop(run(&env, &[]).expect(0));
    assert_eq!(
        asked(&server).await.last().unwrap().headers["content-length"],
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_one_segment_of_the_address() {
    let server = serve(&[]).await;
    Mock::given(method("GET"))
        .respond_with(text("ok"))
        .mount(&server)
        .await;
    let url = format!("{}/users/$var{{v}}/notes?of=$var{{v}}", server.uri());
    let env = asks(&json!({ "url": url, "allowed_hosts": ["127.0.0.1"] }));
    drop(run(&env, &["--var", "v=../../admin?all=1#x"]).expect(0));
    let asked = asked(&server).await;
    assert_eq!(
        asked[0].url.as_str().trim_start_matches("http://localhost"),
        "/users/..%2F..%2Fadmin%3Fall%3D1%23x/notes?of=..%2F..%2Fadmin%3Fall%3D1%23x"
    );
    for value in ["v=..", "v="] {
        assert_eq!(
            failure(&env, &["--var", value])["code"],
            "http_address",
            "{value}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_the_own_network_is_asked_only_if_it_is_named() {
    let server = serve(&[("/", text("secret"))]).await;
    let port = server.address().port();
    for (url, hosts) in [
        (server.uri(), None),
        (server.uri(), Some(json!(["example.com"]))),
        (format!("http://localhost:{port}"), Some(json!(["*.localhost"]))),
        (format!("http://localhost:{port}"), None),
        (format!("http://0x7f000001:{port}"), None),
        (format!("http://[::ffff:127.0.0.1]:{port}"), None),
        (
            format!("http://127.0.0.1:{port}"),
            Some(json!([format!("127.0.0.1:{}", port ^ 1)])),
        ),
    ] {
        let mut settings = json!({ "url": url });
        if let Some(hosts) = hosts {
            settings["allowed_hosts"] = hosts;
        }
        let error = failure(&asks(&settings), &[]);
        assert_eq!(error["code"], "host_not_allowed", "{settings}: {error}");
        assert!(
            error["hint"].as_str().unwrap().contains("allowed_hosts"),
            "{error}"
        );
    }
    assert_eq!(asked(&server).await.len(), 0);
    // As the hint says.
    let env = asks(&json!({ "url": format!("http://localhost:{port}"), "allowed_hosts": ["localhost"] }));
    drop(run(&env, &[]).expect(0));
    assert_eq!(outcome(&env)["body"], "secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_takes_a_credential_or_a_body_elsewhere() {
    let other = serve(&[("/there", text("there"))]).await;
    let there = format!("{}/there", other.uri());
    let server = serve(&[
        ("/same", redirect(302, "/done")),
        ("/done", text("done")),
        ("/away", redirect(302, &there)),
        ("/kept", redirect(307, &there)),
        ("/moved", redirect(301, "/done")),
        ("/round", redirect(302, "/round")),
        ("/inside", redirect(302, "http://169.254.169.254/latest")),
        ("/file", redirect(302, "file:///etc/passwd")),
    ])
    .await;
    let settings = |method: &str, at: &str| {
        let mut settings = json!({
            "method": method,
            "url": format!("{}{at}", server.uri()),
            "headers": { "Authorization": "Bearer mine", "X-Api-Key": "mine", "Accept": "text/plain" },
            "allowed_hosts": ["127.0.0.1"],
        });
        if method == "POST" {
            settings["body"] = "mine".into();
        }
        settings
    };
    for (method, at, body) in [
        ("GET", "/same", "done"),
        ("POST", "/same", "done"),
        ("GET", "/away", "there"),
        ("POST", "/away", "there"),
    ] {
        let env = asks(&settings(method, at));
        drop(run(&env, &[]).expect(0));
        assert_eq!(outcome(&env)["body"], body, "{method} {at}");
    }
    for request in asked(&other).await {
        assert_eq!(request.method.as_str(), "GET");
        assert_eq!(request.headers["accept"], "text/plain");
        assert!(request.body.is_empty());
        let all = format!("{:?}", request.headers);
        assert!(!all.contains("mine"), "{all}");
    }
    let own = asked(&server).await;
    assert!(
        own.iter()
            .any(|request| request.url.path() == "/done" && request.headers.contains_key("x-api-key"))
    );
    for (method, at, code) in [
        ("POST", "/kept", "http_redirect"),
        ("DELETE", "/moved", "http_redirect"),
        ("GET", "/round", "http_redirect"),
        ("GET", "/file", "http_redirect"),
        ("GET", "/inside", "host_not_allowed"),
    ] {
        let error = failure(&asks(&settings(method, at)), &[]);
        assert_eq!(error["code"], code, "{method} {at}: {error}");
    }
    // It may be the answer itself.
    let mut taken = settings("GET", "/away");
    taken["expect_status"] = json!([302]);
    let env = asks(&taken);
    drop(run(&env, &[]).expect(0));
    assert_eq!(outcome(&env)["headers"]["location"], there);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_server_and_stands_nowhere() {
    let server = MockServer::start().await;
    let echo = |request: &Request| {
        let headers = format!("{:?}", request.headers);
        let said = format!(
            "{} {headers} {}",
            request.url,
            String::from_utf8_lossy(&request.body)
        );
        ResponseTemplate::new(200)
            .set_body_string(said)
            .insert_header("x-request-id", KEY)
    };
    Mock::given(method("POST"))
        .respond_with(echo)
        .mount(&server)
        .await;
    let env = asks(&json!({
        "method": "POST",
        "url": format!("{}/of/$secret{{S}}/x?key=$secret{{S}}", server.uri()),
        "query": { "again": "$secret{S}" },
        "headers": { "Authorization": "Bearer $secret{S}", "X-Text": "$var{v}" },
        "body": { "token": "$secret{S}", "text": "$var{v}" },
        "allowed_hosts": ["127.0.0.1"],
    }));
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("secrets:\n  S: \"{KEY}\"\n"),
    );
    // What a value says is text.
    let done = run(&env, &["--var", "v=$secret{S}"]).expect(0);
    let asked = asked(&server).await;
    let encoded = asked[0].url.as_str().matches(&percent(KEY)).count();
    assert_eq!(encoded, 3, "{}", asked[0].url);
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(asked[0].headers["x-text"], "$secret{S}");
    let body: Value = serde_json::from_slice(&asked[0].body).unwrap();
    assert_eq!(body, json!({ "token": KEY, "text": "$secret{S}" }));
    let told = outcome(&env).to_string();
    assert!(told.contains("[redacted]"), "{told}");
    assert_clean("the standard error", done.stderr.as_bytes());
    assert!(assert_runs_clean(&env, &assert_clean) > 5);
    let state = std::fs::read_to_string(env.last_run().join("flow_root/ask/state.json")).unwrap();
    assert!(state.contains("Bearer $secret{S}"), "{state}");
}

/// A text as it stands in an address.
fn percent(text: &str) -> String {
    let one = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_is_asked_again_when_it_says_and_one_that_refuses_is_not() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(503)
        .insert_header("retry-after", "1")
        .set_body_string("busy");
    Mock::given(path("/busy"))
        .respond_with(busy)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path("/busy"))
        .respond_with(text("well"))
        .mount(&server)
        .await;
    let long = ResponseTemplate::new(429).insert_header("retry-after", "86400");
    Mock::given(path("/tomorrow"))
        .respond_with(long)
        .mount(&server)
        .await;
    let missing = ResponseTemplate::new(404).set_body_string("no such item");
    Mock::given(path("/missing"))
        .respond_with(missing)
        .mount(&server)
        .await;
    let step = |at: &str, method: &str| {
        let settings = json!({ "url": format!("{}{at}", server.uri()), "method": method, "allowed_hosts": ["127.0.0.1"] });
        let mut node = element(&settings);
        node["retry"] = json!({ "max_attempts": 3, "initial_delay": 0.01 });
        flow(&[node])
    };
    let count = async |at: &str| {
        asked(&server)
            .await
            .iter()
            .filter(|request| request.url.path() == at)
            .count()
    };
    let env = step("/busy", "GET");
    let began = std::time::Instant::now();
    drop(run(&env, &[]).expect(0));
    assert!(began.elapsed().as_millis() >= 1000, "it asked for a second");
    assert_eq!(outcome(&env)["body"], "well");
    assert_eq!(records(&env.last_run(), "attempt_failed").len(), 1);

    let error = failure(&step("/missing", "GET"), &[]);
    assert_eq!(error["code"], "http_status");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .ends_with("HTTP status 404: no such item"),
        "{error}"
    );
    assert_eq!(count("/missing").await, 1);

    let error = failure(&step("/tomorrow", "GET"), &[]);
    assert!(error["hint"].as_str().unwrap().contains("24h"), "{error}");
    assert_eq!(count("/tomorrow").await, 1);

    // An effect is not repeated unless the definition says so.
    let error = failure(&step("/tomorrow", "POST"), &[]);
    assert_eq!(error["code"], "http_status");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_read_to_its_limit_and_no_further() {
    let server = serve(&[
        ("/long", text(&"é".repeat(1000))),
        (
            "/bytes",
            ResponseTemplate::new(200).set_body_raw(vec![0xff, 0, 1], "image/png"),
        ),
        ("/empty", ResponseTemplate::new(204)),
        (
            "/broken",
            ResponseTemplate::new(200).set_body_raw("{\"a\": oops}", "application/json"),
        ),
        (
            "/html",
            ResponseTemplate::new(200).set_body_raw("<html>sign in</html>", "text/html"),
        ),
        ("/packed", text("x").insert_header("content-encoding", "gzip")),
    ])
    .await;
    let settings = |at: &str, more: Value| {
        let mut settings = json!({ "url": format!("{}{at}", server.uri()), "allowed_hosts": ["127.0.0.1"] });
        settings
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        asks(&settings)
    };
    let env = settings("/long", json!({ "max_bytes": 101 }));
    assert_eq!(failure(&env, &[])["code"], "answer_too_long");
    let kept = outcome(&env)["body"].as_str().unwrap().to_owned();
    assert_eq!(
        kept,
        format!(
            "{}\n… cut at 100 bytes, the limit of `max_bytes` …\n",
            "é".repeat(50)
        )
    );
    drop(run(&settings("/long", json!({ "max_bytes": 2000 })), &[]).expect(0));

    let error = failure(&settings("/bytes", json!({})), &[]);
    assert!(
        error["hint"].as_str().unwrap().contains("output: file"),
        "{error}"
    );
    let env = settings("/bytes", json!({ "output": "file" }));
    drop(run(&env, &[]).expect(0));
    let file = outcome(&env)["file"].clone();
    assert_eq!(
        (&file["len"], &file["media_type"]),
        (&json!(3), &json!("image/png"))
    );
    let at = env
        .last_run()
        .join("flow_root/ask")
        .join(file["path"].as_str().unwrap());
    assert_eq!(std::fs::read(at).unwrap(), [0xff, 0, 1]);

    let env = settings("/empty", json!({ "output": "json" }));
    drop(run(&env, &[]).expect(0));
    assert_eq!(outcome(&env)["status"], 204);

    for (at, near) in [("/broken", "oops"), ("/html", "sign in")] {
        let env = settings(at, json!({ "output": "json" }));
        let error = failure(&env, &[]);
        assert_eq!(error["code"], "http_answer");
        assert!(error["message"].as_str().unwrap().contains(near), "{error}");
        assert!(outcome(&env)["body"].as_str().unwrap().contains(near));
    }
    let error = failure(&settings("/packed", json!({})), &[]);
    assert!(error["message"].as_str().unwrap().contains("gzip"), "{error}");
}

/// A server that sends the beginning of an answer and then closes the connection, or says nothing more.
fn unfinished(closes: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            drop(stream.read(&mut buffer));
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf"));
            if !closes {
                open.push(stream);
            }
        }
    });
    port
}

#[test]
fn an_answer_that_breaks_off_or_does_not_end_is_none() {
    for (closes, code) in [(true, "http_connection"), (false, "http_timeout")] {
        let url = format!("http://127.0.0.1:{}/path?key=hidden", unfinished(closes));
        let env = asks(&json!({ "url": url, "timeout": 1, "allowed_hosts": ["127.0.0.1"] }));
        let error = failure(&env, &[]);
        assert_eq!(error["code"], code, "{error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    // No server listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    drop(listener);
    let error = failure(&asks(&json!({ "url": url, "allowed_hosts": ["127.0.0.1"] })), &[]);
    assert_eq!(error["code"], "http_connection", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_run_asks_no_server() {
    let server = serve(&[("/a", text("recorded"))]).await;
    let settings = json!({ "method": "POST", "url": format!("{}/a", server.uri()), "body": "x $var{v}", "allowed_hosts": ["127.0.0.1"] });
    let env = asks(&settings);
    drop(run(&env, &["--var", "v=1"]).expect(0));
    let source = env.last_run();
    assert_eq!(read_lines(&source.join("flow_root/ask/memo.jsonl")).len(), 1);
    let source = source.file_name().unwrap().to_str().unwrap().to_owned();
    drop(run(&env, &["--var", "v=1", "--replay", &source]).expect(0));
    assert_eq!(outcome(&env)["body"], "recorded");
    let error = failure(&env, &["--var", "v=2", "--replay", &source]);
    assert_eq!(error["code"], "not_recorded", "{error}");
    assert_eq!(asked(&server).await.len(), 1);
}

/// The whole file below a directory that has a name.
fn written(dir: &Path, name: &str) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(dir).ok()?.flatten();
    entries.find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            written(&path, name)
        } else {
            Some(path).filter(|path| {
                path.ends_with(name) && std::fs::read(path).is_ok_and(|text| text.ends_with(b"\n"))
            })
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_arrived_is_not_asked_for_again_after_a_crash() {
    // Long enough for its driver to die before it is done with it.
    let bytes: Vec<u8> = (0..1_u32 << 20).map(|n| (n * 7 % 251) as u8).collect();
    let server = serve(&[(
        "/",
        ResponseTemplate::new(200).set_body_raw(bytes.clone(), "application/gzip"),
    )])
    .await;
    let settings =
        json!({ "method": "POST", "url": server.uri(), "output": "file", "allowed_hosts": ["127.0.0.1"] });
    let mut sent = 0;
    for _ in 0..5 {
        let env = asks(&settings);
        let mut driver = env.start(&["run", "flow", "flow.json"]);
        let began = std::time::Instant::now();
        while written(&env.project().join("runs"), "memo.jsonl").is_none() {
            assert!(began.elapsed().as_secs() < 120, "the answer does not arrive");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        driver.kill().unwrap();
        driver.wait().unwrap();
        sent += 1;
        assert_eq!(asked(&server).await.len(), sent);
        if !records(&env.last_run(), "step_committed").is_empty() {
            continue;
        }
        drop(env.run(&["resume", "last"]).expect(0));
        assert_eq!(asked(&server).await.len(), sent, "it was asked once");
        let file = env
            .last_run()
            .join("flow_root/ask")
            .join(outcome(&env)["file"]["path"].as_str().unwrap());
        assert!(std::fs::read(file).unwrap() == bytes);
        return;
    }
    panic!("the driver was never killed in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_reads_is_reused_by_a_re_run_unless_something_changed_before() {
    let server = serve(&[("/a", text("a")), ("/b", text("b"))]).await;
    let url = |at: &str| format!("{}{at}", server.uri());
    let hosts = json!(["127.0.0.1"]);
    let read = element(&json!({ "url": url("/a"), "allowed_hosts": hosts }));
    let effect = json!({ "node": "change", "type": "http", "settings":
        { "method": "PUT", "url": url("/b"), "body": "$var{v}", "allowed_hosts": hosts } });
    let search = json!({ "node": "search", "type": "http", "settings":
        { "method": "POST", "reads": true, "url": url("/b"), "body": "q", "allowed_hosts": hosts } });
    let env = flow(&[read, search, effect]);
    drop(run(&env, &["--var", "v=1"]).expect(0));
    drop(run(&env, &["--var", "v=2", "--previous-run-id", "last"]).expect(0));
    let asked = asked(&server).await;
    let of = |method: &str| {
        asked
            .iter()
            .filter(|request| request.method.as_str() == method)
            .count()
    };
    assert_eq!((of("GET"), of("POST"), of("PUT")), (1, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_answer_says_which_secret_was_not_compared() {
    let server = serve(&[("/", text("ok"))]).await;
    let env = asks(
        &json!({ "url": server.uri(), "headers": { "X-Key": "$secret{S}" }, "allowed_hosts": ["127.0.0.1"] }),
    );
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("secrets:\n  S: \"{KEY}\"\n"),
    );
    drop(run(&env, &[]).expect(0));
    drop(run(&env, &["--previous-run-id", "last"]).expect(0));
    let why = env.run(&["runs", "why", "last", "ask", "--json"]).expect(0);
    let why: Value = serde_json::from_str(&why.stdout).unwrap();
    assert_eq!(why["not_compared"], json!(["$secret{S}"]), "{why}");
    assert_eq!(asked(&server).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_approves_sees_what_is_sent() {
    let server = serve(&[("/a", text("ok"))]).await;
    let mut node = element(&json!({
        "method": "POST", "url": format!("{}/a", server.uri()), "headers": { "X-Key": "$secret{S}" }, "body": "hello", "allowed_hosts": ["127.0.0.1"],
    }));
    node["requires_approval"] = true.into();
    let env = flow(&[node]);
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("secrets:\n  S: \"{KEY}\"\n"),
    );
    drop(run(&env, &[]).expect(3));
    assert_eq!(asked(&server).await.len(), 0);
    let view = RunView::open(env.last_run()).unwrap();
    let preview = view
        .question(&view.open_questions().next().unwrap().id)
        .unwrap()
        .preview;
    let line = format!("POST {}/a", server.uri());
    for shown in [
        line.as_str(),
        "headers: X-Key, Content-Type",
        "body: 5 bytes, blake3 ",
        "hello",
    ] {
        assert!(preview.contains(shown), "{shown}: {preview}");
    }
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    drop(env.run(&["resume", "last"]));
    assert_eq!(asked(&server).await.len(), 1);
}

#[test]
fn what_is_wrong_with_a_request_is_reported_before_anything_is_asked() {
    for (settings, told) in [
        (json!({}), "url"),
        (json!({ "url": "example.com/a" }), "it is no address"),
        (json!({ "url": "ftp://example.com/a" }), "begins with `ftp:`"),
        (json!({ "url": "https://me:pass@example.com" }), "Authorization"),
        (json!({ "url": "https://example.com/#a" }), "behind `#`"),
        (json!({ "url": "$var{v}" }), "nothing bounds it"),
        (
            json!({ "url": "https://$var{v}.example.com" }),
            "allowed_hosts: [HOST]",
        ),
        (
            json!({ "url": "https://$secret{S}.example.com" }),
            "name of a host",
        ),
        (
            json!({ "url": "https://example.com", "allowed_hosts": ["https://example.com"] }),
            "is no host",
        ),
        (
            json!({ "url": "https://example.com", "allowed_hosts": ["$var{v}"] }),
            "only the definition",
        ),
        (
            json!({ "url": "https://example.com", "allowed_hosts": ["$secret{S}"] }),
            "is only for",
        ),
        (
            json!({ "url": "https://example.com", "headers": { "Host": "a" } }),
            "the connection decides",
        ),
        (
            json!({ "url": "https://example.com", "headers": { "a b": "a" } }),
            "names of headers",
        ),
        (
            json!({ "url": "https://example.com", "headers": { "A": "$secret{}" } }),
            "names no secret",
        ),
        (
            json!({ "url": "https://example.com", "query": { "a": { "b": 1 } } }),
            "a mapping",
        ),
        (
            json!({ "url": "https://example.com", "timeout": 0 }),
            "positive number of seconds",
        ),
        (
            json!({ "url": "https://example.com", "max_bytes": 0 }),
            "`max_bytes` is between",
        ),
        (
            json!({ "url": "https://example.com", "expect_status": [20] }),
            "no HTTP status",
        ),
        (json!({ "url": "https://example.com", "method": "BREW" }), "GET"),
        (
            json!({ "url": "https://example.com", "reads": "$var{v}" }),
            "only the definition",
        ),
        (
            json!({ "url": "https://example.com", "metod": "GET" }),
            "did you mean `method`",
        ),
    ] {
        let env = asks(&settings);
        let output = env.run(&["validate", "flow.json"]).expect(2);
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains(told), "{settings}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_decides_neither_where_nor_whether_something_changes() {
    let server = serve(&[("/", text("ok"))]).await;
    let mut node = element(&json!({ "url": "https://example.com" }));
    node["pre_events"] = json!(["node_input_required"]);
    let env = flow(&[node]);
    for settings in [
        json!({ "allowed_hosts": ["127.0.0.1"] }),
        json!({ "reads": true }),
    ] {
        let input = json!({ "settings_override": settings }).to_string();
        let output = run(&env, &["--input", &format!("ask={input}")]);
        assert_ne!(output.code, Some(0), "{output}");
    }
    let input = json!({ "settings_override": { "url": server.uri() } }).to_string();
    let output = run(&env, &["--input", &format!("ask={input}")]);
    assert_ne!(output.code, Some(0), "{output}");
    assert_eq!(asked(&server).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_asks_only_servers_that_the_definition_names() {
    let server = serve(&[("/a", text("fetched"))]).await;
    let (own, port) = (server.uri(), server.address().port());
    for (arguments, told) in [
        (json!({ "url": format!("{own}/a") }), "fetched"),
        (
            json!({ "url": format!("http://localhost:{port}/a") }),
            "`localhost` may not be asked",
        ),
        (
            json!({ "url": format!("{own}/a"), "allowed_hosts": ["localhost"] }),
            "allowed_hosts",
        ),
        (
            json!({ "url": format!("{own}/a"), "headers": { "X": "$secret{S}" } }),
            "counts only in the settings",
        ),
        (
            json!({ "url": format!("{own}/a"), "headers": { "Host": "x" } }),
            "the connection decides",
        ),
    ] {
        let scripted = Scripted::new(vec![calls("http", &arguments), says("Done.")]).await;
        scripted.flow(&node(
            "tools: [{ name: http, node: http, settings: { allowed_hosts: [127.0.0.1] } }]",
        ));
        drop(scripted.run(&[]).expect(0));
        let asked = scripted.asked().await;
        let last = asked.last().unwrap()["messages"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()["content"]
            .to_string();
        assert!(last.contains(told), "{arguments}: {last}");
    }
    assert_eq!(asked(&server).await.len(), 1);
}

#[test]
fn the_example_answers_from_its_cassette() {
    let env = TestEnvironment::without_project();
    env.copy_dir(&workspace().join("examples/releases"), &env.project());
    let output = env
        .run(&["run", "flow", "releases.yaml", "--env", "offline"])
        .expect(0);
    assert_eq!(output.stdout, "v0.1.0\n", "{output}");
    let notes = env.last_run().join("releases_root/notes/stdout.log");
    assert_eq!(std::fs::read_to_string(notes).unwrap(), "The first release.\n");
    // Another request than the recorded one is not made.
    let args = [
        "run",
        "flow",
        "releases.yaml",
        "--env",
        "offline",
        "--var",
        "repository=other",
    ];
    let output = env.run(&args).expect(1);
    assert!(output.stderr.contains("holds no answer for call 1"), "{output}");
}

#[test]
fn an_address_that_is_none_is_one_problem() {
    let env = TestEnvironment::new();
    for url in ["ftp://h/a", "https:/h/a"] {
        env.write("flow.yaml", &format!(
            "schema_version: 1\nkind: flow\nelements:\n  - {{ node: s, type: http, settings: {{ url: \"{url}\" }} }}\n"
        ));
        let refused = env.run(&["validate", "flow.yaml"]).expect(2);
        assert_eq!(refused.stderr.matches("error[").count(), 1, "{}", refused.stderr);
    }
}
