//! No part of a credential is left of what models say, whether a stream cuts it, a tool is given it, or an error shows only
//! its beginning; and what a program sees in memory is what stands in the files.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dhenara::definition::load_str;
use dhenara::events::{Event, RunInfo, RunObserver};
use dhenara::models::{Credentials, HttpClient, ModelCatalog, Models};
use dhenara::runner::Runner;
use dhenara::{Error, RunStatus};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::harness::{CommandOutput, TestEnvironment, read_json, read_lines};
use crate::models::{Scripted, calls, node, says, streams};
use crate::nodes::context;
use crate::secrets::{KEY, NAME, assert_clean, assert_runs_clean, forms, needles};

/// Neither the key in any form nor one half of it.
#[track_caller]
fn assert_no_part(what: &str, bytes: &[u8]) {
    assert_clean(what, bytes);
    let text = String::from_utf8_lossy(bytes);
    for (form, needle) in needles() {
        let (first, second) = needle.split_at(needle.len() / 2);
        for half in [first, second] {
            assert!(
                !text.contains(half),
                "`{half}` of the key {form} stands in {what}:\n{text}"
            );
        }
    }
}

#[track_caller]
fn assert_no_part_anywhere(env: &TestEnvironment, outputs: &[&CommandOutput]) {
    for output in outputs {
        assert_no_part("the standard output", output.stdout.as_bytes());
        assert_no_part("the standard error", output.stderr.as_bytes());
    }
    let files = assert_runs_clean(env, &assert_no_part);
    assert!(files > 10, "{files} files");
}

/// The key in all its forms, a line each.
fn all_forms() -> String {
    forms().into_values().collect::<Vec<_>>().join("\n")
}

/// A text in pieces of so many bytes.
fn pieces(text: &str, len: usize) -> Vec<&str> {
    let ends = (0..text.len()).step_by(len);
    ends.map(|start| &text[start..(start + len).min(text.len())])
        .collect()
}

fn with_key(scripted: &Scripted) {
    let file = format!("local:\n  api_key: \"{KEY}\"\nother:\n  api_key: \"{NAME}\"\n");
    scripted.env.write(".dhenara/.secrets/.credentials.yaml", &file);
    scripted.env.write("forms.txt", &all_forms());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_is_masked_however_it_is_cut() {
    let text = format!("It is {}\nand that is all.", all_forms());
    for len in [1, 2, 5, 13, 64] {
        let scripted = Scripted::new(vec![streams(&pieces(&text, len))]).await;
        with_key(&scripted);
        scripted.flow(&node("streaming: true"));
        let done = scripted.run(&["--json"]).expect(0);
        let listed = scripted.env.run(&["runs", "show", "last"]);
        let shown = scripted.env.run(&["runs", "show", "last", "ask"]);
        assert_no_part_anywhere(&scripted.env, &[&done, &listed, &shown]);
        let step = scripted.env.last_run().join("flow_root/ask");
        let streamed = std::fs::read_to_string(step.join("stream.txt")).unwrap();
        let outcome = read_json(&step.join("outcome.json"));
        let told = outcome["text"].as_str().unwrap();
        assert_eq!(
            streamed,
            format!("{told}\n"),
            "the stream and the outcome, in pieces of {len}"
        );
        assert!(
            told.starts_with("It is ") && told.ends_with("\nand that is all."),
            "{told}"
        );
        assert!(told.matches("[redacted]").count() >= forms().len(), "{told}");
    }

    // Cut in two at every place.
    let answers = (1..KEY.len()).map(|at| {
        let (first, second) = KEY.split_at(at);
        streams(&[first, second])
    });
    for answer in answers.step_by(5) {
        let scripted = Scripted::new(vec![answer]).await;
        with_key(&scripted);
        scripted.flow(&node("streaming: true"));
        let done = scripted.run(&["--json"]).expect(0);
        assert_no_part_anywhere(&scripted.env, &[&done]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_within_a_credential_leaves_no_part_of_it() {
    for (form, text) in forms() {
        let half = &text[..text.len() * 2 / 3];
        let chunk = json!({ "id": "1", "object": "chat.completion.chunk", "model": "tiny",
            "choices": [{ "index": 0, "delta": { "content": format!("It is {half}") }, "finish_reason": null }] });
        let broken =
            ResponseTemplate::new(200).set_body_raw(format!("data: {chunk}\n\n"), "text/event-stream");
        let scripted = Scripted::new(vec![broken, streams(&["It is ", &text])]).await;
        with_key(&scripted);
        scripted.flow(&node("streaming: true"));
        let done = scripted.run(&["--json"]).expect(0);
        assert_no_part_anywhere(&scripted.env, &[&done]);
        let stream = scripted.env.last_run().join("flow_root/ask/stream.txt");
        let streamed = std::fs::read_to_string(stream).unwrap();
        assert_eq!(streamed.matches("It is ").count(), 2, "{form}: {streamed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_ended_within_a_credential_leaves_no_part_of_it() {
    let scripted = Scripted::new(vec![says("never")]).await;
    with_key(&scripted);
    let (half, _) = KEY.split_at(KEY.len() / 2 + 2);
    let script = format!("printf %s 'It is {half}'; printf %s '{half}' >&2; sleep 60");
    scripted.env.write("half.sh", &script);
    scripted.flow(
        "  - node: ask\n    type: command\n    settings: { commands: [[sh, \"$var{project_root}/half.sh\"]], timeout: 0.5 }\n",
    );
    let failed = scripted.run(&["--json"]).expect(1);
    assert_no_part_anywhere(&scripted.env, &[&failed]);
    let log = scripted.env.last_run().join("flow_root/ask/stdout.log");
    assert_eq!(std::fs::read_to_string(log).unwrap(), "It is [redacted]");
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_neither_get_nor_leave_a_credential() {
    let scripted = Scripted::new(vec![
        calls("say", &json!({ "text": all_forms(), KEY: KEY })),
        calls("say", &json!({ "text": { "wrong": KEY } })),
        calls("forms", &json!({})),
        calls(KEY, &json!({})),
        calls("ask", &json!({ "text": all_forms() })),
        says(&all_forms()),
    ])
    .await;
    with_key(&scripted);
    let text = "parameters: { type: object, required: [text], properties: { text: { type: string } } }";
    let tools = format!(
        "tools: [{{ name: say, command: [echo, \"{{text}}\"], {text} }}, \
         {{ name: forms, command: [sh, -c, 'cat $0 $0 >&2; cat $0; exit 3', forms.txt], parameters: {{ type: object }} }}, \
         {{ name: ask, requires_approval: true, command: [echo, \"{{text}}\"], {text} }}]"
    );
    // Tools work where the step does.
    let tools = tools.replace("forms.txt", "\"$var{project_root}/forms.txt\"");
    scripted.flow(&node(&tools));
    let waiting = scripted.run(&["--json"]).expect(3);
    let shown = scripted.env.run(&["runs", "show", "last", "ask"]).expect(0);
    assert_no_part_anywhere(&scripted.env, &[&waiting, &shown]);
    let done = scripted
        .env
        .run(&["answer", "last", "--approve", "--json"])
        .expect(0);
    let listed = scripted.env.run(&["runs", "show", "last"]);
    assert_no_part_anywhere(&scripted.env, &[&done, &listed]);

    let memos = read_lines(&scripted.env.last_run().join("flow_root/ask/memo.jsonl"));
    let tools = memos.iter().filter(|memo| memo["name"] != "model_call");
    let names: Vec<&str> = tools.clone().map(|memo| memo["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tool_say", "tool_forms", "tool_ask"]);
    for memo in tools {
        assert!(memo["response"].to_string().contains("[redacted]"), "{memo}");
    }
    // What the model told is not told back to it either.
    for asked in scripted.asked().await {
        assert_no_part("a request", asked.to_string().as_bytes());
    }
}

/// Bodies in which the key stands where messages end, whatever they begin with.
fn long_bodies() -> impl Iterator<Item = String> {
    let before = (384..500).step_by(4);
    before.map(|before| format!("{}{KEY} and more", "x".repeat(before)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_shortened_ends_with_no_part_of_a_credential() {
    for status in [401, 200] {
        let bodies = long_bodies();
        let answers = bodies.map(|body| ResponseTemplate::new(status).set_body_string(body));
        let mut answers: Vec<_> = answers.collect();
        let count = answers.len();
        answers.push(says("never"));
        let scripted = Scripted::new(answers).await;
        with_key(&scripted);
        let elements: String = (0..count / 2)
            .map(|number| {
                node("retries: 0").replace("node: ask", &format!("node: ask{number}\n    on_error: continue"))
            })
            .collect();
        scripted.flow(&(elements + &node("retries: 0")));
        let done = scripted.run(&["--json"]);
        let listed = scripted.env.run(&["runs", "show", "last"]);
        assert_no_part_anywhere(&scripted.env, &[&done, &listed]);
        let run = scripted.env.last_run();
        let messages = (0..count / 2).map(|number| {
            let result = read_json(&run.join(format!("flow_root/ask{number}/result.json")));
            result["error"]["message"].to_string()
        });
        let messages: Vec<String> = messages.collect();
        assert!(
            messages.iter().all(|message| message.contains("xxx")),
            "{messages:?}"
        );
        let is_at_end = |message: &&String| message.contains("x[") && message.ends_with("…\"");
        assert!(messages.iter().filter(is_at_end).count() > 1, "{messages:?}");
    }
}

/// Notes all its messages.
#[derive(Default)]
struct Notes(Mutex<Vec<Arc<Event>>>);

#[async_trait]
impl RunObserver for Notes {
    fn name(&self) -> &str {
        "notes"
    }

    async fn start(&self, run: &Arc<RunInfo>) {
        assert_no_part("the identity", format!("{run:?}").as_bytes());
    }

    async fn observe(&self, events: &[Arc<Event>]) {
        self.0.lock().unwrap().extend(events.iter().cloned());
    }
}

/// A flow of a program that asks in every way; whether its end is well is `last`'s.
fn flow_of_program(last: &str) -> String {
    let config = "model_call_config: { retries: 0, retry_delay: 0.01";
    let models = "models: [far/tiny]";
    format!(
        r#"schema_version: 1
kind: flow
output: {{ streamed: "$expr{{ $hier{{streamed}}.outcome }}", tools: "$expr{{ $hier{{tools}}.outcome }}", cat: "$expr{{ $hier{{cat}}.outcome }}" }}
elements:
  - node: streamed
    type: ai_model_call
    settings: {{ {models}, prompt: Say it., {config}, streaming: true }} }}
  - node: refused
    type: ai_model_call
    on_error: continue
    settings: {{ {models}, prompt: Refuse it., {config} }} }}
  - node: tools
    type: ai_model_call
    settings: {{ {models}, prompt: Call it., {config}, tools: [{{ name: say, command: [echo, "{{text}}"], parameters: {{ type: object, properties: {{ text: {{}} }} }} }}] }} }}
  - node: cat
    type: command
    settings: {{ commands: [[cat, "$var{{project_root}}/forms.txt"]] }}
{last}"#
    )
}

/// The answers of a provider to such a flow, in order.
fn answers() -> Vec<ResponseTemplate> {
    let refusal = long_bodies().nth(27).unwrap_or_default();
    vec![
        streams(&pieces(&all_forms(), 3)),
        ResponseTemplate::new(401).set_body_string(refusal.clone()),
        calls("say", &json!({ "text": all_forms() })),
        says(&all_forms()),
        ResponseTemplate::new(401).set_body_string(refusal),
    ]
}

/// Runs it in a program that knows of no key before a model is asked.
async fn run_program(last: &str) -> (Scripted, Result<dhenara::RunReport, Error>, Arc<Notes>) {
    let scripted = Scripted::new(answers()).await;
    let file = format!("far:\n  api_key: \"{KEY}\"\n");
    scripted.env.write(".dhenara/.secrets/.credentials.yaml", &file);
    scripted.env.write("forms.txt", &all_forms());
    // Written so, it is not taken for a server that wants no key.
    let url = scripted.server.uri().replace("http:", "HTTP:");
    scripted.env.write(
        ".dhenara/models.yaml",
        &format!("- {{ name: far/tiny, base_url: \"{url}/v1\" }}\n"),
    );
    let project = scripted.env.project();
    let secrets = dhenara::types::SecretRegistry::new();
    let credentials = Credentials::new(&project, None, secrets.clone());
    let client = HttpClient::new(ModelCatalog::load(&project).unwrap(), credentials);
    let notes = Arc::new(Notes::default());
    let context = context("flow_root", &project)
        .secrets(secrets)
        .resource(Arc::new(Models::new(client)))
        .observe(Arc::clone(&notes))
        .build()
        .unwrap();
    let definition = load_str(&flow_of_program(last), "flow.yaml", None, None).unwrap();
    let ended = Runner::new(definition.definition, context).run().await;
    (scripted, ended, notes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_sees_what_stands_in_the_files() {
    let (scripted, ended, notes) = run_program("").await;
    let report = ended.unwrap();
    assert_eq!(report.status, RunStatus::Completed);
    assert_no_part("the report", format!("{report:?}").as_bytes());
    let asked = scripted.server.received_requests().await.unwrap();
    let sent = asked[0].headers.get("authorization").unwrap();
    assert_eq!(sent, format!("Bearer {KEY}").as_str(), "the key was used");

    let output = report.output.unwrap();
    for step in ["streamed", "tools", "cat"] {
        let on_disk = read_json(&report.run_dir.join("flow_root").join(step).join("outcome.json"));
        assert_eq!(output[step], on_disk, "{step} in memory and on disk");
        assert!(on_disk.to_string().contains("[redacted]"), "{step}: {on_disk}");
    }
    assert_runs_clean(&scripted.env, &assert_no_part);

    let events = notes.0.lock().unwrap();
    assert!(events.len() > 10, "{} events", events.len());
    let mut streamed = String::new();
    for event in events.iter() {
        assert_no_part("an event", format!("{event:?}").as_bytes());
        if let dhenara::events::EventBody::TextStreamed(piece) = &event.body {
            streamed += &piece.text;
        }
    }
    assert_eq!(
        Value::from(streamed.trim_end()),
        output["streamed"]["text"],
        "what was streamed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_reported_no_credential_by_an_error() {
    let last = "  - node: ending\n    type: ai_model_call\n    settings: { models: [far/tiny], prompt: Refuse it too., model_call_config: { retries: 0 } }\n";
    let (scripted, ended, notes) = run_program(last).await;
    let error = ended.unwrap_err();
    assert_no_part("the error", format!("{error} {error:?}").as_bytes());
    let words = dhenara::ErrorInfo::from_error("run", &error).message;
    assert_no_part("the error with its causes", words.as_bytes());
    assert!(words.contains("401"), "{words}");
    assert_runs_clean(&scripted.env, &assert_no_part);
    for event in notes.0.lock().unwrap().iter() {
        assert_no_part("an event", format!("{event:?}").as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_with_a_credential_are_masked() {
    let scripted = Scripted::new(vec![says("done")]).await;
    with_key(&scripted);
    let prompt = "    pre_events: [node_input_required]\n    settings: { models: [local/tiny], prompt: { text: \"Use $var{said}\", variables: { said: {} } } }\n";
    let elements =
        ["by_option", "by_file"].map(|name| format!("  - node: {name}\n    type: ai_model_call\n{prompt}"));
    scripted.flow(&elements.concat().replace("by_file", "ask"));
    let input = |text: &str| json!({ "prompt_variables": { "said": text } });
    scripted.env.write(
        "static_inputs.json",
        &json!({ "ask": input(&all_forms()) }).to_string(),
    );
    let option = format!("by_option={}", input(&all_forms()));
    let done = scripted.run(&["--input", &option, "--json"]).expect(0);
    let shown = scripted.env.run(&["runs", "show", "last", "ask"]).expect(0);
    assert_no_part_anywhere(&scripted.env, &[&done, &shown]);
    let asked = scripted.asked().await;
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert_no_part("a request", asked.to_string().as_bytes());
        assert!(asked.to_string().contains("Use [redacted]"), "{asked}");
    }
    let again = ["run", "flow", "flow.yaml", "--previous-run-id", "last", "--json"];
    // Run again, the inputs of the run before are taken.
    let again = scripted.env.run(&again).expect(0);
    assert_no_part_anywhere(&scripted.env, &[&again]);
}

#[track_caller]
fn assert_no_name(what: &str, bytes: &[u8]) {
    assert_no_part(what, bytes);
    let text = String::from_utf8_lossy(bytes);
    assert!(
        !text.contains(&NAME[..NAME.len() / 2]),
        "a name stands in {what}:\n{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_cut_contents_of_files_are_masked() {
    let scripted = Scripted::new(vec![says("done")]).await;
    with_key(&scripted);
    let env = &scripted.env;
    let address = &forms()["in an address"];
    for name in [NAME, address] {
        env.write(&format!("looked_at/{name}"), "first\n");
        env.write(&format!("looked_at/in {name}/notes.md"), "first\n");
    }
    // A limit falls between the words of the key.
    env.write("cut/notes.txt", &format!("one two {KEY} three\n"));
    env.write("cut/more.txt", &format!("{}{KEY} three\n", "one ".repeat(98)));
    scripted.flow(
        r#"  - node: files
    type: folder_analyzer
    settings:
      base_directory: "$var{project_root}"
      operations:
        - { operation_type: analyze_folder, path: looked_at, content_read_mode: full }
        - { operation_type: get_tree_diagram, path: looked_at }
        - { operation_type: analyze_folder, path: cut, content_read_mode: full, max_words_per_file: 3 }
        - { operation_type: analyze_folder, path: cut, content_read_mode: preview }
  - node: listed
    type: command
    settings: { commands: [[ls, -R, "$var{project_root}/looked_at"]] }
  - node: ask
    type: ai_model_call
    settings: { models: [local/tiny], prompt: "Look: $expr{ $hier{files}.outcome }" }
"#,
    );
    let done = scripted.run(&["--json"]).expect(0);
    let files = scripted.env.last_run().join("flow_root/files");
    let world = read_json(&files.join("world.json")).to_string();
    assert!(world.contains("[redacted]"), "{world}");
    let outcome = read_json(&files.join("outcome.json")).to_string();
    assert!(outcome.contains("one two [redacted]"), "{outcome}");

    let again = ["run", "flow", "flow.yaml", "--previous-run-id", "last", "--json"];
    // Changes are reported by names too.
    env.write(&format!("looked_at/{NAME}"), "second and longer\n");
    let again = env.run(&again).expect(0);
    let changed = env.last_run().join("flow_root/files/changes.json");
    let changed = read_json(&changed).to_string();
    assert!(changed.contains("[redacted]"), "{changed}");
    let shown = env.run(&["runs", "show", "last", "files"]).expect(0);
    let changes = env.run(&["runs", "why", "last", "files"]).expect(0);
    for output in [&done, &again, &shown, &changes] {
        assert_no_name("the standard output", output.stdout.as_bytes());
        assert_no_name("the standard error", output.stderr.as_bytes());
    }
    let files = assert_runs_clean(env, &assert_no_name);
    assert!(files > 20, "{files} files");
    for asked in scripted.asked().await {
        assert_no_name("a request", asked.to_string().as_bytes());
    }
}
