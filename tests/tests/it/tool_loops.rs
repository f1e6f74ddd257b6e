//! Loops of tools with reasoning: killed, resumed, replayed, and taken over by another model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::harness::{TestEnvironment, read_json};
use crate::models::{Scripted, body, calls, says};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A model that calls a tool twice, with reasoning that its provider wants back, and then answers.
struct Provider {
    protocol: &'static str,
    /// The turns of the model in a request.
    turns: fn(&Value) -> Vec<Value>,
    /// The answer after some turns.
    answer: fn(usize) -> Value,
}

fn sealed(turn: usize) -> String {
    format!("sealed-{turn}")
}

const ANTHROPIC: Provider = Provider {
    protocol: "anthropic",
    turns: |sent| {
        let messages = sent["messages"].as_array().unwrap().iter();
        let turns = messages.filter(|message| message["role"] == "assistant");
        turns.map(|message| message["content"].clone()).collect()
    },
    answer: |turn| {
        let content = match turn {
            2 => json!([{ "type": "text", "text": "done" }]),
            _ => json!([
                { "type": "thinking", "thinking": format!("thought {turn}"), "signature": sealed(turn) },
                { "type": "redacted_thinking", "data": sealed(turn) },
                { "type": "tool_use", "id": format!("call_{turn}"), "name": "note", "input": { "text": format!("line {turn}") } },
            ]),
        };
        let stop = if turn == 2 { "end_turn" } else { "tool_use" };
        json!({ "id": "msg", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop,
            "usage": { "input_tokens": 10, "output_tokens": 5 } })
    },
};

const GOOGLE: Provider = Provider {
    protocol: "google",
    turns: |sent| {
        let contents = sent["contents"].as_array().unwrap().iter();
        let turns = contents.filter(|content| content["role"] == "model");
        turns.map(|content| content["parts"].clone()).collect()
    },
    answer: |turn| {
        let parts = match turn {
            2 => json!([{ "text": "done" }]),
            _ => json!([
                { "text": format!("thought {turn}"), "thought": true },
                { "functionCall": { "name": "note", "args": { "text": format!("line {turn}") } }, "thoughtSignature": sealed(turn) },
            ]),
        };
        json!({ "candidates": [{ "content": { "role": "model", "parts": parts }, "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15 } })
    },
};

const RESPONSES: Provider = Provider {
    protocol: "openai_responses",
    turns: |sent| {
        let items = sent["input"].as_array().unwrap();
        let reasoning = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item["type"] == "reasoning");
        reasoning
            .map(|(at, _)| json!([items[at], items[at + 1]]))
            .collect()
    },
    answer: |turn| {
        let output = match turn {
            2 => {
                json!([{ "type": "message", "id": "msg", "role": "assistant", "content": [{ "type": "output_text", "text": "done" }] }])
            }
            _ => json!([
                { "type": "reasoning", "id": format!("rs_{turn}"), "summary": [], "encrypted_content": sealed(turn) },
                { "type": "function_call", "call_id": format!("call_{turn}"), "name": "note", "arguments": json!({ "text": format!("line {turn}") }).to_string() },
            ]),
        };
        json!({ "id": "resp", "object": "response", "status": "completed", "model": "m", "output": output,
            "usage": { "input_tokens": 10, "output_tokens": 5, "total_tokens": 15 } })
    },
};

/// A server that answers by the turns it is sent, and holds its third answer back as long as that is set.
async fn server(provider: &'static Provider, holds_back: Arc<AtomicBool>) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        let turns = (provider.turns)(&sent);
        for (number, turn) in turns.iter().enumerate() {
            let answer = (provider.answer)(number);
            let places = ["/content", "/candidates/0/content/parts", "/output"];
            let own = places.iter().find_map(|place| answer.pointer(place)).unwrap();
            if turn != own {
                return ResponseTemplate::new(400)
                    .set_body_string(format!("turn {number} was changed: {turn}"));
            }
        }
        let answered = ResponseTemplate::new(200).set_body_json((provider.answer)(turns.len()));
        if turns.len() == 2 && holds_back.load(Ordering::Relaxed) {
            answered.set_delay(PATIENCE)
        } else {
            answered
        }
    };
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

async fn asked(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect()
}

const FLOW: &str = "schema_version: 1\nkind: flow\noutput: \"$expr{ $hier{ask}.outcome }\"\nelements:\n  - node: ask\n    type: ai_model_call\n    \
                    settings:\n      models: [m]\n      prompt: Take two notes.\n      model_call_config:\n        tools:\n          - name: note\n            \
                    command: [sh, -c, 'printf \"%s\\n\" \"$0\" >> \"$1\"', \"{text}\", \"$var{project_root}/notes\"]\n            parameters: { type: object, \
                    required: [text], properties: { text: { type: string } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_was_killed_continues_with_the_reasoning_of_its_model() {
    for provider in [&ANTHROPIC, &GOOGLE, &RESPONSES] {
        let protocol = provider.protocol;
        let holds_back = Arc::new(AtomicBool::new(true));
        let server = server(provider, Arc::clone(&holds_back)).await;
        let env = TestEnvironment::new();
        let models = format!(
            "- {{ name: m, provider: here, model: m, protocol: {protocol}, base_url: \"{}/v1\", price: {{ input: 1.0, output: 2.0 }} }}\n",
            server.uri()
        );
        env.write(".dhenara/models.yaml", &models);
        env.write("flow.yaml", FLOW);
        let mut driver = env.start(&["run", "flow", "flow.yaml"]);
        let began = Instant::now();
        while asked(&server).await.len() < 3 {
            assert!(
                began.elapsed() < PATIENCE,
                "{protocol}: the third request does not come"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        driver.kill().unwrap();
        driver.wait().unwrap();
        holds_back.store(false, Ordering::Relaxed);

        let done = env.run(&["resume", "last"]).expect(0);
        let requests = asked(&server).await;
        assert_eq!(
            requests.len(),
            4,
            "{protocol}: only the third is made again\n{done}"
        );
        assert_eq!(requests[2], requests[3], "{protocol}");
        let notes = std::fs::read_to_string(env.project().join("notes")).unwrap();
        assert_eq!(notes, "line 0\nline 1\n", "{protocol}: each tool ran once");
        let result = read_json(&env.last_run().join("flow_root/ask/result.json"));
        assert_eq!(result["outcome"]["text"], "done", "{protocol}");

        // Its replay makes the same requests: one that differs has no answer.
        let run = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
        let replayed = env.run(&["run", "flow", "flow.yaml", "--replay", &run]).expect(0);
        assert!(
            replayed.stderr.contains("3 calls replayed"),
            "{protocol}: {replayed}"
        );
        assert_eq!(asked(&server).await.len(), 4, "{protocol}");
    }
}

const TOOLS: &str = "  - node: ask\n    type: ai_model_call\n    settings:\n      models: [local/tiny, local/big]\n      prompt: Take a note.\n      model_call_config:\n        \
                     retry_delay: 0.01\n        tools: [{ name: note, max_calls: 1, command: [sh, -c, 'echo made >> \"$0\"', \"$var{project_root}/made\"], parameters: { type: object } }]\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_next_model_takes_the_conversation_over_and_repeats_no_effect() {
    let broken = ResponseTemplate::new(500).set_body_string("out of order");
    let refused = ResponseTemplate::new(400).set_body_json(json!({ "error": { "message": "no" } }));
    let filtered = body(
        &json!({ "role": "assistant", "content": "I am sor" }),
        "content_filter",
    );
    let empty = body(&json!({ "role": "assistant", "content": "" }), "length");
    for (failures, requests) in [
        (vec![broken.clone(), broken.clone(), broken], 5),
        (vec![refused], 3),
        (vec![filtered], 3),
        (vec![empty], 3),
    ] {
        let mut answers = vec![calls("note", &json!({}))];
        answers.extend(failures);
        answers.push(says("noted"));
        let scripted = Scripted::new(answers).await;
        scripted.flow(TOOLS);
        let done = scripted.run(&[]).expect(0);
        let asked = scripted.asked().await;
        assert_eq!(asked.len(), requests, "{done}");
        let last = asked.last().unwrap();
        assert_eq!(last["model"], "big");
        let roles: Vec<&Value> = last["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| &message["role"])
            .collect();
        assert_eq!(roles, ["user", "assistant", "tool"], "{last}");
        let made = std::fs::read_to_string(scripted.env.project().join("made")).unwrap();
        assert_eq!(made, "made\n", "the tool ran once");
        let state = read_json(&scripted.env.last_run().join("flow_root/ask/state.json"));
        assert_eq!(state["ai_model"], "local/big");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_step_asks_the_model_that_had_taken_over_and_a_replay_follows() {
    let server = MockServer::start().await;
    let holds_back = Arc::new(AtomicBool::new(true));
    let is_held = Arc::clone(&holds_back);
    // The first model is out of order until the run is resumed; the second calls a tool, and then answers.
    let answer = move |request: &Request| {
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        let holds_back = is_held.load(Ordering::Relaxed);
        if sent["model"] == "tiny" {
            return if holds_back {
                ResponseTemplate::new(400)
            } else {
                calls("note", &json!({ "again": true }))
            };
        }
        match sent["messages"].as_array().unwrap().len() {
            1 => calls("note", &json!({})),
            _ if holds_back => says("done").set_delay(PATIENCE),
            _ => says("done"),
        }
    };
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let scripted = Scripted::new(vec![says("unused")]).await;
    scripted.flow(TOOLS);
    let models = ["tiny", "big"]
        .map(|name| format!("- {{ name: local/{name}, base_url: \"{}/v1\" }}\n", server.uri()));
    scripted.env.write(".dhenara/models.yaml", &models.concat());
    let mut driver = scripted.env.start(&["run", "flow", "flow.yaml"]);
    let began = Instant::now();
    while asked(&server).await.len() < 3 {
        assert!(began.elapsed() < PATIENCE, "the third request does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    driver.kill().unwrap();
    driver.wait().unwrap();
    holds_back.store(false, Ordering::Relaxed);
    drop(scripted.env.run(&["resume", "last"]).expect(0));
    let requests = asked(&server).await;
    let models: Vec<&str> = requests
        .iter()
        .map(|sent| sent["model"].as_str().unwrap())
        .collect();
    assert_eq!(models, ["tiny", "big", "big", "big"]);
    let made = std::fs::read_to_string(scripted.env.project().join("made")).unwrap();
    assert_eq!(made, "made\n", "the tool ran once");

    let run = scripted
        .env
        .last_run()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let replayed = scripted
        .env
        .run(&["run", "flow", "flow.yaml", "--replay", &run])
        .expect(0);
    assert!(replayed.stderr.contains("2 calls replayed"), "{replayed}");
    assert_eq!(asked(&server).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_shown_in_the_words_of_the_model() {
    let refusal = body(
        &json!({ "role": "assistant", "content": null, "refusal": "I cannot help with that." }),
        "stop",
    );
    let scripted = Scripted::new(vec![refusal]).await;
    scripted.flow(
        "  - node: ask\n    type: ai_model_call\n    settings: { models: [local/tiny], prompt: Help. }\n",
    );
    let failed = scripted.run(&[]).expect(1);
    assert!(
        failed
            .stderr
            .contains("`local/tiny` refused to answer: I cannot help with that."),
        "{failed}"
    );
    assert_eq!(scripted.asked().await.len(), 1, "asking again would not help");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_left_out_reaches_no_command() {
    let tool = |command: &str| {
        format!(
            "  - node: ask\n    type: ai_model_call\n    settings: {{ models: [local/tiny], prompt: List., model_call_config: {{ tools: [{{ name: note, \
             command: {command}, parameters: {{ type: object, properties: {{ text: {{ type: string }}, dir: {{ type: string }} }} }} }}] }} }}\n"
        )
    };
    let scripted = Scripted::new(vec![calls("note", &json!({ "text": "a" })), says("done")]).await;
    scripted.flow(&tool(
        "[sh, -c, 'printf \"<%s>\" \"$0\" \"$@\"', \"{text}\", \"{dir}\"]",
    ));
    drop(scripted.run(&[]).expect(0));
    let shown = scripted.asked().await[1]["messages"].to_string();
    assert!(shown.contains("<a>") && !shown.contains("{dir}"), "{shown}");
    for (command, words) in [
        ("[ls, \"--dir={dir}\"]", "`{dir}` stands inside `--dir={dir}`"),
        ("[ls, \"{dirr}\"]", "`{dirr}` stands for no parameter"),
    ] {
        scripted.flow(&tool(command));
        let refused = scripted.env.run(&["validate", "flow.yaml"]).expect(2);
        assert!(refused.stderr.contains(words), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_is_none_is_found_before_anything_is_asked() {
    let scripted = Scripted::new(vec![says("never")]).await;
    let flow = |options: &str| {
        format!(
            "  - node: ask\n    type: ai_model_call\n    settings: {{ models: [local/tiny], prompt: Go., model_call_config: {{ options: {options} }} }}\n"
        )
    };
    scripted.flow(&flow("{ temprature: 1 }"));
    let refused = scripted.env.run(&["validate", "flow.yaml"]).expect(2);
    assert!(
        refused.stderr.contains("did you mean `temperature`?"),
        "{refused}"
    );
    // Known, and not to this protocol.
    scripted.flow(&flow("{ top_k: 4 }"));
    let refused = scripted.run(&[]).expect(2);
    assert!(refused.stderr.contains("has no option `top_k`"), "{refused}");
    assert!(scripted.asked().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_stands_before_no_server_of_this_machine_and_is_named() {
    let scripted = Scripted::new(vec![says("done")]).await;
    let models = scripted.env.project().join(".dhenara/models.yaml");
    let local = std::fs::read_to_string(&models).unwrap();
    let far = "- { name: far/m, base_url: \"http://models.invalid/v1\", auth: none }\n";
    std::fs::write(&models, local + far).unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for scheme in ["http", "socks5"] {
        let run = |model: &str| {
            let flow = format!(
                "  - node: ask\n    type: ai_model_call\n    settings: {{ models: [{model}], prompt: Go., model_call_config: {{ retries: 0 }} }}\n"
            );
            scripted.flow(&flow);
            let mut command = scripted
                .env
                .command(env!("CARGO_BIN_EXE_dhenara-under-test"), &scripted.env.project());
            let proxy = format!("{scheme}://user:word@{closed}");
            command
                .args(["run", "flow", "flow.yaml"])
                .env("HTTP_PROXY", &proxy)
                .env("http_proxy", &proxy);
            command.output().unwrap()
        };
        assert!(run("local/tiny").status.success(), "{scheme}");
        let failed = run("far/m");
        let shown = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert!(
            shown.contains(&format!("through the proxy `{closed}` of the environment")),
            "{scheme}: {shown}"
        );
        assert!(!shown.contains("word"), "{scheme}: {shown}");
    }
}
