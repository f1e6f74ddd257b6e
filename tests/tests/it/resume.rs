//! `dhenara resume`: going on in the same run, after a failure, an interrupt, and a death at any time.

use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

#[cfg(unix)]
use crate::failures::process_started;
use crate::harness::{TestEnvironment, journal, read_json, records};

/// A loop with a counter file for every visit, a choice and a group. `gate` makes the step `pass` of an iteration fail
/// or wait until a file is there.
fn counting(gate: &str) -> String {
    r#"schema_version: 1
kind: flow
variables: { token: "$expr{py: 'first'}" }
output: "$expr{ $hier{rounds.last.mark}.outcome.results[1].stdout }"
elements:
  - { node: before, type: command, settings: { commands: ["echo before >> $var{project_root}/log"] } }
  - for_each: rounds
    statement: "$expr{ ['a', 'b', 'c'] }"
    body:
      - { node: mark, type: command, settings: { commands: ["echo \"mark $expr{item}\" >> $var{project_root}/log", [echo, "$expr{item} $expr{token}"]] } }
      - conditional: middle
        statement: "$expr{ item == 'b' }"
        true_branch:
          - { node: gate, type: command, settings: { commands: ["GATE"] } }
  - parallel: both
    elements:
      - { node: left, type: command, settings: { commands: ["echo side >> $var{project_root}/log"] } }
      - { node: right, type: command, settings: { commands: ["echo side >> $var{project_root}/log"] } }
finally:
  - { node: clean, type: command, settings: { commands: ["echo clean >> $var{project_root}/log"] } }
"#
    .replace("GATE", gate)
}

fn log(env: &TestEnvironment) -> Vec<String> {
    let text = std::fs::read_to_string(env.project().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

const ALL: [&str; 7] = ["before", "mark a", "mark b", "mark c", "side", "side", "clean"];

#[test]
fn a_failed_run_goes_on_where_it_failed() {
    let env = TestEnvironment::new();
    env.write("count.yaml", &counting("test -e $var{project_root}/open"));
    let _ = env.run(&["run", "flow", "count.yaml"]).expect(1);
    assert_eq!(log(&env), ["before", "mark a", "mark b", "clean"]);
    let run = env.last_run();
    // It fails again, and nothing that was done is done again.
    let _ = env.run(&["resume", "last"]).expect(1);
    env.write("open", "");
    let mut output = env.run(&["resume", "last"]).expect(0);
    // What runs at the same time may end in either order.
    let lines = output
        .stderr
        .lines()
        .filter(|line| !line.contains("left") && !line.contains("right"));
    output.stderr = lines.map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!(output, @r"
    c first
    ---- stderr
    run_00000000_000000_000001
    count_root
      rounds
        iter_1.middle
          ✓ is_true.gate                  [time]  1 command
        ✓ iter_2.mark                   [time]  2 commands
        iter_2.middle
      both
      ✓ clean                         [time]  1 command

    completed run_00000000_000000_000001 in [time]
      steps     8 completed
      artifacts [root]/project/runs/run_00000000_000000_000001
    ---- exit code 0
    ");
    assert_eq!(env.runs(), std::slice::from_ref(&run), "it is the same run");
    assert_eq!(
        log(&env),
        [
            "before", "mark a", "mark b", "clean", "clean", "mark c", "side", "side", "clean"
        ]
    );
    // What was decided before is not decided again.
    assert_eq!(records(&run, "loop_started").len(), 1);
    assert_eq!(records(&run, "branch_taken").len(), 3);
    let epochs: Vec<Value> = records(&run, "run_resumed")
        .iter()
        .map(|record| record["epoch"].clone())
        .collect();
    assert_eq!(epochs, [json!(2), json!(3)]);
    let gate = records(&run, "step_committed");
    let gate: Vec<_> = gate
        .iter()
        .filter(|record| record["path"] == "count_root.rounds.iter_1.middle.is_true.gate")
        .collect();
    let attempts: Vec<_> = gate
        .iter()
        .map(|record| (record["attempt"].clone(), record["status"].clone()))
        .collect();
    assert_eq!(
        attempts,
        [
            (json!(1), json!("failed")),
            (json!(2), json!("failed")),
            (json!(3), json!("completed"))
        ]
    );
    // What failed stands among the attempts, and the totals count each step once.
    assert_eq!(std::fs::read_dir(run.join(".run/attempts")).unwrap().count(), 4);
    let counts = read_json(&run.join("run_summary.json"))["counts"].clone();
    assert_eq!((&counts["completed"], &counts["failed"]), (&json!(8), &json!(0)));
    insta::assert_snapshot!(env.run(&["resume", "last"]).expect(2), @"
    ---- stderr
    error[nothing_to_resume]: there is no unfinished run
      hint: runs are looked for in `[root]/project/runs`
    ---- exit code 2
    ");
    let id = run.file_name().unwrap().to_str().unwrap();
    insta::assert_snapshot!(env.run(&["resume", id]).expect(2), @r"
    ---- stderr
    error[already_completed]: `run_00000000_000000_000001` is completed, there is nothing to resume
      hint: start a re-run from it: `--previous-run-id run_00000000_000000_000001 --entry-point PATH`
    ---- exit code 2
    ");
}

#[test]
fn a_completed_run_is_completed_whatever_its_definition_became() {
    let env = TestEnvironment::new();
    env.write("count.yaml", &counting("true"));
    drop(env.run(&["run", "flow", "count.yaml"]).expect(0));
    env.write("count.yaml", &counting("false"));
    let last = env.last_run();
    let id = last.file_name().unwrap().to_str().unwrap();
    let refused = env.unchanged(&["resume", id]).expect(2);
    assert!(refused.stderr.contains("error[already_completed]"), "{refused}");
}

#[test]
fn a_definition_that_changed_is_not_followed_in_silence() {
    let env = TestEnvironment::new();
    env.write("count.yaml", &counting("test -e $var{project_root}/open"));
    let _ = env.run(&["run", "flow", "count.yaml"]).expect(1);
    env.write("open", "");
    let changed = counting("echo other >> $var{project_root}/log").replace("node: right", "node: wrong");
    env.write("count.yaml", &changed);
    insta::assert_snapshot!(env.unchanged(&["resume", "last"]).expect(4), @r"
    ---- stderr
    error[definition_changed]: the definition changed since the run was started: changed count_root.rounds.middle.is_true.gate; added count_root.both.wrong; removed count_root.both.right
      hint: `--definition recorded` uses the one it was started with, `--definition current` the present one
    ---- exit code 4
    ");
    let _ = env.run(&["resume", "last", "--definition", "current"]).expect(0);
    assert_eq!(log(&env)[4..], ["other", "mark c", "side", "side", "clean"]);
    assert!(env.last_run().join("count_root/both/wrong/result.json").is_file());

    let _ = std::fs::remove_file(env.project().join("open"));
    env.write("count.yaml", &counting("test -e $var{project_root}/open"));
    let _ = env.run(&["run", "flow", "count.yaml"]).expect(1);
    env.write("open", "");
    env.write("count.yaml", "schema_version: 1\nkind: flow\nelemets: []\n");
    let _ = env.unchanged(&["resume", "last"]).expect(4);
    let _ = env.run(&["resume", "last", "--definition", "recorded"]).expect(0);
}

#[test]
fn a_result_that_is_not_the_recorded_one_is_not_used() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        r#"schema_version: 1
kind: flow
elements:
  - { node: first, type: command, settings: { commands: [[echo, right]] } }
  - { node: gate, type: command, settings: { commands: ["test -e $var{project_root}/open"] } }
  - { node: behind, type: command, settings: { commands: [[echo, "$expr{ $hier{first}.outcome.results[0].stdout }"]] } }
"#,
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env.write("open", "");
    let file = env.last_run().join("flow_root/first/result.json");
    let recorded = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, recorded.replace("right", "wrong")).unwrap();
    let output = env.run(&["resume", "last"]).expect(1);
    let told = output.stderr.lines().find(|line| line.contains("behind: "));
    insta::assert_snapshot!(env.shown(told.unwrap()), @"  error     flow_root.behind: cannot evaluate `commands[0][1]` (flow.yaml:6:66): cannot look up the step `first`: `[root]/project/runs/run_00000000_000000_000001/flow_root/first/result.json` is not the file that was recorded: its digest differs");
    let shown = env.unchanged(&["runs", "show", "last", "first"]).expect(5);
    insta::assert_snapshot!(shown, @"
    ---- stderr
    error[corrupt]: `[root]/project/runs/run_00000000_000000_000001/flow_root/first/result.json` is not the file that was recorded: its digest differs
      hint: restore the file, or start a re-run whose entry point is its step or one before it
    ---- exit code 5
    ");

    // What it was is good again.
    std::fs::write(&file, recorded).unwrap();
    drop(env.run(&["resume", "last"]).expect(0));
    let out = std::fs::read_to_string(env.last_run().join("flow_root/behind/stdout.log"));
    assert_eq!(out.unwrap(), "right\n\n");
}

#[cfg(unix)]
fn kill(env: &TestEnvironment, child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
    // The children of a process that is killed live on, until a process resumes the run.
    let _ = env;
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_and_its_children_are_ended_first() {
    let env = TestEnvironment::new();
    let gate = "echo gate >> $var{project_root}/log; test -e $var{project_root}/open || sleep 600";
    env.write("count.yaml", &counting(gate));
    let mut running = env.start(&["run", "flow", "count.yaml"]);
    // The journal names the child a moment after it began.
    while !log(&env).contains(&"gate".to_owned()) || process_started(&env.last_run()).is_none() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let held = env
        .run(&["resume", env.last_run().file_name().unwrap().to_str().unwrap()])
        .expect(4);
    assert!(held.stderr.contains("the run is driven by process"), "{held}");
    kill(&env, &mut running);
    let run = env.last_run();
    let child = records(&run, "process_started").pop().unwrap()["pgid"].to_string();
    let alive = || {
        env.command("kill", &env.project())
            .args(["-0", &child])
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(alive());
    // A torn last line is what a crash may leave.
    let file = run.join(".run/journal.jsonl");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str(r#"{"seq":99,"at":"20"#);
    std::fs::write(&file, text).unwrap();

    env.write("open", "");
    let _ = env.run(&["resume", "last"]).expect(0);
    while alive() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut seen = log(&env);
    seen.retain(|line| line != "gate");
    assert_eq!(seen, ALL);
    let started = records(&run, "step_started");
    let gate: Vec<Value> = started
        .iter()
        .filter(|record| record["path"].as_str().unwrap().ends_with("gate"))
        .map(|record| record["attempt"].clone())
        .collect();
    assert_eq!(
        gate,
        [json!(1), json!(1)],
        "an interrupted attempt keeps its number"
    );
    let why = env.run(&["runs", "why", "last", "gate", "--json"]).expect(0);
    assert_eq!(why.json("cli_runs_why")["attempts"], 1);
    let seqs: Vec<u64> = journal(&run)
        .iter()
        .map(|record| record["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_again_and_again_does_everything_once() {
    let env = TestEnvironment::new();
    env.write("count.yaml", &counting("sleep 0.05"));
    let mut running = env.start(&["run", "flow", "count.yaml"]);
    let mut kills = 0;
    // Later and later, so that every part of the run is hit.
    for pause in (0..40).map(|step| 4 * step) {
        std::thread::sleep(Duration::from_millis(pause));
        // From its last step on it is unchanged: a sealed run has nothing to resume.
        if running.try_wait().unwrap().is_some() || log(&env).contains(&"clean".to_owned()) {
            break;
        }
        kill(&env, &mut running);
        kills += 1;
        if env
            .runs()
            .iter()
            .all(|run| !run.join(".run/journal.jsonl").is_file() || records(run, "run_started").is_empty())
        {
            running = env.start(&["run", "flow", "count.yaml"]);
        } else {
            running = env.start(&["resume", "last"]);
        }
    }
    let _ = running.wait();
    if let Some(unfinished) = env.runs().pop()
        && records(&unfinished, "run_sealed")
            .last()
            .is_none_or(|sealed| sealed["status"] != "completed")
    {
        let _ = env.run(&["resume", "last"]).expect(0);
    }
    let run = env.last_run();
    // The command of the step that was going on may have run before its process died; no other ran twice.
    let seen = log(&env);
    for line in ALL {
        let count = seen.iter().filter(|seen| **seen == line).count();
        let wanted = ALL.iter().filter(|all| **all == line).count();
        assert!(count >= wanted, "{line} is missing after {kills} kills: {seen:?}");
    }
    assert_eq!(read_json(&run.join("run_summary.json"))["counts"]["completed"], 8);
    assert_eq!(std::fs::read_dir(run.join(".run/stage")).unwrap().count(), 0);
    // One that was killed before it began stays as it was: no process resumed it.
    let (_, problems) = dad_tests::check_run_dir(&run);
    assert!(problems.is_empty(), "{problems:?}");
    env.is_checked();
}
