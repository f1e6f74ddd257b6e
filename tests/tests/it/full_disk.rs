//! A disk without room, and a limit of the system: the run fails and says where, and goes on once there is room.

#![cfg(unix)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use dad_tests::check_run_dir;
use dhenara::RunStatus;
use dhenara::run::RunView;

use crate::crashes::outcomes;
use crate::harness::{CommandOutput, TestEnvironment, tell};

/// Steps whose files grow.
const GROWING: &str = r#"schema_version: 1
kind: flow
elements:
  - for_each: rounds
    statement: "$expr{ range(1, 9) }"
    body:
      - { node: grow, type: command, settings: { commands: ["head -c $expr{ item * 8000 } /dev/zero | tr '\\0' x"] } }
"#;

/// Many steps with little in them, so that it is the journal that grows.
const MANY: &str = r#"schema_version: 1
kind: flow
elements:
  - for_each: rounds
    statement: "$expr{ range(0, 40) }"
    body:
      - { node: small, type: command, settings: { commands: [[echo, "$expr{item}"]] } }
"#;

/// The outcomes of a run that nothing disturbs.
fn undisturbed(flow: &str) -> std::collections::BTreeMap<String, String> {
    let env = TestEnvironment::new();
    env.write("flow.yaml", flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    outcomes(&env.last_run())
}

/// The files of a run that failed for want of room are whole.
fn check_failed(output: &CommandOutput, run: &Path, wanted: usize) {
    let view = RunView::open(run).unwrap();
    assert_ne!(view.sealed_status(), Some(RunStatus::Completed));
    let found = view.verify().unwrap();
    assert!(found.damage.is_empty(), "{found:?}");
    let steps = view
        .steps()
        .filter(|step| step.status == dhenara::StepStatus::Completed)
        .count();
    assert!(steps < wanted, "{steps} of {wanted} steps fitted: {output}");
    assert!(output.stderr.contains("os error"), "{output}");
    // The operation and the path stand before the reason.
    let run_id = run.file_name().unwrap().to_string_lossy();
    let is_said = output.stderr.lines().any(|line| {
        let told = line.split_once("cannot ").map(|(_, told)| told);
        told.is_some_and(|told| told.contains(&*run_id) && told.contains("os error"))
    });
    assert!(is_said, "neither operation nor path in {output}");
    let (_, problems) = check_run_dir(run);
    // What the journal does not name is not part of the run, and is put away by the process that resumes it.
    let left = ["/.tmp-", "`.tmp-", "no committed step has it"];
    let is_left = |problem: &&String| left.iter().any(|left| problem.contains(left));
    let problems: Vec<&String> = problems.iter().filter(|problem| !is_left(problem)).collect();
    assert!(problems.is_empty(), "{problems:?}\n{output}");
}

/// A run under a limit on the size of each file, which needs no rights.
fn limited(flow: &str, kibibytes: u32) {
    let wanted = undisturbed(flow);
    let env = TestEnvironment::new();
    env.write("flow.yaml", flow);
    let mut command: Command = env.command("sh", &env.project());
    // Ignored, the signal becomes an error of the call.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", kibibytes * 2);
    command
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_dhenara-under-test")])
        .args(["run", "flow", "flow.yaml"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let output = env.finish(command.spawn().unwrap());
    assert!(!matches!(output.code, Some(0) | None), "{output}");
    let run = env.last_run();
    check_failed(&output, &run, wanted.len());
    drop(env.run(&["resume", "last"]).expect(0));
    assert_eq!(outcomes(&run), wanted);
    drop(env.run(&["runs", "verify", "last"]).expect(0));
}

#[test]
fn a_result_that_may_not_be_so_large_fails_its_run() {
    limited(GROWING, 40);
}

#[test]
fn a_journal_that_may_not_be_so_large_ends_its_run() {
    limited(MANY, 12);
}

/// A file system in memory, which is gone with the value.
struct Small(PathBuf);

impl Small {
    /// None where this process may not mount anything.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let made = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output();
        let why = match made {
            Ok(output) if output.status.success() => return Some(Self(at.to_path_buf())),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let refused = ["permission denied", "must be superuser", "not permitted"];
        let is_refused = refused.iter().any(|text| why.to_lowercase().contains(text));
        assert!(
            is_refused || std::env::var("DHENARA_REQUIRE_TOOLS").as_deref() != Ok("1"),
            "DHENARA_REQUIRE_TOOLS is 1, and a file system cannot be mounted: {why}"
        );
        tell(&format!("skipped: a small file system cannot be mounted: {why}"));
        None
    }

    /// Takes all the room that is left.
    fn fill(&self, name: &str) {
        let mut file = std::fs::File::create(self.0.join(name)).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let ended = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(ended.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_fails_a_run_that_goes_on_when_there_is_room() {
    let wanted = undisturbed(GROWING);
    let env = TestEnvironment::new();
    env.is_checked();
    let Some(disk) = Small::mount(&env.project(), "2m") else {
        return;
    };
    env.write(".dhenara/config.yaml", "environments: {}\n");
    env.write("flow.yaml", GROWING);
    // Two that are whole, for which there is room.
    env.write(
        "small.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: one, type: command, settings: { commands: [[echo, one]] } }\n",
    );
    let small = [(), ()].map(|()| {
        drop(env.run(&["run", "flow", "small.yaml"]).expect(0));
        env.last_run()
    });
    // What is left is for a part of the run.
    std::fs::write(env.project().join("ballast"), vec![0; 1_500_000]).unwrap();
    let output = env.run(&["run", "flow", "flow.yaml"]);
    assert!(!matches!(output.code, Some(0) | None), "{output}");
    let run = env.last_run();
    assert!(!small.contains(&run));
    check_failed(&output, &run, wanted.len());

    // Without any room at all it is refused to go on, and nothing gets worse by it.
    disk.fill("rest");
    let refused = env.run(&["resume", "last"]);
    assert!(!matches!(refused.code, Some(0) | None), "{refused}");
    check_failed(&refused, &run, wanted.len());
    // Removing is what makes room.
    let id = small[0].file_name().unwrap().to_string_lossy().into_owned();
    drop(env.run(&["runs", "rm", &id]).expect(0));
    assert!(!small[0].exists());
    disk.fill("more");
    let pruned = env.run(&["runs", "prune", "--keep-last", "1"]).expect(0);
    assert!(run.exists() && !small[1].exists(), "{pruned}");

    for file in ["ballast", "rest", "more"] {
        std::fs::remove_file(env.project().join(file)).unwrap();
    }
    drop(env.run(&["resume", "last"]).expect(0));
    assert_eq!(outcomes(&run), wanted);
    drop(env.run(&["runs", "verify", "last"]).expect(0));
    env.check_runs();
}
