//! A stop stops: nothing begins behind its record, `finally` runs all the same, and no accepted cancel is lost.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dad_fs::{Fault, FaultInjector, Gate, Operation};
use dhenara::run::{RunView, request_cancel};
use dhenara::{
    Error, FlowBuilder, FlowRunner, NodeBuilder, NodeType, RunContext, RunStatus, StepStatus, builtin_nodes,
};
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, journal, read_json, records};
use crate::waiting::wait_until;

/// Whether the newest run has a record of a kind, about a path that ends so.
pub(crate) fn has_record(env: &TestEnvironment, kind: &str, path: &str) -> bool {
    let run = env.runs().pop();
    run.is_some_and(|run| {
        let text = std::fs::read_to_string(run.join(".run/journal.jsonl")).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().any(|record| {
            let is_at = record["path"].as_str().unwrap_or_default().ends_with(path);
            record["type"] == kind && is_at
        })
    })
}

/// The types of the records behind the first cancel, without those that only say how things ended.
fn begun_behind_the_cancel(run: &Path) -> Vec<String> {
    let records = journal(run);
    let is_cancel = |record: &Value| record["type"] == "control" && record["kind"] == "cancel";
    let at = records.iter().position(is_cancel).expect("a cancel is recorded");
    let begins = [
        "step_started",
        "process_started",
        "component_started",
        "loop_started",
        "question",
    ];
    let kinds = records[at..]
        .iter()
        .map(|record| record["type"].as_str().unwrap().to_owned());
    kinds.filter(|kind| begins.contains(&kind.as_str())).collect()
}

pub(crate) fn status(env: &TestEnvironment, path: &str) -> Option<StepStatus> {
    let view = RunView::open(env.last_run()).unwrap();
    let found = view.entries().find(|(entry, _)| entry.as_str() == path);
    found.map(|(_, entry)| entry.status())
}

const FLAKY: &str = "\
schema_version: 1
kind: flow
root_id: r
elements:
  - { node: flaky, type: command, retry: { max_attempts: 3, initial_delay: 60, max_delay: 60, repeat_effects: true }, settings: { commands: [\"echo seen; exit 7\"] } }
";

#[test]
fn no_attempt_begins_behind_a_cancel_in_the_pause_between_attempts() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLAKY);
    for what in [&["cancel", "last"][..], &["cancel", "last", "flaky"]] {
        let running = env.start(&["run", "flow", "flow.yaml"]);
        wait_until("the pause", || has_record(&env, "attempt_failed", "flaky"));
        drop(env.run(what).expect(0));
        let output = env.finish(running).expect(130);
        assert!(output.stderr.contains("the last attempt failed"), "{output}");
        let run = env.last_run();
        assert!(begun_behind_the_cancel(&run).is_empty(), "{:?}", journal(&run));
        // What is recorded is the attempt that was made.
        let result = read_json(&run.join("r/flaky/result.json"));
        assert_eq!(
            (&result["attempt"], &result["execution_status"]),
            (&json!(1), &json!("cancelled"))
        );
        assert_eq!(result["outcome"]["results"][0]["returncode"], 7);
        assert_eq!(
            std::fs::read_to_string(run.join("r/flaky/stdout.log")).unwrap(),
            "seen\n"
        );
        std::fs::remove_dir_all(run).unwrap();
    }
}

#[test]
fn the_attempt_behind_such_a_cancel_begins_with_nothing() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &FLAKY.replace("exit 7", "test -e $var{project_root}/open"),
    );
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the pause", || has_record(&env, "attempt_failed", "flaky"));
    env.signal(&running, "INT");
    drop(env.finish(running).expect(130));
    env.write("open", "");
    drop(env.run(&["resume", "last"]).expect(0));
    let attempts = records(&env.last_run(), "step_started");
    let numbers: Vec<&Value> = attempts.iter().map(|record| &record["attempt"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2)]);
    assert_eq!(
        read_json(&env.last_run().join("run_summary.json"))["counts"]["completed"],
        1
    );
}

#[test]
fn no_attempt_begins_when_its_component_has_run_out_of_time() {
    let env = TestEnvironment::new();
    let flow = "schema_version: 1\nkind: flow\nroot_id: r\nelements:\n  - subflow: s\n    timeout: 1\n    elements:\n      - { node: flaky, type: command, \
                retry: { max_attempts: 3, initial_delay: 1.5, repeat_effects: true }, settings: { commands: [[\"false\"]] } }\n";
    env.write("flow.yaml", flow);
    let output = env.run(&["run", "flow", "flow.yaml"]).expect(1);
    assert!(output.stderr.contains("did not finish within 1.0 s"), "{output}");
    assert_eq!(records(&env.last_run(), "step_started").len(), 1);
    assert_eq!(status(&env, "r.s"), Some(StepStatus::TimedOut));
}

const FINALLY: &str = "\
schema_version: 1
kind: flow
root_id: c
elements:
  - subflow: s
    elements:
      - repeat: loop
        until: \"$expr{ false }\"
        max_iterations: 3
        body: [ { node: w, type: command, settings: { commands: [[sleep, '600']] } } ]
    finally:
      - subflow: sweep
        elements: [ { node: inner, type: command, settings: { commands: [\"sleep 0.3; echo swept\"] } } ]
      - { node: cleanup, type: command, settings: { commands: [\"sleep 0.3; echo cleaned\"] } }
";

#[test]
fn a_cancel_of_a_component_leaves_its_finally_alone() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FINALLY);
    for what in [None, Some("c"), Some("s"), Some("loop"), Some("w")] {
        let running = env.start(&["run", "flow", "flow.yaml"]);
        wait_until("the step", || has_record(&env, "process_started", ".w"));
        let cancel: Vec<&str> = ["cancel", "last"].into_iter().chain(what).collect();
        drop(env.run(&cancel).expect(0));
        drop(env.finish(running).expect(130));
        let log = |step: &str| std::fs::read_to_string(env.last_run().join(step).join("stdout.log")).unwrap();
        assert_eq!(log("c/s/sweep/inner"), "swept\n", "{what:?}");
        assert_eq!(log("c/s/cleanup"), "cleaned\n", "{what:?}");
        std::fs::remove_dir_all(env.last_run()).unwrap();
    }
}

#[test]
fn what_stands_in_a_finally_can_be_cancelled_by_itself() {
    let env = TestEnvironment::new();
    let flow = FINALLY
        .replace("[[sleep, '600']]", "[[\"false\"]]")
        .replace("sleep 0.3; echo swept", "sleep 600");
    env.write("flow.yaml", &flow);
    for what in ["inner", "sweep"] {
        let running = env.start(&["run", "flow", "flow.yaml"]);
        wait_until("the finally", || has_record(&env, "process_started", ".inner"));
        // What it belongs to is cancelled too, which does not reach it.
        drop(env.run(&["cancel", "last", "s"]).expect(0));
        wait_until("the record", || has_record(&env, "control", "c.s"));
        assert_eq!(status(&env, "c.s.sweep.inner"), Some(StepStatus::Running));
        drop(env.run(&["cancel", "last", what]).expect(0));
        drop(env.finish(running));
        assert_eq!(
            status(&env, "c.s.sweep.inner"),
            Some(StepStatus::Cancelled),
            "{what}"
        );
        std::fs::remove_dir_all(env.last_run()).unwrap();
    }
}

#[test]
fn a_cancel_of_a_component_counts_when_only_its_finally_is_left() {
    let env = TestEnvironment::new();
    let open = "for i in $(seq 2000); do test -e $var{project_root}/open && break; sleep 0.05; done";
    let flow = FINALLY
        .replace("[[sleep, '600']]", "[[\"true\"]]")
        .replace("\"$expr{ false }\"", "\"$expr{ true }\"")
        .replace("sleep 0.3; echo swept", &format!("{open}; echo swept"));
    env.write("flow.yaml", &flow);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the finally", || has_record(&env, "process_started", ".inner"));
    drop(env.run(&["cancel", "last", "s"]).expect(0));
    wait_until("the record", || has_record(&env, "control", "c.s"));
    env.write("open", "");
    drop(env.finish(running).expect(130));
    assert_eq!(status(&env, "c.s"), Some(StepStatus::Cancelled));
    assert_eq!(status(&env, "c.s.cleanup"), Some(StepStatus::Completed));
}

const WAITING: &str = "\
schema_version: 1
kind: flow
root_id: q
elements:
  - parallel: p
    elements:
      - { node: ask, type: command, requires_approval: true, settings: { commands: [[echo, executed]] } }
      - subflow: part
        requires_approval: true
        elements: [ { node: inner, type: command, settings: { commands: [[echo, executed]] } } ]
      - { node: long, type: command, settings: { commands: [\"for i in $(seq 2000); do test -e $var{project_root}/open && break; sleep 0.05; done\"] } }
";

#[test]
fn what_waits_for_an_answer_can_be_cancelled() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", WAITING);
    for (what, path) in [("ask", "q.p.ask"), ("part", "q.p.part")] {
        let running = env.start(&["run", "flow", "flow.yaml", "--no-input"]);
        wait_until("the questions", || {
            has_record(&env, "question", ".ask") && has_record(&env, "question", ".part")
        });
        drop(env.run(&["cancel", "last", what]).expect(0));
        wait_until("the end", || status(&env, path) == Some(StepStatus::Cancelled));
        env.write("open", "");
        drop(env.finish(running).expect(130));
        // Its question is closed: an approval that comes now approves nothing.
        let refused = env.run(&["answer", "last", what, "--approve"]).expect(2);
        assert!(refused.stderr.contains("error[unknown_question]"), "{refused}");
        let executed = env.last_run().join("q/p/ask/stdout.log");
        assert!(!executed.exists() && !env.last_run().join("q/p/part/inner").exists());
        std::fs::remove_file(env.project().join("open")).unwrap();
        std::fs::remove_dir_all(env.last_run()).unwrap();
    }
}

#[test]
fn a_run_that_stops_keeps_its_questions_for_a_later_answer() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", WAITING);
    let running = env.start(&["run", "flow", "flow.yaml", "--no-input"]);
    wait_until("the questions", || {
        has_record(&env, "question", ".ask") && has_record(&env, "question", ".part")
    });
    drop(env.run(&["cancel", "last"]).expect(0));
    drop(env.finish(running).expect(130));
    env.write("open", "");
    drop(
        env.run(&["answer", "last", "ask", "--approve", "--no-resume"])
            .expect(0),
    );
    drop(env.run(&["answer", "last", "part", "--approve"]).expect(0));
    assert_eq!(status(&env, "q.p.ask"), Some(StepStatus::Completed));
    assert_eq!(status(&env, "q.p.part.inner"), Some(StepStatus::Completed));
}

/// Sends a cancel to the run when a certain operation is about to happen.
struct CancelAt {
    run_dir: std::path::PathBuf,
    is_there: fn(&Operation<'_>) -> bool,
    is_sent: Arc<AtomicBool>,
}

impl FaultInjector for CancelAt {
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault> {
        if (self.is_there)(operation) && !self.is_sent.swap(true, Ordering::AcqRel) {
            request_cancel(&self.run_dir, None, "the test").unwrap();
        }
        Ok(())
    }
}

fn command(commands: &[&str]) -> NodeBuilder {
    let argv: Vec<String> = commands.iter().map(|word| (*word).to_owned()).collect();
    NodeBuilder::new(NodeType::COMMAND, json!({ "commands": [argv] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_while_a_run_is_taken_over_counts() {
    let env = TestEnvironment::new();
    let open = env.project().join("open");
    let flow = FlowBuilder::new()
        .node("gate", command(&["test", "-e", open.to_str().unwrap()]))
        .node("slow", command(&["sleep", "600"]))
        .node(
            "deploy",
            command(&["touch", env.project().join("deployed").to_str().unwrap()]),
        )
        .build()
        .unwrap();
    let builder = || {
        RunContext::builder("taken", env.project())
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .nodes(builtin_nodes())
    };
    let failed = FlowRunner::new(flow.clone(), builder().build().unwrap())
        .run()
        .await;
    let run_dir = failed.unwrap_err().report().unwrap().run_dir.clone();
    std::fs::write(&open, "").unwrap();
    // The lease is taken, and nothing of the run has been read yet.
    let is_sent = Arc::new(AtomicBool::new(false));
    let gate = Gate::with_faults(CancelAt {
        run_dir: run_dir.clone(),
        is_there: |operation| operation.path.ends_with(".run/lease") && operation.name == "write",
        is_sent: Arc::clone(&is_sent),
    });
    let context = builder().gate(gate).build().unwrap();
    let resumed = FlowRunner::resume(flow, context, &run_dir).run().await;
    assert!(is_sent.load(Ordering::Acquire));
    assert!(matches!(resumed, Err(Error::Cancelled { .. })), "{resumed:?}");
    assert!(!env.project().join("deployed").exists());
    assert_eq!(records(&run_dir, "control").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_nothing_drives_the_run_stops_the_next_session_and_no_later_one() {
    let env = TestEnvironment::new();
    let open = env.project().join("open");
    let deployed = env.project().join("deployed");
    let flow = FlowBuilder::new()
        .node("gate", command(&["test", "-e", open.to_str().unwrap()]))
        .node("deploy", command(&["touch", deployed.to_str().unwrap()]))
        .build()
        .unwrap();
    let context = || {
        RunContext::builder("rests", env.project())
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .nodes(builtin_nodes())
            .build()
            .unwrap()
    };
    let failed = FlowRunner::new(flow.clone(), context()).run().await;
    let run_dir = failed.unwrap_err().report().unwrap().run_dir.clone();
    std::fs::write(&open, "").unwrap();
    request_cancel(&run_dir, None, "test").unwrap();

    let next = FlowRunner::resume(flow.clone(), context(), &run_dir).run().await;
    assert!(matches!(next, Err(Error::Cancelled { .. })), "{next:?}");
    assert!(!deployed.exists());
    FlowRunner::resume(flow, context(), &run_dir).run().await.unwrap();
    assert!(deployed.exists());
    assert_eq!(records(&run_dir, "control").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_before_a_run_rests_is_not_passed_over() {
    let env = TestEnvironment::new();
    let flow = FlowBuilder::new()
        .node("ask", command(&["true"]).requires_approval())
        .finally_node("cleans", command(&["true"]))
        .build()
        .unwrap();
    let id: dhenara::RunId = "run_20260101_000000_000001".parse().unwrap();
    let run_dir = env.project().join("runs").join(id.as_str());
    let gate = Gate::with_faults(CancelAt {
        run_dir: run_dir.clone(),
        is_there: |operation| operation.path.to_string_lossy().contains("/.run/questions/"),
        is_sent: Arc::default(),
    });
    let context = RunContext::builder("resting", env.project())
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(builtin_nodes())
        .run_id(id)
        .gate(gate)
        .build()
        .unwrap();
    let rested = FlowRunner::new(flow, context).run().await;
    assert!(matches!(rested, Err(Error::Cancelled { .. })), "{rested:?}");
    let view = RunView::open(&run_dir).unwrap();
    assert_eq!(view.sealed_status(), Some(RunStatus::Cancelled));
    assert!(view.step(&"resting.cleans".parse().unwrap()).is_some());
}

#[cfg(target_os = "linux")]
const HANGS_UP: &str = "\
schema_version: 1
kind: flow
elements:
  - { node: waits, type: command, settings: { commands: [\"for i in $(seq 2000); do test -e $var{project_root}/open && break; sleep 0.05; done\"] } }
finally:
  - { node: cleans, type: command, settings: { commands: [[echo, cleaned]] } }
";

#[cfg(target_os = "linux")]
#[test]
fn a_closed_terminal_stops_a_run_and_finally_runs() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HANGS_UP);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "process_started", ".waits"));
    // The shell and the system both send it.
    env.signal(&running, "HUP");
    env.signal(&running, "HUP");
    drop(env.finish(running).expect(130));
    assert_eq!(status(&env, "flow_root.waits"), Some(StepStatus::Cancelled));
    assert_eq!(status(&env, "flow_root.cleans"), Some(StepStatus::Completed));
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_was_started_to_outlive_its_terminal_does() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HANGS_UP);
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let mut command = env.command("sh", &env.project());
    // As `nohup` does it.
    let script = format!("trap '' HUP; exec {program} run flow flow.yaml");
    let running = command
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the step", || has_record(&env, "process_started", ".waits"));
    env.signal(&running, "HUP");
    env.write("open", "");
    drop(env.finish(running).expect(0));
}

#[test]
fn what_was_cancelled_and_absorbed_is_not_entered_again() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "\
schema_version: 1
kind: flow
root_id: r
elements:
  - subflow: inner
    on_error: continue
    elements:
      - { node: long, type: command, settings: { commands: [\"echo long >> $var{project_root}/log; sleep 60\"] } }
  - { node: step, type: command, on_error: continue, settings: { commands: [\"echo step >> $var{project_root}/log; sleep 60\"] } }
  - { node: behind, type: command, settings: { commands: [\"test -e $var{project_root}/mended\"] } }
",
    );
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "process_started", "inner.long"));
    drop(env.run(&["cancel", "last", "inner"]).expect(0));
    wait_until("the other step", || has_record(&env, "process_started", "r.step"));
    drop(env.run(&["cancel", "last", "step"]).expect(0));
    drop(env.finish(running).expect(1));
    env.write("mended", "");
    drop(env.run(&["resume", "last"]).expect(0));
    let log = std::fs::read_to_string(env.project().join("log")).unwrap();
    assert_eq!(log, "long\nstep\n");
}
