//! Runs of other users and of other machines: what they name is touched only if the user trusts them.

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::crashes::copy_tree;
use crate::failures::process_started;
use crate::harness::{TestEnvironment, edit_journal, edit_journal_elsewhere, journal, records};
use crate::waiting::wait_until;

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

/// Has a driver of another user write the journal of a run, on another machine.
pub(crate) fn driven_elsewhere(run: &Path) {
    edit_journal_elsewhere(run, |record| {
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
    error[only_foreign_runs]: no such run is signed with your key; of the others the newest is `run_00000000_000000_000002`
      hint: name it by its id; `resume`, `answer` and `run step` also ask for `--trust`, because its `.run/definition.json` says what they execute
    ---- exit code 4
    ");
    let refused = env.unchanged(&["resume", &foreign]).expect(4);
    assert!(refused.stderr.contains("error[foreign_run]"), "{refused}");
    assert!(
        refused
            .stderr
            .contains("it was driven last on `elsewhere.example` in `"),
        "{refused}"
    );
    assert!(refused.stderr.contains("add `--trust`"), "{refused}");
    // What the user would agree to.
    assert!(refused.stderr.contains("would execute:\n"), "{refused}");
    let acts = refused
        .stderr
        .lines()
        .find(|line| line.starts_with("  f.acts  command  "));
    assert!(acts.is_some_and(|acts| acts.contains("acted")), "{refused}");
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
fn a_run_that_was_moved_is_still_the_users_own() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env.write("open", "");
    std::fs::rename(env.project().join("runs"), env.project().join("moved")).unwrap();
    drop(env.run(&["resume", "last", "--run-root", "moved"]).expect(0));
    assert!(env.project().join("acted").exists());
}

/// The journal of a run that was written by hand: nothing in it is signed.
#[test]
fn a_run_that_is_not_signed_is_resumed_only_if_it_is_trusted() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env.write("open", "");
    let file = env.last_run().join(".run/journal.jsonl");
    let unsigned: Vec<Value> = journal(&env.last_run())
        .into_iter()
        .map(|mut record| {
            record.as_object_mut().unwrap().shift_remove("mac");
            record
        })
        .collect();
    std::fs::write(&file, dad_tests::seal(&unsigned)).unwrap();
    drop(env.unchanged(&["resume", "last"]).expect(4));
    let run = id(&env);
    let refused = env.unchanged(&["resume", &run]).expect(4);
    assert!(refused.stderr.contains("is not signed"), "{refused}");
    // A line with a code of another key, or one that only says that the run is trusted, changes nothing.
    let mut forged = unsigned.clone();
    let seq = forged.len() + 1;
    let trusts = forged[seq - 2]["sum"].clone();
    forged.push(json!({ "seq": seq, "at": forged[0]["at"], "type": "trusted", "trusts": trusts, "mac": "" }));
    std::fs::write(&file, dad_tests::seal_with(&forged, &[9; 32])).unwrap();
    drop(env.unchanged(&["resume", &run]).expect(4));
    std::fs::write(&file, dad_tests::seal(&unsigned)).unwrap();

    drop(env.run(&["resume", &run, "--trust"]).expect(0));
    assert_eq!(records(&env.last_run(), "trusted").len(), 1);
    // From here on it is the user's own.
    drop(env.run(&["runs", "verify", "last"]).expect(0));
}

/// Without the key, what a resume obeys cannot be changed.
#[test]
fn a_changed_run_is_no_longer_the_users_own() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    env.write("open", "");
    let run = id(&env);
    let file = env.last_run().join(".run/journal.jsonl");
    let own = std::fs::read_to_string(&file).unwrap();
    let records = journal(&env.last_run());
    for number in 0..records.len() {
        let mut changed = records.clone();
        changed[number]["at"] = json!("2020-01-01T00:00:00Z");
        // Its sums are right, and the codes of the other lines are the user's own.
        let mut text = String::new();
        for (line, record) in dad_tests::seal(&changed).lines().zip(&records) {
            let mut kept: Value = serde_json::from_str(line).unwrap();
            kept["mac"] = record["mac"].clone();
            text += &format!("{kept}\n");
        }
        std::fs::write(&file, dad_tests::with_sums(&text)).unwrap();
        let refused = env.unchanged(&["resume", &run]).expect(4);
        assert!(
            refused.stderr.contains("error[foreign_run]"),
            "{number}: {refused}"
        );
    }
    std::fs::write(&file, own).unwrap();
    drop(env.run(&["resume", &run]).expect(0));
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
        &FLOW.replace(
            "[[test, -e,",
            "[[sh, -c, 'test -e $0 || { : > $0.began; sleep 600; }',",
        ),
    );
    let mut driver = env.start(&["run", "flow", "flow.yaml"]);
    wait_until("the child", || {
        env.runs()
            .pop()
            .is_some_and(|run| process_started(&run).is_some())
    });
    // Until it has looked, it may see what lets it end.
    wait_until("its look", || env.project().join("open.began").exists());
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
    let cases: [(Change, Option<&str>); 5] = [
        (|_| (), Some("none of its processes has the token of the run")),
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
    // It still says where it was made.
    copy_tree(&env.project(), &copy.project());
    drop(copy.run(&["resume", &id(&copy), "--trust"]).expect(0));
    assert!(group_is_alive(own));
    // The original ends it.
    drop(env.run(&["resume", "last"]).expect(0));
    wait_until("the end of the group", || !group_is_alive(own));
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
    wait_until("the child", || {
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
