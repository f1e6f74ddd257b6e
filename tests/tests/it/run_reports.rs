//! The reports of a run about itself and about its inputs are true.

use std::path::Path;
use std::process::Command;

use dhenara::run::RunView;
use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::{TestEnvironment, read_json};

const FLOW: &str = "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: [[\"true\"]] } }\n";
const RUN: [&str; 3] = ["run", "flow", "flow.yaml"];

/// Calls git; what it prints.
fn git(dir: &Path, args: &[&str]) -> String {
    let who = [
        "-c",
        "user.name=T",
        "-c",
        "user.email=t@example.org",
        "-c",
        "protocol.file.allow=always",
    ];
    let output = Command::new("git")
        .args(who)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The commit that a run in a directory records.
fn recorded(env: &TestEnvironment, dir: &Path) -> Value {
    std::fs::create_dir_all(dir.join(".dhenara")).unwrap();
    std::fs::write(dir.join("flow.yaml"), FLOW).unwrap();
    drop(env.run_in(dir, &RUN).expect(0));
    let run = std::fs::read_dir(dir.join("runs")).unwrap();
    let run = run
        .map(|run| run.unwrap().path())
        .find(|run| run.join(".run").exists());
    let metadata = read_json(&run.unwrap().join(".trace/dad_metadata.json"));
    std::fs::remove_dir_all(dir.join("runs")).unwrap();
    metadata["git_commit"].clone()
}

fn repository(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    git(dir, &["init", "-q", "-b", "main"]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", "one"]);
}

#[test]
fn the_commit_of_a_linked_working_tree_is_its_own() {
    let env = TestEnvironment::new();
    let main = env.path("repository");
    repository(&main);
    git(&main, &["worktree", "add", "-q", "../linked", "-b", "side"]);
    let linked = env.path("linked");
    git(&linked, &["commit", "-q", "--allow-empty", "-m", "two"]);
    assert_eq!(recorded(&env, &linked), git(&linked, &["rev-parse", "HEAD"]));
    assert_eq!(recorded(&env, &main), git(&main, &["rev-parse", "HEAD"]));
    git(&main, &["pack-refs", "--all"]);
    assert_eq!(recorded(&env, &linked), git(&linked, &["rev-parse", "HEAD"]));
    git(&linked, &["checkout", "-q", "--detach", "HEAD~1"]);
    assert_eq!(recorded(&env, &linked), git(&main, &["rev-parse", "main"]));
}

#[test]
fn the_commit_of_a_submodule_is_its_own() {
    let env = TestEnvironment::new();
    let (inner, outer) = (env.path("inner"), env.path("outer"));
    repository(&inner);
    repository(&outer);
    git(&outer, &["submodule", "--quiet", "add", "../inner", "sub"]);
    git(&outer, &["commit", "-q", "-m", "with a submodule"]);
    let sub = outer.join("sub");
    git(&sub, &["commit", "-q", "--allow-empty", "-m", "in the submodule"]);
    let commit = git(&sub, &["rev-parse", "HEAD"]);
    assert_ne!(commit, git(&outer, &["rev-parse", "HEAD"]));
    assert_eq!(recorded(&env, &sub), commit);
}

#[test]
fn a_reference_that_leads_elsewhere_or_in_a_circle_is_no_commit() {
    let env = TestEnvironment::new();
    let dir = env.path("repository");
    repository(&dir);
    let commit = git(&dir, &["rev-parse", "HEAD"]);
    std::fs::write(env.path("elsewhere"), &commit).unwrap();
    let head = dir.join(".git/HEAD");
    for text in [
        "ref: refs/../../../elsewhere",
        "ref: ../../elsewhere",
        "ref: refs/heads/none",
        "not a commit",
    ] {
        std::fs::write(&head, text).unwrap();
        assert_eq!(recorded(&env, &dir), Value::Null, "{text}");
    }
    std::fs::write(dir.join(".git/refs/heads/circle"), "ref: refs/heads/circle\n").unwrap();
    std::fs::write(&head, "ref: refs/heads/circle\n").unwrap();
    assert_eq!(recorded(&env, &dir), Value::Null);
    std::fs::remove_file(&head).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &head,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(recorded(&env, &dir), Value::Null);
}

#[test]
fn a_byte_order_mark_is_no_part_of_what_is_given() {
    const ECHO: &str = "schema_version: 1\nkind: flow\nrequired: [x]\noutput: \"$var{x}\"\nelements:\n  - { node: a, type: command, settings: { commands: [[\"true\"]] } }\n";
    let env = TestEnvironment::new();
    env.write("flow.yaml", ECHO);
    env.write("text.txt", "\u{feff}hello");
    env.write("text.json", "\u{feff}\"hello\"");
    env.write("input.json", "\u{feff}{\"variables\": {\"x\": \"hello\"}}");
    env.write(
        "static.json",
        "\u{feff}{\"flow_root\": {\"variables\": {\"x\": \"hello\"}}}",
    );
    for given in [
        ["--var", "x=@text.txt"],
        ["--var-json", "x=@text.json"],
        ["--input", "flow_root=@input.json"],
        ["--static-inputs", "static.json"],
    ] {
        let said = env.run(&[&RUN[..], &given].concat()).expect(0);
        assert_eq!(said.stdout, "hello\n", "{given:?}");
    }
}

#[test]
fn a_file_that_never_ends_is_refused() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    for option in ["--var", "--var-json", "--input"] {
        let said = env.run(&[&RUN[..], &[option, "x=@/dev/zero"]].concat()).expect(2);
        assert!(
            said.stderr
                .contains("`/dev/zero` cannot be read: it is longer than 64 MiB"),
            "{said}"
        );
    }
}

#[test]
fn a_run_that_died_before_its_first_record_is_listed_as_that() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&RUN).expect(0));
    let run = env.last_run();
    let journal = run.join(".run/journal.jsonl");
    let whole = std::fs::read(&journal).unwrap();
    for left in [0, 40] {
        std::fs::write(&journal, &whole[..left]).unwrap();
        let listed = env.run(&["runs", "list"]).expect(0);
        let listed = env.shown(&format!("{listed}"));
        assert!(listed.contains("has no journal with a first record"), "{listed}");
    }
    assert_snapshot!(env.shown(&env.run(&["runs", "show", "last"]).to_string()), @"
    ---- stderr
    error[unknown_run]: there are no runs that can be read
      hint: `dhenara runs list` tells why
            runs are looked for in `[root]/project/runs`
    ---- exit code 2
    ");
    let name = run.file_name().unwrap().to_str().unwrap().to_owned();
    let shown = env.run(&["runs", "show", &name]).expect(2);
    assert!(
        shown
            .stderr
            .contains(&format!("hint: `dhenara runs rm {name}` removes it")),
        "{shown}"
    );
    // It holds results, so that no rule removes it.
    let pruned = env.run(&["runs", "prune", "--keep-last", "5"]).expect(0);
    assert!(pruned.stderr.contains("not removed: "), "{pruned}");
    drop(env.run(&["runs", "rm", &name]).expect(0));
    assert!(!run.exists());
}

#[test]
fn a_result_that_the_journal_lacks_is_none() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&RUN).expect(0));
    let run = env.last_run();
    // As a crash between a rename and its record leaves one, and as anyone may put one there.
    let made = run.join("flow_root/never");
    std::fs::create_dir(&made).unwrap();
    for (name, text) in [
        ("result.json", "{\"outcome\": \"forged\"}"),
        ("outcome.json", "\"forged\""),
    ] {
        std::fs::write(made.join(name), text).unwrap();
    }
    // The run directory is not as a run leaves it.
    env.is_checked();
    let view = RunView::open(&run).unwrap();
    let path = "flow_root.never".parse().unwrap();
    let refused = view.result(&path).unwrap_err();
    assert_eq!(refused.code(), "no_result");
    assert_eq!(view.result_bytes(&path).unwrap(), None);
    assert_eq!(view.step_file::<Value>(&path, "outcome.json").unwrap(), None);
    let near = view.result(&"flow_root.b".parse().unwrap()).unwrap_err();
    assert!(near.to_string().contains("did you mean `flow_root.a`?"), "{near}");
    assert!(view.result(&"flow_root.a".parse().unwrap()).is_ok());
    let shown = env.run(&["runs", "show", "last", "never"]).expect(2);
    assert!(!shown.to_string().contains("forged"), "{shown}");
    // A file beside those that were recorded is none of the step's.
    std::fs::write(run.join("flow_root/a/changes.json"), "{}").unwrap();
    assert_eq!(
        view.step_file::<Value>(&"flow_root.a".parse().unwrap(), "changes.json")
            .unwrap(),
        None
    );
}

#[test]
fn a_run_that_lost_its_records_is_not_taken_for_one_of_the_original_system() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&RUN).expect(0));
    let run = env.last_run();
    std::fs::rename(run.join(".run"), env.path("tmp/aside")).unwrap();
    env.is_checked();
    let name = run.file_name().unwrap().to_str().unwrap();
    let listed = env.run(&["runs", "list"]).expect(0);
    assert!(
        listed.stderr.contains("has no journal with a first record"),
        "{listed}"
    );
    drop(env.run(&["runs", "verify", name]).expect(2));
}

#[test]
fn a_variable_that_is_given_twice_is_refused() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &FLOW.replace("elements:", "variables: { t: 0 }\nelements:"),
    );
    for twice in [
        ["--var", "t=1", "--var", "t=2"],
        ["--var", "t=1", "--var-json", "t=2"],
    ] {
        let said = env.refused(&[&RUN[..], &twice].concat());
        assert!(said.stderr.contains("the variable `t` is given twice"), "{said}");
    }
    drop(env.run(&[&RUN[..], &["--var", "t=1"]].concat()).expect(0));
}
