//! Runs of the original system: they can be listed, shown and checked, and a re-run can begin at one of their steps.

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

/// Ours, with the steps of the original's agent.
const AGENT: &str = r#"schema_version: 1
kind: agent
elements:
  - flow: main_flow
    elements:
      - { node: dynamic_repo_analysis, type: folder_analyzer, settings: { operations: [{ operation_type: analyze_folder, path: . }] } }
      - { node: code_generator, type: ai_model_call, settings: { models: [openai/gpt-5.1], prompt: Hello } }
      - node: code_generator_file_ops
        type: command
        settings: { commands: [[echo, "$expr{ $hier{code_generator}.execution_status }", "$expr{ $hier{code_generator}.error == null }"]] }
"#;

#[test]
fn a_rerun_begins_at_one_of_their_steps() {
    let env = environment();
    env.write("agents/autocoder/agent.yaml", AGENT);
    let run = "run_20261123_022713_9d6211";
    let agent = ["run", "agent", "autocoder", "--previous-run-id", run];
    let entry = ["--entry-point", "code_generator_file_ops"];
    insta::assert_snapshot!(env.run(&[&agent[..], &entry].concat()).expect(0), @"
    ---- stderr
    rerun_00000000_000000_000001
    re-run of run_20261123_022713_9d6211: 2 reused (saves 444 tokens, $0.0001), 1 to execute, starting at autocoder_root.main_flow.code_generator_file_ops
    autocoder_root
      main_flow
        ↺ dynamic_repo_analysis         from run_20261123_022713_9d6211
        ↺ code_generator                from run_20261123_022713_9d6211
        ✓ code_generator_file_ops       [time]  1 command

    completed rerun_00000000_000000_000001 in [time]
      steps     3 completed, of them 2 reused
      artifacts [root]/project/runs/rerun_00000000_000000_000001
      next      dhenara runs show rerun_00000000_000000_000001 autocoder_root.main_flow.code_generator_file_ops
    ---- exit code 0
    ");
    let ours = env.last_run();
    for step in ["dynamic_repo_analysis", "code_generator"] {
        let file = |run: &Path| {
            std::fs::read(
                run.join("autocoder_root/main_flow")
                    .join(step)
                    .join("result.json"),
            )
            .unwrap()
        };
        assert_eq!(
            file(&ours),
            file(&env.project().join("runs").join(run)),
            "copied, byte for byte"
        );
    }
    let outcome =
        std::fs::read_to_string(ours.join("autocoder_root/main_flow/code_generator_file_ops/outcome.json"));
    assert!(outcome.unwrap().contains("completed true"));
    drop(env.run(&["runs", "verify", "last"]).expect(0));
    // From there on it is one of ours.
    let again = ["run", "agent", "autocoder", "--previous-run-id", "last"];
    drop(env.run(&[&again[..], &entry].concat()).expect(0));
}

#[test]
fn what_they_cannot_be_used_for_is_refused() {
    let env = environment();
    let run = "run_20261123_022713_9d6211";
    let agent = ["run", "agent", "autocoder", "--previous-run-id"];
    insta::assert_snapshot!(env.refused(&[&agent[..], &[run]].concat()), @"
    ---- stderr
    error[original_system]: `run_20261123_022713_9d6211` was made by the original system, which kept no journal and no fingerprints: a re-run can begin at one of its steps, and no more
      hint: say where: `--previous-run-id run_20261123_022713_9d6211 --entry-point PATH`
    ---- exit code 2
    ");
    // `last` is a run of the agent's own root, which none of them is known to be.
    insta::assert_snapshot!(env.refused(&[&agent[..], &["last"]].concat()), @"
    ---- stderr
    error[unknown_run]: there is no previous run of this component
      hint: `dhenara runs list` shows the runs there are
    ---- exit code 2
    ");
    insta::assert_snapshot!(env.refused(&["resume", run]), @"
    ---- stderr
    error[original_system]: `run_20261123_022713_9d6211` was made by the original system, which kept no journal and no fingerprints: a re-run can begin at one of its steps, and no more
      hint: say where: `--previous-run-id run_20261123_022713_9d6211 --entry-point PATH`
    ---- exit code 2
    ");
}

#[test]
fn they_are_verified_as_far_as_they_can_be() {
    let env = environment();
    let run = "run_20261123_022713_9d6211";
    insta::assert_snapshot!(env.unchanged(&["runs", "verify", run]).expect(0), @"
    run_20261123_022713_9d6211: 3 steps, 8 files, all can be read; the original system recorded no digests
    ---- exit code 0
    ");
    env.write(
        &format!("runs/{run}/autocoder_root/main_flow/code_generator/outcome.json"),
        "{",
    );
    insta::assert_snapshot!(env.unchanged(&["runs", "verify", run]).expect(1), @"
    autocoder_root/main_flow/code_generator/outcome.json: it is no JSON: EOF while parsing an object at line 1 column 1
    run_20261123_022713_9d6211: 3 steps, 8 files, 1 of them cannot be read
    ---- exit code 1
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
