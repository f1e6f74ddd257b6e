//! Runs of the original system: they can be listed and shown, and cannot be started from.

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
    completed   run_20261123_022713_9d6211    0000-00-00 00:00:00 UTC  [time]
    completed   rerun_20261123_022713_2ebc7e  0000-00-00 00:00:00 UTC  [time]
    interrupted run_20261123_024216_79d530    0000-00-00 00:00:00 UTC
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
    error[original_system]: `run_20261123_022713_9d6211` was made by the original system; it can be listed and shown, but not started from
    ---- exit code 2
    ");
    // `last` is a run of the agent's own root, which none of them is known to be.
    insta::assert_snapshot!(start("last"), @"
    ---- stderr
    error[unknown_run]: there is no previous run of this component
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
}

#[test]
fn what_they_left_is_shown() {
    let env = environment();
    let show = |args: &[&str]| env.unchanged(&[&["runs", "show"], args].concat()).expect(0);
    insta::assert_snapshot!(show(&["rerun_20261123_022713_2ebc7e"]), @"
    rerun_20261123_022713_2ebc7e  completed  by the original system
      from      run_20261123_022713_9d6211
      made      [timestamp]
      artifacts [root]/project/runs/rerun_20261123_022713_2ebc7e
      autocoder_root
        main_flow
          ✓ dynamic_repo_analysis
          ✓ code_generator
          ✓ code_generator_file_ops
    ---- exit code 0
    ");
    insta::assert_snapshot!(show(&["run_20261123_024216_79d530"]), @"
    run_20261123_024216_79d530  interrupted  by the original system
      made      [timestamp]
      artifacts [root]/project/runs/run_20261123_024216_79d530
      ag
        main_flow
          ✓ n0
          ✓ n1
    ---- exit code 0
    ");
    insta::assert_snapshot!(show(&["run_20261123_024216_79d530", "n0"]), @r#"
    ag.main_flow.n0  completed
    outcome
    {
      "all_succeeded": true,
      "commands_executed": 1,
      "successful_commands": 1,
      "failed_commands": 0,
      "results": [
        {
          "command": "echo n0; [ -e /srv/other ] || [ 0 -lt 2 ] || kill -KILL $PPID; sleep 0.3",
          "returncode": 0,
          "stdout": "n0\n",
          "stderr": "",
          "success": true
        }
      ]
    }
    files [root]/project/runs/run_20261123_024216_79d530/ag/main_flow/n0
    ---- exit code 0
    "#);
    for args in [&[][..], &["code_generator"], &["main_flow"]] {
        let args = [&["run_20261123_022713_9d6211", "--json"], args].concat();
        let shown = show(&args).json("cli_runs_show");
        assert_eq!(shown["original"], true);
    }
    let unknown = env.refused(&["runs", "show", "run_20261123_024216_79d530", "zzz"]);
    insta::assert_snapshot!(unknown, @"
    ---- stderr
    error[unknown_path]: `zzz` names no step or component; there are ag, ag.main_flow, ag.main_flow.n0, ag.main_flow.n1
      hint: `dhenara runs show run_20261123_024216_79d530` lists all steps
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
