//! Output to a terminal, a pipe, a full disk and a reader that went away.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::harness::{CommandOutput, TestEnvironment, read_json};

/// Sets the clipboard and the title, clears the screen, hides text and turns a line round.
const HOSTILE: &str = "a\u{1b}]52;c;ZXZpbA==\u{7}b\u{1b}[2Jc\u{1b}[8md\u{202e}e\u{200b}f\u{9b}g\r\nh\ti";

/// The same, as a double-quoted text of YAML and JSON.
fn quoted() -> String {
    serde_json::to_string(HOSTILE).unwrap()
}

/// The text as it is shown.
const SHOWN: &str = r"a\u{1b}]52;c;ZXZpbA==\u{7}b\u{1b}[2Jc\u{1b}[8md\u{202e}e\u{200b}f\u{9b}g\r";

fn with_output(output: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &format!(
            "schema_version: 1\nkind: flow\noutput: {output}\nelements:\n  - {{ node: a, type: command, settings: {{ commands: [[\"true\"]] }} }}\n"
        ),
    );
    env
}

const RUN: [&str; 3] = ["run", "flow", "flow.yaml"];

fn dhenara(env: &TestEnvironment) -> Command {
    env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project())
}

fn ended(env: &TestEnvironment, mut command: Command) -> CommandOutput {
    env.finish(command.spawn().unwrap())
}

/// A device on which every write fails as on a full disk.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// The screen of a command whose standard output is the terminal too.
fn on_terminal(env: &TestEnvironment, args: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_dhenara-under-test");
    let script = "\"$@\" >&2";
    let args: Vec<&str> = ["-c", script, "sh", program]
        .iter()
        .chain(args)
        .copied()
        .collect();
    let ended = env.at_terminal("sh", &args, &[]).ends();
    ended.screen
}

#[test]
fn a_terminal_shows_what_it_would_obey_in_a_result() {
    let env = with_output(&quoted());
    let screen = on_terminal(&env, &RUN);
    assert!(screen.contains(SHOWN), "{screen}");
    assert!(screen.contains("\nh       i"), "{screen}");

    let screen = on_terminal(&env, &["run", "flow", "flow.yaml", "--json"]);
    for escape in [r"\u001b]52", r"\u202e", r"\u200b", r"\u009b"] {
        assert!(screen.contains(escape), "{escape}: {screen}");
    }
}

#[test]
fn a_pipe_has_a_result_as_it_is() {
    let env = with_output(&quoted());
    let plain = env.run(&RUN).expect(0);
    assert_eq!(plain.stdout, format!("{HOSTILE}\n"));
    let json = env.run(&["run", "flow", "flow.yaml", "--json"]).expect(0);
    assert_eq!(json.json("cli_run")["output"], HOSTILE);
}

#[test]
fn what_people_read_shows_what_a_terminal_would_obey() {
    let env = TestEnvironment::new();
    let text = quoted();
    env.write(
        "flow.yaml",
        &format!(
            "schema_version: 1\nkind: flow\nelements:\n  - {{ node: fails, type: command, on_error: continue, settings: {{ commands: [[sh, -c, \"printf %s \\\"$1\\\"; exit 3\", sh, {text}]] }} }}\n  - {{ node: asks, type: command, requires_approval: true, settings: {{ commands: [[echo, {text}]] }} }}\n"
        ),
    );
    let waits = env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3);
    let asks = env.run(&["runs", "show", "last", "asks"]).expect(0);
    let failed = env.run(&["runs", "show", "last", "fails"]).expect(0);
    for (what, output) in [("run", &waits), ("preview", &asks), ("outcome", &failed)] {
        for text in [&output.stdout, &output.stderr] {
            let acts = |c: char| c != '\n' && c != '\t' && !dhenara::types::is_printable(c);
            assert!(!text.contains(acts), "{what}: {text:?}");
        }
    }
    assert!(asks.stdout.contains(r"\u{202e}e\u{200b}f"), "{asks}");

    let mut wrong = dhenara(&env);
    wrong.args(["ru\u{1b}[2Jn\u{202e}"]).stderr(Stdio::piped());
    let wrong = ended(&env, wrong).expect(2);
    assert!(wrong.stderr.contains(r"ru\u{1b}[2Jn\u{202e}"), "{wrong}");
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let env = with_output("done");
    let into_full = |args: &[&str]| {
        let mut command = dhenara(&env);
        command.args(args).stdout(full()).stderr(Stdio::piped());
        ended(&env, command)
    };
    assert_snapshot!(into_full(&RUN), @"
    ---- stderr
    run_00000000_000000_000001
    flow_root
      ✓ a                             [time]  1 command

    completed run_00000000_000000_000001 in [time]
      steps     1 completed
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.a
    error[output]: the result cannot be written to standard output: No space left on device (os error 28)
      hint: make room, or send standard output elsewhere; what the command has done stays done, and `dhenara runs list` shows the runs there are
    ---- exit code 1
    ");
    let run = env.last_run();
    assert_eq!(read_json(&run.join("run_summary.json"))["status"], "completed");
    for args in [
        &["run", "flow", "flow.yaml", "--json"][..],
        &["runs", "list"],
        &["runs", "list", "--json"],
        &["runs", "show", "last"],
        &["runs", "show", "last", "--json"],
        &["runs", "verify", "last"],
        &["schema", "agent"],
        &["validate", "flow.yaml"],
        &["run", "flow", "flow.yaml", "--dry-run"],
        &["--help"],
        &["--version"],
    ] {
        let output = into_full(args).expect(1);
        assert!(
            output
                .stderr
                .contains("error[output]: the result cannot be written to standard output"),
            "{args:?}: {output}"
        );
    }
    // An error that cannot be printed as JSON goes to standard error.
    let refused = into_full(&["run", "flow", "none.yaml", "--json"]).expect(2);
    assert!(refused.stderr.contains("error[unreadable]"), "{refused}");
}

#[test]
fn messages_that_cannot_be_written_change_nothing() {
    let env = with_output("done");
    env.write(
        "fails.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: [[\"false\"]] } }\n",
    );
    env.write(
        "asks.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, requires_approval: true, settings: { commands: [[\"true\"]] } }\n",
    );
    let quiet = |args: &[&str]| {
        let mut command = dhenara(&env);
        command.args(args).stdout(Stdio::piped()).stderr(full());
        ended(&env, command)
    };
    assert_eq!(quiet(&RUN).expect(0).stdout, "done\n");
    drop(quiet(&["run", "flow", "fails.yaml"]).expect(1));
    drop(quiet(&["run", "flow", "asks.yaml"]).expect(3));
    drop(quiet(&["run", "flow", "none.yaml"]).expect(2));
    drop(quiet(&["no-such-command"]).expect(2));
    let list = quiet(&["runs", "list"]).expect(0);
    assert_eq!(list.stdout.lines().count(), 4, "{list}");
    drop(quiet(&["validate", "fails.yaml"]).expect(0));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let env = with_output("done");
    for args in [
        &RUN[..],
        &["schema", "agent"],
        &["runs", "list", "--json"],
        &["--help"],
    ] {
        let mut command = dhenara(&env);
        let mut child = command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = env.finish(child).expect(0);
        assert!(!output.stderr.contains("error"), "{output}");
    }
}

#[test]
fn the_environment_may_hold_any_bytes() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\noutput: \"$expr{ $hier{a}.outcome.results[0].stdout }\"\nelements:\n  - { node: a, type: command, settings: { commands: [[echo, key-of-bytes-1234]] } }\n",
    );
    let with_bytes = |args: &[&str]| {
        let mut command = dhenara(&env);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["X", "PWD", "LANG", "EDITOR", "VISUAL", "NO_COLOR", "DEPLOY_TOKEN"] {
            command.env(name, OsStr::from_bytes(b"\xffkey-of-bytes-1234\xfe"));
        }
        ended(&env, command)
    };
    let done = with_bytes(&RUN).expect(0);
    assert_eq!(done.stdout, "[redacted]\n", "{done}");
    for args in [
        &["runs", "list"][..],
        &["runs", "show", "last"],
        &["validate", "flow.yaml"],
    ] {
        drop(with_bytes(args).expect(0));
    }
    let done = with_bytes(&["resume", "last"]);
    assert!(done.stderr.contains("error[nothing_to_resume]"), "{done}");
}

#[test]
fn a_directory_and_an_argument_may_have_any_name() {
    let env = with_output("done");
    let dir = env.project().join(OsStr::from_bytes(b"bad-\xff"));
    std::fs::create_dir(&dir).unwrap();
    std::fs::copy(env.project().join("flow.yaml"), dir.join("flow.yaml")).unwrap();
    let bad = OsStr::from_bytes(b"none-\xff.yaml");
    let calls: [&[&OsStr]; 5] = [
        &["run".as_ref(), "flow".as_ref(), bad],
        &["run".as_ref(), "agent".as_ref(), bad],
        &["runs".as_ref(), "show".as_ref(), bad],
        &[
            "run".as_ref(),
            "flow".as_ref(),
            "flow.yaml".as_ref(),
            "--var".as_ref(),
            bad,
        ],
        &["runs".as_ref(), "list".as_ref(), "--project-root".as_ref(), bad],
    ];
    for args in calls {
        let mut command = dhenara(&env);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = ended(&env, command).expect(2);
        assert!(output.stderr.contains("error"), "{output}");
    }
    // As a project or for its runs it is refused, because records hold paths as text.
    let calls: [&[&OsStr]; 2] = [
        &["--project-root".as_ref(), dir.as_os_str()],
        &["--run-root".as_ref(), dir.as_os_str()],
    ];
    for args in calls {
        let mut command = dhenara(&env);
        command
            .args(RUN)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = ended(&env, command).expect(2);
        assert!(output.stderr.contains("its path is no UTF-8 text"), "{output}");
    }
    // In a project: its runs are kept at the project's root.
    let mut command = dhenara(&env);
    command
        .current_dir(&dir)
        .args(RUN)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    assert_eq!(ended(&env, command).expect(0).stdout, "done\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_text_is_reported_as_such() {
    let scripted = crate::models::Scripted::new(vec![crate::models::says("hello")]).await;
    let env = &scripted.env;
    scripted
        .flow("  - { node: ask, type: ai_model_call, settings: { models: [openai/gpt-5], prompt: Hi } }\n");
    let mut command = dhenara(env);
    command
        .args(RUN)
        .env("OPENAI_API_KEY", OsStr::from_bytes(b"\xffkey"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let failed = ended(env, command).expect(2);
    assert!(
        failed.stderr.contains(
            "`OPENAI_API_KEY` cannot be read: the value of this environment variable is no UTF-8 text"
        ),
        "{failed}"
    );
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { env_vars: { T: \"$secret{DEPLOY}\" }, commands: [[\"true\"]] } }\n",
    );
    let mut command = dhenara(env);
    command
        .args(RUN)
        .env("DEPLOY", OsStr::from_bytes(b"\xffkey"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let failed = ended(env, command).expect(2);
    assert!(
        failed
            .stderr
            .contains("the environment variable `DEPLOY` is no UTF-8 text"),
        "{failed}"
    );
}
