//! The readers of a run, and git, which ignores runs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::TestEnvironment;

const FLOW: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: first, type: command, settings: { commands: [["echo", "hi"]] } }
  - { node: gate, type: command, requires_approval: true, settings: { commands: [["true"]] } }
"#;

const RUN: [&str; 3] = ["run", "flow", "flow.yaml"];

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    env
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

/// The entries of a run that have other modes than the wanted ones.
fn others(dir: &Path, wanted: (u32, u32), found: &mut Vec<String>) {
    if mode(dir) != wanted.0 {
        found.push(format!("{} {:o}", dir.display(), mode(dir)));
    }
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => others(&path, wanted, found),
            false if mode(&path) == wanted.1 => {}
            false => found.push(format!("{} {:o}", path.display(), mode(&path))),
        }
    }
}

fn check(run: &Path, wanted: (u32, u32)) {
    let mut found = Vec::new();
    others(run, wanted, &mut found);
    assert_eq!(found, Vec::<String>::new(), "{wanted:?}");
}

#[test]
fn a_run_is_its_users_own_in_every_session() {
    let env = environment();
    env.write("in/given.txt", "given");
    drop(
        env.run(&[&RUN[..], &["--no-input", "--input-dir", "in"]].concat())
            .expect(3),
    );
    let run = env.last_run();
    check(&run, (0o700, 0o600));
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(0));
    check(&run, (0o700, 0o600));
    drop(
        env.run(&[&RUN[..], &["--previous-run-id", "last", "--no-input"]].concat())
            .expect(0),
    );
    check(&env.last_run(), (0o700, 0o600));
}

#[test]
fn a_run_is_shared_if_the_configuration_says_so_and_stays_as_it_is() {
    let env = environment();
    for (share, wanted) in [("group", (0o750, 0o640)), ("all", (0o755, 0o644))] {
        env.write(
            ".dhenara/config.yaml",
            &format!("environments: {{ default: {{ share: {share} }} }}\n"),
        );
        drop(env.run(&[&RUN[..], &["--no-input"]].concat()).expect(3));
        let run = env.last_run();
        check(&run, wanted);
        env.write(".dhenara/config.yaml", "{}\n");
        drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(0));
        check(&run, wanted);
    }
}

#[test]
fn git_does_not_see_a_run_root_that_the_command_made() {
    let env = environment();
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(args)
            .current_dir(env.project())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q"]);
    drop(env.run(&[&RUN[..], &["--no-input"]].concat()).expect(3));
    let seen = git(&["status", "--porcelain", "--untracked-files=all"]);
    assert!(!seen.contains("runs/"), "{seen}");

    // The user may want it otherwise.
    std::fs::remove_file(env.path("project/runs/.gitignore")).unwrap();
    drop(env.run(&[&RUN[..], &["--no-input"]].concat()).expect(3));
    let seen = git(&["status", "--porcelain", "--untracked-files=all"]);
    assert!(seen.contains("runs/run_"), "{seen}");
}
