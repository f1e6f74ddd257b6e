//! Single values and directories of runs.

use serde_json::json;

use crate::harness::TestEnvironment;

const FLOW: &str = r#"schema_version: 1
kind: flow
output: { text: "$expr{ $hier{greet}.outcome.results[0].stdout }" }
elements:
  - { node: greet, type: command, settings: { commands: [[printf, "%s", "a\u001b[2J\nb"]] } }
  - { node: behind, type: command, requires_approval: true, settings: { commands: [["true"]] } }
"#;

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    env
}

#[test]
fn a_text_is_printed_to_the_byte_and_all_else_as_json() {
    let env = environment();
    let get = |place: &str| env.unchanged(&["runs", "get", "last", place]).expect(0).stdout;
    assert_eq!(get("greet.outcome.results[0].stdout"), "a\u{1b}[2J\nb");
    assert_eq!(get("flow_root.greet.outcome[\"results\"][0].success"), "true\n");
    assert_eq!(get("output.text"), "a\u{1b}[2J\nb");
    assert_eq!(get("greet.error"), "null\n");
    assert_eq!(get("greet.settings.commands[0][0]"), "printf");
    let whole = env
        .unchanged(&["runs", "get", "last", "greet", "--json"])
        .expect(0);
    let document = whole.json("cli_runs_get");
    assert_eq!(document["value"]["node_type"], "command");
    assert_eq!(document["place"], json!("greet"));
}

#[test]
fn a_wrong_place_is_refused_with_the_nearest() {
    let mut settings = insta::Settings::clone_current();
    // The length of a file that holds times.
    settings.add_filter(r"recorded were \d+", "recorded were [number]");
    let _lengths = settings.bind_to_scope();
    let env = environment();
    let mut refused = Vec::new();
    for place in [
        "gret.outcome",
        "greet.outcom",
        "greet.outcome.result",
        "greet.outcome.results[3]",
        "greet.outcome.results[0]stdout",
        "flow_root.outcome",
        "output.txt",
        "..",
    ] {
        let output = env.unchanged(&["runs", "get", "last", place]).expect(2);
        assert_eq!(output.stdout, "", "{output}");
        refused.push(env.shown(output.stderr.lines().next().unwrap()));
    }
    insta::assert_snapshot!(refused.join("\n"), @"
    error[unknown_path]: `gret` names no step or component; did you mean `flow_root.greet`?
    error[no_value]: `run_00000000_000000_000001` has no value at `greet.outcom`: it has no `outcom`, but `outcome`
    error[no_value]: `run_00000000_000000_000001` has no value at `greet.outcome.result`: it has no `result`, but `results`
    error[no_value]: `run_00000000_000000_000001` has no value at `greet.outcome.results[3]`: there is no `[3]` in a list of 1
    error[no_value]: `run_00000000_000000_000001` has no value at `greet.outcome.results[0]stdout`: a `.` is missing before `stdout`
    error[unknown_path]: `flow_root` is a component, and a step is wanted; in it there are flow_root.greet, flow_root.behind
    error[no_value]: `run_00000000_000000_000001` has no value at `output.txt`: it has no `txt`, but `text`
    error[path]: the path of a step or component is empty; an id must not be empty
    ");
    insta::assert_snapshot!(env.unchanged(&["runs", "get", "run_1", "greet"]).expect(2), @"
    ---- stderr
    error[unknown_run]: there is no run `run_1`; did you mean `run_00000000_000000_000001`?
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
    std::fs::write(env.last_run().join("flow_root/greet/result.json"), "{}").unwrap();
    env.is_checked();
    insta::assert_snapshot!(env.unchanged(&["runs", "get", "last", "greet.outcome"]).expect(5), @"
    ---- stderr
    error[corrupt]: `[root]/project/runs/run_00000000_000000_000001/flow_root/greet/result.json` is not the file that was recorded: it has 2 bytes, recorded were [number]
      hint: restore the file, or start a re-run whose entry point is its step or one before it
    ---- exit code 5
    ");
}

#[test]
fn the_directory_of_a_run_or_step_is_printed() {
    let env = environment();
    let path = |words: &[&str]| {
        env.unchanged(&[&["runs", "path"], words].concat())
            .expect(0)
            .stdout
    };
    let run = env.last_run();
    assert_eq!(path(&["last"]), format!("{}\n", run.display()));
    assert_eq!(
        path(&["last", "greet"]),
        format!("{}\n", run.join("flow_root/greet").display())
    );
    let id = run.file_name().unwrap().to_str().unwrap();
    std::fs::write(run.join(".run/journal.jsonl"), "damaged\n").unwrap();
    env.is_checked();
    assert_eq!(path(&[id]), format!("{}\n", run.display()));
    insta::assert_snapshot!(env.unchanged(&["runs", "path", "run_1"]).expect(2), @"
    ---- stderr
    error[unknown_run]: there is no run `run_1`; did you mean `run_00000000_000000_000001`?
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
}

#[test]
fn the_editor_of_the_user_opens_a_run() {
    let env = environment();
    let open = |editor: &str| {
        let program = env!("CARGO_BIN_EXE_dhenara-under-test");
        let mut command = env.command(program, &env.project());
        command
            .args(["runs", "open", "last", "greet"])
            .env("VISUAL", editor);
        command.output().unwrap()
    };
    let opened = open("printf 'opened <%s>'");
    assert!(opened.status.success(), "{opened:?}");
    let shown = String::from_utf8(opened.stderr).unwrap();
    let step = env.last_run().join("flow_root/greet");
    assert!(shown.contains(&format!("opened <{}>", step.display())), "{shown}");
    let failed = open("exit 3;");
    assert_eq!(failed.status.code(), Some(2), "{failed:?}");
    let shown = String::from_utf8(failed.stderr).unwrap();
    assert!(
        shown.contains("error[editor]") && shown.contains("exit status: 3"),
        "{shown}"
    );
}
