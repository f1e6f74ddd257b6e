//! A run that another user made: nothing that it names is started by any command, however its files were changed, unless
//! the user trusts it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::crashes::copy_tree;
use crate::harness::{CommandOutput, TestEnvironment, git, has_git, journal};

/// A flow whose commands each leave a canary, and which waits before the last.
const FLOW: &str = "\
schema_version: 1
kind: flow
root_id: f
variables: { who: absent }
elements:
  - { node: first, type: command, settings: { commands: [\"date >> $var{project_root}/canaries/first\"] } }
  - { node: edits, type: file_operation, settings: { base_directory: \"$var{project_root}/tree\", stage: true, operations: [{ type: create_file, path: made.txt, content: x }] } }
  - { node: asks, type: command, pre_events: [node_input_required], settings: { commands: [\"date >> $var{project_root}/canaries/asks\"] } }
  - { node: agreed, type: command, requires_approval: true, settings: { commands: [\"date >> $var{project_root}/canaries/agreed\"] } }
";

/// The hex digits of another user's key.
const OTHER: &str = "0909090909090909090909090909090909090909090909090909090909090909";

fn run_as_other(env: &TestEnvironment, args: &[&str]) {
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let mut command = env.command(program, &env.project());
    let output = command
        .args(args)
        .env("DHENARA_ORIGIN_KEY", OTHER)
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A project with a run of another user in it, which waits; and programs that leave canaries wherever one could be started.
fn prepared() -> (TestEnvironment, String) {
    let env = TestEnvironment::new();
    env.is_checked();
    env.write("flow.yaml", FLOW);
    std::fs::create_dir_all(env.project().join("canaries")).unwrap();
    let tree = env.project().join("tree");
    std::fs::create_dir_all(&tree).unwrap();
    git(&tree, &["init", "-q"]);
    run_as_other(&env, &["run", "flow", "flow.yaml", "--no-input"]);
    let run = env.last_run();
    let name = run.file_name().unwrap().to_str().unwrap().to_owned();
    let canary = env.write(
        "canary.sh",
        "#!/bin/sh\ntouch \"$(dirname \"$0\")/canaries/program\"\n",
    );
    std::fs::set_permissions(&canary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = canary.to_str().unwrap();
    // What git would obey, in the directory of the run too.
    for dir in [&tree, &run] {
        git(dir, &["init", "-q"]);
        for setting in ["core.fsmonitor", "core.pager", "core.editor"] {
            git(dir, &["config", setting, program]);
        }
        std::fs::copy(&canary, dir.join(".git/hooks/post-index-change")).unwrap();
    }
    std::fs::remove_dir_all(env.project().join("canaries")).unwrap();
    std::fs::create_dir_all(env.project().join("canaries")).unwrap();
    (env, name)
}

/// Every command that takes a run, without `--trust`.
fn commands(run: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["runs", "list"],
        vec!["runs", "list", "--size", "--json"],
        vec!["runs", "show", run],
        vec!["runs", "show", run, "--json"],
        vec!["runs", "show", run, "first"],
        vec!["runs", "why", run, "first"],
        vec!["runs", "verify", run],
        vec!["runs", "repair", run, "--dry-run"],
        vec!["runs", "prune", "--keep-last", "10", "--dry-run"],
        vec!["runs", "rm", run, "--dry-run", "--force"],
        vec!["resume", run, "--no-input"],
        vec!["resume", run, "--no-input", "--definition", "recorded"],
        vec!["resume", run, "--no-input", "--skip", "asks"],
        vec!["resume", "last", "--no-input"],
        vec!["answer", run, "--approve", "--no-input"],
        vec!["answer", run, "asks", "--input", "{}", "--no-input"],
        vec!["answer", "last", "--approve", "--no-input"],
        vec!["cancel", run],
        vec!["run", "step", run, "first", "--no-input"],
        vec!["render", "flow.yaml", "first", "--run", run],
        vec!["run", "flow", "flow.yaml", "--previous-run-id", run, "--dry-run"],
    ]
}

fn call(env: &TestEnvironment, args: &[&str]) -> CommandOutput {
    let canary = env.project().join("canary.sh");
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let mut command = env.command(program, &env.project());
    for name in [
        "EDITOR",
        "VISUAL",
        "PAGER",
        "GIT_EDITOR",
        "GIT_PAGER",
        "GIT_EXTERNAL_DIFF",
    ] {
        command.env(name, &canary);
    }
    command
        .args(args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    env.finish(command.spawn().unwrap())
}

fn rewrite(run: &Path, records: &[Value]) {
    let text = dad_tests::seal_with(records, &[9; 32]);
    std::fs::write(run.join(".run/journal.jsonl"), text).unwrap();
}

/// The change of the run.
type Change = fn(&Path);

const CHANGES: [(&str, Change); 8] = [
    ("as it was sent", |_| ()),
    ("with another session appended", |run| {
        let mut records = journal(run);
        let mut resumed = records[2].clone();
        resumed["type"] = json!("run_resumed");
        resumed["epoch"] = json!(2);
        resumed["seq"] = json!(records.len() + 1);
        records.push(resumed);
        rewrite(run, &records);
    }),
    ("said to be trusted", |run| {
        let mut records = journal(run);
        let last = records.last().unwrap().clone();
        records.push(json!({
            "seq": records.len() + 1, "at": last["at"], "type": "trusted", "trusts": last["sum"], "mac": "",
        }));
        rewrite(run, &records);
    }),
    ("with an answer of its own", |run| {
        let inbox = run.join(".run/inbox");
        std::fs::create_dir_all(&inbox).unwrap();
        let question = journal(run)
            .into_iter()
            .rfind(|record| record["type"] == "question")
            .unwrap();
        let id = question["id"].as_str().unwrap();
        let answer = json!({
            "schema_version": 1, "at": question["at"], "source": "you", "kind": "answer", "question": id, "input": {},
        });
        std::fs::write(inbox.join(format!("{id}.json")), answer.to_string()).unwrap();
    }),
    ("in the first format", |run| {
        let lines = journal(run).into_iter().map(|mut record| {
            let fields = record.as_object_mut().unwrap();
            for new in [
                "sum",
                "mac",
                "salt",
                "key_id",
                "session",
                "definition",
                "token",
                "environment",
            ] {
                fields.shift_remove(new);
            }
            if record["type"] == "run_created" {
                record["schema_version"] = json!(1);
            }
            format!("{record}\n")
        });
        std::fs::write(run.join(".run/journal.jsonl"), lines.collect::<String>()).unwrap();
    }),
    ("without its seal", |run| {
        let mut records = journal(run);
        records.pop();
        rewrite(run, &records);
    }),
    ("without its lease and its questions", |run| {
        std::fs::remove_file(run.join(".run/lease")).unwrap();
        std::fs::remove_dir_all(run.join(".run/questions")).unwrap();
    }),
    ("without its definition and its results", |run| {
        std::fs::remove_dir_all(run.join(".run/definitions")).unwrap();
        std::fs::remove_dir_all(run.join("f/first")).unwrap();
    }),
];

#[test]
fn no_command_starts_what_a_run_of_another_user_names() {
    if !has_git() {
        return;
    }
    let (prepared, name) = prepared();
    for (what, change) in CHANGES {
        let env = TestEnvironment::new();
        env.is_checked();
        copy_tree(&prepared.project(), &env.project());
        change(&env.project().join("runs").join(&name));
        for args in commands(&name) {
            let output = call(&env, &args);
            let left = std::fs::read_dir(env.project().join("canaries")).unwrap();
            let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.is_empty(), "{what}: {args:?} left {left:?}\n{output}");
            let acts = ["resume", "answer"].contains(&args[0]) || args[1] == "step";
            assert!(!acts || output.code != Some(0), "{what}: {args:?}\n{output}");
        }
    }
    // Neither does repairing it say that it is trusted.
    let env = TestEnvironment::new();
    env.is_checked();
    copy_tree(&prepared.project(), &env.project());
    let run = env.project().join("runs").join(&name);
    CHANGES[4].1(&run);
    let file = run.join(".run/journal.jsonl");
    let damaged = std::fs::read_to_string(&file).unwrap() + "damage\n";
    std::fs::write(&file, damaged).unwrap();
    drop(call(&env, &["runs", "repair", &name]).expect(0));
    drop(call(&env, &["runs", "verify", &name]).expect(0));
    drop(call(&env, &["resume", &name, "--no-input"]).expect(4));
    drop(call(&env, &["resume", "last", "--no-input"]).expect(4));

    // The user's word lets it execute.
    let answered = call(&prepared, &["resume", &name, "--no-input", "--trust"]).expect(3);
    drop(answered);
    drop(
        call(
            &prepared,
            &["answer", &name, "asks", "--input", "{}", "--no-input"],
        )
        .expect(3),
    );
    assert!(prepared.project().join("canaries/asks").exists());
}
