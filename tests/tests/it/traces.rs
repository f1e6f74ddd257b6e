//! The signals of runs that several processes drove, as readers of OpenTelemetry take them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use wiremock::ResponseTemplate;

use crate::harness::{TestEnvironment, read_lines};
use crate::models::{Scripted, node, says};

/// All spans of a run. No field of any file is null, which readers refuse.
fn spans(run: &Path) -> Vec<Value> {
    for file in ["trace.jsonl", "metrics.jsonl", "logs.jsonl"] {
        for line in read_lines(&run.join(".trace").join(file)) {
            assert!(!has_null(&line), "{file}: {line}");
        }
    }
    let lines = read_lines(&run.join(".trace/trace.jsonl")).into_iter();
    lines
        .flat_map(|line| {
            line["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .unwrap()
                .clone()
        })
        .collect()
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

fn nanos(span: &Value, field: &str) -> u64 {
    span[field].as_str().unwrap().parse().unwrap()
}

/// Checks that spans nest: each id once, one trace, every parent there and around its children; and that each session is
/// linked to the one before. Gives the sessions' spans.
#[track_caller]
fn check(spans: &[Value], sessions: usize) -> Vec<Value> {
    let mut by_id = BTreeMap::new();
    for span in spans {
        let before = by_id.insert(span["spanId"].as_str().unwrap(), span);
        assert!(before.is_none(), "twice: {span}");
        assert_eq!(span["traceId"], spans[0]["traceId"]);
        assert!(
            nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano"),
            "{span}"
        );
    }
    let mut roots = Vec::new();
    for span in spans {
        let parent = span["parentSpanId"].as_str().unwrap_or_default();
        if parent.is_empty() {
            roots.push(span.clone());
            continue;
        }
        let parent = by_id.get(parent).unwrap_or_else(|| panic!("no parent: {span}"));
        assert!(
            nanos(parent, "startTimeUnixNano") <= nanos(span, "startTimeUnixNano"),
            "{span} in {parent}"
        );
        assert!(
            nanos(span, "endTimeUnixNano") <= nanos(parent, "endTimeUnixNano"),
            "{span} in {parent}"
        );
    }
    assert_eq!(roots.len(), sessions);
    for (before, root) in roots.iter().zip(&roots[1..]) {
        assert_eq!(root["links"][0]["spanId"], before["spanId"]);
        assert_eq!(root["links"][0]["traceId"], root["traceId"]);
    }
    assert!(
        roots[0]["links"].as_array().is_none_or(Vec::is_empty),
        "{}",
        roots[0]
    );
    roots
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
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
    let waiting = check(&spans(&run), 1);
    assert!(
        waiting[0]["status"]["code"].as_i64().is_none_or(|code| code == 0),
        "a run that waits is not done"
    );
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(3));
    check(&spans(&run), 2);
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(0));
    let spans = spans(&run);
    let sessions = check(&spans, 3);
    assert_eq!(sessions[2]["status"]["code"], 1, "done");
    // A component that is entered again has one span a session.
    for name in ["flow_root", "part", "each"] {
        let parents: BTreeSet<&str> = named(&spans, name)
            .iter()
            .map(|span| span["parentSpanId"].as_str().unwrap())
            .collect();
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
    let spans = spans(&env.last_run());
    let sessions = check(&spans, 3);
    let codes: Vec<&Value> = sessions.iter().map(|span| &span["status"]["code"]).collect();
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
    let logs = read_lines(&run.join(".trace/logs.jsonl"));
    assert_eq!(logs.len(), 1, "{logs:?}");
    let record = &logs[0]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert!(
        record["body"]["stringValue"]
            .as_str()
            .unwrap()
            .contains("asked again"),
        "{record}"
    );
    // It belongs to the span of its step.
    let spans = spans(&run);
    check(&spans, 1);
    assert_eq!(record["spanId"], named(&spans, "ask")[0]["spanId"]);
}
