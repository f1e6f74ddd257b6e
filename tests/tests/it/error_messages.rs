//! The messages of errors about runs, and the commands that they name next, which must work.

use std::path::Path;
use std::process::Stdio;

use dhenara::StepStatus;

use crate::harness::{TestEnvironment, read_json};

/// Fails in the first iteration; the step behind is not reached.
const LOOP: &str = "\
schema_version: 1
kind: flow
elements:
  - { node: good, type: command, settings: { commands: [[echo, good]] } }
  - for_each: each
    statement: $expr{[1, 2]}
    body:
      - { node: bad, type: command, settings: { commands: [['false']] } }
  - { node: behind, type: command, settings: { commands: [[echo, behind]] } }
";

fn failed_loop() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", LOOP);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env
}

#[test]
fn a_component_is_not_taken_for_something_that_is_not_there() {
    let env = failed_loop();
    insta::assert_snapshot!(env.run(&["resume", "last", "--skip", "each"]).expect(2), @"
    ---- stderr
    error[unknown_path]: `each` is a component, and a step is wanted; in it there are flow_root.each.bad
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "why", "last", "each"]).expect(2), @"
    ---- stderr
    error[unknown_path]: `each` is a component, and a step is wanted; in it there are flow_root.each.iter_0.bad
      hint: `dhenara runs show run_00000000_000000_000001` lists all steps
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["run", "step", "last", "each"]).expect(2), @"
    ---- stderr
    error[unknown_path]: `each` is a component, and a step is wanted; in it there are flow_root.each.bad
    ---- exit code 2
    ");
}

#[test]
fn an_unreached_step_is_distinguished_from_an_unknown_one() {
    let env = failed_loop();
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last", "behind"]).expect(2), @"
    ---- stderr
    error[not_reached]: `flow_root.behind` was not reached in `run_00000000_000000_000001`
      hint: `dhenara runs show run_00000000_000000_000001` lists all steps
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "why", "last", "behind"]).expect(0), @"
    · flow_root.behind
      not executed: it has not been reached: `flow_root.each.iter_0.bad` failed before it
    ---- exit code 0
    ");
    let why = env
        .unchanged(&["runs", "why", "last", "behind", "--json"])
        .expect(0);
    assert_eq!(why.json("cli_runs_why")["status"], StepStatus::Pending.as_str());
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last", "nowhere"]).expect(2), @"
    ---- stderr
    error[unknown_path]: `nowhere` names no step or component; there are flow_root, flow_root.good, flow_root.each, flow_root.each.iter_0.bad
      hint: `dhenara runs show run_00000000_000000_000001` lists all steps
    ---- exit code 2
    ");
}

#[test]
fn what_has_ended_or_waits_cannot_be_stopped() {
    let env = TestEnvironment::new();
    let flow = LOOP.replace("'false'", "sleep, '100'");
    env.write("flow.yaml", &flow);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    let begins = || {
        let run = env.runs().pop()?;
        let journal = std::fs::read_to_string(run.join(".run/journal.jsonl")).ok()?;
        journal
            .contains("process_started")
            .then(|| journal.contains("iter_0.bad"))
    };
    while begins() != Some(true) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    insta::assert_snapshot!(env.run(&["cancel", "last", "good"]).expect(4), @"
    ---- stderr
    error[not_running]: `flow_root.good` has ended already: it is completed
    ---- exit code 4
    ");
    insta::assert_snapshot!(env.run(&["cancel", "last", "behind"]).expect(4), @"
    ---- stderr
    error[not_running]: `flow_root.behind` is not reached yet
    ---- exit code 4
    ");
    drop(env.run(&["cancel", "last"]).expect(0));
    drop(env.finish(running).expect(130));

    let asks = "pre_events: [node_input_required], type: command";
    env.write("asks.yaml", &LOOP.replacen("type: command", asks, 1));
    drop(env.run(&["run", "flow", "asks.yaml"]).expect(3));
    insta::assert_snapshot!(env.unchanged(&["cancel", "last"]).expect(4), @"
    ---- stderr
    error[not_running]: `run_00000000_000000_000002` waits for an answer: no process drives it until then
      hint: answer with `dhenara answer run_00000000_000000_000002`, deny with `dhenara answer run_00000000_000000_000002 --deny REASON`, or remove the run with `dhenara runs rm run_00000000_000000_000002 --force`
    ---- exit code 4
    ");
}

#[test]
fn where_there_are_no_runs_none_is_the_last() {
    let env = TestEnvironment::new();
    for command in [
        &["runs", "show"][..],
        &["runs", "verify"],
        &["runs", "rm"],
        &["runs", "why"],
        &["cancel"],
    ] {
        let step: &[&str] = if command.ends_with(&["why"]) {
            &["step"]
        } else {
            &[]
        };
        let refused = env.unchanged(&[command, &["last"], step].concat()).expect(2);
        assert!(
            refused
                .stderr
                .starts_with("error[unknown_run]: there are no runs\n"),
            "{refused}"
        );
    }
    let env = failed_loop();
    env.is_checked();
    std::fs::write(env.last_run().join(".run/journal.jsonl"), "no\njournal\n").unwrap();
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last"]).expect(2), @"
    ---- stderr
    error[unknown_run]: there are no runs that can be read
      hint: `dhenara runs list` tells why
            runs are looked for in `[root]/project/runs`
    ---- exit code 2
    ");
}

#[test]
fn a_directory_whose_journal_does_not_begin_is_there() {
    let env = failed_loop();
    env.is_checked();
    let journal = env.last_run().join(".run/journal.jsonl");
    let id = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
    std::fs::write(&journal, "").unwrap();
    insta::assert_snapshot!(env.unchanged(&["runs", "show", &id]).expect(2), @"
    ---- stderr
    error[unknown_run]: `[root]/project/runs/run_00000000_000000_000001` has no journal with a first record: no run was made there yet, or its journal is lost
      hint: `dhenara runs rm run_00000000_000000_000001` removes it
    ---- exit code 2
    ");
    std::fs::remove_file(&journal).unwrap();
    drop(env.run(&["runs", "rm", &id]).expect(0));
    assert!(!journal.parent().unwrap().exists());
    std::fs::create_dir(env.project().join("runs/notes")).unwrap();
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "notes"]).expect(2), @"
    ---- stderr
    error[unknown_run]: there is no run `notes`
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
}

#[test]
fn commands_in_hints_find_the_runs_of_the_place_that_was_named() {
    let env = failed_loop();
    let project = env.project();
    let elsewhere = project.parent().unwrap();
    let place = ["--project-root", project.to_str().unwrap()];
    let refused = |args: &[&str]| env.run_in(elsewhere, &[args, &place].concat());
    insta::assert_snapshot!(refused(&["runs", "show", "nothing"]).expect(2), @"
    ---- stderr
    error[unknown_run]: there is no run `nothing`
      hint: `dhenara runs list --project-root [root]/project` shows the runs there are
    ---- exit code 2
    ");
    insta::assert_snapshot!(refused(&["cancel", "last"]).expect(4), @"
    ---- stderr
    error[not_running]: `run_00000000_000000_000001` is failed: no process drives it
      hint: only what executes can be stopped; `dhenara runs list --project-root [root]/project` shows what does
    ---- exit code 4
    ");
    let json = refused(&["runs", "why", "last", "each", "--json"]).expect(2);
    let hint = json.json("cli_error")["error"]["hint"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(hint.contains(&format!("--project-root {}`", place[1])), "{hint}");
}

#[test]
fn a_run_whose_directory_was_renamed_is_called_as_it_is_found() {
    let env = failed_loop();
    // Its journal has the id that it was made with.
    env.is_checked();
    let (run, renamed) = (env.last_run(), env.project().join("runs/renamed"));
    std::fs::rename(&run, &renamed).unwrap();
    let shown = env.unchanged(&["runs", "show", "renamed"]).expect(0);
    assert!(
        shown.stdout.contains("  next      dhenara resume renamed\n"),
        "{shown}"
    );
    let again = env.run(&["resume", "renamed", "--trust"]).expect(1);
    assert!(
        again.stderr.contains("  then      dhenara resume renamed\n"),
        "{again}"
    );
    drop(
        env.run(&[
            "resume",
            "renamed",
            "--skip",
            "each.iter_0.bad",
            "--skip",
            "each.iter_1.bad",
        ])
        .expect(0),
    );
    let refused = env.unchanged(&["resume", "renamed"]).expect(2);
    assert!(refused.stderr.contains("--previous-run-id renamed "), "{refused}");
    drop(env.run(&["run", "step", "renamed", "good"]).expect(0));
}

#[test]
fn an_effect_that_is_not_attempted_again_says_so() {
    let env = TestEnvironment::new();
    let flow = |retry: &str| {
        format!(
            "schema_version: 1\nkind: flow\nelements:\n  - {{ node: fails, type: command, retry: {{ {retry}, \
             initial_delay: 0 }}, settings: {{ commands: ['false'] }} }}\n"
        )
    };
    env.write("flow.yaml", &flow("max_attempts: 3"));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    insta::assert_snapshot!(env.unchanged(&["runs", "show", "last"]).expect(0), @"
    run_00000000_000000_000001  failed
      error     flow_root.fails: `false` ended with exit code 1
      hint      it was not attempted again, because it may have had effects: `retry: { repeat_effects: true }` allows that
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     0 completed, 1 failed
      size      5 files, [size]
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara resume run_00000000_000000_000001
      flow_root  failed
        ✗ fails                         [time]  failed  1 command  `false` ended with exit code 1
    ---- exit code 0
    ");
    let error = read_json(&env.last_run().join("flow_root/fails/result.json"))["error"].clone();
    assert!(
        error["hint"].as_str().unwrap().contains("repeat_effects"),
        "{error}"
    );
    let says_nothing = |run: &Path| {
        let error = read_json(&run.join("flow_root/fails/result.json"))["error"].clone();
        assert!(error["hint"].is_null(), "{error}");
    };
    for retry in [
        "max_attempts: 1",
        "max_attempts: 2, repeat_effects: true",
        "max_attempts: 2, when: [other]",
    ] {
        env.write("flow.yaml", &flow(retry));
        drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
        says_nothing(&env.last_run());
    }
}

#[test]
fn a_program_of_another_name_writes_its_own_name_in_hints() {
    let env = failed_loop();
    let mut own = env.command(env!("CARGO_BIN_EXE_stubborn"), &env.project());
    let failed = env.finish(
        own.args(["resume", "last"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let failed = failed.expect(1);
    assert!(
        failed.stderr.contains("then      stubborn resume run_"),
        "{failed}"
    );
    assert!(!failed.stderr.contains("dhenara"), "{failed}");
}
