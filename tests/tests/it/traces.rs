//! The signals of runs that several processes drove, as readers of OpenTelemetry take them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dad_testing::FakeModel;
use dad_tests::{Telemetry, TelemetryRecord, TelemetrySpan};
use dhenara::models::Models;
use dhenara::observability::CaptureContent;
use dhenara::types::SecretRegistry;
use dhenara::{
    AIModelNode, CallbackBuilder, CommandNode, FlowBuilder, FlowRunner, ForEachBuilder, NodeContext,
    NodeError, NodeRegistry, ObservabilitySettings, RunContext,
};
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::prelude::*;
use wiremock::ResponseTemplate;

use crate::harness::{TestEnvironment, read_lines};
use crate::models::{Scripted, calls, node, says};
use crate::nodes::context;
use crate::stops::has_record;
use crate::waiting::wait_until;

/// The telemetry of a run that has come to rest, checked: each id once, one trace, every parent there and around its children,
/// nothing left open, what the conventions require, and no field that is null, which readers refuse. Each session is linked to
/// the one before.
#[track_caller]
fn checked(run: &Path, sessions: usize) -> Telemetry {
    for file in ["trace.jsonl", "metrics.jsonl", "logs.jsonl"] {
        for line in read_lines(&run.join(".trace").join(file)) {
            assert!(!has_null(&line), "{file}: {line}");
        }
    }
    let telemetry = Telemetry::read(run);
    let problems = telemetry.problems(true);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let found: Vec<&TelemetrySpan> = telemetry.of_kind("session").collect();
    assert_eq!(found.len(), sessions);
    for (before, session) in found.iter().zip(&found[1..]) {
        assert_eq!(session.json["links"][0]["spanId"], before.id());
        assert_eq!(session.json["links"][0]["traceId"], session.json["traceId"]);
    }
    telemetry
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

fn named<'a>(telemetry: &'a Telemetry, name: &str) -> Vec<&'a TelemetrySpan> {
    telemetry
        .spans
        .iter()
        .filter(|span| span.name() == name)
        .collect()
}

/// The spans as a tree, children in the order in which they began: kind, name and status of each.
fn tree(telemetry: &Telemetry) -> String {
    let mut children: BTreeMap<&str, Vec<&TelemetrySpan>> = BTreeMap::new();
    for span in &telemetry.spans {
        children.entry(span.parent()).or_default().push(span);
    }
    let mut drawn = String::new();
    draw(&children, "", 0, &mut drawn);
    drawn
}

fn draw(children: &BTreeMap<&str, Vec<&TelemetrySpan>>, around: &str, depth: usize, drawn: &mut String) {
    let mut inside = children.get(around).cloned().unwrap_or_default();
    inside.sort_by_key(|span| span.nanos("startTimeUnixNano"));
    for span in inside {
        let indent = "  ".repeat(depth);
        let status = span.text("dhenara.status");
        let error = span.text("error.type");
        let line = format!("{indent}{}: {} {status} {error}", span.kind(), span.name());
        drawn.push_str(line.trim_end());
        drawn.push('\n');
        draw(children, span.id(), depth + 1, drawn);
    }
}

const WAITING: &str = "schema_version: 1
kind: flow
elements:
  - { node: before, type: command, settings: { commands: [[\"true\"]] } }
  - subflow: part
    elements:
      - for_each: each
        statement: [1, 2]
        body:
          - { node: asks, type: command, requires_approval: true, settings: { commands: [[\"true\"]] } }
  - { node: after, type: command, settings: { commands: [[\"true\"]] } }
";

#[test]
fn a_run_that_is_answered_has_one_trace_and_a_span_for_each_session() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", WAITING);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    let run = env.last_run();
    let waiting = checked(&run, 1);
    let session = waiting.of_kind("session").next().unwrap();
    assert_eq!(session.text("dhenara.status"), "waiting");
    assert!(
        session.json["status"]["code"]
            .as_i64()
            .is_none_or(|code| code == 0),
        "a run that waits is not done"
    );
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(3));
    checked(&run, 2);
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(0));
    let spans = checked(&run, 3);
    let last = spans.of_kind("session").last().unwrap();
    assert_eq!(last.json["status"]["code"], 1, "done");
    // A component that is entered again has one span a session.
    for name in ["invoke_workflow flow_root", "invoke_workflow part", "each"] {
        let parents: BTreeSet<&str> = named(&spans, name).iter().map(|span| span.parent()).collect();
        assert_eq!((named(&spans, name).len(), parents.len()), (3, 3), "{name}");
    }
    assert_eq!(
        (named(&spans, "before").len(), named(&spans, "after").len()),
        (1, 1)
    );
}

#[test]
fn a_run_that_is_resumed_twice_has_one_trace() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1
kind: flow
elements:
  - subflow: part
    elements:
      - { node: done, type: command, settings: { commands: [[\"true\"]] } }
      - { node: gate, type: command, settings: { working_dir: \"$var{project_root}\", commands: [\"test -e go\"] } }
  - { node: after, type: command, settings: { commands: [[\"true\"]] } }
",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    drop(env.run(&["resume", "last"]).expect(1));
    env.write("go", "");
    drop(env.run(&["resume", "last"]).expect(0));
    let spans = checked(&env.last_run(), 3);
    let sessions = spans.of_kind("session");
    let codes: Vec<&Value> = sessions.map(|span| &span.json["status"]["code"]).collect();
    assert_eq!(codes, [2, 2, 1]);
    assert_eq!((named(&spans, "gate").len(), named(&spans, "done").len()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_events_of_a_run_by_the_command_are_in_its_file() {
    let busy = ResponseTemplate::new(503).set_body_string("later");
    let scripted = Scripted::new(vec![busy, says("done")]).await;
    scripted.flow(&node(""));
    drop(scripted.run(&[]).expect(0));
    let run = scripted.env.last_run();
    let telemetry = checked(&run, 1);
    let is_ours = |record: &&TelemetryRecord| {
        let body = record.json["body"]["stringValue"].as_str();
        body.is_some_and(|body| body.contains("asked again"))
    };
    let records: Vec<&TelemetryRecord> = telemetry.records.iter().filter(is_ours).collect();
    assert_eq!(records.len(), 1);
    // It belongs to the span of its step.
    assert_eq!(records[0].json["spanId"], named(&telemetry, "ask")[0].id());
    insta::assert_snapshot!(tree(&telemetry));
}

/// Loops in each other, branches, parallel elements, an attempt that is repeated, files, and a step that fails and is absorbed.
const EVERYTHING: &str = "schema_version: 1
kind: flow
elements:
  - for_each: outer
    statement: [1, 2]
    body:
      - for_each: inner
        statement: [1, 2]
        body:
          - conditional: odd
            statement: \"$expr{ inner_item == outer_item }\"
            true_branch:
              - { node: same, type: command, settings: { commands: [[\"true\"]] } }
            false_branch: []
        item_var: inner_item
    item_var: outer_item
  - parallel: both
    elements:
      - { node: left, type: command, settings: { commands: [[\"true\"]] } }
      - subflow: right
        elements:
          - { node: inside, type: command, settings: { commands: [[\"true\"]] } }
  - node: again
    type: command
    retry: { max_attempts: 2, initial_delay: 0.01, repeat_effects: true }
    settings: { working_dir: \"$var{project_root}\", commands: [\"test -e tried || { touch tried; exit 3; }\"] }
  - node: fails
    type: command
    on_error: continue
    settings: { commands: [[\"false\"]] }
  - node: writes
    type: file_operation
    settings: { base_directory: \"$var{project_root}\", operations: [{ type: create_file, path: made.txt, content: made }] }
";

#[test]
fn each_part_of_a_run_has_a_span() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", EVERYTHING);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let telemetry = checked(&env.last_run(), 1);
    let mut drawn = tree(&telemetry);
    // The elements of a parallel one begin in any order.
    assert!(drawn.contains("step: left completed"), "{drawn}");
    let from = drawn.find("    component: both").unwrap();
    let to = drawn.find("    step: again").unwrap();
    drawn.replace_range(from..to, "");
    insta::assert_snapshot!(drawn);
    let failed = named(&telemetry, "again")[0].json["events"][0].clone();
    assert_eq!(failed["name"], "dhenara.attempt.failed");
    let file = named(&telemetry, "create_file")[0];
    assert_eq!(
        (file.text("file.path"), file.number("dhenara.file.operations")),
        ("made.txt", Some(1))
    );

    drop(env.run(&["rerun", "last", "--from", "again"]).expect(0));
    let again = checked(&env.last_run(), 1);
    let reused = named(&again, "left")[0];
    let origin = named(&telemetry, "left")[0];
    assert_eq!(reused.json["links"][0]["spanId"], origin.id());
    assert_eq!(reused.json["links"][0]["traceId"], origin.json["traceId"]);
    let session = again.of_kind("session").next().unwrap();
    let before = telemetry.of_kind("session").next().unwrap();
    assert_eq!(session.json["links"][0]["spanId"], before.id());
}

#[test]
fn spans_that_a_killed_process_left_open_are_closed_by_the_next() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1
kind: flow
elements:
  - { node: done, type: command, settings: { commands: [[\"true\"]] } }
  - node: held
    type: command
    settings: { working_dir: \"$var{project_root}\", commands: ['until [ -e go ]; do sleep 0.05; done'] }
",
    );
    let running = env.start(&["run", "flow", "flow.yaml"]);
    let has_begun = || {
        let runs = env.runs();
        let open = runs.last().map(|run| Telemetry::read(run));
        open.is_some_and(|open| {
            open.records
                .iter()
                .any(|record| record.json["body"]["stringValue"] == "sh")
        })
    };
    wait_until("the command's span", has_begun);
    env.signal(&running, "KILL");
    drop(env.finish(running));
    let run = env.last_run();
    let killed = Telemetry::read(&run);
    assert!(named(&killed, "held").is_empty(), "it has not ended");
    env.write("go", "");
    drop(env.run(&["resume", "last"]).expect(0));
    insta::assert_snapshot!(tree(&checked(&run, 2)));
}

#[test]
fn a_cancelled_run_leaves_no_span_open() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1
kind: flow
elements:
  - { node: held, type: command, settings: { commands: [\"sleep 60\"] } }
  - { node: never, type: command, settings: { commands: [[\"true\"]] } }
",
    );
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    env.signal(&running, "INT");
    drop(env.finish(running).expect(130));
    insta::assert_snapshot!(tree(&checked(&env.last_run(), 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_models_and_tools_follow_the_conventions() {
    let wanted = calls("shout", &json!({ "word": "abc" }));
    let scripted = Scripted::new(vec![wanted, says("done")]).await;
    let tool = "{ name: shout, description: says a word, command: [echo, \"{word}\"], parameters: { type: object, properties: { word: { type: string } } } }";
    scripted.flow(&node(&format!(
        "max_output_tokens: 50, options: {{ temperature: 0.5, seed: 7, stop: [END] }}, tools: [{tool}]"
    )));
    drop(scripted.run(&[]).expect(0));
    let run = scripted.env.last_run();
    let telemetry = checked(&run, 1);
    insta::assert_snapshot!(tree(&telemetry));
    let calls: Vec<&TelemetrySpan> = telemetry.of_kind("model_call").collect();
    let first = calls[0];
    assert_eq!(first.number("gen_ai.request.seed"), Some(7));
    assert_eq!(first.text("server.address"), "127.0.0.1");
    assert_eq!(
        first.attributes["gen_ai.request.temperature"],
        json!({ "doubleValue": 0.5 })
    );
    assert!(run.join(first.text("dhenara.artifact")).is_file());
    // What it took stands once, on the calls: added up it is what the run took.
    let tokens = |name: &str| {
        telemetry
            .spans
            .iter()
            .filter_map(|span| span.number(name))
            .sum::<i64>()
    };
    let totals = dhenara::run::RunView::open(&run).unwrap().totals.usage;
    assert_eq!(
        tokens("gen_ai.usage.input_tokens"),
        i64::try_from(totals.prompt_tokens).unwrap()
    );
    assert_eq!(
        tokens("gen_ai.usage.output_tokens"),
        i64::try_from(totals.completion_tokens).unwrap()
    );
    let names: BTreeSet<&str> = telemetry
        .metrics
        .iter()
        .filter_map(|metric| metric["name"].as_str())
        .collect();
    insta::assert_snapshot!(names.into_iter().collect::<Vec<_>>().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_in_traces_by_choice_alone() {
    let prompt = "a prompt that nothing shows";
    for (captured, has_content) in [
        (CaptureContent::None, false),
        (CaptureContent::Truncated, true),
        (CaptureContent::Full, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let client = FakeModel::answering(["an answer that nothing shows"]);
        let flow = FlowBuilder::new()
            .node("ask", AIModelNode::new(["test/fake"]).prompt(prompt))
            .build()
            .unwrap();
        let settings = ObservabilitySettings::default().capture_content(captured);
        let context = context("flow", dir.path())
            .resource(Arc::new(Models::offline(client)))
            .observability_settings(settings);
        let report = FlowRunner::new(flow, context.build().unwrap())
            .run()
            .await
            .unwrap();
        let call = Telemetry::read(&report.run_dir);
        let call = call.of_kind("model_call").next().unwrap().clone();
        let shown = call.json.to_string();
        assert_eq!(shown.contains(prompt), has_content, "{captured:?}: {shown}");
        assert_eq!(
            shown.contains("an answer that"),
            has_content,
            "{captured:?}: {shown}"
        );
        let began = std::fs::read_to_string(report.run_dir.join(".trace/logs.jsonl")).unwrap();
        assert!(!began.contains(prompt), "content stands once");
    }
}

/// Logs, as steps of applications do.
async fn logs(_: (), cx: NodeContext) -> Result<(), NodeError> {
    tracing::info!(step = cx.path().as_str(), "at work");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_one_process_write_nothing_into_the_files_of_each_other() {
    const STEPS: usize = 1000;
    let subscriber = tracing_subscriber::registry().with(dhenara::observability::layer());
    // Of this test alone: its tasks are instrumented, and other tests have theirs.
    let dispatch = tracing::Dispatch::new(subscriber);
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let run = |dir: PathBuf| {
        let body = FlowBuilder::new().callback("log", CallbackBuilder::new("logs"));
        let each = ForEachBuilder::new(format!("$expr{{ range({STEPS}) }}"), body);
        let flow = FlowBuilder::new().for_each("each", each).build().unwrap();
        let context = RunContext::builder("flow", &dir)
            .unmasked()
            .nodes(NodeRegistry::new().callback("logs", logs))
            .observability_settings(ObservabilitySettings::default());
        FlowRunner::new(flow, context.build().unwrap())
            .run()
            .with_subscriber(dispatch.clone())
    };
    let (one, other) = tokio::join!(run(dirs[0].path().to_owned()), run(dirs[1].path().to_owned()));
    let mut traces = BTreeSet::new();
    for report in [one.unwrap(), other.unwrap()] {
        let telemetry = checked(&report.run_dir, 1);
        assert_eq!(telemetry.of_kind("step").count(), STEPS);
        let told = telemetry
            .records
            .iter()
            .filter(|record| record.json["body"]["stringValue"] == "at work");
        assert_eq!(told.count(), STEPS);
        let trace = telemetry.spans[0].json["traceId"].as_str().unwrap().to_owned();
        assert!(
            telemetry
                .records
                .iter()
                .all(|record| record.json["traceId"] == trace.as_str())
        );
        traces.insert(trace);
    }
    assert_eq!(traces.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn known_secrets_are_masked_in_every_signal() {
    const SECRET: &str = "sk-0123456789abcdef";
    let dir = tempfile::tempdir().unwrap();
    let secrets = SecretRegistry::new();
    assert!(secrets.add(SECRET));
    let client = FakeModel::answering([format!("I repeat {SECRET}")]);
    let prompt = format!("Repeat {SECRET}");
    let command = CommandNode::new([vec!["false".to_owned(), SECRET.to_owned()]]);
    let flow = FlowBuilder::new()
        .node("ask", AIModelNode::new(["test/fake"]).prompt(prompt))
        .node("fails", command)
        .build()
        .unwrap();
    let context = RunContext::builder("flow", dir.path())
        .secrets(secrets)
        .nodes(dhenara::builtin_nodes())
        .resource(Arc::new(Models::offline(client)))
        .observability_settings(ObservabilitySettings::default().capture_content(CaptureContent::Full));
    let failed = FlowRunner::new(flow, context.build().unwrap()).run().await;
    let run = failed.unwrap_err().report().unwrap().run_dir.clone();
    for file in ["trace.jsonl", "metrics.jsonl", "logs.jsonl"] {
        let written = std::fs::read_to_string(run.join(".trace").join(file)).unwrap();
        assert!(!written.contains(SECRET), "{file}: {written}");
    }
    let telemetry = Telemetry::read(&run);
    let call = telemetry.of_kind("model_call").next().unwrap();
    assert!(
        call.text("gen_ai.input.messages").contains("Repeat [redacted]"),
        "{call:?}"
    );
    let command = telemetry.of_kind("command").next().unwrap();
    assert!(
        command.text("process.command_line").contains("[redacted]"),
        "{command:?}"
    );
}
