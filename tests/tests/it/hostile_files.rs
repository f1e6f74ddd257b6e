//! Pipes, directories, links and damage in the place of files of a run: every command ends and says what is wrong, and
//! what was accepted before is not lost.
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{TestEnvironment, records};
use crate::waiting::wait_until;

/// No command takes so long unless it waits for something that never comes.
const PATIENCE: Duration = Duration::from_secs(60);

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// The end of a command.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Calls `dhenara`, which must end by itself. Nothing else of the test looks at the runs: it would wait as well.
fn ends(env: &TestEnvironment, args: &[&str]) -> Ended {
    let mut child = env.start(args);
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{args:?} did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(ended.code.is_some_and(|code| code != 101), "{args:?}: {ended:?}");
    ended
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

const WAITS: &str = "\
schema_version: 1
kind: flow
root_id: w
elements:
  - { node: first, type: command, settings: { commands: [[echo, first]] } }
  - { node: asks, type: command, requires_approval: true, settings: { commands: [[echo, second]] } }
";

#[test]
fn no_command_waits_for_a_pipe_in_the_place_of_a_file() {
    let prepared = TestEnvironment::new();
    prepared.write("flow.yaml", WAITS);
    prepared.write("inputs.json", r#"{"first": {"env_vars": {"A": "x"}}}"#);
    let args = [
        "run",
        "flow",
        "flow.yaml",
        "--no-input",
        "--static-inputs",
        "inputs.json",
    ];
    drop(prepared.run(&args).expect(3));
    let run = prepared.last_run();
    let names: Vec<PathBuf> = files_below(&run)
        .iter()
        .map(|file| file.strip_prefix(&run).unwrap().to_path_buf())
        .collect();
    assert!(names.len() > 12, "{names:?}");
    // Each command alone, because some of them change the run.
    let commands: [&[&str]; 7] = [
        &["runs", "list"],
        &["runs", "show", "last"],
        &["runs", "verify", "last"],
        &["runs", "why", "last", "first"],
        &["runs", "prune", "--keep-last", "9", "--dry-run"],
        &["answer", "last", "--approve"],
        &[
            "run",
            "flow",
            "flow.yaml",
            "--no-input",
            "--previous-run-id",
            "last",
        ],
    ];
    for name in &names {
        for command in commands {
            let env = TestEnvironment::new();
            env.is_checked();
            crate::crashes::copy_all(&prepared.project(), &env.project());
            let file = env.last_run().join(name);
            std::fs::remove_file(&file).unwrap();
            make_pipe(&file);
            drop(ends(&env, command));
        }
    }
}

#[test]
fn a_pipe_in_the_place_of_a_journal_hides_no_other_run() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", WAITS);
    for _ in 0..2 {
        drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    }
    let journal = env.last_run().join(".run/journal.jsonl");
    std::fs::remove_file(&journal).unwrap();
    make_pipe(&journal);
    let listed = ends(&env, &["runs", "list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_eq!(
        listed.stdout.lines().count(),
        2,
        "one run below the titles: {listed:?}"
    );
    assert!(listed.stderr.contains("left out: "), "{listed:?}");
    env.is_checked();
}

#[test]
fn no_file_of_a_run_is_read_or_scanned_whatever_its_length() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", WAITS);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    let run = env.last_run();
    for name in [
        ".run/lease",
        ".run/definition.json",
        ".run/spans.json",
        ".trace/trace.jsonl",
    ] {
        let file = run.join(name);
        let before = std::fs::read(&file).unwrap();
        // Takes no room on the disk.
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(30 << 30)
            .unwrap();
        let began = Instant::now();
        drop(ends(&env, &["resume", "last", "--no-input"]));
        assert!(began.elapsed() < PATIENCE, "{name}");
        std::fs::write(&file, before).unwrap();
    }
    let pipe = env.project().join("inputs.json");
    make_pipe(&pipe);
    let refused = ends(
        &env,
        &["run", "flow", "flow.yaml", "--static-inputs", "inputs.json"],
    );
    assert_eq!(refused.code, Some(2), "{refused:?}");
    env.is_checked();
}

const LIVES: &str = "\
schema_version: 1
kind: flow
root_id: w
elements:
  - parallel: both
    elements:
      - { node: asks, type: command, requires_approval: true, settings: { commands: [[echo, approved]] } }
      - { node: long, type: command, settings: { commands: [\"for i in $(seq 2000); do test -e $var{project_root}/open && break; sleep 0.05; done\"] } }
";

/// Puts things into an inbox that are no messages.
fn litter(inbox: &Path, outside: &Path) {
    std::fs::create_dir_all(inbox).unwrap();
    make_pipe(&inbox.join("aa_pipe.json"));
    std::fs::create_dir(inbox.join("ab_dir")).unwrap();
    symlink("nowhere", inbox.join("ac_dangling")).unwrap();
    symlink(outside, inbox.join("ad_outside")).unwrap();
    std::fs::write(inbox.join("ae_text"), "no message").unwrap();
    let huge = std::fs::File::create(inbox.join("af_huge.json")).unwrap();
    // Takes no room on the disk.
    huge.set_len(8 << 30).unwrap();
}

#[test]
fn what_is_no_message_in_an_inbox_loses_none() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", LIVES);
    let running = env.start(&["run", "flow", "flow.yaml", "--no-input"]);
    let has = |kind: &str| {
        env.runs().pop().is_some_and(|run| {
            let text = std::fs::read_to_string(run.join(".run/journal.jsonl")).unwrap_or_default();
            text.contains(&format!("\"type\":\"{kind}\""))
        })
    };
    wait_until("the question", || has("question") && has("process_started"));
    litter(&env.last_run().join(".run/inbox"), Path::new("/etc/hostname"));
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    wait_until("the answer", || has("answered"));
    env.write("open", "");
    let output = env.finish(running).expect(0);
    assert!(
        output.stderr.contains("a message to the run is ignored"),
        "{output}"
    );
    assert_eq!(
        std::fs::read_to_string(env.last_run().join("w/both/asks/stdout.log")).unwrap(),
        "approved\n"
    );
    env.is_checked();
}

#[test]
fn a_littered_inbox_stops_neither_an_answer_nor_a_resume() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", WAITS);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    litter(&env.last_run().join(".run/inbox"), Path::new("/etc/hostname"));
    let answered = ends(&env, &["answer", "last", "--approve"]);
    assert_eq!(answered.code, Some(0), "{answered:?}");
    env.is_checked();
}

#[test]
fn a_signal_ends_a_run_whose_inbox_is_littered() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", LIVES);
    let running = env.start(&["run", "flow", "flow.yaml", "--no-input"]);
    wait_until("the run", || {
        env.runs()
            .pop()
            .is_some_and(|run| run.join(".run/questions").is_dir())
    });
    litter(&env.last_run().join(".run/inbox"), Path::new("/etc/hostname"));
    env.signal(&running, "TERM");
    drop(env.finish(running).expect(130));
    env.is_checked();
}

#[test]
fn a_denial_may_be_as_long_as_an_argument() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &WAITS.replace("requires_approval: true", "pre_events: [node_input_required]"),
    );
    let reason = format!("because {}", "\u{1}x".repeat(50_000));
    for flow in [
        WAITS,
        &WAITS.replace("requires_approval: true", "pre_events: [node_input_required]"),
    ] {
        env.write("flow.yaml", flow);
        drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
        let denied = env.run(&["answer", "last", "--deny", &reason]).expect(1);
        assert!(denied.stderr.contains("because"), "{}", denied.stderr.len());
        // It ended as failed, and can be resumed: the step asks again.
        let sealed = records(&env.last_run(), "run_sealed");
        assert_eq!(sealed.last().unwrap()["status"], "failed");
        drop(env.run(&["resume", "last", "--no-input"]).expect(3));
    }
}

#[test]
fn an_answer_that_no_driver_would_read_is_not_accepted() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &WAITS.replace("requires_approval: true", "pre_events: [node_input_required]"),
    );
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    let long = format!(r#"{{"env_vars": {{"A": "{}"}}}}"#, "x".repeat(17 << 20));
    env.write("long.json", &long);
    let refused = env
        .unchanged(&["answer", "last", "--input", "@long.json", "--no-resume"])
        .expect(2);
    assert!(refused.stderr.contains("error[message_too_long]"), "{refused}");
    drop(env.run(&["answer", "last", "--input", "{}"]).expect(0));
}

#[test]
fn damage_has_an_exit_code_of_its_own() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", WAITS);
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    let journal = env.last_run().join(".run/journal.jsonl");
    let whole = std::fs::read_to_string(&journal).unwrap();
    let run = env.last_run().file_name().unwrap().to_str().unwrap().to_owned();
    for damaged in [
        format!("{whole}garbage\n"),
        whole.replace("\"schema_version\":2", "\"schema_version\":99"),
    ] {
        std::fs::write(&journal, damaged).unwrap();
        for args in [
            &["runs", "show", &run][..],
            &["runs", "verify", &run],
            &["resume", &run],
            &["answer", &run, "--approve"],
        ] {
            drop(env.unchanged(args).expect(5));
        }
    }
    std::fs::write(&journal, whole).unwrap();
    std::fs::remove_file(env.last_run().join("w/first/result.json")).unwrap();
    drop(env.unchanged(&["runs", "verify", &run]).expect(5));
    env.is_checked();
}
