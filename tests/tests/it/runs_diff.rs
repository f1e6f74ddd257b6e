//! The differences between two runs.

use serde_json::json;

use crate::harness::TestEnvironment;

const FLOW: &str = r#"schema_version: 1
kind: flow
variables:
  who: Ada
  tone: |-
    a text that is longer than a short one, so that it is shown as a diff
    and has a second line that says hello to all of them and much else besides
output: "$expr{ $hier{greet}.outcome.results[0].stdout }"
elements:
  - { node: same, type: command, settings: { commands: [[echo, same]] } }
  - { node: greet, type: command, settings: { commands: [[echo, "hello $expr{who}\n$expr{tone}"]] } }
  - { node: may_fail, type: command, on_error: continue, settings: { commands: [[sh, -c, "test $1 = Ada", sh, "$expr{who}"]] } }
"#;

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let other = [
        "--var",
        "who=Bob",
        "--var",
        "tone=a text that is longer than a short one, so that it is shown as a diff\nand has a second line that says goodbye to all of them and much else besides",
    ];
    drop(
        env.run(&[&["run", "flow", "flow.yaml"], &other[..]].concat())
            .expect(0),
    );
    env
}

#[test]
fn of_settings_outcomes_and_output() {
    let env = environment();
    let mut settings = insta::Settings::clone_current();
    // Times may be the same by chance.
    settings.add_filter(r"\[time\] → \[time\]", "[time]");
    let _times = settings.bind_to_scope();
    insta::assert_snapshot!(env.unchanged(&["runs", "diff", "last~1", "last"]).expect(0), @"
    run_00000000_000000_000001 → run_00000000_000000_000002
      status    completed
      steps     3 completed → 2 completed, 1 failed
      took      [time]
      variable tone
        @@ -0,0 +1,2 @@
        +a text that is longer than a short one, so that it is shown as a diff
        +and has a second line that says goodbye to all of them and much else besides
      variable who: new, Bob
      output
        @@ -1,3 +1,3 @@
        -hello Ada
        +hello Bob
         a text that is longer than a short one, so that it is shown as a diff
        -and has a second line that says hello to all of them and much else besides
        +and has a second line that says goodbye to all of them and much else besides
    2 steps differ; 1 is the same
    ✓ flow_root.greet  [time]
      setting commands[0][1]
        @@ -1,3 +1,3 @@
        -hello Ada
        +hello Bob
         a text that is longer than a short one, so that it is shown as a diff
        -and has a second line that says hello to all of them and much else besides
        +and has a second line that says goodbye to all of them and much else besides
      outcome results[0].command
        @@ -1,3 +1,3 @@
        -echo 'hello Ada
        +echo 'hello Bob
         a text that is longer than a short one, so that it is shown as a diff
        -and has a second line that says hello to all of them and much else besides'
        +and has a second line that says goodbye to all of them and much else besides'
      outcome results[0].stdout
        @@ -1,3 +1,3 @@
        -hello Ada
        +hello Bob
         a text that is longer than a short one, so that it is shown as a diff
        -and has a second line that says hello to all of them and much else besides
        +and has a second line that says goodbye to all of them and much else besides
    ✗ flow_root.may_fail  completed → failed, [time]
      setting commands[0][4]: Ada → Bob
      outcome all_succeeded: true → false
      outcome failed_commands: 0 → 1
      outcome results[0].command: sh -c 'test $1 = Ada' sh Ada → sh -c 'test $1 = Ada' sh Bob
      outcome results[0].returncode: 0 → 1
      outcome results[0].success: true → false
      outcome successful_commands: 1 → 0
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "diff", "last", "last"]).expect(0), @"
    run_00000000_000000_000002 → run_00000000_000000_000002
      status    completed
      steps     2 completed, 1 failed
      took      [time]
    no step differs; 3 are the same
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "diff", "last~1", "last", "same"]).expect(0), @"
    ✓ flow_root.same  [time]
      it did the same in both runs
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "diff", "last~1", "last", "gret"]).expect(2), @"
    ---- stderr
    error[unknown_path]: `gret` names no step or component; did you mean `flow_root.greet`?
      hint: `dhenara runs show run_00000000_000000_000001` lists all steps
    ---- exit code 2
    ");
}

#[test]
fn as_a_document() {
    let env = environment();
    let output = env
        .unchanged(&["runs", "diff", "last~1", "last", "--json"])
        .expect(0);
    let document = output.json("cli_runs_diff");
    assert_eq!(document["same"], 1, "{output}");
    let paths = document["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["path"]);
    assert_eq!(
        paths.collect::<Vec<_>>(),
        ["flow_root.greet", "flow_root.may_fail"]
    );
    let step = env
        .unchanged(&["runs", "diff", "last~1", "last", "may_fail", "--json"])
        .expect(0);
    let document = step.json("cli_runs_diff");
    assert_eq!(document["before"]["status"], "completed");
    assert_eq!(document["after"]["status"], "failed");
    let setting = &document["changes"][0];
    assert_eq!(
        *setting,
        json!({ "kind": "setting", "name": "commands[0][4]", "before": "Ada", "after": "Bob" })
    );
}
