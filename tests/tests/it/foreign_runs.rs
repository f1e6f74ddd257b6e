//! Runs that were driven on another machine or in another directory: what they name is touched only if the user trusts
//! them.

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::crashes::copy_all;
use crate::failures::process_started;
use crate::harness::{TestEnvironment, edit_journal, journal, records};
use crate::intervene::wait_for;

const FLOW: &str = "\
schema_version: 1
kind: flow
root_id: f
elements:
  - { node: gate, type: command, settings: { commands: [[test, -e, \"$var{project_root}/open\"]] } }
  - { node: acts, type: command, settings: { commands: [[touch, \"$var{project_root}/acted\"]] } }
";

/// The id of the newest run.
fn id(env: &TestEnvironment) -> String {
    env.last_run().file_name().unwrap().to_str().unwrap().to_owned()
}

/// Has the journal of a run say that other machines drove it.
fn driven_elsewhere(run: &Path) {
    edit_journal(run, |record| {
        if record["host"].is_string() {
            record["host"] = json!("elsewhere.example");
        }
    });
}

/// A run that failed here, then one that was brought from elsewhere and is newer.
fn with_a_foreign_one() -> (TestEnvironment, String, String) {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    let own = id(&env);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    driven_elsewhere(&env.last_run());
    let foreign = id(&env);
    (env, own, foreign)
}

#[test]
fn last_and_proposals_name_no_run_of_another_machine() {
    let (env, own, foreign) = with_a_foreign_one();
    let listed = env.run(&["runs", "list"]).expect(0);
    assert!(listed.stdout.contains(&foreign), "it is listed: {listed}");
    assert!(
        listed.stderr.contains(&format!("dhenara resume {own}`")),
        "{listed}"
    );
    assert!(!listed.stderr.contains(&foreign), "{listed}");
    env.write("open", "");
    drop(env.run(&["resume", "last"]).expect(0));
    // As a previous run too.
    let rerun = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        "last",
        "--dry-run",
        "--json",
    ];
    let planned = env.run(&rerun).expect(0).json("cli_dry_run");
    assert_eq!(planned["plan"]["parent"], json!(own));
    for args in [&["runs", "show", "last"][..], &["runs", "verify", "last"]] {
        let shown = env.run(args).expect(0);
        assert!(shown.stdout.contains(&own), "{shown}");
    }
}

#[test]
fn a_run_of_another_machine_is_resumed_only_if_it_is_named_and_trusted() {
    let (env, own, foreign) = with_a_foreign_one();
    std::fs::remove_dir_all(env.project().join("runs").join(own)).unwrap();
    env.write("open", "");
    insta::assert_snapshot!(env.unchanged(&["resume", "last"]).expect(4), @"
    ---- stderr
    error[only_foreign_runs]: there is no such run that was driven here; the newest from elsewhere is `run_00000000_000000_000002`
      hint: name it by its id; `resume`, `answer` and `run step` also ask for `--trust`, because its `.run/definition.json` says what they execute
    ---- exit code 4
    ");
    let refused = env.unchanged(&["resume", &foreign]).expect(4);
    assert!(refused.stderr.contains("error[foreign_run]"), "{refused}");
    assert!(
        refused.stderr.contains("was driven on `elsewhere.example` in `"),
        "{refused}"
    );
    assert!(refused.stderr.contains("add `--trust`"), "{refused}");
    let refused = env.unchanged(&["run", "step", &foreign, "acts"]).expect(4);
    assert!(refused.stderr.contains("error[foreign_run]"), "{refused}");
    assert!(!env.project().join("acted").exists());
    // Its results may be taken, if it is named.
    let rerun = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        &foreign,
        "--dry-run",
    ];
    drop(env.run(&rerun).expect(0));
    drop(env.run(&["resume", &foreign, "--trust"]).expect(0));
    assert!(env.project().join("acted").exists());
    // From here on it is a run of this machine.
    drop(env.run(&["runs", "verify", "last"]).expect(0));
}

#[test]
fn a_copy_of_a_run_is_another_run() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env.write("open", "");
    let copy = env.project().join("copy");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(env.project().join("runs"))
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    let refused = env.run(&["resume", "last", "--run-root", "copy"]).expect(4);
    assert!(refused.stderr.contains("error[only_foreign_runs]"), "{refused}");
    let refused = env.run(&["resume", &id(&env), "--run-root", "copy"]).expect(4);
    assert!(refused.stderr.contains("error[foreign_run]"), "{refused}");
    drop(env.run(&["resume", "last"]).expect(0));
}

/// What a run looks like that was written by hand: it names no process that drove it.
#[test]
fn a_run_that_no_process_drove_is_not_taken_for_one_of_this_machine() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    let run = env.last_run();
    let lines: Vec<String> = journal(&run)[..2].iter().map(Value::to_string).collect();
    std::fs::write(run.join(".run/journal.jsonl"), lines.join("\n") + "\n").unwrap();
    std::fs::remove_dir_all(run.join("f")).unwrap();
    // Its own lease says where it was made.
    drop(env.run(&["resume", "last"]).expect(1));
    std::fs::write(run.join(".run/journal.jsonl"), lines.join("\n") + "\n").unwrap();
    std::fs::remove_dir_all(run.join("f")).unwrap();
    std::fs::write(run.join(".run/lease"), "").unwrap();
    drop(env.run(&["resume", "last"]).expect(4));
    let refused = env.run(&["resume", &id(&env)]).expect(4);
    assert!(
        refused.stderr.contains("driven by an unknown process"),
        "{refused}"
    );
    env.is_checked();
}

#[test]
fn a_question_of_another_machine_is_answered_only_if_its_run_is_trusted() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &FLOW.replace("{ node: acts,", "{ node: acts, requires_approval: true,"),
    );
    env.write("open", "");
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    driven_elsewhere(&env.last_run());
    let run = id(&env);
    drop(env.unchanged(&["answer", "last", "--approve"]).expect(4));
    drop(env.unchanged(&["answer", &run, "--approve"]).expect(4));
    assert!(
        !env.last_run().join(".run/inbox").exists(),
        "nothing was recorded"
    );
    drop(env.run(&["answer", &run, "--approve", "--trust"]).expect(0));
    assert!(env.project().join("acted").exists());
}

#[test]
fn a_recorded_directory_that_is_here_wherever_it_is_read_is_none() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env.write("open", "");
    let run = id(&env);
    for dir in [
        format!("runs/{run}"),
        format!("/proc/self/cwd/runs/{run}"),
        String::new(),
    ] {
        edit_journal(&env.last_run(), |record| {
            if record["run_dir"].is_string() {
                record["run_dir"] = json!(dir);
            }
        });
        drop(env.unchanged(&["resume", "last"]).expect(4));
    }
}

/// A process group of its own whose leader has ended, as a command leaves it that starts another in the background.
fn innocent() -> (Child, u32) {
    use std::os::unix::process::CommandExt;
    let child = std::process::Command::new("sh")
        .args(["-c", "sleep 600 & exec sleep 600"])
        .process_group(0)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let group = child.id();
    (child, group)
}

fn is_alive(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_none()
}

fn kill_group(group: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-KILL", "--", &format!("-{group}")])
        .status();
    assert!(killed.unwrap().success());
}

/// A run whose driver was killed while its command executed, and the group of that command.
fn killed() -> (TestEnvironment, u32) {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &FLOW.replace("[[test, -e,", "[[sh, -c, 'test -e $0 || sleep 600',"),
    );
    let mut driver = env.start(&["run", "flow", "flow.yaml"]);
    wait_for("the child", || {
        env.runs()
            .pop()
            .is_some_and(|run| process_started(&run).is_some())
    });
    driver.kill().unwrap();
    driver.wait().unwrap();
    let started = process_started(&env.last_run()).unwrap();
    env.write("open", "");
    (env, u32::try_from(started["pgid"].as_u64().unwrap()).unwrap())
}

fn group_is_alive(group: u32) -> bool {
    let found = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.unwrap().path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split_whitespace();
        let state = fields.next()?.to_owned();
        Some((state, fields.nth(1)?.parse::<u32>().ok()?))
    });
    let mut found = found.into_iter();
    found.any(|(state, of)| of == group && state != "Z")
}

/// A change of the record of a driver.
type Change = fn(&mut Value);

#[cfg(target_os = "linux")]
#[test]
fn only_process_groups_of_this_machine_boot_and_directory_are_ended() {
    let cases: [(Change, Option<&str>); 4] = [
        (
            |record| record["host"] = json!("elsewhere.example"),
            Some("it was started on `elsewhere.example`"),
        ),
        (
            |record| record["run_dir"] = json!("/srv/runs/other"),
            Some("it belongs to the run in `/srv/runs/other`"),
        ),
        (|record| record["boot_id"] = json!("another start"), None),
        (
            |record| drop(record.as_object_mut().unwrap().remove("boot_id")),
            Some("since which start of the machine"),
        ),
    ];
    for (change, said) in cases {
        let (env, own) = killed();
        let (mut other, group) = innocent();
        edit_journal(&env.last_run(), |record| {
            if record["type"] == "process_started" {
                record["pgid"] = json!(group);
                // Any process there is was started later.
                record["start_time"] = json!(dhenara::run::process_start_time(group).unwrap());
            } else if record["host"].is_string() {
                change(record);
            }
        });
        let resumed = env.run(&["resume", &id(&env), "--trust"]).expect(0);
        assert!(is_alive(&mut other), "{said:?}");
        match said {
            Some(said) => assert!(resumed.stderr.contains(said), "{said}: {resumed}"),
            None => assert!(!resumed.stderr.contains("process group"), "{resumed}"),
        }
        kill_group(group);
        other.wait().unwrap();
        kill_group(own);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_resumed_copy_leaves_the_processes_of_the_original_alone() {
    let (env, own) = killed();
    let copy = TestEnvironment::new();
    drop(env.run(&["runs", "list"]).expect(0));
    copy_dir(&env.project(), &copy.project());
    drop(copy.run(&["resume", &id(&copy), "--trust"]).expect(0));
    assert!(group_is_alive(own));
    // The original ends it.
    drop(env.run(&["resume", "last"]).expect(0));
    wait_for("the end of the group", || !group_is_alive(own));
}

/// A copy that still says where it was made.
fn copy_dir(from: &Path, to: &Path) {
    copy_all(from, to);
    for run in std::fs::read_dir(to.join("runs")).unwrap() {
        let journal = run.unwrap().path().join(".run/journal.jsonl");
        let text = std::fs::read_to_string(&journal).unwrap();
        std::fs::write(
            &journal,
            text.replace(to.to_str().unwrap(), from.to_str().unwrap()),
        )
        .unwrap();
    }
}

#[test]
fn a_second_driver_is_kept_out_when_the_lease_is_removed() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &FLOW.replace(
            "[[test, -e,",
            "[[sh, -c, 'for i in $(seq 2000); do test -e $0 && break; sleep 0.05; done',",
        ),
    );
    let driver = env.start(&["run", "flow", "flow.yaml"]);
    wait_for("the child", || {
        env.runs()
            .pop()
            .is_some_and(|run| process_started(&run).is_some())
    });
    std::fs::remove_file(env.last_run().join(".run/lease")).unwrap();
    let shown = env.run(&["runs", "show", "last", "--json"]).expect(0);
    assert_eq!(shown.json("cli_runs_show")["status"], "running");
    let refused = env.run(&["resume", "last"]).expect(4);
    assert!(refused.stderr.contains("error[lease_held]"), "{refused}");
    env.write("open", "");
    drop(env.finish(driver).expect(0));
    drop(env.run(&["runs", "verify", "last"]).expect(0));
    assert_eq!(records(&env.last_run(), "run_resumed").len(), 0);
    env.is_checked();
}
