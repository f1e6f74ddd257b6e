//! Answers of any shape and from any place: the wrong ones are refused where they are given and fail no step, and a question
//! at a terminal can be answered from elsewhere.

use std::path::Path;

use dhenara::builtin_nodes;
use dhenara::run::{Answer, RunView};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, records};
use crate::pty::ENTER;

/// Asks for a command, then for approval.
const FLOW: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: ask, type: command, pre_events: [node_input_required], settings: { commands: [[echo, asked]] } }
  - { node: gate, type: command, requires_approval: true, settings: { commands: [[echo, approved]] } }
"#;

const RUN: [&str; 4] = ["run", "flow", "flow.yaml", "--no-input"];

fn waiting() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    drop(env.run(&RUN).expect(3));
    env
}

fn given(value: Value) -> Answer {
    Answer::Given {
        source: "a test".to_owned(),
        value,
    }
}

fn view(env: &TestEnvironment) -> RunView {
    RunView::open(env.last_run()).unwrap()
}

/// Puts an answer into the inbox without a check, as any program may.
fn put(run: &Path, question: &str, input: &Value) {
    let message = json!({
        "schema_version": 1, "at": "2026-01-01T00:00:00Z", "source": "a program", "kind": "answer",
        "question": question, "input": input,
    });
    let inbox = run.join(".run/inbox");
    std::fs::create_dir_all(&inbox).unwrap();
    std::fs::write(inbox.join(format!("{question}.json")), message.to_string()).unwrap();
}

fn open_question(env: &TestEnvironment) -> String {
    view(env).open_question(None).unwrap().id.clone()
}

#[test]
fn a_program_is_refused_where_it_answers_and_may_try_again() {
    let env = waiting();
    let types = builtin_nodes();
    let view = view(&env);
    for (which, value, code) in [
        (Some("no_such_question"), json!({}), "unknown_question"),
        (Some("gate"), json!({}), "unknown_question"),
        (None, json!({ "nonsense": 1 }), "invalid_input"),
        (Some("ask"), json!(true), "invalid_input"),
        (
            Some("ask"),
            json!({ "settings_override": { "comands": [] } }),
            "invalid_input",
        ),
    ] {
        let refused = view.answer(which, given(value), &types).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
    assert!(!env.last_run().join(".run/inbox").exists());
    let right = json!({ "settings_override": { "commands": [["echo", "other"]] } });
    assert!(view.answer(Some("ask"), given(right), &types).unwrap());
    drop(env.run(&["resume", "last", "--no-input"]).expect(3));

    let view = RunView::open(env.last_run()).unwrap();
    for value in [
        json!(true),
        json!({ "approve": "yes" }),
        json!({ "input": { "nonsense": 1 } }),
    ] {
        let refused = view.answer(Some("gate"), given(value), &types).unwrap_err();
        assert_eq!(refused.code(), "invalid_input", "{refused}");
    }
    assert!(
        view.answer(None, given(json!({ "approve": true })), &types)
            .unwrap()
    );
    drop(env.run(&["resume", "last", "--no-input"]).expect(0));
}

#[test]
fn the_command_refuses_the_same_and_says_what_there_is() {
    let env = waiting();
    let refused = |args: &[&str]| {
        env.shown(
            &env.unchanged(&[&["answer", "last"], args].concat())
                .expect(2)
                .stderr,
        )
    };
    assert_snapshot!(refused(&["--input", "true"]), @"
    error[invalid_input]: the answer does not fit the question: an input must be an object
      hint: answer it by `dhenara answer run_00000000_000000_000001 --input '{}'`; its fields are `env_vars`, `commands`, `settings_override`; `--input @FILE` reads a file, `--deny REASON` refuses
    ");
    assert_snapshot!(refused(&["gate", "--approve"]), @r#"
    error[unknown_question]: `gate` names no question of `run_00000000_000000_000001`, and no step or component that asks
      hint: open questions: flow_root.ask (input_6fdbdd12dee3)
    "#);
    assert_snapshot!(refused(&["gaet", "--approve"]), @r#"
    error[unknown_question]: `gaet` names no question of `run_00000000_000000_000001`, and no step or component that asks
      hint: open questions: flow_root.ask (input_6fdbdd12dee3)
    "#);
    drop(env.run(&["answer", "last", "--input", "{}"]).expect(3));
    assert_snapshot!(refused(&["ask", "--input", "{}"]), @r#"
    error[unknown_question]: `ask` of `run_00000000_000000_000001` asks nothing
      hint: open questions: flow_root.gate (approval_77318581c133)
    "#);
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    assert_snapshot!(refused(&["--approve"]), @"
    error[nothing_to_resume]: there is no unfinished run
      hint: runs are looked for in `[root]/project/runs`
    ");
}

#[test]
fn an_answer_of_the_wrong_shape_in_the_inbox_fails_no_step() {
    let env = waiting();
    let run = env.last_run();
    let mut asked = Vec::new();
    for (wrong, right) in [
        (json!({ "nonsense": 1 }), ["--input", "{}"].as_slice()),
        (json!({ "approve": 7 }), &["--approve"]),
    ] {
        for _ in 0..2 {
            let question = open_question(&env);
            put(&run, &question, &wrong);
            let said = env.run(&["resume", "last", "--no-input"]).expect(3);
            assert!(
                said.stderr.contains("an answer of the wrong shape was refused"),
                "{said}"
            );
            asked.push(question);
        }
        let again = records(&run, "question").pop().unwrap();
        assert!(again["asked_again"]["refused"].is_string(), "{again}");
        drop(env.run(&[&["answer", "last", "--no-input"], right].concat()));
    }
    assert_eq!(view(&env).status, dhenara::RunStatus::Completed);
    asked.dedup();
    assert_eq!(asked.len(), 4, "each time it is another question");
    assert!(records(&run, "attempt_failed").is_empty());
}

#[test]
fn an_answer_of_the_wrong_shape_to_a_run_that_goes_on_is_asked_for_again() {
    let env = TestEnvironment::new();
    let elements = FLOW.split_once("elements:\n").unwrap().1.lines().next().unwrap();
    env.write(
        "flow.yaml",
        &format!(
            "schema_version: 1\nkind: flow\nelements:\n  - parallel: both\n    elements:\n    {elements}\n      - {{ node: long, type: \
             command, settings: {{ commands: [\"while ! test -e $var{{project_root}}/go; do sleep 0.05; done\"] }} }}\n"
        ),
    );
    let child = env.start(&RUN);
    let until = |is_so: &dyn Fn() -> bool| {
        let begun = std::time::Instant::now();
        while !is_so() {
            assert!(begun.elapsed().as_secs() < 60, "it does not come");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    let questions = || env.runs().first().map_or(0, |run| records(run, "question").len());
    until(&|| questions() == 1);
    let run = env.last_run();
    put(&run, &open_question(&env), &json!([]));
    until(&|| questions() == 2);
    drop(env.run(&["answer", "last", "--input", "{}"]).expect(0));
    until(&|| !records(&run, "answered").is_empty());
    std::fs::write(env.project().join("go"), "").unwrap();
    drop(env.finish(child).expect(0));
}

#[test]
fn a_question_at_a_terminal_is_answered_from_elsewhere() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let terminal = env.dhenara_at_terminal(&RUN[..3]);
    terminal.shows("ask asks for its input");
    let listed = env.run(&["runs", "list"]).expect(0);
    assert!(listed.stdout.contains("\nrunning"), "{listed}");
    let shown = env.run(&["runs", "show", "last"]).expect(0);
    assert!(shown.stdout.contains("dhenara answer "), "{shown}");
    drop(
        env.run(&[
            "answer",
            "last",
            "--input",
            r#"{"settings_override": {"commands": [["echo", "elsewhere"]]}}"#,
        ])
        .expect(0),
    );
    terminal.shows("Shall it be executed?");
    let refused = env.unchanged(&["answer", "last", "--input", "true"]).expect(2);
    assert!(refused.stderr.contains("an approval is an object"), "{refused}");
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    let end = terminal.ends();
    assert!(end.status.contains('0'), "{}", end.status);
    let answered = records(&env.last_run(), "answered");
    let by: Vec<&Value> = answered.iter().map(|answer| &answer["by"]).collect();
    assert_eq!(by, ["outside", "outside"]);
    assert_eq!(answered[0]["source"], "dhenara answer");
    assert_snapshot!(end.screen, @r#"
    run_00000000_000000_000001
    flow_root
    ? flow_root.ask asks for its input
      $ echo asked
      Which commands?
      ✓ ask                           [time]  1 command
    ? flow_root.gate needs approval
      in [root]/project/runs/run_00000000_000000_000001
      $ echo approved
      (what the programs themselves read is not covered)
    Shall it be executed?
      ✓ gate                          [time]  1 command

    completed run_00000000_000000_000001 in [time]
      steps     2 completed
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.gate
    "#);
}

#[test]
fn what_is_answered_at_the_terminal_is_no_longer_asked_elsewhere() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        &FLOW.replace("pre_events: [node_input_required], ", ""),
    );
    let terminal = env.dhenara_at_terminal(&RUN[..3]);
    terminal.shows("Shall it be executed?");
    let question = open_question(&env);
    terminal.press(crate::pty::UP).press(ENTER);
    drop(terminal.ends());
    let run = env.last_run();
    let answered = records(&run, "answered").pop().unwrap();
    assert_eq!(
        (&answered["by"], &answered["id"]),
        (&json!("handler"), &json!(question))
    );
    let name = run.file_name().unwrap().to_str().unwrap();
    let refused = env.unchanged(&["answer", name, &question, "--deny", "no"]);
    assert_ne!(refused.code, Some(0), "{refused}");
}

#[test]
fn a_person_who_is_killed_at_a_prompt_is_answered_from_elsewhere() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", FLOW);
    let terminal = env.dhenara_at_terminal(&RUN[..3]);
    terminal.shows("ask asks for its input").signal("KILL");
    terminal.wait("the end of the run", |_| {
        env.run(&["runs", "list"]).stdout.contains("\ninterrupted")
    });
    // It left the terminal as it was, and nothing mends that.
    env.is_checked();
    drop(terminal);
    let question = open_question(&env);
    drop(
        env.run(&["answer", "last", &question, "--input", "{}", "--no-input"])
            .expect(3),
    );
    assert_eq!(records(&env.last_run(), "question").len(), 2, "asked once each");
}

#[test]
fn an_answer_that_cannot_resume_its_run_says_that_it_is_recorded() {
    let env = waiting();
    let run = env.last_run();
    // What is to hold the steps' files is no directory.
    std::fs::remove_dir(run.join(".run/stage")).unwrap();
    std::fs::write(run.join(".run/stage"), "").unwrap();
    let said = env.run(&["answer", "last", "--input", "{}", "--no-input"]);
    assert_ne!(said.code, Some(0));
    assert_snapshot!(env.shown(&said.stderr), @r#"
    error[file_operation]: cannot open the directory `[root]/project/runs/run_00000000_000000_000001/.run/stage`: Not a directory (os error 20); the answer is recorded
      hint: `dhenara resume run_00000000_000000_000001` resumes the run with it
    "#);
    std::fs::remove_file(run.join(".run/stage")).unwrap();
    drop(env.run(&["resume", "last", "--no-input"]).expect(3));
    assert_eq!(records(&run, "answered").len(), 1);
}
