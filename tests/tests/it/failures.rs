//! Runs that do not end well: a node that fails, a run that is dropped, a process that dies.

use std::path::Path;
#[cfg(unix)]
use std::time::Duration;

use dhenara::run::layout;
use dhenara::{FlowBuilder, RunStatus, RunView};
use serde_json::Value;

use crate::harness::{TestEnvironment, journal, read_json, records};
use crate::nodes::{TalkerSettings, context};
use crate::waiting::wait_until;

const FLOW: &str = r#"schema_version: 1
kind: flow
output: never
elements:
  - { node: before, type: command, settings: { commands: [[echo, fine]] } }
  - subflow: inner
    elements:
      - node: breaks
        type: command
        settings: { commands: ["echo 'it is broken' >&2; exit 3", [echo, never]] }
      - { node: after_it, type: command, settings: { commands: [[echo, never]] } }
  - { node: last_one, type: command, settings: { commands: [[echo, never]] } }
"#;

#[test]
fn a_node_that_fails_fails_its_run() {
    let env = TestEnvironment::new();
    env.write("broken.yaml", FLOW);
    let output = env.run(&["run", "flow", "broken.yaml"]).expect(1);
    insta::assert_snapshot!(output, @r"
    ---- stderr
    run_00000000_000000_000001
    broken_root
      ✓ before                        [time]  1 command
      inner
        ✗ breaks                        [time]  1 command
          `echo 'it is broken' >&2; exit 3` ended with exit code 3: it is broken
      ✗ inner failed
    ✗ broken_root failed

    failed run_00000000_000000_000001 in [time]
      steps     1 completed, 1 failed
      error     broken_root.inner.breaks: `echo 'it is broken' >&2; exit 3` ended with exit code 3: it is broken
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 broken_root.inner.breaks
      then      dhenara resume run_00000000_000000_000001
    ---- exit code 1
    ");

    let run = env.last_run();
    let sealed = journal(&run).pop().unwrap();
    assert_eq!(
        (&sealed["type"], &sealed["status"]),
        (&"run_sealed".into(), &"failed".into())
    );
    insta::assert_json_snapshot!(sealed["error"], @r#"
    {
      "code": "command_failed",
      "message": "`echo 'it is broken' >&2; exit 3` ended with exit code 3: it is broken",
      "path": "broken_root.inner.breaks"
    }
    "#);
    for file in [".trace/dad_metadata.json", "run_summary.json"] {
        let document = read_json(&run.join(file));
        assert_eq!(document["status"], "failed", "{file}");
        assert_eq!(document["error"], sealed["error"], "{file}");
    }
    let summary = read_json(&run.join("run_summary.json"));
    assert_eq!(summary["first_failures"][0]["path"], sealed["error"]["path"]);
    let component = read_json(&run.join("broken_root/inner/component_result.json"));
    assert_eq!(component["execution_status"], "failed");
    let result = read_json(&run.join("broken_root/inner/breaks/result.json"));
    assert_eq!(result["execution_status"], "failed");
    assert_eq!(result["error"], sealed["error"]);
    // What it got done counts.
    insta::assert_json_snapshot!(result["outcome"], @r#"
    {
      "all_succeeded": false,
      "commands_executed": 1,
      "successful_commands": 0,
      "failed_commands": 1,
      "results": [
        {
          "command": "echo 'it is broken' >&2; exit 3",
          "returncode": 3,
          "stdout": "",
          "stderr": "it is broken\n",
          "success": false
        }
      ]
    }
    "#);

    // What comes after it was not begun.
    for path in ["broken_root/inner/after_it", "broken_root/last_one"] {
        assert!(!run.join(path).exists(), "{path}");
        let dotted = path.replace('/', ".");
        assert!(
            journal(&run)
                .iter()
                .all(|record| record["path"] != dotted.as_str()),
            "{path}"
        );
    }

    // The command that the summary proposes is one that works: it goes on where the failure was. That the definition
    // was mended has to be said.
    env.write(
        "broken.yaml",
        &FLOW
            .replace("exit 3", "exit 0")
            .replace("output: never", "output: ended"),
    );
    let next = output.stderr.lines().last().unwrap();
    let words: Vec<&str> = next
        .trim()
        .split(' ')
        .filter(|word| !word.is_empty())
        .skip(2)
        .collect();
    let _ = env.unchanged(&words).expect(4);
    let output = env
        .run(&[&words[..], &["--definition", "current"]].concat())
        .expect(0);
    assert_eq!(output.stdout, "ended\n");
    let began: Vec<Value> = records(&env.last_run(), "step_started");
    let again: Vec<&Value> = began
        .iter()
        .filter(|record| record["path"] == "broken_root.inner.breaks")
        .collect();
    assert_eq!(
        (again.len(), &again[1]["attempt"]),
        (2, &serde_json::json!(2)),
        "{began:?}"
    );
}

#[test]
fn a_failure_that_is_absorbed_does_not_fail_the_run() {
    let env = TestEnvironment::new();
    let flow = FLOW
        .replace(
            "        type: command\n",
            "        type: command\n        on_error: continue\n",
        )
        .replace("output: never", "output: \"$expr{ $hier{breaks}.error.code }\"");
    env.write("broken.yaml", &flow);
    let output = env.run(&["run", "flow", "broken.yaml"]).expect(0);
    assert_eq!(output.stdout, "command_failed\n");
    let result = read_json(&env.last_run().join("broken_root/inner/breaks/result.json"));
    assert_eq!(result["execution_status"], "failed");
    assert!(env.last_run().join("broken_root/last_one/result.json").is_file());
}

#[tokio::test]
async fn a_run_that_is_dropped_is_sealed_as_abandoned() {
    let env = TestEnvironment::new();
    let flow = FlowBuilder::new()
        .node("one", TalkerSettings::node("x"))
        .build()
        .unwrap();
    let context = context("dropped_flow", &env.project()).build().unwrap();
    let run = context.setup_run(&flow).unwrap();
    let dir = run.identity().run_dir.clone();
    let (handle, control) = (run.handle(), run.control());
    assert_eq!(RunView::open(&dir).unwrap().status, RunStatus::Running);
    drop(run);

    assert!(handle.is_cancelled());
    let refused = control.custom("too_late", None, Value::Null).unwrap_err();
    assert_eq!(refused.code(), "run_ended");
    let view = RunView::open(&dir).unwrap();
    assert_eq!(view.status, RunStatus::Failed);
    assert_eq!(
        view.error.as_ref().map(|error| error.code.as_str()),
        Some("abandoned")
    );
    let metadata = read_json(&dir.join(layout::DOT_TRACE).join(layout::METADATA));
    assert_eq!(
        (&metadata["status"], &metadata["error"]["code"]),
        (&"failed".into(), &"abandoned".into())
    );
    let list = env.run(&["runs", "list"]).expect(0);
    insta::assert_snapshot!(list, @"
    STATUS  RUN                         AGENT         MADE                     TOOK     STEPS
    failed  run_00000000_000000_000001  dropped_flow  0000-00-00 00:00:00 UTC  [time]  0 steps
    ---- stderr
    resume the newest unfinished run with `dhenara resume run_00000000_000000_000001`
    ---- exit code 0
    ");
}

#[test]
fn a_run_whose_process_leaves_it_is_interrupted() {
    let env = TestEnvironment::new();
    let _ = env.abandon("forget").expect(0);
    let list = env.run(&["runs", "list"]).expect(0);
    insta::assert_snapshot!(list, @"
    STATUS       RUN                         AGENT           MADE                     TOOK
    interrupted  run_00000000_000000_000001  abandoned_flow  0000-00-00 00:00:00 UTC  [time]
    ---- stderr
    resume the newest unfinished run with `dhenara resume run_00000000_000000_000001`
    ---- exit code 0
    ");
    // Nothing was written to find that out.
    assert_eq!(metadata_status(&env.last_run()), "running");
}

#[test]
fn a_run_whose_process_dies_in_a_step_is_interrupted() {
    let env = TestEnvironment::new();
    let output = env.abandon("abort");
    assert_ne!(output.code, Some(0), "{output}");
    let run = env.last_run();
    insta::assert_snapshot!(env.run(&["runs", "list"]).expect(0), @"
    STATUS       RUN                         AGENT           MADE                     TOOK
    interrupted  run_00000000_000000_000001  abandoned_flow  0000-00-00 00:00:00 UTC  [time]
    ---- stderr
    resume the newest unfinished run with `dhenara resume run_00000000_000000_000001`
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.run(&["runs", "show", "last"]).expect(0), @"
    run_00000000_000000_000001  interrupted
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     1 completed
      size      2 files, [size]
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara resume run_00000000_000000_000001
      abandoned_flow  did not end
        ✓ before                        [time]
        · last_one                      did not end, attempt 1
    ---- exit code 0
    ");
    assert_eq!(metadata_status(&run), "running");

    // What was committed is there, and so is what the step that died had paid for.
    assert!(run.join("abandoned_flow/before/result.json").is_file());
    assert!(!run.join("abandoned_flow/last_one").exists());
    let began = records(&run, "step_started").pop().unwrap();
    let memo = run
        .join(".run/stage")
        .join(began["seq"].to_string())
        .join("memo.jsonl");
    assert_eq!(read_json(&memo)["response"], "paid for");

    let shown = env
        .run(&["runs", "show", "last", "--json"])
        .expect(0)
        .json("cli_runs_show");
    assert_eq!(shown["status"], "interrupted");
    let list = env
        .run(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    assert_eq!(list["runs"][0]["status"], "interrupted");
}

#[cfg(unix)]
#[test]
fn a_run_that_is_interrupted_at_the_keyboard_is_cancelled() {
    let env = TestEnvironment::new();
    env.write(
        "long.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: waits, type: command, settings: { commands: [[sleep, '600'], [echo, never]] } }\n",
    );
    let running = env.start(&["run", "flow", "long.yaml"]);
    // It is in the middle of its step once the journal names the child process.
    let child = loop {
        let started = env.runs().pop().and_then(|run| process_started(&run));
        match started {
            Some(process) => break process["pgid"].to_string(),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let kill = |args: &[&str]| env.command("kill", &env.project()).args(args).output().unwrap();
    env.signal(&running, "INT");
    let output = env.finish(running).expect(130);
    insta::assert_snapshot!(output, @r"
    ---- stderr
    run_00000000_000000_000001
    long_root
      ✗ waits                         [time]  1 command
        the step was cancelled
    ✗ long_root cancelled

    cancelled run_00000000_000000_000001 in [time]
      steps     0 completed, 1 failed
      error     long_root.waits: the step was cancelled
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara resume run_00000000_000000_000001
    ---- notes
    stopping the run; press Ctrl-C again to end at once
    ---- exit code 130
    ");
    assert!(
        !kill(&["-0", "--", &format!("-{child}")]).status.success(),
        "the command goes on"
    );

    let sealed = journal(&env.last_run()).pop().unwrap();
    assert_eq!(sealed["status"], "cancelled");
    let result = read_json(&env.last_run().join("long_root/waits/result.json"));
    assert_eq!(result["execution_status"], "cancelled");
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_finally_too() {
    let env = TestEnvironment::new();
    let step = |name: &str| {
        let script = "test -e $var{project_root}/open || sleep 600";
        format!("  - {{ node: {name}, type: command, settings: {{ commands: [\"{script}\"] }} }}\n")
    };
    let (waits, cleans) = (step("waits"), step("cleans"));
    env.write(
        "long.yaml",
        &format!("schema_version: 1\nkind: flow\nelements:\n{waits}finally:\n{cleans}"),
    );
    let running = env.start(&["run", "flow", "long.yaml"]);
    let kill = |args: &[&str]| env.command("kill", &env.project()).args(args).output().unwrap();
    let interrupt_in = |step: &str| {
        let child = loop {
            let started = env.runs().pop().and_then(|run| process_started(&run));
            match started.filter(|process| process["path"].as_str().unwrap().ends_with(step)) {
                Some(process) => break process["pgid"].to_string(),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        env.signal(&running, "INT");
        child
    };
    let _ = interrupt_in("waits");
    let child = interrupt_in("cleans");
    let output = env.finish(running).expect(130);
    let told = env.shown(&output.stderr);
    for line in [
        "ending what still executes, `finally` too",
        "the `finally` of `long_root` did not finish: `long_root.cleans` was stopped, and nothing behind it executes",
        "next      dhenara resume run_00000000_000000_000001",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let shown = env.run(&["runs", "show", "last", "--json"]).expect(0);
    assert_eq!(shown.json("cli_runs_show")["status"], "cancelled");

    let is_alive = || kill(&["-0", "--", &format!("-{child}")]).status.success();
    // The second signal ends what the run started; otherwise it would execute for ten minutes.
    wait_until("the end of the child", || !is_alive());
    env.write("open", "");
    let _ = env.run(&["resume", "last"]).expect(0);
    while is_alive() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The record of a child process in a journal that is being written.
#[cfg(unix)]
pub(crate) fn process_started(run: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(run.join(".run/journal.jsonl")).ok()?;
    let last = text.lines().next_back()?;
    let record: Value = serde_json::from_str(last).ok()?;
    Some(record).filter(|record| record["type"] == "process_started")
}

fn metadata_status(run: &Path) -> Value {
    read_json(&run.join(".trace/dad_metadata.json"))["status"].clone()
}
