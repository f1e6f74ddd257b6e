//! Driving runs: running again, waiting for a run of another process, notifications of the end, and quiet commands.

use serde_json::json;

use crate::harness::TestEnvironment;
use crate::stops::has_record;
use crate::waiting::wait_until;

const TWO: &str = "\
schema_version: 1
kind: flow
output: $expr{ $hier{second}.outcome.results[0].stdout }
variables: { tone: calm }
elements:
  - { node: first, type: command, settings: { working_dir: \"$var{project_root}\", commands: ['echo first >> log; echo $var{tone}'] } }
  - { node: second, type: command, settings: { working_dir: \"$var{project_root}\", commands: ['echo second >> log; echo two $expr{ $hier{first}.outcome.results[0].stdout }'] } }
";

/// Runs until a file `go` is there.
const HELD: &str = "\
schema_version: 1
kind: flow
output: $expr{ $hier{held}.outcome.results[0].stdout }
elements:
  - { node: held, type: command, settings: { working_dir: \"$var{project_root}\", commands: ['until [ -e go ]; do sleep 0.05; done; echo gone'] } }
";

const ASKING: &str = "\
schema_version: 1
kind: flow
elements:
  - { node: say, type: command, requires_approval: true, settings: { commands: [[echo, said]] } }
";

/// The steps that executed since the last look, in order.
fn executed(env: &TestEnvironment) -> String {
    let log = env.project().join("log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(log);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_run_is_run_again_without_naming_its_definition() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TWO);
    drop(
        env.run(&["run", "flow", "flow.yaml", "--var", "tone=quiet"])
            .expect(0),
    );
    assert_eq!(executed(&env), "first second");
    let planned = env.unchanged(&["rerun", "last", "--dry-run", "--json"]).expect(0);
    assert_eq!(
        planned.json("cli_dry_run")["plan"]["steps"][0]["decision"],
        "reuse"
    );
    let again = env.run(&["rerun", "last"]).expect(0);
    // Its variables are those of the run.
    assert_eq!((executed(&env).as_str(), again.stdout.trim()), ("", "two quiet"));
    let from = env
        .run(&["rerun", "last", "--from", "second", "--json"])
        .expect(0);
    assert_eq!(executed(&env), "second");
    assert_eq!(from.json("cli_run")["counts"]["reused"], 1);
    let louder = env.run(&["rerun", "last", "--var", "tone=loud"]).expect(0);
    assert_eq!(
        (executed(&env).as_str(), louder.stdout.trim()),
        ("first second", "two loud")
    );
    env.write("flow.yaml", &TWO.replace("echo two", "echo three"));
    let changed = env.run(&["rerun", "last"]).expect(0);
    assert_eq!(
        (executed(&env).as_str(), changed.stdout.trim()),
        ("second", "three loud")
    );
    let recorded = env
        .run(&["rerun", "last~1", "--definition", "recorded", "--fresh"])
        .expect(0);
    assert_eq!(
        (executed(&env).as_str(), recorded.stdout.trim()),
        ("first second", "two loud")
    );
    insta::assert_snapshot!(env.unchanged(&["rerun", "last", "--from", "secnd"]).expect(2), @"
    ---- stderr
    error[unknown_entry_point]: the entry point cannot be used: `secnd` names no step or component; did you mean `flow_root.second`?
    ---- exit code 2
    ");
}

#[test]
fn a_rerun_names_the_places_of_the_current_definition() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TWO);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    env.write("flow.yaml", &TWO.replace("[0].stdout }'", "[0].stdot }'"));
    let failed = env.run(&["rerun", "last"]).expect(1);
    assert!(failed.stderr.contains("(flow.yaml:7:"), "{failed}");
    // As it was, it would fail again.
    assert!(
        failed.stderr.contains("  then      dhenara resume rerun_"),
        "{failed}"
    );
    assert!(failed.stderr.contains(" --definition current\n"), "{failed}");
    env.write("flow.yaml", TWO);
    let resumed = env.run(&["resume", "last", "--definition", "current"]).expect(0);
    assert_eq!(resumed.stdout.trim(), "two calm");
}

#[test]
fn a_process_waits_for_the_run_of_another() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    insta::assert_snapshot!(env.run(&["wait", "last", "--timeout", "100ms"]).expect(4), @"
    ---- stderr
    error[timed_out]: `run_00000000_000000_000001` neither ended nor paused within [time]
      hint: `dhenara runs show run_00000000_000000_000001` shows how far it is
    ---- exit code 4
    ");
    let waiting = env.start(&["wait", "last", "--json"]);
    env.write("go", "");
    let waited = env.finish(waiting).expect(0).json("cli_run");
    let ran = env.finish(running).expect(0);
    assert_eq!(
        (&waited["status"], &waited["output"]),
        (&json!("completed"), &json!("gone\n"))
    );
    let waited = env.unchanged(&["wait", "last"]).expect(0);
    assert_eq!(waited.stdout, ran.stdout);

    env.write("flow.yaml", ASKING);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    insta::assert_snapshot!(env.unchanged(&["wait", "last"]).expect(3), @"
    ---- stderr
    waiting run_00000000_000000_000002
      asks      flow_root.say
                in [root]/project/runs/run_00000000_000000_000002
                $ echo said
                (what the programs themselves read is not covered)
      next      dhenara answer run_00000000_000000_000002 --approve
    ---- exit code 3
    ");
    let waiting = env.start(&["wait", "last", "--for", "done"]);
    drop(env.run(&["answer", "last", "--deny", "no"]).expect(1));
    drop(env.finish(waiting).expect(1));
}

#[test]
fn a_process_that_waits_learns_that_the_driver_died() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    let waiting = env.start(&["wait", "last", "--for", "done"]);
    env.signal(&running, "KILL");
    drop(env.finish(running));
    insta::assert_snapshot!(env.finish(waiting).expect(4), @"
    ---- stderr
    error[interrupted]: `run_00000000_000000_000001` was interrupted: no process drives it
      hint: `dhenara resume run_00000000_000000_000001` resumes it
    ---- exit code 4
    ");
    env.write("go", "");
    drop(env.run(&["resume", "last"]).expect(0));
}

#[test]
fn a_command_is_called_when_a_run_has_ended() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TWO);
    let config = |command: &str| format!("environments: {{ default: {{ on_end: [{command}] }} }}\n");
    env.write(
        ".dhenara/config.yaml",
        &config("sh, -c, 'echo \"$@\" >> told', x"),
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let told = || std::fs::read_to_string(env.project().join("told")).unwrap();
    let run = env.last_run();
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(told(), format!("{id} completed {}\n", run.display()));
    env.write("flow.yaml", ASKING);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    assert_eq!(told().lines().count(), 1, "it waits, and has not ended");
    drop(env.run(&["answer", "last", "--deny", "no"]).expect(1));
    assert!(
        told().ends_with(&format!(" failed {}\n", env.last_run().display())),
        "{}",
        told()
    );
    env.write(".dhenara/config.yaml", &config("'no-such-program'"));
    let output = env
        .run(&["rerun", "last~1", "--definition", "recorded", "--json"])
        .expect(0);
    assert!(
        output.stderr.contains("warning: `on_end`: `no-such-program`"),
        "{output}"
    );
    assert_eq!(output.json("cli_run")["status"], "completed");
}

#[test]
fn a_quiet_command_prints_the_result_alone() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TWO);
    let quiet = env.run(&["run", "flow", "flow.yaml", "--quiet"]).expect(0);
    assert_eq!((quiet.stdout.trim(), quiet.stderr.as_str()), ("two calm", ""));
    env.write(
        "flow.yaml",
        &TWO.replace(
            "echo two $expr{ $hier{first}.outcome.results[0].stdout }",
            "exit 7",
        ),
    );
    insta::assert_snapshot!(env.run(&["-q", "run", "flow", "flow.yaml"]).expect(1), @"
    ---- stderr
    failed run_00000000_000000_000002: flow_root.second: `echo second >> log; exit 7` ended with exit code 7
    ---- exit code 1
    ");
}

#[test]
fn a_command_works_in_the_directory_that_is_named() {
    let env = TestEnvironment::new();
    env.write("sub/flow.yaml", TWO);
    let elsewhere = env.path("tmp");
    let project = env.project().display().to_string();
    let ran = env
        .run_in(&elsewhere, &["-C", &project, "run", "flow", "sub/flow.yaml"])
        .expect(0);
    assert_eq!(ran.stdout.trim(), "two calm");
    assert_eq!(env.runs().len(), 1);
    drop(
        env.run_in(&elsewhere, &["runs", "list", "-C", &project, "--json"])
            .expect(0),
    );
    insta::assert_snapshot!(env.run(&["-C", "nowhere", "runs", "list"]).expect(2), @"
    ---- stderr
    error[directory]: `-C nowhere`: the directory cannot be entered: No such file or directory (os error 2)
      hint: name a directory that is there
    ---- exit code 2
    ");
}

#[test]
fn a_key_starts_a_run_once() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TWO);
    let keyed = ["run", "flow", "flow.yaml", "--key", "monday"];
    let first = env.run(&keyed).expect(0);
    assert_eq!(
        (executed(&env).as_str(), first.stdout.trim()),
        ("first second", "two calm")
    );
    let again = env.unchanged(&keyed).expect(0);
    assert_eq!(
        (executed(&env).as_str(), again.stdout.as_str()),
        ("", first.stdout.as_str())
    );
    insta::assert_snapshot!(again.stderr, @"
    key_0f7331cf58f12bf3c33628ab was started before
    completed key_0f7331cf58f12bf3c33628ab
    ");
    // Neither a changed definition nor its own value for a variable is another start.
    env.write("flow.yaml", &TWO.replace("echo two", "echo three"));
    drop(env.unchanged(&keyed).expect(0));
    insta::assert_snapshot!(env.unchanged(&[&keyed[..], &["--var", "tone=loud"]].concat()).expect(4), @"
    ---- stderr
    error[started_before]: `key_0f7331cf58f12bf3c33628ab` was started under this key with other variables or inputs
      hint: choose another key, or give the same as then
    ---- exit code 4
    ");
    let other = env
        .run(&["run", "flow", "flow.yaml", "--key", "tuesday"])
        .expect(0);
    assert_eq!(other.stdout.trim(), "three calm");
    assert_eq!(env.runs().len(), 2);
}

#[test]
fn processes_with_one_key_share_a_run() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let keyed = ["run", "flow", "flow.yaml", "--key", "one", "--json"];
    let all = [(); 4].map(|()| env.start(&keyed));
    wait_until("the step", || has_record(&env, "step_started", "held"));
    env.write("go", "");
    let outputs = all.map(|process| env.finish(process).expect(0).json("cli_run"));
    assert!(
        outputs
            .iter()
            .all(|output| output["run_id"] == outputs[0]["run_id"]),
        "{outputs:?}"
    );
    assert!(
        outputs.iter().all(|output| output["output"] == "gone\n"),
        "{outputs:?}"
    );
    assert_eq!(env.runs().len(), 1);
}

#[test]
fn a_key_takes_an_interrupted_run_up_and_reports_one_that_waits_or_failed() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let keyed = ["run", "flow", "flow.yaml", "--key", "one", "--no-input"];
    let running = env.start(&keyed);
    wait_until("the step", || has_record(&env, "step_started", "held"));
    env.signal(&running, "KILL");
    drop(env.finish(running));
    env.write("go", "");
    let resumed = env.run(&keyed).expect(0);
    assert_eq!((resumed.stdout.trim(), env.runs().len()), ("gone", 1));

    env.write("asks.yaml", ASKING);
    let keyed = ["run", "flow", "asks.yaml", "--key", "one", "--no-input"];
    drop(env.run(&keyed).expect(3));
    insta::assert_snapshot!(env.unchanged(&keyed).expect(3), @"
    ---- stderr
    key_1cc431736bf8c68027f03d02 was started before
    waiting key_1cc431736bf8c68027f03d02
      asks      asks_root.say
                in [root]/project/runs/key_1cc431736bf8c68027f03d02
                $ echo said
                (what the programs themselves read is not covered)
      next      dhenara answer key_1cc431736bf8c68027f03d02 --approve
    ---- exit code 3
    ");
    drop(env.run(&["answer", "last", "--deny", "no"]).expect(1));
    drop(env.unchanged(&keyed).expect(1));
    assert_eq!(env.runs().len(), 2);
}

#[test]
fn a_start_that_died_before_its_first_record_is_named() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TWO);
    let keyed = ["run", "flow", "flow.yaml", "--key", "monday"];
    drop(env.run(&keyed).expect(0));
    let run = env.last_run();
    std::fs::remove_dir_all(&run).unwrap();
    std::fs::create_dir_all(run.join(".run")).unwrap();
    insta::assert_snapshot!(env.run(&keyed).expect(2), @"
    ---- stderr
    error[unknown_run]: `[root]/project/runs/key_0f7331cf58f12bf3c33628ab` has no journal with a first record: no run was made there yet, or its journal is lost
      hint: `dhenara runs rm key_0f7331cf58f12bf3c33628ab` removes it
    ---- exit code 2
    ");
    drop(env.run(&["runs", "rm", "key_0f7331cf58f12bf3c33628ab"]).expect(0));
    drop(env.run(&keyed).expect(0));
}

#[test]
fn a_run_in_the_background_is_named_at_once() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", HELD);
    let detached = env.run(&["run", "flow", "flow.yaml", "--detach"]).expect(0);
    let begun = detached.json("cli_run_detach");
    assert_eq!(
        (detached.stdout.lines().count(), detached.stderr.as_str()),
        (1, "")
    );
    let run = begun["run_id"].as_str().unwrap();
    assert!(
        has_record(&env, "run_created", ""),
        "the run is there when it is named"
    );
    env.write("go", "");
    let waited = env.run(&["wait", run, "--json"]).expect(0).json("cli_run");
    assert_eq!(
        (&waited["output"], &waited["run_dir"]),
        (&json!("gone\n"), &begun["run_dir"])
    );
    // From elsewhere, under a key: another start names the same run.
    let project = env.project().display().to_string();
    let keyed = [
        "-C",
        &project,
        "run",
        "flow",
        "flow.yaml",
        "--key",
        "k",
        "--detach",
    ];
    let first = env
        .run_in(&env.path("tmp"), &keyed)
        .expect(0)
        .json("cli_run_detach");
    drop(env.run(&["wait", first["run_id"].as_str().unwrap()]).expect(0));
    let again = env
        .run_in(&env.path("tmp"), &keyed)
        .expect(0)
        .json("cli_run_detach");
    assert_eq!(again["run_id"], first["run_id"]);
    assert_eq!(env.runs().len(), 2);
}

#[test]
fn a_start_in_the_background_that_is_refused_says_why() {
    let env = TestEnvironment::new();
    let nowhere = ["run", "flow", "nowhere.yaml", "--detach"];
    insta::assert_snapshot!(env.unchanged(&nowhere).expect(2), @"
    ---- stderr
    error[unreadable]: `nowhere.yaml` cannot be read: No such file or directory (os error 2)
      hint: name a file that is there, or a definition that `dhenara agents` lists
    ---- exit code 2
    ");
    let refused = env.unchanged(&[&nowhere[..], &["--json"]].concat()).expect(2);
    assert_eq!(refused.json("cli_error")["error"]["code"], "unreadable");
}

#[test]
fn an_empty_key_or_name_of_a_batch_is_refused() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", TWO);
    env.write("rows.jsonl", "{}\n");
    // A variable of the shell that is not set.
    let run = ["run", "flow", "flow.yaml"];
    for option in [&["--key", ""][..], &["--each", "rows.jsonl", "--batch", ""]] {
        let refused = env.unchanged(&[&run[..], option].concat()).expect(2);
        assert!(
            refused.stderr.contains("a value is required for '--"),
            "{refused}"
        );
    }
}
