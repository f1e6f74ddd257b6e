//! Model nodes through the command line, against a server with prepared answers.

use std::collections::VecDeque;
use std::sync::Mutex;

use dad_testing::{ReplayError, replay};
use dhenara::RunStatus;
use dhenara::definition::load_str;
use dhenara::run::RunView;
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::harness::{CommandOutput, TestEnvironment, read_json, read_lines, records};

/// A project, and a server whose answers are given in order; what comes after the last is the last again.
pub(crate) struct Scripted {
    pub(crate) env: TestEnvironment,
    pub(crate) server: MockServer,
}

impl Scripted {
    pub(crate) async fn new(answers: Vec<ResponseTemplate>) -> Self {
        let server = MockServer::start().await;
        let env = TestEnvironment::new();
        let models = ["tiny", "big"].map(|name| {
            format!(
                "- {{ name: local/{name}, base_url: \"{}/v1\", price: {{ input: 1.0, output: 2.0 }} }}\n",
                server.uri()
            )
        });
        let unpriced = format!("- {{ name: local/free, base_url: \"{}/v1\" }}\n", server.uri());
        env.write(".dhenara/models.yaml", &(models.concat() + &unpriced));
        Self { env, server }.again(answers).await
    }

    /// The same place with a server that gives other answers.
    pub(crate) async fn again(self, answers: Vec<ResponseTemplate>) -> Self {
        self.server.reset().await;
        let queue = Mutex::new(VecDeque::from(answers));
        let answer = move |_: &Request| {
            let mut queue = queue.lock().unwrap();
            match queue.len() {
                1 => queue[0].clone(),
                _ => queue.pop_front().unwrap(),
            }
        };
        Mock::given(method("POST"))
            .respond_with(answer)
            .mount(&self.server)
            .await;
        self
    }

    pub(crate) fn flow(&self, elements: &str) {
        let text = format!(
            "schema_version: 1\nkind: flow\noutput: \"$expr{{ $hier{{ask}}.outcome }}\"\nelements:\n{elements}"
        );
        self.env.write("flow.yaml", &text);
    }

    pub(crate) fn run(&self, more: &[&str]) -> CommandOutput {
        let args: Vec<&str> = ["run", "flow", "flow.yaml"].iter().chain(more).copied().collect();
        self.env.run(&args)
    }

    /// The bodies of the requests that came.
    pub(crate) async fn asked(&self) -> Vec<Value> {
        let requests = self.server.received_requests().await.unwrap();
        requests
            .iter()
            .map(|request| serde_json::from_slice(&request.body).unwrap())
            .collect()
    }
}

pub(crate) fn body(message: &Value, finish: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id": "1", "object": "chat.completion", "model": "tiny",
        "choices": [{ "index": 0, "finish_reason": finish, "message": message }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 300 },
    }))
}

pub(crate) fn says(text: &str) -> ResponseTemplate {
    body(&json!({ "role": "assistant", "content": text }), "stop")
}

pub(crate) fn calls(tool: &str, arguments: &Value) -> ResponseTemplate {
    let call = json!({ "id": format!("call_{tool}"), "type": "function",
        "function": { "name": tool, "arguments": arguments.to_string() } });
    body(
        &json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
        "tool_calls",
    )
}

pub(crate) fn streams(pieces: &[&str]) -> ResponseTemplate {
    let chunk = |delta: Value, finish: Option<&str>| {
        format!(
            "data: {}\n\n",
            json!({ "id": "1", "object": "chat.completion.chunk", "model": "tiny",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        )
    };
    let mut text: String = pieces
        .iter()
        .map(|piece| chunk(json!({ "content": piece }), None))
        .collect();
    text += &chunk(json!({}), Some("stop"));
    text += &format!(
        "data: {}\n\ndata: [DONE]\n\n",
        json!({ "id": "1", "object": "chat.completion.chunk", "model": "tiny",
        "choices": [], "usage": { "prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 300 } })
    );
    ResponseTemplate::new(200).set_body_raw(text, "text/event-stream")
}

pub(crate) fn node(config: &str) -> String {
    format!(
        "  - node: ask\n    type: ai_model_call\n    settings:\n      models: [local/tiny, local/big]\n      prompt: Count the checks.\n      \
         model_call_config: {{ retry_delay: 0.01, {config} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_wrong_shape_is_repaired() {
    let scripted = Scripted::new(vec![
        says("three"),
        says("{\"n\": \"three\"}"),
        says("```json\n{\"n\": 3}\n```"),
    ])
    .await;
    let schema = "structured_output: { schema: { type: object, required: [n], properties: { n: { type: integer } } } }";
    scripted.flow(&node(schema));
    let done = scripted.run(&[]).expect(0);
    assert!(done.stderr.contains("3 calls, 900 tokens"), "{done}");
    assert!(done.stdout.contains("\"n\": 3"), "{done}");
    let asked = scripted.asked().await;
    assert_eq!(asked.len(), 3);
    let last = asked[2]["messages"].as_array().unwrap();
    assert_eq!(last.len(), 5, "question, answer, problem, answer, problem");
    assert!(
        last[2]["content"].as_str().unwrap().contains("not the JSON"),
        "{last:?}"
    );
    assert!(last[4]["content"].as_str().unwrap().contains("`/n`"), "{last:?}");
    let memos = read_lines(&scripted.env.last_run().join("flow_root/ask/memo.jsonl"));
    assert_eq!(memos.len(), 3);

    // One more repair than is allowed: the step fails, and what was paid for is counted.
    let scripted = Scripted::new(vec![says("three")]).await;
    scripted.flow(&node(&schema.replace("{ schema", "{ repairs: 1, schema")));
    let failed = scripted.run(&[]).expect(1);
    assert!(
        failed.stderr.contains("invalid_structured_output") || failed.stderr.contains("not the JSON"),
        "{failed}"
    );
    let view = RunView::open(scripted.env.last_run()).unwrap();
    assert_eq!(view.totals.usage.calls, 4, "each of two models is asked twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_cut_or_held_back_is_reported_as_such() {
    let schema = "structured_output: { schema: { type: object, required: [n], properties: { n: { type: integer } } } }";
    let some = |finish: &str| body(&json!({ "role": "assistant", "content": "{\"n\": " }), finish);
    let scripted = Scripted::new(vec![some("length")]).await;
    scripted.flow(&node(schema));
    let failed = scripted.run(&[]).expect(1);
    assert!(failed.stderr.contains("cut at its longest length"), "{failed}");
    assert_eq!(
        scripted.asked().await.len(),
        6,
        "each of two models repairs it twice"
    );
    assert!(
        scripted.asked().await[1]["messages"]
            .to_string()
            .contains("cut at its longest length")
    );

    let scripted = Scripted::new(vec![some("content_filter")]).await;
    scripted.flow(&node(schema));
    let failed = scripted.run(&[]).expect(1);
    assert!(
        failed.stderr.contains("`local/big` held its answer back"),
        "{failed}"
    );
    assert_eq!(scripted.asked().await.len(), 2, "each model once");

    let nothing = body(&json!({ "role": "assistant", "content": "" }), "content_filter");
    let scripted = Scripted::new(vec![nothing, some("content_filter")]).await;
    scripted.flow(&node(""));
    let done = scripted.run(&[]).expect(0);
    assert!(done.stderr.contains("cut by a content filter"), "{done}");
    assert_eq!(scripted.asked().await.len(), 2, "an answer without text is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_failed_for_a_while_are_made_again_and_others_go_to_the_next_model() {
    let busy = ResponseTemplate::new(503).set_body_string("later");
    let scripted = Scripted::new(vec![busy.clone(), busy.clone(), says("done")]).await;
    scripted.flow(&node(""));
    let done = scripted.run(&[]).expect(0);
    assert!(done.stdout.contains("done"), "{done}");
    let asked = scripted.asked().await;
    let names: Vec<&str> = asked.iter().map(|body| body["model"].as_str().unwrap()).collect();
    assert_eq!(names, ["tiny", "tiny", "tiny"]);

    let refused = ResponseTemplate::new(404).set_body_string("no such model");
    let scripted = Scripted::new(vec![refused, says("from the big one")]).await;
    scripted.flow(&node(""));
    drop(scripted.run(&[]).expect(0));
    let run = scripted.env.last_run();
    let state = read_json(&run.join("flow_root/ask/state.json"));
    assert_eq!(state["ai_model"], "local/big", "the one that was used");

    let scripted = Scripted::new(vec![busy]).await;
    scripted.flow(&node("retries: 1"));
    let failed = scripted.run(&[]).expect(1);
    assert!(
        failed
            .stderr
            .contains("`local/big` answered with HTTP status 503: later"),
        "{failed}"
    );
    assert_eq!(scripted.asked().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_is_too_long_is_not_waited_for() {
    let alone = ResponseTemplate::new(429)
        .insert_header("retry-after", "100000")
        .set_body_string("not today");
    let scripted = Scripted::new(vec![alone.clone()]).await;
    scripted.flow(&node("").replace(
        "    settings:",
        "    retry: { max_attempts: 3, initial_delay: 0 }\n    settings:",
    ));
    let failed = scripted.run(&[]).expect(1);
    assert!(
        failed
            .stderr
            .contains("asked not to be called for another 27h 46m"),
        "{failed}"
    );
    assert!(failed.stderr.contains("max_retry_delay"), "{failed}");
    assert_eq!(scripted.asked().await.len(), 1, "both models are of one provider");

    // A provider of its own answers instead.
    let other = Scripted::new(vec![says("from the other one")]).await;
    let scripted = Scripted::new(vec![alone]).await;
    let models = std::fs::read_to_string(scripted.env.project().join(".dhenara/models.yaml")).unwrap();
    let elsewhere = format!(
        "- {{ name: other/big, base_url: \"{}/v1\" }}\n",
        other.server.uri()
    );
    scripted.env.write(".dhenara/models.yaml", &(models + &elsewhere));
    scripted.flow(&node("").replace("local/big", "other/big"));
    let done = scripted.run(&[]).expect(0);
    assert!(done.stdout.contains("from the other one"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_never_fit_are_found_before_anything_is_executed() {
    let scripted = Scripted::new(vec![says("never")]).await;
    scripted.flow(&node(
        "timeout: -1, tools: [{ name: a, command: [], parameters: {} }], tool_choice: { name: b }, structured_output: { schema: { type: 5 } }",
    ));
    let refused = scripted.run(&[]).expect(2);
    for told in [
        "`timeout` is -1",
        "the list is empty",
        "there is no tool `b`",
        "is wrong: ",
    ] {
        assert!(refused.stderr.contains(told), "{told}: {refused}");
    }
    assert!(scripted.asked().await.is_empty() && scripted.env.runs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_model_may_be_named_for_all() {
    let scripted = Scripted::new(vec![says("done")]).await;
    scripted.flow(&node(""));
    drop(scripted.run(&["--model", "local/big"]).expect(0));
    assert_eq!(scripted.asked().await[0]["model"], "big");
    let unknown = scripted.run(&["--model", "bigg"]).expect(2);
    assert!(
        unknown.stderr.contains("`bigg` is not a known model"),
        "{unknown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_reported_while_it_arrives_and_kept() {
    let scripted = Scripted::new(vec![streams(&["Twelve ", "che", "cks."])]).await;
    scripted.flow(&node("streaming: true"));
    let done = scripted.run(&[]).expect(0);
    assert!(done.stdout.contains("Twelve checks."), "{done}");
    let step = scripted.env.last_run().join("flow_root/ask");
    assert_eq!(
        std::fs::read_to_string(step.join("stream.txt")).unwrap(),
        "Twelve checks.\n"
    );
    assert_eq!(scripted.asked().await[0]["stream"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_stream_cuts_in_two_is_masked() {
    let scripted = Scripted::new(vec![streams(&["the key is sk-very-", "secret-key, is it"])]).await;
    scripted.env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "local:\n  api_key: sk-very-secret-key\n",
    );
    // A server elsewhere wants a key; this one is elsewhere by another of its names.
    let models = std::fs::read_to_string(scripted.env.project().join(".dhenara/models.yaml")).unwrap();
    scripted
        .env
        .write(".dhenara/models.yaml", &models.replace("127.0.0.1", "127.0.0.2"));
    scripted.flow(&node("streaming: true, retries: 0"));
    let output = scripted.env.run(&["run", "flow", "flow.yaml"]);
    let run = scripted.env.last_run();
    let told = format!(
        "{output}{}",
        std::fs::read_to_string(run.join("flow_root/ask/stream.txt")).unwrap_or_default()
    );
    assert!(!told.contains("secret-key"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_made_up_without_a_provider() {
    let scripted = Scripted::new(vec![says("never")]).await;
    scripted.flow(&node(
        "test_mode: true, structured_output: { schema: { type: object, required: [n], properties: { n: { type: integer, minimum: 7 } } } }",
    ));
    let done = scripted.run(&[]).expect(0);
    assert!(done.stdout.contains("\"n\": 7"), "{done}");
    assert!(scripted.asked().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_calls_commands_and_nodes() {
    let scripted = Scripted::new(vec![
        calls("count", &json!({ "pattern": "a b", "more": 1 })),
        calls("count", &json!({ "pattern": 3 })),
        calls("nothing", &json!({})),
        calls("run", &json!({ "commands": [["echo", "from a node"]] })),
        says("There are two."),
    ])
    .await;
    scripted.env.write("text.txt", "a b\nc\na b c\n");
    let tools = "tools: [{ name: count, description: Counts lines., command: [grep, -c, \"{pattern}\", \"$var{project_root}/text.txt\"], parameters: \
                 { type: object, required: [pattern], properties: { pattern: { type: string } } } }, { name: run, node: command }]";
    scripted.flow(&node(tools));
    let done = scripted.run(&[]).expect(0);
    assert!(done.stdout.contains("There are two."), "{done}");
    let asked = scripted.asked().await;
    let told =
        |round: usize| asked[round]["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    assert!(told(1).contains("2\\\\n"), "{}", told(1));
    assert!(told(2).contains("the arguments do not fit"), "{}", told(2));
    assert!(
        told(3).contains("there is no tool `nothing`; there are count, run"),
        "{}",
        told(3)
    );
    assert!(told(4).contains("from a node"), "{}", told(4));
    let memos = read_lines(&scripted.env.last_run().join("flow_root/ask/memo.jsonl"));
    let names: Vec<&str> = memos.iter().map(|memo| memo["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "model_call",
            "tool_count",
            "model_call",
            "model_call",
            "model_call",
            "tool_run",
            "model_call"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_pays_through_its_tools_counts_once() {
    let inner = json!({ "models": ["local/big"], "prompt": "Count them." });
    let scripted = Scripted::new(vec![
        calls("ai_model_call", &inner),
        says("two"),
        calls("burn", &json!({})),
        says("done"),
    ])
    .await;
    let tools = "tools: [ai_model_call, { name: burn, requires_approval: true, command: [echo, burned], parameters: { type: object } }]";
    scripted.flow(&node(tools));
    drop(scripted.run(&[]).expect(3));
    let done = scripted.env.run(&["answer", "last", "--approve"]).expect(0);
    assert!(done.stderr.contains("4 calls, 1200 tokens"), "{done}");
    let asked = scripted.asked().await;
    let models: Vec<&str> = asked.iter().map(|body| body["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["tiny", "big", "tiny", "tiny"], "nothing is asked twice");
    let view = RunView::open(scripted.env.last_run()).unwrap();
    assert_eq!(
        (view.totals.usage.calls, view.totals.usage.total_tokens),
        (4, 1200)
    );
    let result = read_json(&scripted.env.last_run().join("flow_root/ask/result.json"));
    assert_eq!(result["usage_total_tokens"], 1200);
    let memos = read_lines(&scripted.env.last_run().join("flow_root/ask/memo.jsonl"));
    let numbers: Vec<String> = memos
        .iter()
        .map(|memo| format!("{} {}", memo["name"].as_str().unwrap(), memo["number"]))
        .collect();
    insta::assert_snapshot!(numbers.join("\n"), @"
    model_call 1
    model_call 2
    tool_ai_model_call 1
    model_call 3
    tool_burn 1
    model_call 4
    ");

    // Also if the tool fails.
    let inner = json!({ "models": ["local/big"], "prompt": "Count them.", "model_call_config": { "structured_output": { "schema": false, "repairs": 0 } } });
    let scripted = Scripted::new(vec![calls("ai_model_call", &inner), says("two"), says("done")]).await;
    scripted.flow(&node("tools: [ai_model_call]"));
    drop(scripted.run(&[]).expect(0));
    let view = RunView::open(scripted.env.last_run()).unwrap();
    assert_eq!(view.totals.usage.calls, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_are_no_json_are_reported_to_the_model() {
    let broken = json!({ "id": "call_look", "type": "function", "function": { "name": "look", "arguments": "{not json" } });
    let broken = json!({ "role": "assistant", "content": null, "tool_calls": [broken] });
    let scripted = Scripted::new(vec![body(&broken, "tool_calls"), says("enough")]).await;
    scripted.flow(&node(
        "tools: [{ name: look, command: [echo, seen], parameters: {} }]",
    ));
    drop(scripted.run(&[]).expect(0));
    let asked = scripted.asked().await;
    assert_eq!(asked.len(), 2);
    let told = asked[1]["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .to_string();
    assert!(
        told.contains("not a JSON object") && told.contains("{not json"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_never_stops_calling_ends_at_its_bound() {
    let scripted = Scripted::new(vec![calls("look", &json!({}))]).await;
    let tools =
        "max_tool_rounds: 3, tools: [{ name: look, command: [echo, seen], parameters: { type: object } }]";
    scripted.flow(&node(tools));
    let failed = scripted.run(&[]).expect(1);
    assert!(failed.stderr.contains("after 3 rounds"), "{failed}");
    assert_eq!(scripted.asked().await.len(), 4);
    let view = RunView::open(scripted.env.last_run()).unwrap();
    assert_eq!(view.totals.usage.calls, 4, "what was paid for is counted");

    let limited = Scripted::new(vec![
        calls("look", &json!({})),
        calls("look", &json!({})),
        says("enough"),
    ])
    .await;
    let tools = "tools: [{ name: look, max_calls: 1, command: [echo, seen], parameters: { type: object } }]";
    limited.flow(&node(tools));
    drop(limited.run(&[]).expect(0));
    let asked = limited.asked().await;
    assert!(
        asked[2]["messages"]
            .to_string()
            .contains("may be called 1 times and no more")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_needs_approval_waits_and_nothing_is_paid_twice() {
    let scripted = Scripted::new(vec![
        calls("burn", &json!({ "what": "paper" })),
        calls("burn", &json!({ "what": "wood" })),
        says("done"),
    ])
    .await;
    let tools = "tools: [{ name: burn, requires_approval: true, command: [echo, burned, \"{what}\"], parameters: { type: object, properties: { what: {} } } }]";
    scripted.flow(&node(tools));
    drop(scripted.run(&[]).expect(3));
    assert_eq!(scripted.asked().await.len(), 1);
    let shown = scripted.env.run(&["runs", "show", "last", "ask"]).expect(0);
    assert!(shown.stdout.contains("burn {\"what\":\"paper\"}"), "{shown}");
    let edited = scripted
        .env
        .run(&["answer", "last", "--input", "{\"input\": {}}"]);
    assert_ne!(edited.code, Some(0), "{edited}");
    drop(scripted.env.run(&["resume", "last"]).expect(3));
    drop(scripted.env.run(&["answer", "last", "--approve"]).expect(3));
    let denied = scripted
        .env
        .run(&["answer", "last", "--deny", "no fire"])
        .expect(0);
    assert!(denied.stdout.contains("done"), "{denied}");
    let asked = scripted.asked().await;
    assert_eq!(asked.len(), 3, "nothing was asked twice");
    let last = asked[2]["messages"].to_string();
    assert!(
        last.contains("burned paper") && last.contains("no fire") && !last.contains("burned wood"),
        "{last}"
    );
}

/// That an earlier call with the same arguments was agreed to says nothing about the next one.
#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_asked_about_although_its_arguments_are_those_of_an_earlier_one() {
    let burn = || calls("burn", &json!({ "what": "paper" }));
    let scripted = Scripted::new(vec![burn(), burn(), says("done")]).await;
    let tools = "tools: [{ name: burn, requires_approval: true, command: [echo, burned, \"{what}\"], parameters: { type: object, properties: { what: {} } } }]";
    scripted.flow(&node(tools));
    drop(scripted.run(&[]).expect(3));
    drop(scripted.env.run(&["answer", "last", "--approve"]).expect(3));
    // Neither is it by resuming the run.
    drop(scripted.env.run(&["resume", "last"]).expect(3));
    let done = scripted
        .env
        .run(&["answer", "last", "--deny", "enough"])
        .expect(0);
    assert!(done.stdout.contains("done"), "{done}");
    let last = scripted.asked().await[2]["messages"].to_string();
    assert!(last.contains("burned paper") && last.contains("enough"), "{last}");
}

/// A call of a node is shown as the node shows it, and holds for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_asked_about_again_when_what_it_would_do_has_changed() {
    // The answer names a directory that is known only when the project is there.
    let scripted = Scripted::new(vec![says("done")]).await;
    let arguments = json!({
        "base_directory": scripted.env.project().join("tree"),
        "operations": [{ "type": "edit_file", "path": "a.txt", "edits": [{ "old_text": "one", "new_text": "two" }] }],
    });
    let first = Mock::given(method("POST")).respond_with(calls("edit", &arguments));
    first
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&scripted.server)
        .await;
    let file = scripted.env.write("tree/a.txt", "one\n");
    let tools = "tools: [{ name: edit, requires_approval: true, node: file_operation }]";
    scripted.flow(&node(tools));
    drop(scripted.run(&[]).expect(3));
    let shown = scripted.env.run(&["runs", "show", "last", "ask"]).expect(0);
    assert!(shown.stdout.contains("-one\n+two\n"), "{shown}");
    std::fs::write(&file, "one\nand the user's own line\n").unwrap();
    drop(scripted.env.run(&["answer", "last", "--approve"]).expect(3));
    let shown = scripted.env.run(&["runs", "show", "last", "ask"]).expect(0);
    assert!(
        shown.stdout.contains("-one\n+two\n and the user's own line\n"),
        "{shown}"
    );
    let now = std::fs::read_to_string(&file).unwrap();
    assert_eq!(now, "one\nand the user's own line\n", "no person agreed to that");
    drop(scripted.env.run(&["answer", "last", "--approve"]).expect(0));
    let now = std::fs::read_to_string(&file).unwrap();
    assert_eq!(now, "two\nand the user's own line\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_earlier_steps_stand_before_the_prompt() {
    let scripted = Scripted::new(vec![says("seen")]).await;
    scripted.env.write("dot.png", "not really");
    let elements = "  - { node: first, type: command, settings: { commands: [[echo, hello]] } }\n  - node: ask\n    type: ai_model_call\n    settings:\n      \
                    models: [local/tiny]\n      context: [What follows matters.]\n      context_sources: [first]\n      prompt: { text: Look., files: \
                    [\"$var{project_root}/dot.png\", \"$var{project_root}/notes.toml\"] }\n";
    scripted.env.write("notes.toml", "colour = \"grey\"");
    scripted.flow(elements);
    drop(scripted.run(&[]).expect(0));
    let asked = scripted.asked().await;
    let messages = asked[0]["messages"].as_array().unwrap();
    // All that stands before an answer is one message.
    let [message] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    let parts = message["content"].as_array().unwrap();
    let before = parts[0]["text"].as_str().unwrap();
    assert!(
        before.starts_with("What follows matters.\n\n") && before.contains("hello"),
        "{before}"
    );
    assert_eq!(parts[1]["text"], "\n\nLook.");
    assert_eq!(
        parts[2]["image_url"]["url"],
        "data:image/png;base64,bm90IHJlYWxseQ=="
    );
    assert_eq!(parts[3]["text"], "notes.toml:\ncolour = \"grey\"");
    // What is read counts for reuse.
    let reuse = ["--previous-run-id", "last"];
    drop(scripted.run(&reuse).expect(0));
    assert_eq!(scripted.asked().await.len(), 1);
    scripted.env.write("dot.png", "something else");
    drop(scripted.run(&reuse).expect(0));
    assert_eq!(scripted.asked().await.len(), 2);
    for (file, reason) in [
        ("dot.png", "its path is not absolute"),
        (
            "/etc/hostname",
            "it lies neither in the project nor in the run root",
        ),
        ("$var{project_root}/gone.png", "No such file"),
    ] {
        scripted.flow(&elements.replace("$var{project_root}/dot.png", file));
        let refused = scripted.run(&[]).expect(1);
        assert!(refused.stderr.contains(reason), "{file}: {refused}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_not_waited_for_and_a_link_is_followed() {
    let scripted = Scripted::new(vec![says("seen")]).await;
    let project = scripted.env.project();
    let pipe = std::process::Command::new("mkfifo")
        .arg(project.join("pipe"))
        .status();
    assert!(pipe.unwrap().success());
    scripted.env.write("notes.md", "longer than the path of the link");
    std::os::unix::fs::symlink("notes.md", project.join("link.md")).unwrap();
    let ask = |file: &str| {
        node("").replace(
            "prompt: Count the checks.",
            &format!("prompt: {{ text: Look., files: [\"$var{{project_root}}/{file}\"] }}"),
        )
    };
    for file in ["pipe", ".dhenara"] {
        scripted.flow(&ask(file));
        let refused = scripted.run(&[]).expect(1);
        assert!(
            refused.stderr.contains("it is not a regular file"),
            "{file}: {refused}"
        );
    }
    scripted.flow(&ask("link.md"));
    drop(scripted.run(&[]).expect(0));
    let told = scripted.asked().await[0]["messages"].to_string();
    assert!(told.contains("longer than the path of the link"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_answers_become_artifacts() {
    // Of the protocols that are spoken here, Google's has images in answers.
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({
            "candidates": [{ "content": { "parts": [{ "text": "a dot" }, { "inlineData": { "mimeType": "image/png", "data": "AQID" } }],
                "role": "model" }, "finishReason": "STOP", "index": 0 }],
            "usageMetadata": { "promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2 },
        })))
        .mount(&server)
        .await;
    let env = TestEnvironment::new();
    let model = format!(
        "- {{ name: here/m, protocol: google, base_url: \"{}/v1\" }}\n",
        server.uri()
    );
    env.write(".dhenara/models.yaml", &model);
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: ask, type: ai_model_call, settings: { models: [here/m], prompt: Draw., \
         bytes_save_path: images, bytes_save_filename_prefix: dot_ } }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let step = env.last_run().join("flow_root/ask");
    let outcome = read_json(&step.join("outcome.json"));
    assert_eq!(outcome["files"][0]["path"], "custom-artifacts/images/dot_1.png");
    assert_eq!(
        std::fs::read(step.join("custom-artifacts/images/dot_1.png")).unwrap(),
        [1, 2, 3]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_stops_before_the_call_that_would_exceed_it() {
    let scripted = Scripted::new(vec![says("done")]).await;
    let elements = "  - for_each: all\n    statement: \"$expr{range(10)}\"\n    body:\n      - { node: ask, type: ai_model_call, settings: { models: [local/tiny], \
                    prompt: Count., model_call_config: { max_output_tokens: 280 } } }\n";
    let text = format!("schema_version: 1\nkind: flow\nelements:\n{elements}");
    scripted.env.write("flow.yaml", &text);
    let stopped = scripted.run(&["--budget", "tokens=1000"]).expect(1);
    assert!(
        stopped.stderr.contains("900 tokens in 3 calls") && stopped.stderr.contains("flow_root.all.ask"),
        "{stopped}"
    );
    assert!(stopped.stderr.contains("--budget"), "{stopped}");
    assert_eq!(scripted.asked().await.len(), 3);
    // With more it goes on where it stopped; with as much it stops at once.
    let again = scripted.env.run(&["resume", "last"]).expect(1);
    assert!(again.stderr.contains("1000 tokens"), "{again}");
    assert_eq!(scripted.asked().await.len(), 3);
    drop(
        scripted
            .env
            .run(&["resume", "last", "--budget", "tokens=100k"])
            .expect(0),
    );
    assert_eq!(scripted.asked().await.len(), 10);
    let view = RunView::open(scripted.env.last_run()).unwrap();
    assert_eq!((view.status, view.totals.usage.calls), (RunStatus::Completed, 10));
    // What is reused costs nothing.
    drop(
        scripted
            .run(&["--previous-run-id", "last", "--budget", "calls=0"])
            .expect(0),
    );
    for (budget, told) in [
        ("calls=2", "2 calls"),
        ("cost=0.001", "$0.0005"),
        (
            "calls=0",
            "the next call is one more than fits, and of the budget of the run (0 calls) 0 tokens",
        ),
        ("calls=0", "--budget LIMITS`"),
    ] {
        let stopped = scripted.run(&["--budget", budget]).expect(1);
        assert!(stopped.stderr.contains(told), "{budget}: {stopped}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_were_paid_for_count_also_if_they_failed() {
    let nothing = body(&json!({ "role": "assistant", "content": null }), "stop");
    let scripted = Scripted::new(vec![nothing]).await;
    scripted.flow(&node("").replace(
        "    settings:",
        "    retry: { max_attempts: 3, initial_delay: 0 }\n    settings:",
    ));
    let stopped = scripted.run(&["--budget", "calls=5"]).expect(1);
    assert!(
        stopped.stderr.contains("budget_exceeded") || stopped.stderr.contains("5 calls"),
        "{stopped}"
    );
    assert_eq!(scripted.asked().await.len(), 5);
    let usage = RunView::open(scripted.env.last_run()).unwrap().totals.usage;
    assert_eq!((usage.calls, usage.total_tokens), (5, 1500));

    // What one model took stands in the record also if another one answers.
    let nothing = body(&json!({ "role": "assistant", "content": null }), "stop");
    let scripted = Scripted::new(vec![nothing, says("from the big one")]).await;
    scripted.flow(&node("retries: 0"));
    drop(scripted.run(&[]).expect(0));
    let usage = RunView::open(scripted.env.last_run()).unwrap().totals.usage;
    assert_eq!((usage.calls, usage.total_tokens), (2, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_does_not_tell_is_taken_to_be_what_was_reserved() {
    let untold = ResponseTemplate::new(200).set_body_json(json!({
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "done" } }],
    }));
    let scripted = Scripted::new(vec![untold]).await;
    let elements = "  - for_each: all\n    statement: \"$expr{range(10)}\"\n    body:\n      - { node: ask, type: ai_model_call, settings: { models: [local/tiny], \
                    prompt: Count., model_call_config: { max_output_tokens: 290 } } }\n";
    scripted.env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n{elements}"),
    );
    drop(scripted.run(&["--budget", "tokens=1000"]).expect(1));
    assert_eq!(scripted.asked().await.len(), 3);
    let usage = RunView::open(scripted.env.last_run()).unwrap().totals.usage;
    assert_eq!((usage.calls, usage.total_tokens), (3, 900));
    assert!(
        (usage.cost.unwrap() - 3.0 * (10.0 + 2.0 * 290.0) / 1e6).abs() < 1e-9,
        "{usage:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_never_exceed_a_budget_together() {
    let slow = says("done").set_delay(std::time::Duration::from_millis(50));
    let scripted = Scripted::new(vec![slow]).await;
    let elements = "  - for_each: all\n    statement: \"$expr{range(16)}\"\n    max_concurrency: 16\n    body:\n      - { node: ask, type: ai_model_call, on_error: continue, settings: { models: \
                    [local/tiny], prompt: Count., model_call_config: { max_output_tokens: 280 } } }\n";
    scripted.env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n{elements}"),
    );
    drop(scripted.run(&["--budget", "tokens=2000"]).expect(0));
    let usage = RunView::open(scripted.env.last_run()).unwrap().totals.usage;
    assert_eq!(
        (usage.calls, usage.total_tokens),
        (6, 1800),
        "as many as fit, and no more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_money_needs_prices_and_a_node_may_have_one() {
    let scripted = Scripted::new(vec![says("done")]).await;
    scripted.flow(&node("").replace("local/tiny, local/big", "local/free"));
    insta::assert_snapshot!(scripted.run(&["--budget", "cost=1"]).expect(2), @"
    ---- stderr
    error[unknown_price]: `flow_root.ask`: there is a budget of money, and what `local/free` charges is not known
      hint: write its price in US dollars for a million tokens into .dhenara/models.yaml:
            - name: local/free
              price: { input: …, output: … }
    ---- exit code 2
    ");
    assert!(scripted.env.runs().is_empty(), "nothing was made");

    let limited = node("").replace(
        "    settings:",
        "    budget: { calls: 1 }\n    retry: { max_attempts: 3, initial_delay: 0 }\n    settings:",
    );
    let wrong = "structured_output: { schema: { type: object, required: [n] } }";
    let scripted = Scripted::new(vec![says("no JSON")]).await;
    scripted.flow(&limited.replace("retry_delay: 0.01,", &format!("retry_delay: 0.01, {wrong}")));
    let stopped = scripted.run(&[]).expect(1);
    assert!(
        stopped
            .stderr
            .contains("of the budget of `flow_root.ask` (1 call)"),
        "{stopped}"
    );
    assert_eq!(scripted.asked().await.len(), 1);

    let scripted = Scripted::new(vec![says("done").set_delay(std::time::Duration::from_secs(20))]).await;
    scripted.flow(&node(""));
    let late = scripted.run(&["--budget", "wall_time=500ms"]).expect(1);
    assert!(late.stderr.contains("was driven as long as its budget"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_run_is_a_cassette() {
    let scripted = Scripted::new(vec![
        says("{\"n\": 1}"),
        says("{\"n\": 2}"),
        says("three"),
        says("{\"n\": 3}"),
    ])
    .await;
    let config = "structured_output: { schema: { type: object, required: [n], properties: { n: { type: integer } } } }";
    let elements = format!(
        "  - for_each: all\n    statement: \"$expr{{range(3)}}\"\n    body:\n      - node: ask\n        type: ai_model_call\n        settings: {{ models: [local/tiny], \
         prompt: \"Count $expr{{item}} in $var{{run_dir}} of $var{{run_id}}.\", model_call_config: {{ {config} }} }}\n"
    );
    let text = format!(
        "schema_version: 1\nkind: flow\noutput: \"$expr{{ $hier{{all.*.ask}} }}\"\nelements:\n{elements}"
    );
    scripted.env.write("flow.yaml", &text);
    let recorded = scripted.run(&[]).expect(0);
    let first = scripted.env.last_run();
    let id = first.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(scripted.asked().await.len(), 4);
    let replayed = scripted.run(&["--replay", &id]).expect(0);
    assert_eq!(scripted.asked().await.len(), 4, "no network was used");
    for index in 0..3 {
        let outcome = |run: &std::path::Path| {
            read_json(&run.join(format!("flow_root/all/iter_{index}/ask/outcome.json")))
        };
        assert_eq!(outcome(&scripted.env.last_run()), outcome(&first));
    }
    drop((recorded, replayed));
    scripted
        .env
        .write("flow.yaml", &text.replace("Count $expr", "Please count $expr"));
    let missed = scripted.run(&["--replay", &id]).expect(1);
    assert!(
        missed
            .stderr
            .contains("the most similar request is that of `flow_root.all.iter_0.ask`"),
        "{missed}"
    );
    assert!(missed.stderr.contains("+Please count 0"), "{missed}");
    let answered = records(&scripted.env.last_run(), "step_committed");
    assert_eq!(answered[0]["error"]["code"], "not_recorded");
    let unknown = scripted.run(&["--replay", "run_nothing"]).expect(2);
    assert!(unknown.stderr.contains("unknown_run"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_tested_with_a_recorded_run() {
    let scripted = Scripted::new(vec![says("Ada it is.")]).await;
    let text = r#"schema_version: 1
kind: flow
required: [tone]
output: "$expr{ $hier{ask}.outcome.text }"
elements:
  - node: ask
    type: ai_model_call
    pre_events: [node_input_required]
    settings: { models: [local/tiny], prompt: { text: "Greet $var{who} in $var{project_root}, $expr{tone}.", variables: { who: {} } } }
"#;
    scripted.env.write("flow.yaml", text);
    let input = json!({ "prompt_variables": { "who": "Ada" } });
    let given = format!("ask={input}");
    drop(
        scripted
            .run(&["--var", "tone=warmly", "--input", &given])
            .expect(0),
    );
    let recorded = scripted.env.last_run();

    let definition = |text: &str| {
        let loaded = load_str(text, "flow.yaml", None, None);
        loaded.unwrap_or_else(|problems| panic!("{problems}")).definition
    };
    let replayed = replay(&recorded, definition(text)).await.unwrap();
    assert_eq!(replayed.report.output, Some("Ada it is.".into()));
    let view = replayed.view().unwrap();
    assert_eq!(
        view.input(&"flow_root.ask".parse().unwrap()).unwrap(),
        Some(input)
    );
    let scratch = replayed.report.run_dir.clone();
    assert!(scratch.is_dir());
    drop((replayed, view));
    assert!(!scratch.exists());

    let changed = definition(&text.replace("Greet", "Insult"));
    let in_words = |error: &ReplayError| dhenara::ErrorInfo::from_error("replay", error).message;
    let error = in_words(&replay(&recorded, changed).await.unwrap_err());
    assert!(
        error.contains("-Greet Ada") && error.contains("+Insult Ada"),
        "{error}"
    );
    let rude = replay(&recorded, definition(text)).context(|context| context.variable("tone", "rudely"));
    assert!(in_words(&rude.await.unwrap_err()).contains("+Greet Ada"));
    assert_eq!(scripted.asked().await.len(), 1, "no network was used");
    let nothing = replay(scripted.env.project(), definition(text))
        .await
        .unwrap_err();
    assert!(matches!(nothing, ReplayError::Run(_)), "{nothing}");
}
