//! Interventions in a run: a cancel from another process, a step that the user settles, limits of components.

use dhenara::StepStatus;
use dhenara::run::{RunView, ViewEntry};

use crate::harness::TestEnvironment;
use crate::waiting::wait_until;

/// Whether a step of the newest run executes.
fn executes(env: &TestEnvironment, step: &str) -> bool {
    let view = env.runs().pop().and_then(|run| RunView::open(run).ok());
    view.is_some_and(|view| {
        let mut entries = view.entries();
        entries.any(|(path, entry)| path.leaf() == step && matches!(entry, ViewEntry::Running { .. }))
    })
}

fn status(env: &TestEnvironment, step: &str) -> Option<StepStatus> {
    let view = RunView::open(env.last_run()).unwrap();
    let found = view.entries().find(|(path, _)| path.leaf() == step);
    found.map(|(_, entry)| entry.status())
}

const LONG: &str = "\
schema_version: 1
kind: flow
elements:
  - parallel: both
    elements:
      - { node: long, type: command, settings: { commands: [[sleep, '100']] } }
      - { node: short, type: command, settings: { commands: [[sleep, '2']] } }
  - { node: behind, type: command, settings: { commands: [[echo, behind]] } }
finally:
  - { node: last_one, type: command, settings: { commands: [[echo, bye]] } }
";

#[test]
fn another_process_stops_a_run() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", LONG);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || executes(&env, "long") && executes(&env, "short"));
    insta::assert_snapshot!(env.run(&["cancel", "last"]).expect(0), @"
    run_00000000_000000_000001 is to stop; `dhenara runs show run_00000000_000000_000001` tells how it ended
    ---- exit code 0
    ");
    let output = env.finish(running).expect(130);
    assert!(output.stderr.contains("cancelled"), "{output}");
    assert_eq!(status(&env, "long"), Some(StepStatus::Cancelled));
    assert_eq!(status(&env, "behind"), None);
    assert_eq!(status(&env, "last_one"), Some(StepStatus::Completed));
    insta::assert_snapshot!(env.run(&["cancel", "last"]).expect(4), @"
    ---- stderr
    error[not_running]: `run_00000000_000000_000001` is cancelled: no process drives it
      hint: only what executes can be stopped; `dhenara runs list` shows what does
    ---- exit code 4
    ");
}

#[test]
fn another_process_stops_one_step() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", LONG);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || executes(&env, "long") && executes(&env, "short"));
    insta::assert_snapshot!(env.run(&["cancel", "last", "nothing"]).expect(2), @"
    ---- stderr
    error[unknown_path]: `nothing` names no step or component; there are flow_root, flow_root.both, flow_root.both.long, flow_root.both.short
      hint: `dhenara runs show run_00000000_000000_000001` lists all steps
    ---- exit code 2
    ");
    drop(env.run(&["cancel", "last", "long"]).expect(0));
    drop(env.finish(running).expect(130));
    assert_eq!(status(&env, "long"), Some(StepStatus::Cancelled));
    assert_eq!(
        status(&env, "short"),
        Some(StepStatus::Completed),
        "the other one goes on to its end"
    );
    assert_eq!(status(&env, "behind"), None);
    // What was stopped executes again, and only that.
    let output = env
        .run(&["resume", "last", "--skip", "long=it takes too long"])
        .expect(0);
    insta::assert_snapshot!(env.shown(&output.stderr), @"
    run_00000000_000000_000001
    flow_root
      both
        – long                          [time]  it takes too long
      ✓ behind                        [time]  1 command
      ✓ last_one                      [time]  1 command

    completed run_00000000_000000_000001 in [time]
      steps     3 completed, 1 skipped
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.behind
    ");
    assert_eq!(status(&env, "long"), Some(StepStatus::Skipped));
}

const FAILING: &str = "\
schema_version: 1
kind: flow
elements:
  - { node: good, type: command, settings: { commands: [[echo, good]] } }
  - for_each: all
    statement: $expr{[1, 2]}
    body:
      - { node: bad, type: command, settings: { commands: [['false']] } }
  - node: behind
    type: command
    settings: { commands: [[echo, \"$expr{ ($hier{good}.outcome || 'nothing') == 'nothing' }\", \"$expr{ ($hier{all.iter_1.bad} || 'nothing') == 'nothing' }\"]] }
";

#[test]
fn a_reason_for_a_step_that_is_settled_holds_no_key() {
    const KEY: &str = "sk-OfTheReason-0987654321";
    let env = TestEnvironment::new();
    env.write("flow.yaml", FAILING);
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("openai: {{ api_key: {KEY} }}\n"),
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    let skip = format!("iter_0.bad=refused {KEY}");
    drop(env.run(&["resume", "last", "--skip", &skip]).expect(1));
    let journal = std::fs::read_to_string(env.last_run().join(".run/journal.jsonl")).unwrap();
    assert!(journal.contains("refused "), "{journal}");
    assert!(!journal.contains(KEY), "{journal}");
}

#[test]
fn steps_are_settled_by_hand() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FAILING);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    for (args, code) in [
        (&["--skip", "good"][..], 2),
        (&["--skip", "nowhere"], 2),
        (&["--skip", "iter_1.bad", "--fail", "iter_1.bad=no use"], 2),
        (&["--skip", "behind", "--skip", "all.bad"], 1),
    ] {
        let output = env.run(&[&["resume", "last"], args].concat());
        assert_eq!(output.code, Some(code), "{args:?}: {output}");
    }
    // The second iteration was not reached before the first was settled.
    let output = env.run(&["resume", "last"]).expect(1);
    assert!(output.stderr.contains("iter_1.bad"), "{output}");
    let failed = env
        .run(&["resume", "last", "--fail", "iter_1.bad=no use"])
        .expect(1);
    assert!(failed.stderr.contains("no use"), "{failed}");
    let why = |step: &str| {
        let text = env.run(&["runs", "why", "last", step]).expect(0).stdout;
        let why = env.run(&["runs", "why", "last", step, "--json"]).expect(0);
        let why = why.json("cli_runs_why");
        assert!(text.contains(why["because"].as_str().unwrap()), "{text}\n{why}");
        (text, why["reason"].clone())
    };
    let (text, reason) = why("iter_1.bad");
    assert!(reason.is_null(), "{reason}");
    insta::assert_snapshot!(text, @"
    ✗ flow_root.all.iter_1.bad
      not executed again: failed by hand: no use
      attempt 1 failed  flow_root.all.iter_1.bad: `false` ended with exit code 1
      attempt 2 failed  flow_root.all.iter_1.bad: `false` ended with exit code 1
      attempt 1 failed  flow_root.all.iter_1.bad: no use
    ");
    drop(
        env.run(&["resume", "last", "--skip", "iter_1.bad=not needed"])
            .expect(0),
    );
    insta::assert_snapshot!(why("iter_1.bad").0, @"
    – flow_root.all.iter_1.bad
      not executed again: skipped by hand: not needed
      attempt 1 failed  flow_root.all.iter_1.bad: `false` ended with exit code 1
      attempt 2 failed  flow_root.all.iter_1.bad: `false` ended with exit code 1
      attempt 1 failed  flow_root.all.iter_1.bad: no use
    ");
    insta::assert_snapshot!(why("behind").0, @"
    – flow_root.behind
      not executed: skipped by hand
    ");
    insta::assert_snapshot!(why("good").0, @"
    ✓ flow_root.good
      executed: the run is a first run
    ");
    let shown = env.run(&["runs", "show", "last", "behind"]).expect(0);
    insta::assert_snapshot!(shown, @"
    – flow_root.behind  [time]  skipped
    ---- exit code 0
    ");
    assert_eq!(
        status(&env, "behind"),
        Some(StepStatus::Skipped),
        "settled before it was reached"
    );
    let show = env.run(&["runs", "show", "last"]).expect(0);
    insta::assert_snapshot!(show, @"
    run_00000000_000000_000001  completed
      made      0000-00-00 00:00:00 UTC, took [time]
      steps     1 completed, 3 skipped
      size      5 files, [size]
      artifacts [root]/project/runs/run_00000000_000000_000001
      flow_root
        ✓ good                          [time]  1 command
        all
          – iter_0.bad                    [time]  skipped
          – iter_1.bad                    [time]  skipped  not needed
        – behind                        [time]  skipped
    ---- exit code 0
    ");
    drop(env.run(&["runs", "verify", "last"]).expect(0));

    // Settled steps come along into a re-run, and what refers to them sees nothing.
    let more = ["--previous-run-id", "last", "--entry-point", "behind"];
    drop(
        env.run(&[&["run", "flow", "flow.yaml"], &more[..]].concat())
            .expect(0),
    );
    let out = std::fs::read_to_string(env.last_run().join("flow_root/behind/stdout.log")).unwrap();
    assert_eq!(out, "false true\n");
}

#[test]
fn a_component_has_a_time_limit() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "\
schema_version: 1
kind: flow
elements:
  - subflow: limited
    timeout: 1s
    on_error: continue
    elements:
      - { node: quick, type: command, settings: { commands: [[echo, quick]] } }
      - { node: slow, type: command, settings: { commands: [[sleep, '100']] } }
      - { node: never, type: command, settings: { commands: [[echo, never]] } }
    finally:
      - { node: clean, type: command, settings: { commands: [[echo, clean]] } }
  - { node: behind, type: command, settings: { commands: [[echo, behind]] } }
",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    assert_eq!(status(&env, "limited"), Some(StepStatus::TimedOut));
    assert_eq!(status(&env, "slow"), Some(StepStatus::Cancelled));
    assert_eq!(status(&env, "never"), None);
    assert_eq!(status(&env, "clean"), Some(StepStatus::Completed));
    assert_eq!(status(&env, "behind"), Some(StepStatus::Completed));
    let result =
        std::fs::read_to_string(env.last_run().join("flow_root/limited/component_result.json")).unwrap();
    assert!(result.contains("did not finish within 1.0 s"), "{result}");
    let slow = env.run(&["runs", "show", "last", "slow", "--json"]).expect(0);
    insta::assert_snapshot!(slow.json("cli_runs_show")["result"]["error"]["message"].as_str().unwrap(), @"the step was cancelled: `flow_root.limited` did not finish within [time]");
}

#[test]
fn a_second_driver_is_refused_and_learns_who_drives() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", LONG);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || executes(&env, "long"));
    let refused = env.run(&["resume", "last", "--steal-lease"]).expect(4);
    assert!(
        refused.stderr.contains(&format!("process {} on", running.id())),
        "{refused}"
    );
    assert!(
        refused
            .stderr
            .contains("hint: `--steal-lease` takes a run from a process that cannot be seen from here"),
        "{refused}"
    );
    let refused = env.run(&["resume", "last"]).expect(4);
    insta::assert_snapshot!(env.shown(refused.stderr.split("hint").nth(1).unwrap()), @": wait until it ends, or stop it by `dhenara cancel run_00000000_000000_000001`; `dhenara runs show run_00000000_000000_000001` tells how far it is");
    drop(env.run(&["cancel", "last"]).expect(0));
    drop(env.finish(running).expect(130));
}
