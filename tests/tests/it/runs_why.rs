//! Why steps failed, wait, were not reached, or were reused.

use crate::harness::TestEnvironment;

const FLOW: &str = r#"schema_version: 1
kind: flow
variables: { go: false, tone: plain }
elements:
  - { node: look, type: command, settings: { commands: [["true"]] } }
  - conditional: choose
    statement: "$expr{ go }"
    true_branch:
      - { node: inside, type: command, settings: { commands: [["true"]] } }
  - { node: asks, type: command, requires_approval: true, settings: { commands: [["true"]] } }
  - node: fails
    type: command
    retry: { max_attempts: 2, initial_delay: 0.01, repeat_effects: true }
    settings: { commands: [["sh", "-c", "echo no >&2; exit 3"]] }
  - { node: behind, type: command, settings: { commands: [["true"]] } }
"#;

fn why(env: &TestEnvironment, step: &str) -> String {
    let words = ["runs", "why", "last", step];
    let document = env.unchanged(&[&words[..], &["--json"]].concat()).expect(0);
    drop(document.json("cli_runs_why"));
    env.unchanged(&words).expect(0).to_string()
}

#[test]
fn of_a_run_that_waits() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    insta::assert_snapshot!(why(&env, "asks"), @"
    ? flow_root.asks
      not executed: it waits for approval
      answer  `dhenara answer run_00000000_000000_000001 flow_root.asks`
    ---- exit code 0
    ");
    insta::assert_snapshot!(why(&env, "inside"), @"
    · flow_root.choose.is_true.inside
      not executed: the condition of `flow_root.choose` was false
    ---- exit code 0
    ");
    insta::assert_snapshot!(why(&env, "behind"), @"
    · flow_root.behind
      not executed: it has not been reached: `flow_root.asks` waits for approval
    ---- exit code 0
    ");
}

#[test]
fn of_a_run_that_failed() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    drop(env.run(&["answer", "last", "--approve"]).expect(1));
    insta::assert_snapshot!(why(&env, "fails"), @"
    ✗ flow_root.fails
      executed, 2 attempts: the run is a first run
      attempt 1 failed  flow_root.fails: `sh -c 'echo no >&2; exit 3'` ended with exit code 3: no
      attempt 2 failed  flow_root.fails: `sh -c 'echo no >&2; exit 3'` ended with exit code 3: no
    ---- exit code 0
    ");
    insta::assert_snapshot!(why(&env, "behind"), @"
    · flow_root.behind
      not executed: it has not been reached: `flow_root.fails` failed before it
    ---- exit code 0
    ");
}

#[test]
fn of_a_command_whose_world_is_not_looked_at() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let once = ["run", "flow", "flow.yaml", "--no-input"];
    drop(env.run(&once).expect(3));
    drop(
        env.run(&[&once[..], &["--previous-run-id", "last"]].concat())
            .expect(3),
    );
    insta::assert_snapshot!(why(&env, "look"), @"
    ↺ flow_root.look
      taken from run_00000000_000000_000001: nothing that is compared changed
      not compared  what it reads or changed besides; `reuse: never` in its definition, or `--execute look`, executes it again
    ---- exit code 0
    ");
}

#[test]
fn a_definition_that_changed_is_named_by_its_parts() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    let changed = |from: &str, to: &str| {
        env.write("flow.yaml", &FLOW.replace(from, to));
        env.run(&["resume", "last"])
            .expect(4)
            .stderr
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    let parts = [
        changed("tone: plain", "tone: friendly, more: 1"),
        changed("$expr{ go }", "$expr{ !go }"),
        changed("kind: flow", "kind: flow\noutput: \"$expr{tone}\""),
        changed("\"echo no", "\"echo NO"),
    ];
    insta::assert_snapshot!(parts.join("\n"), @"
    error[definition_changed]: the definition changed since the run was started: differs in variable `tone`, variable `more`
    error[definition_changed]: the definition changed since the run was started: differs in `statement` of `choose`
    error[definition_changed]: the definition changed since the run was started: differs in `output`
    error[definition_changed]: the definition changed since the run was started: changed flow_root.fails
    ");
}
