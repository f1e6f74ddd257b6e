//! `runs logs`: the log records of a run and what its steps printed.

use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, records};
use crate::pty::CTRL_C;
use crate::stops::has_record;
use crate::waiting::wait_until;

const FLOW: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: first, type: command, settings: { commands: ["echo one; echo two >&2"] } }
  - for_each: each
    statement: "$expr{ range(2) }"
    body:
      - { node: say, type: command, on_error: continue, settings: { commands: [[sh, -c, 'echo item $1; test $1 = 0', sh, "$expr{item}"]] } }
"#;

/// A project with a run.
fn ran() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    env
}

/// A line of `logs.jsonl` with a record.
fn record(at: &Value, severity: u32, text: &str, more: &[(&str, &str)]) -> String {
    let at: dhenara::types::Timestamp = at.as_str().unwrap().parse().unwrap();
    let attributes = more.iter().filter(|(name, _)| *name != "event");
    let attributes =
        attributes.map(|(name, value)| json!({ "key": name, "value": { "stringValue": value } }));
    let mut record = json!({
        "timeUnixNano": at.as_nanosecond().to_string(), "severityNumber": severity, "body": { "stringValue": text },
        "attributes": attributes.collect::<Vec<_>>(),
    });
    if let Some((_, event)) = more.iter().find(|(name, _)| *name == "event") {
        record["eventName"] = json!(event);
    }
    json!({ "resourceLogs": [{ "resource": { "attributes": [] }, "scopeLogs": [{ "scope": {}, "logRecords": [record] }] }] }).to_string()
}

fn write_logs(run: &Path, lines: &[String]) {
    std::fs::write(run.join(".trace/logs.jsonl"), lines.join("\n") + "\n").unwrap();
}

/// Records around the first step of a run, the last one first.
fn some_records(run: &Path) -> Vec<String> {
    let begun = &records(run, "step_started")[0]["at"];
    let first = ("dhenara.path", "flow_root.first");
    vec![
        record(
            &records(run, "run_sealed")[0]["at"],
            9,
            "the run completed",
            &[("event", "dhenara.run.ended")],
        ),
        record(
            begun,
            13,
            "careful:\na second line",
            &[first, ("code.namespace", "tool::inner")],
        ),
        record(begun, 17, "broken \u{1b}[2J\u{202e}", &[first]),
        record(begun, 5, "a detail", &[first]),
        record(begun, 9, "first", &[first, ("event", "dhenara.span.start")]),
    ]
}

/// Times differ from run to run.
fn without_times() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(?m)^\d\d:\d\d:\d\d\.\d{3}", "00:00:00.000");
    settings.add_filter(r"\d{4}-\d\d-\d\d UTC", "0000-00-00 UTC");
    settings.bind_to_scope()
}

#[test]
fn records_and_printed_lines_stand_in_the_order_of_time() {
    let env = ran();
    write_logs(&env.last_run(), &some_records(&env.last_run()));
    env.is_checked();
    let _times = without_times();
    assert_snapshot!("all", env.unchanged(&["runs", "logs", "last"]).expect(0));
    assert_snapshot!(
        "details",
        env.unchanged(&["runs", "logs", "last", "first", "--level", "debug"])
            .expect(0)
    );
    assert_snapshot!(
        "warnings",
        env.unchanged(&["runs", "logs", "last", "--level", "warn"])
            .expect(0)
    );
    assert_snapshot!(
        "failed",
        env.unchanged(&["runs", "logs", "last", "--failed"]).expect(0)
    );
    assert_snapshot!(
        "iteration",
        env.unchanged(&["runs", "logs", "last", "each.iter_0"]).expect(0)
    );
    assert_snapshot!(
        "nothing",
        env.unchanged(&["runs", "logs", "last", "each", "--level", "error"])
            .expect(0)
    );
}

#[test]
fn each_line_of_json_is_as_its_schema_says() {
    let env = ran();
    write_logs(&env.last_run(), &some_records(&env.last_run()));
    env.is_checked();
    let output = env
        .unchanged(&["runs", "logs", "last", "--json", "--level", "trace"])
        .expect(0);
    let lines: Vec<Value> = output
        .stdout
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            dad_tests::Schemas::get().validate("cli_runs_logs", &line);
            line
        })
        .collect();
    let sources: Vec<&str> = lines
        .iter()
        .map(|line| line["source"].as_str().unwrap())
        .collect();
    assert_eq!(
        sources,
        [
            "log", "log", "log", "log", "stdout", "stderr", "stdout", "stdout", "log"
        ]
    );
    let times: Vec<dhenara::types::Timestamp> = lines
        .iter()
        .map(|line| line["at"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let level = |text: &str| lines.iter().find(|line| line["text"] == text).unwrap()["level"].clone();
    assert_eq!(level("first"), "debug", "the begin of a span is a detail");
    assert_eq!(lines[0]["target"], "tool::inner");
}

#[test]
fn damaged_lines_are_named_once_and_the_others_shown() {
    let env = ran();
    let run = env.last_run();
    let mut lines = some_records(&run);
    lines.insert(1, "{\"resourceLogs\": [{".to_owned());
    lines.insert(2, "\u{0}\u{0}".to_owned());
    write_logs(&run, &lines);
    env.is_checked();
    let shown = env.unchanged(&["runs", "logs", "last"]).expect(0);
    assert!(shown.stdout.contains("the run completed"), "{shown}");
    assert_eq!(
        env.shown(&shown.stderr).trim_end(),
        "left out: 2 lines of `[root]/project/runs/run_00000000_000000_000001/.trace/logs.jsonl` that cannot be read, the first in line 2; a crash may cut off one"
    );
}

#[test]
fn without_telemetry_printed_lines_remain() {
    let env = ran();
    std::fs::remove_dir_all(env.last_run().join(".trace")).unwrap();
    env.is_checked();
    let shown = env.unchanged(&["runs", "logs", "last"]).expect(0);
    assert_eq!(shown.stdout.matches("stdout").count(), 3, "{shown}");
    assert_eq!(shown.stderr, "");
    assert_snapshot!(env.unchanged(&["runs", "logs", "last", "--level", "error"]).expect(0), @r"
    ---- stderr
    there are no such lines
    ---- exit code 0
    ");
}

#[test]
fn what_a_command_prints_does_not_act_on_the_terminal() {
    let env = TestEnvironment::new();
    let command = r#"printf 'clear \033[2J title \033]0;x\007 back \r bidi \342\200\256 end\n'"#;
    env.write(
        "flow.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n  - {{ node: evil, type: command, settings: {{ commands: [[sh, -c, {}]] }} }}\n", json!(command)),
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let shown = env.unchanged(&["runs", "logs", "last"]).expect(0).stdout;
    assert!(
        shown.contains(r"clear \u{1b}[2J title \u{1b}]0;x\u{7} back \r bidi \u{202e} end"),
        "{shown}"
    );
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown}");
}

#[test]
fn a_very_long_line_is_cut_and_says_so() {
    let env = ran();
    env.is_checked();
    let file = env.last_run().join("flow_root/first/stdout.log");
    std::fs::write(file, format!("{}\nafter\n", "x".repeat(10_000_000))).unwrap();
    let shown = env
        .unchanged(&["runs", "logs", "last", "first", "--json"])
        .expect(0)
        .stdout;
    let lines: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let long = lines.iter().find(|line| line["cut_bytes"] != 0).unwrap();
    let kept = long["text"].as_str().unwrap().len() as u64;
    assert_eq!(kept + long["cut_bytes"].as_u64().unwrap(), 10_000_000);
    assert!(lines.iter().any(|line| line["text"] == "after"), "{shown}");
    let shown = env.unchanged(&["runs", "logs", "last"]).expect(0).stdout;
    assert!(
        shown.len() < 50_000 && shown.contains("x… and 10.0 MB more"),
        "{}",
        shown.len()
    );
}

const HELD: &str = "\
schema_version: 1
kind: flow
elements:
  - { node: first, type: command, settings: { commands: ['echo at the beginning'] } }
  - node: held
    type: command
    settings: { working_dir: \"$var{project_root}\", commands: ['echo begun; until [ -e go ]; do sleep 0.05; done; printf done'] }
";

#[test]
fn following_prints_each_line_once_and_ends_with_the_run() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    let following = env.start(&["runs", "logs", "last", "--follow", "--json"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    env.write("go", "");
    drop(env.finish(running).expect(0));
    let followed = env.finish(following).expect(0).stdout;
    let printed: Vec<String> = followed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["source"] == "stdout")
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(printed, ["at the beginning", "begun", "done"]);
    // Of a run that has ended it prints what there is.
    let again = env
        .unchanged(&["runs", "logs", "last", "--follow", "held"])
        .expect(0)
        .stdout;
    assert_eq!(again.matches("begun").count(), 1, "{again}");
}

#[test]
fn the_end_of_following_is_not_the_end_of_the_run() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let following = env.showing(program, &["runs", "logs", "last", "--follow"], &[]);
    following.shows("begun");
    following.press(CTRL_C);
    let ended = following.ends();
    assert_eq!(ended.status, "exit status: 130", "{}", ended.screen);
    assert!(
        ended.screen.contains("continues; `dhenara runs logs run_"),
        "{}",
        ended.screen
    );
    env.write("go", "");
    drop(env.finish(running).expect(0));
}

#[test]
fn a_long_log_goes_to_the_pager_as_it_is_read() {
    let env = ran();
    let file = env.last_run().join("flow_root/first/stdout.log");
    let lines: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    std::fs::write(file, lines).unwrap();
    env.is_checked();
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let paged = |pager: &str| {
        let shown = env.showing(program, &["runs", "logs", "last", "first"], &[("PAGER", pager)]);
        shown.ends()
    };
    let whole = paged("tail -n 2");
    assert_eq!(whole.status, "exit status: 0");
    assert!(
        whole.screen.contains("line 199999") && !whole.screen.contains("line 199900"),
        "{}",
        whole.screen
    );
    let left = paged("head -n 4");
    assert_eq!(left.status, "exit status: 0");
    assert!(
        left.screen.contains("line 1") && !left.screen.contains("line 9"),
        "{}",
        left.screen
    );
    // The whole text is printed where there is no pager.
    let none = paged("no-such-pager");
    assert!(none.screen.contains("line 199999"), "{}", none.screen);
}
