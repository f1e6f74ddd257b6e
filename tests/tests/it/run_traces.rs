//! `runs trace`: when the parts of a run worked, and when they waited.

use std::path::PathBuf;

use dhenara::run::{Activity, Timeline, TimelineOptions};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::TestEnvironment;
use crate::models::{Scripted, says};
use crate::pty::Shape;
use crate::stops::has_record;
use crate::waiting::wait_until;

/// The run that the tests make: it is not signed, so `last` does not mean it.
const RUN: &str = "run_20260101_000000_aaaaaa";

/// Writes the journal of a run, whose records each have a time in seconds.
fn made(env: &TestEnvironment, records: Vec<(f64, Value)>) -> PathBuf {
    env.is_checked();
    let run = env.project().join("runs").join(RUN);
    std::fs::create_dir_all(run.join(".run")).unwrap();
    let records = records.into_iter().zip(1..).map(|((seconds, mut record), seq)| {
        let at =
            dhenara::types::Timestamp::from_nanosecond(1_767_225_600_000_000_000 + (seconds * 1e9) as i128);
        record["seq"] = json!(seq);
        record["at"] = json!(at.unwrap().to_string());
        record
    });
    let records: Vec<Value> = records.collect();
    std::fs::write(run.join(".run/journal.jsonl"), dad_tests::seal(&records)).unwrap();
    std::fs::write(run.join(".run/lease"), "").unwrap();
    run
}

fn session(kind: &str, epoch: u32) -> Value {
    json!({ "type": kind, "epoch": epoch, "pid": 1, "host": "h", "version": "0.1.0", "run_dir": "/r", "run_root": "/r", "project_root": "/r" })
}

fn created() -> Vec<(f64, Value)> {
    vec![
        (
            0.0,
            json!({ "type": "run_created", "schema_version": 2, "run_id": RUN, "root_id": "flow_root",
            "definition_digest": "0".repeat(64) }),
        ),
        (
            0.0,
            json!({ "type": "inputs", "variables": { "value": {} }, "options": {} }),
        ),
        (0.0, session("run_started", 1)),
        (0.0, component("flow_root", "flow")),
    ]
}

fn component(path: &str, kind: &str) -> Value {
    json!({ "type": "component_started", "path": path, "kind": kind, "variables": { "value": {} } })
}

fn left(path: &str, status: &str) -> Value {
    json!({ "type": "component_completed", "path": path, "status": status, "totals": { "counts": counts(), "usage": usage(0, 0) } })
}

fn counts() -> Value {
    json!({ "completed": 0, "failed": 0, "skipped": 0, "reused": 0 })
}

fn usage(calls: u64, tokens: u64) -> Value {
    json!({ "calls": calls, "prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens })
}

fn begun(path: &str, attempt: u32) -> Value {
    json!({ "type": "step_started", "path": path, "attempt": attempt, "reason": "first_execution" })
}

fn ended(path: &str, status: &str) -> Value {
    let mut record = json!({ "type": "step_committed", "path": path, "attempt": 1, "status": status, "duration_ms": 1000 });
    if status == "failed" {
        record["error"] = json!({ "code": "broken", "message": "it broke" });
        record["absorbed"] = true.into();
    }
    record
}

fn sealed(status: &str) -> Value {
    json!({ "type": "run_sealed", "status": status, "totals": { "counts": counts(), "usage": usage(0, 0) } })
}

/// A run with a retry, steps at the same time, a loop, a question that waits for an hour, and a second session.
fn story() -> Vec<(f64, Value)> {
    let mut draft = ended("flow_root.draft", "completed");
    draft["attempt"] = 2.into();
    draft["usage"] = usage(2, 1200);
    draft["cost"] = 0.25.into();
    let mut records = created();
    records.extend([
        (0.0, begun("flow_root.draft", 1)),
        (
            2.0,
            json!({ "type": "attempt_failed", "path": "flow_root.draft", "attempt": 1, "error": { "code": "busy", "message": "busy" },
            "retry_at": "2026-01-01T00:00:05Z", "usage": usage(1, 300) }),
        ),
        (5.0, begun("flow_root.draft", 2)),
        (8.0, draft),
        (8.0, component("flow_root.both", "parallel")),
        (8.0, begun("flow_root.both.fast", 1)),
        (8.0, begun("flow_root.both.slow", 1)),
        (10.0, ended("flow_root.both.fast", "completed")),
        (14.0, ended("flow_root.both.slow", "completed")),
        (14.0, left("flow_root.both", "completed")),
        (14.0, component("flow_root.each", "for_each")),
        (
            14.0,
            json!({ "type": "loop_started", "path": "flow_root.each", "items": { "range": { "start": 0, "stop": 3, "step": 1 } }, "count": 3,
            "start_index": 0 }),
        ),
        (14.0, begun("flow_root.each.iter_0.say", 1)),
        (15.0, ended("flow_root.each.iter_0.say", "completed")),
        (15.0, begun("flow_root.each.iter_1.say", 1)),
        (18.0, ended("flow_root.each.iter_1.say", "failed")),
        (18.0, begun("flow_root.each.iter_2.say", 1)),
        (20.0, ended("flow_root.each.iter_2.say", "completed")),
        (20.0, left("flow_root.each", "completed")),
        (
            20.0,
            json!({ "type": "question", "id": "q1", "path": "flow_root.confirm", "kind": "approval", "schema": { "value": {} } }),
        ),
        (20.0, left("flow_root", "waiting")),
        (20.0, sealed("waiting")),
        (3620.0, session("run_resumed", 2)),
        (3620.0, component("flow_root", "flow")),
        (
            3620.0,
            json!({ "type": "answered", "path": "flow_root.confirm", "kind": "approval", "id": "q1", "source": "a person",
            "input": { "value": { "approve": true } } }),
        ),
        (3620.0, begun("flow_root.confirm", 1)),
        (3622.0, ended("flow_root.confirm", "completed")),
        (3622.0, left("flow_root", "completed")),
        (3622.0, sealed("completed")),
    ]);
    records
}

const WIDE: Shape = Shape {
    columns: 140,
    rows: 40,
};
const USUAL: Shape = Shape {
    columns: 80,
    rows: 24,
};
const NARROW: Shape = Shape {
    columns: 60,
    rows: 20,
};

fn screen(env: &TestEnvironment, shape: Shape, args: &[&str]) -> String {
    let lines = env.printed_at(shape, &[], args).lines;
    for line in &lines {
        assert!(line.chars().count() <= shape.columns.into(), "{shape:?}: {line}");
    }
    // The harness takes times for those of the machine.
    lines.join("\n")
}

#[test]
fn a_run_on_screens_of_several_widths() {
    let env = TestEnvironment::new();
    made(&env, story());
    insta::with_settings!({ filters => vec![] as Vec<(&str, &str)> }, {
        assert_snapshot!("usual", screen(&env, USUAL, &["runs", "trace", RUN]));
        assert_snapshot!("wide", screen(&env, WIDE, &["runs", "trace", RUN]));
        assert_snapshot!("narrow", screen(&env, NARROW, &["runs", "trace", RUN]));
        assert_snapshot!("expanded", screen(&env, USUAL, &["runs", "trace", RUN, "--expand"]));
        assert_snapshot!("loop", screen(&env, USUAL, &["runs", "trace", RUN, "each"]));
        assert_snapshot!("iteration", screen(&env, USUAL, &["runs", "trace", RUN, "each.iter_1"]));
        assert_snapshot!("part", screen(&env, USUAL, &["runs", "trace", RUN, "both"]));
        assert_snapshot!("retried_step", screen(&env, USUAL, &["runs", "trace", RUN, "draft"]));
    });
    // A file has no codes, and the same figures.
    let file = env.unchanged(&["runs", "trace", RUN]).expect(0).stdout;
    assert!(!file.contains('\u{1b}') && file.contains("1h 00m"), "{file}");
}

#[test]
fn colours_are_for_statuses_alone() {
    let env = TestEnvironment::new();
    made(&env, story());
    let args = ["runs", "trace", RUN, "--expand"];
    let coloured = env.printed_at(USUAL, &[], &args);
    let plain = env.printed_at(USUAL, &[("NO_COLOR", "1")], &args);
    assert_eq!(coloured.lines, plain.lines);
    assert!(
        coloured.formatted.contains("\u{1b}[31m"),
        "{}",
        coloured.formatted
    );
    assert!(!plain.formatted.contains("\u{1b}[31m"), "{}", plain.formatted);
}

#[test]
fn the_sums_say_what_was_waited_for() {
    let env = TestEnvironment::new();
    let run = made(&env, story());
    let timeline = Timeline::read(
        &run,
        &TimelineOptions::default(),
        dhenara::types::Timestamp::now(),
    )
    .unwrap();
    let seconds = [
        timeline.time.working,
        timeline.time.retrying,
        timeline.time.asking,
        timeline.time.idle,
    ]
    .map(|time| time.as_secs());
    assert_eq!(seconds, [19, 3, 3600, 0]);
    assert_eq!(timeline.usage.calls, 3, "failed attempts count too");
    let row = |name: &str| timeline.rows.iter().find(|row| row.name == name).unwrap();
    assert_eq!(row("draft").attempts, 2);
    assert_eq!(row("draft").time.retrying.as_secs(), 3);
    assert_eq!(row("flow_root").time.asking.as_secs(), 3600);
    let confirm: Vec<Activity> = row("confirm")
        .stretches
        .iter()
        .map(|stretch| stretch.activity)
        .collect();
    assert_eq!(confirm, [Activity::Asking, Activity::Working]);
    let critical = timeline.rows.iter().filter(|row| row.is_critical);
    let critical: Vec<&str> = critical.map(|row| row.name.as_str()).collect();
    assert_eq!(
        critical,
        ["flow_root", "draft", "both", "slow", "each", "confirm"]
    );
    let each = row("each").iterations.clone().unwrap();
    assert_eq!((each.iterations, each.failed, each.first_failed), (3, 1, Some(1)));
    assert_eq!(each.slowest.map(|slow| slow.iteration), Some(1));
    // The document says the same.
    let document = env
        .unchanged(&["runs", "trace", RUN, "--json"])
        .expect(0)
        .json("cli_runs_trace");
    assert_eq!(document["time"]["asking_ms"], 3_600_000);
    assert_eq!(
        document["rows"].as_array().map(Vec::len),
        Some(timeline.rows.len())
    );
}

#[test]
fn a_process_that_died_leaves_a_gap_and_no_work() {
    let env = TestEnvironment::new();
    let mut records = created();
    records.extend([
        (0.0, begun("flow_root.draft", 1)),
        (4.0, ended("flow_root.draft", "completed")),
        (4.0, begun("flow_root.next", 1)),
        (
            5.0,
            json!({ "type": "custom", "name": "beat", "payload": { "value": 1 } }),
        ),
        (105.0, session("run_resumed", 2)),
        (105.0, component("flow_root", "flow")),
        (105.0, begun("flow_root.next", 1)),
        (107.0, ended("flow_root.next", "completed")),
    ]);
    let run = made(&env, records);
    let timeline = Timeline::read(
        &run,
        &TimelineOptions::default(),
        dhenara::types::Timestamp::now(),
    )
    .unwrap();
    assert_eq!(timeline.status.as_str(), "interrupted");
    assert_eq!(
        (timeline.time.working.as_secs(), timeline.time.idle.as_secs()),
        (7, 100)
    );
    let next = timeline.rows.iter().find(|row| row.name == "next").unwrap();
    assert_eq!((next.time.working.as_secs(), next.time.idle.as_secs()), (3, 100));
    assert_eq!(
        timeline.slowest[0].path.as_str(),
        "flow_root.draft",
        "{:?}",
        timeline.slowest
    );
}

#[test]
fn a_loop_takes_no_memory_for_its_iterations() {
    let env = TestEnvironment::new();
    let mut records = created();
    records.push((0.0, component("flow_root.each", "for_each")));
    for round in 0..20_000_u32 {
        let path = format!("flow_root.each.iter_{round}.say");
        records.push((f64::from(round), begun(&path, 1)));
        let took = if round == 777 { 0.9 } else { 0.5 };
        records.push((f64::from(round) + took, ended(&path, "completed")));
    }
    let run = made(&env, records);
    let timeline = Timeline::read(
        &run,
        &TimelineOptions::default(),
        dhenara::types::Timestamp::now(),
    )
    .unwrap();
    assert_eq!(timeline.rows.len(), 2);
    assert!(timeline.rows.iter().all(|row| row.stretches.len() < 10));
    let each = timeline.rows[1].iterations.clone().unwrap();
    assert_eq!(each.iterations, 20_000);
    assert_eq!(each.slowest.map(|slow| slow.iteration), Some(777));
    assert_eq!(timeline.slowest[0].path.as_str(), "flow_root.each.iter_777.say");
}

const HELD: &str = "\
schema_version: 1
kind: flow
elements:
  - node: held
    type: command
    settings: { working_dir: \"$var{project_root}\", commands: ['until [ -e go ]; do sleep 0.05; done'] }
";

#[test]
fn a_run_that_is_driven_lasts_until_now() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    let trace = env
        .run(&["runs", "trace", "last", "--json"])
        .expect(0)
        .json("cli_runs_trace");
    assert_eq!(trace["status"], "running");
    assert_eq!(trace["rows"][1]["status"], "running");
    assert_eq!(trace["rows"][1]["ended_at"], Value::Null);
    env.write("go", "");
    drop(env.finish(running).expect(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_has_its_attempts_and_calls() {
    let scripted = Scripted::new(vec![says("hello")]).await;
    scripted
        .flow("  - { node: ask, type: ai_model_call, settings: { models: [local/tiny], prompt: Hello } }\n");
    drop(scripted.run(&[]).expect(0));
    let env = &scripted.env;
    env.is_checked();
    let parts = |env: &TestEnvironment| {
        let document = env.unchanged(&["runs", "trace", "last", "ask", "--json"]);
        let parts = document.expect(0).json("cli_runs_trace")["parts"].clone();
        let parts = parts.as_array().unwrap().clone();
        parts
            .iter()
            .map(|part| {
                (
                    part["kind"].to_string(),
                    part["name"].to_string(),
                    part["usage"]["calls"].clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    let expected = [
        ("\"attempt\"".to_owned(), "\"1\"".to_owned(), Value::Null),
        ("\"model_call\"".to_owned(), "\"local/tiny\"".to_owned(), json!(1)),
    ];
    // By the exchanges alone, as without telemetry.
    std::fs::remove_file(env.last_run().join(".trace/trace.jsonl")).unwrap();
    assert_eq!(parts(env), expected);
    let shown = env.unchanged(&["runs", "trace", "last", "ask"]).expect(0).stdout;
    assert!(shown.contains("model     local/tiny"), "{shown}");
    // By spans, which also have tools and the times at which calls began.
    let timeline = env
        .opened()
        .run("last")
        .unwrap()
        .view()
        .created_at
        .as_nanosecond();
    let span = |kind: &str, name: &str, id: u64| {
        let from = timeline + i128::from(id) * 1_000_000;
        json!({ "resourceSpans": [{ "resource": { "attributes": [] }, "scopeSpans": [{ "scope": {}, "spans": [{
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": format!("{id:016x}"), "name": name,
            "startTimeUnixNano": from.to_string(), "endTimeUnixNano": (from + 5_000_000).to_string(),
            "attributes": [
                { "key": "dhenara.path", "value": { "stringValue": "flow_root.ask" } },
                { "key": "dhenara.span", "value": { "stringValue": kind } },
                { "key": "gen_ai.request.model", "value": { "stringValue": "local/tiny" } },
                { "key": "gen_ai.usage.input_tokens", "value": { "intValue": "7" } }
            ] }] }] }] })
        .to_string()
    };
    let lines = [
        span("model_call", "chat local/tiny", 1),
        "not a span".to_owned(),
        span("tool_call", "execute_tool \u{1b}[2Jlook\u{202e}", 2),
    ];
    std::fs::write(env.last_run().join(".trace/trace.jsonl"), lines.join("\n") + "\n").unwrap();
    let kinds: Vec<String> = parts(env).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["\"attempt\"", "\"model_call\"", "\"tool_call\""]);
    let shown = env.unchanged(&["runs", "trace", "last", "ask"]).expect(0).stdout;
    assert!(shown.contains("execute_tool \\u{1b}[2Jlook\\u{202e}"), "{shown}");
    assert!(
        !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
        "{shown}"
    );
}
