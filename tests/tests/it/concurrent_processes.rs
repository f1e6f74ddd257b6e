//! Two processes that want the same at the same time: one run has one driver, and two runs have two directories.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::crashes::{copy_all, outcomes};
#[cfg(unix)]
use crate::failures::process_started;
use crate::harness::{TestEnvironment, records};
use crate::waiting::wait_until;

/// Processes that are there already and wait for one word to become `dhenara`.
fn ready(env: &TestEnvironment, count: usize, args: &[&str]) -> Vec<Child> {
    let start = || {
        let mut command = env.command("sh", &env.project());
        command
            .args(["-c", "read -r word; exec \"$@\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_dhenara-under-test"))
            .args(args);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        piped.stderr(Stdio::piped()).spawn().unwrap()
    };
    (0..count).map(|_| start()).collect()
}

fn go(children: &mut [Child]) {
    for child in children {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
}

fn log(env: &TestEnvironment) -> Vec<String> {
    let text = std::fs::read_to_string(env.project().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

const FLOW: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: before, type: command, settings: { commands: ["echo before >> $var{project_root}/log"] } }
  - { node: gate, type: command, settings: { commands: ["echo gate >> $var{project_root}/log; until test -e $var{project_root}/open; do sleep 0.01; done"] } }
  - for_each: rounds
    statement: "$expr{ ['a', 'b'] }"
    body:
      - { node: mark, type: command, settings: { commands: ["echo $expr{item} >> $var{project_root}/log"] } }
"#;

/// A project whose only run was killed in its second step.
#[cfg(unix)]
fn interrupted() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let mut driver = env.start(&["run", "flow", "flow.yaml"]);
    // Once the journal names its child, which the first process that resumes the run ends.
    wait_until("the gate", || {
        let is_named = |run: &std::path::PathBuf| process_started(run).is_some();
        log(&env).contains(&"gate".to_owned()) && env.runs().last().is_some_and(is_named)
    });
    driver.kill().unwrap();
    driver.wait().unwrap();
    env
}

/// Lets two processes resume the run of a copy of the project; exactly one may.
fn resume_twice(prepared: &Path, at: &str) {
    let env = TestEnvironment::new();
    copy_all(prepared, &env.project());
    let mut children = ready(&env, 2, &["resume", "last"]);
    go(&mut children);
    // The one that drives waits at the gate, so it is the other that ends.
    let mut loser = 0;
    wait_until("the one that may not", || {
        let ended = |child: &mut Child| child.try_wait().unwrap().is_some();
        loser = children.iter_mut().position(ended).unwrap_or(2);
        loser < 2
    });
    let refused = env.finish(children.remove(loser));
    let winner = children.remove(0);
    assert_eq!(refused.code, Some(4), "{at}: {refused}");
    let holder = format!("the run is driven by process {} on ", winner.id());
    assert!(refused.stderr.contains(&holder), "{at}: {holder}\n{refused}");
    env.write("open", "");
    let done = env.finish(winner);
    assert_eq!(done.code, Some(0), "{at}: {done}");

    // The gate began once in the process that was killed, and once in the one that went on.
    assert_eq!(log(&env), ["before", "gate", "gate", "a", "b"], "{at}");
    let runs = env.runs();
    assert_eq!(runs.len(), 1, "{at}");
    assert_eq!(records(&runs[0], "run_resumed").len(), 1, "{at}");
    assert_eq!(records(&runs[0], "run_sealed").len(), 1, "{at}");
    let commits = records(&runs[0], "step_committed");
    assert_eq!(commits.len(), outcomes(&runs[0]).len(), "{at}: {commits:?}");
    assert_eq!(commits.len(), 4, "{at}");
}

#[cfg(unix)]
#[test]
fn of_two_that_resume_a_run_one_drives_it() {
    let prepared = interrupted();
    prepared.is_checked();
    for round in 1..=50 {
        resume_twice(&prepared.project(), &format!("round {round}"));
    }
}

#[cfg(unix)]
#[test]
fn runs_that_begin_together_have_directories_of_their_own() {
    const RUNS: usize = 20;
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: one, type: command, settings: { commands: [[echo, one]] } }\n",
    );
    let mut children = ready(&env, RUNS, &["run", "flow", "flow.yaml"]);
    go(&mut children);
    let mut told = BTreeSet::new();
    for child in children {
        let output = env.finish(child).expect(0);
        let id = output.stderr.lines().next().unwrap().to_owned();
        assert!(told.insert(id), "two were told the same id: {told:?}");
    }
    let ids: Vec<String> = env
        .runs()
        .iter()
        .map(|run| run.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(ids.iter().cloned().collect::<BTreeSet<_>>(), told);
    // Without the six letters behind it an id is the second in which its run was made.
    let seconds: BTreeSet<&str> = ids.iter().map(|id| id.rsplit_once('_').unwrap().0).collect();
    assert!(seconds.len() < RUNS, "none were made in the same second: {ids:?}");
    for run in env.runs() {
        assert_eq!(records(&run, "run_created").len(), 1);
        assert_eq!(records(&run, "step_committed").len(), 1);
    }
}
