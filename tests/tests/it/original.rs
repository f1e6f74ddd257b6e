//! Runs of the original system: they can be listed, and cannot be started from.

use std::path::Path;

use crate::harness::TestEnvironment;

/// A project whose run root holds runs of the original system.
fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/original");
    for case in ["a_autocoder", "i_killed_KILL"] {
        env.copy_dir(&data.join(case), &env.project().join("runs"));
    }
    env.write(
        "agents/autocoder/agent.yaml",
        r#"schema_version: 1
kind: agent
elements:
  - flow: main_flow
    elements:
      - { node: code_generator_file_ops, type: command, settings: { commands: [[echo, ours]] } }
"#,
    );
    env
}

#[test]
fn they_are_listed() {
    let env = environment();
    insta::assert_snapshot!(env.unchanged(&["runs", "list"]).expect(0), @"
    completed   run_20261123_022713_9d6211  0000-00-00 00:00:00 UTC  [time]
    completed   rerun_20261123_022713_2ebc7e  0000-00-00 00:00:00 UTC  [time]
    interrupted run_20261123_024216_79d530  0000-00-00 00:00:00 UTC
    ---- exit code 0
    ");
    let list = env
        .unchanged(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(3));
}

#[test]
fn they_are_refused_as_the_previous_run() {
    let env = environment();
    let start = |run| {
        let entry = "code_generator_file_ops";
        env.refused(&[
            "run",
            "agent",
            "autocoder",
            "--previous-run-id",
            run,
            "--entry-point",
            entry,
        ])
    };
    insta::assert_snapshot!(start("run_20261123_022713_9d6211"), @"
    ---- stderr
    error[original_system]: `run_20261123_022713_9d6211` was made by the original system; it can be listed, but not started from
    ---- exit code 2
    ");
    // `last` is a run of the agent's own root, which none of them is known to be.
    insta::assert_snapshot!(start("last"), @"
    ---- stderr
    error[unknown_run]: there is no previous run of this component
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["runs", "show", "rerun_20261123_022713_2ebc7e"]), @"
    ---- stderr
    error[original_system]: `rerun_20261123_022713_2ebc7e` was made by the original system; it can be listed, but not started from
    ---- exit code 2
    ");
}

#[test]
fn ours_live_beside_them() {
    let env = environment();
    let _ = env.run(&["run", "agent", "autocoder"]).expect(0);
    let more = [
        "--previous-run-id",
        "last",
        "--entry-point",
        "code_generator_file_ops",
    ];
    let _ = env
        .run(&[&["run", "agent", "autocoder"], &more[..]].concat())
        .expect(0);
    let list = env
        .run(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(5));
}
