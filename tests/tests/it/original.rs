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
    STATUS       RUN                           AGENT           MADE                            TOOK     STEPS    COST       FROM
    completed    run_20261123_022713_9d6211    autocoder_root  2026-11-23 02:27:13 local time  [time]  3 steps  $0.000081
    completed    rerun_20261123_022713_2ebc7e  autocoder_root  2026-11-23 02:27:13 local time  [time]  3 steps  $0.000081  run_20261123_022713_9d6211
    interrupted  run_20261123_024216_79d530    ag              2026-11-23 02:42:16 local time           2 steps
    ---- exit code 0
    ");
    let list = env
        .unchanged(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(3));
    assert!(
        list["runs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|run| run["original"] == true)
    );
}

#[test]
fn what_they_did_not_record_is_refused_by_name() {
    let env = environment();
    let run = "run_20261123_022713_9d6211";
    for args in [
        &["runs", "trace", run][..],
        &["runs", "logs", run],
        &["trace", "convert", run, "--to", "chrome"],
    ] {
        let refused = env.refused(args);
        assert!(
            refused
                .stderr
                .contains("of the original system, which recorded no "),
            "{refused}"
        );
    }
    insta::assert_snapshot!(env.unchanged(&["runs", "cost"]).expect(0));
}

/// Ours, with the steps of the original's agent.
const AGENT: &str = r#"schema_version: 1
kind: agent
elements:
  - flow: main_flow
    elements:
      - { node: dynamic_repo_analysis, type: folder_analyzer, settings: { operations: [{ operation_type: analyze_folder, path: . }] } }
      - { node: code_generator, type: ai_model_call, settings: { models: [openai/gpt-5.5], prompt: Hello } }
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
    re-run of run_20261123_022713_9d6211: 2 reused (saves 444 tokens, $0.000081), 1 to execute, starting at autocoder_root.main_flow.code_generator_file_ops
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
    insta::assert_snapshot!(env.unchanged(&["runs", "verify", run]).expect(5), @"
    autocoder_root/main_flow/code_generator/outcome.json: it is no JSON: EOF while parsing an object at line 1 column 1
    run_20261123_022713_9d6211: 3 steps, 8 files, 1 of them cannot be read
    ---- exit code 5
    ");
}

#[test]
fn what_they_left_is_shown() {
    let env = environment();
    let show = |args: &[&str]| env.unchanged(&[&["runs", "show"], args].concat()).expect(0);
    insta::assert_snapshot!(show(&["rerun_20261123_022713_2ebc7e"]), @"
    rerun_20261123_022713_2ebc7e  completed  by the original system
      from      run_20261123_022713_9d6211
      made      2026-11-23 02:27:13 local time
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
      made      2026-11-23 02:42:16 local time
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
      all_succeeded: true
      commands_executed: 1
      successful_commands: 1
      failed_commands: 0
      results:
        - command: echo n0; [ -e /srv/other ] || [ 0 -lt 2 ] || kill -KILL $PPID; sleep 0.3
          returncode: 0
          stdout: n0
          stderr: ""
          success: true
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

#[test]
fn every_kind_of_them_is_listed_shown_and_verified() {
    let cases = [
        ("a_autocoder", "run_20261123_022713_9d6211", "completed", 3, 8),
        ("a_autocoder", "rerun_20261123_022713_2ebc7e", "completed", 3, 7),
        ("b_flow", "run_20261123_022945_9663ff", "completed", 17, 47),
        (
            "d_failed_command",
            "run_20261123_023051_7a0590",
            "completed",
            4,
            9,
        ),
        // It never came to a step.
        ("f_static_inputs", "run_20261123_023205_0abe73", "completed", 0, 0),
        ("i_killed_KILL", "run_20261123_024216_79d530", "interrupted", 2, 4),
    ];
    let env = TestEnvironment::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/original");
    for (case, ..) in cases {
        env.copy_dir(&data.join(case), &env.project().join("runs"));
    }
    let list = env.unchanged(&["runs", "list", "--json"]).expect(0);
    let list = list.json("cli_runs_list");
    let found: Vec<_> = list["runs"].as_array().unwrap().iter().collect();
    assert_eq!(found.len(), cases.len());
    for ((_, run, status, steps, files), listed) in cases.into_iter().zip(found) {
        assert_eq!(
            (&listed["run_id"], &listed["status"]),
            (&run.into(), &status.into())
        );
        let shown = env.unchanged(&["runs", "show", run, "--json"]).expect(0);
        let shown = shown.json("cli_runs_show");
        let is_step = |entry: &&serde_json::Value| entry["kind"] == "step";
        let entries = shown["steps"].as_array().unwrap();
        assert_eq!(entries.iter().filter(is_step).count(), steps, "{run}");
        let verified = env.unchanged(&["runs", "verify", run]).expect(0);
        let wanted = format!("{run}: {steps} steps, {files} files, all can be read");
        assert!(verified.stdout.starts_with(&wanted), "{verified}");
    }
}

/// Ours, with steps of the original's flow: a branch and a loop lie before `sub1`.
const BRANCHING: &str = r#"schema_version: 1
kind: agent
root_id: ag
elements:
  - flow: main_flow
    elements:
      - { node: setup, type: command, settings: { commands: [[echo, ours]] } }
      - conditional: cond
        statement: "$expr{ true }"
        true_branch:
          - { node: true_cmd, type: command, settings: { commands: [[echo, ours]] } }
      - for_each: loop
        statement: "$expr{ [1, 2, 3] }"
        body:
          - { node: loop_cmd, type: command, settings: { commands: [[echo, "$expr{item}"]] } }
      - subflow: sub1
        elements:
          - node: sub_cmd
            type: command
            settings: { commands: [[echo, "$expr{ len($hier{loop.*.loop_cmd}) }", "$expr{ $hier{loop.iter_1.loop_cmd}.outcome.results[0].stdout }"]] }
"#;

#[test]
fn a_rerun_begins_behind_and_in_their_loops() {
    let env = TestEnvironment::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/original");
    env.copy_dir(&data.join("b_flow"), &env.project().join("runs"));
    env.write("agents/ag/agent.yaml", BRANCHING);
    let agent = [
        "run",
        "agent",
        "ag",
        "--previous-run-id",
        "run_20261123_022945_9663ff",
    ];
    let reused = |entry: &str| {
        let args = [&agent[..], &["--entry-point", entry, "--json"]].concat();
        env.run(&args).expect(0).json("cli_run")["counts"]["reused"].clone()
    };
    assert_eq!(reused("sub1"), 5);
    let out = std::fs::read_to_string(env.last_run().join("ag/main_flow/sub1/sub_cmd/stdout.log"));
    assert_eq!(
        out.unwrap(),
        "3 item=beta index=1\n\n",
        "what their loop had left"
    );
    // Its first iteration is theirs.
    assert_eq!(reused("loop.iter_1"), 3);
    drop(env.run(&["runs", "verify", "last"]).expect(0));
}

#[test]
fn a_rerun_does_not_begin_behind_what_failed_there() {
    let env = TestEnvironment::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/original");
    env.copy_dir(&data.join("d_failed_command"), &env.project().join("runs"));
    let node = |name: &str| {
        format!("      - {{ node: {name}, type: command, settings: {{ commands: [[echo, ours]] }} }}\n")
    };
    let nodes: String = ["ok1", "bad", "bad_continue", "next_node"].map(node).concat();
    let head = "schema_version: 1\nkind: agent\nroot_id: ag\nelements:\n  - flow: main_flow\n    elements:\n";
    env.write("agents/ag/agent.yaml", &format!("{head}{nodes}"));
    let agent = [
        "run",
        "agent",
        "ag",
        "--previous-run-id",
        "run_20261123_023051_7a0590",
    ];
    let behind = env.refused(&[&agent[..], &["--entry-point", "next_node"]].concat());
    insta::assert_snapshot!(behind, @"
    ---- stderr
    error[nothing_to_reuse]: `ag.main_flow.bad` lies before the entry point but is failed in `run_20261123_023051_7a0590`
      hint: use `--entry-point ag.main_flow.bad` to start there
    ---- exit code 2
    ");
    drop(
        env.run(&[&agent[..], &["--entry-point", "bad"]].concat())
            .expect(0),
    );
}
