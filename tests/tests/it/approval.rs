//! Somebody agrees before a step executes, or does not.

use std::sync::{Arc, Mutex};

use dhenara::core::Definition;
use dhenara::definition::load_str;
use dhenara::events::ApprovalRequiredEvent;
use dhenara::run::{RunContextBuilder, RunView};
use dhenara::runner::Runner;
use dhenara::{HandlerError, RunStatus};
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, records};
use crate::nodes::context;

const STEPS: &str = r#"schema_version: 1
kind: flow
variables: { greeting: hello }
output: "$expr{ $hier{say}.outcome.results[0].stdout }"
elements:
  - node: say
    type: command
    requires_approval: true
    settings: { commands: [[echo, "$expr{greeting} you"]] }
  - node: files
    type: file_operation
    requires_approval: true
    settings:
      base_directory: "$var{project_root}/tree"
      operations:
        - { type: edit_file, path: old.txt, edits: [{ old_text: before, new_text: after }] }
  - subflow: part
    requires_approval: true
    post_events: [part_done]
    variables: { deep: "$expr{greeting}!" }
    elements:
      - { node: end, type: command, settings: { commands: [[echo, "$expr{deep}"]] } }
"#;

fn project() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("flow.yaml", STEPS);
    env.write("tree/old.txt", "before\n");
    env
}

#[test]
fn what_is_about_to_happen_is_shown_and_waits() {
    let env = project();
    insta::assert_snapshot!(env.run(&["run", "flow", "flow.yaml"]).expect(3), @"
    ---- stderr
    run_00000000_000000_000001
    flow_root
      ? say                           waits for approval

    waiting run_00000000_000000_000001 in [time]
      steps     0 completed
      asks      flow_root.say
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara answer run_00000000_000000_000001
    ---- exit code 3
    ");
    insta::assert_snapshot!(env.run(&["runs", "show", "last"]).expect(0), @"
    run_00000000_000000_000001  waiting
      made      0000-00-00 00:00:00 UTC, took [time]
      artifacts [root]/project/runs/run_00000000_000000_000001
      approve   flow_root.say: `dhenara answer run_00000000_000000_000001 --approve`
      flow_root  waiting
        ? say                           waits for approval
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.run(&["runs", "show", "last", "say"]).expect(0), @"
    flow_root.say  waiting
    waits for approval (approval_5b7dcc35599e)
    in [root]/project/runs/run_00000000_000000_000001
    $ echo 'hello you'
      artifacts [root]/project/runs/run_00000000_000000_000001/flow_root/say
    ---- exit code 0
    ");
    let shown = env
        .run(&["runs", "show", "last", "--json"])
        .expect(0)
        .json("cli_runs_show");
    assert_eq!(shown["open_questions"][0]["kind"], "approval");
    insta::assert_snapshot!(env.run(&["answer", "last"]).expect(2), @r#"
    ---- stderr
    error[no_answer]: nothing is said to answer `flow_root.say` with
      hint: write `--approve`, `--deny REASON`, or `--input '{"input": …}'` for another input
    ---- exit code 2
    "#);
    for wrong in [
        "{}",
        "{\"approve\": 1}",
        "{\"approve\": true, \"input\": {}}",
        "{\"input\": {\"command\": []}}",
        "[]",
    ] {
        let refused = env.run(&["answer", "last", "--input", wrong]).expect(2);
        assert!(
            refused.stderr.contains("error[invalid_input]: in the answer, "),
            "{wrong}: {refused}"
        );
    }

    // Another input is worked out and asked about again; the first answer does not hold for it.
    let other = json!({ "input": { "commands": [["echo", "it's another"]] } }).to_string();
    drop(env.run(&["answer", "last", "--input", &other]).expect(3));
    let again = env.run(&["runs", "show", "last", "say"]).expect(0);
    assert!(again.stdout.contains(r"$ echo 'it'\''s another'"), "{again}");
    drop(env.run(&["answer", "last", "--approve"]).expect(3));
    insta::assert_snapshot!(env.run(&["runs", "show", "last", "files"]).expect(0), @"
    flow_root.files  waiting
    waits for approval (approval_7993411a5496)
    in [root]/project/tree
    1. edit_file old.txt
    --- a/old.txt
    +++ b/old.txt
    @@ -1 +1 @@
    -before
    +after
      artifacts [root]/project/runs/run_00000000_000000_000001/flow_root/files
    ---- exit code 0
    ");
    assert_eq!(
        std::fs::read_to_string(env.project().join("tree/old.txt")).unwrap(),
        "before\n"
    );
    drop(env.run(&["answer", "last", "--approve"]).expect(3));
    assert_eq!(
        std::fs::read_to_string(env.project().join("tree/old.txt")).unwrap(),
        "after\n"
    );
    let part = env.run(&["runs", "show", "last", "part"]).expect(0);
    assert!(part.stdout.contains("\"deep\": \"hello!\""), "{part}");
    // Whoever refuses may be asked again later.
    let denied = env.run(&["answer", "last", "--deny", "not today"]).expect(1);
    assert!(
        denied
            .stderr
            .contains("flow_root.part: it was not approved: not today"),
        "{denied}"
    );
    drop(env.run(&["resume", "last"]).expect(3));
    let done = env.run(&["answer", "last", "--approve"]).expect(0);
    assert_eq!(done.stdout, "it's another\n");
    let custom = records(&env.last_run(), "custom");
    assert_eq!(custom.last().unwrap()["path"], "flow_root.part");
}

#[test]
fn an_approval_holds_for_what_was_shown_and_is_asked_only_for_what_executes() {
    let env = project();
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    for _ in 0..2 {
        drop(env.run(&["answer", "last", "--approve"]).expect(3));
    }
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    let approved = records(&env.last_run(), "answered");
    assert_eq!(approved.len(), 3);
    assert!(
        approved
            .iter()
            .all(|record| record["kind"] == "approval" && record["facts"].is_string())
    );
    // Nothing changed: the steps are reused without a question, the component is entered and asks.
    let again = ["run", "flow", "flow.yaml", "--previous-run-id", "last"];
    drop(env.run(&again).expect(3));
    let asked = records(&env.last_run(), "question");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["path"], "flow_root.part");
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    // What changed is asked about, with what it would do now.
    let changed: Vec<&str> = again.into_iter().chain(["--var", "greeting=bye"]).collect();
    drop(env.run(&changed).expect(3));
    let shown = env.run(&["runs", "show", "last", "say"]).expect(0);
    assert!(shown.stdout.contains("$ echo 'bye you'"), "{shown}");
}

#[test]
fn a_run_that_was_killed_asks_the_same_question_and_another_definition_another() {
    let env = project();
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    let first = RunView::open(env.last_run()).unwrap();
    let id = first.open_questions().next().unwrap().id.clone();
    drop(env.run(&["resume", "last"]).expect(3));
    assert_eq!(records(&env.last_run(), "question").len(), 1, "asked once");
    env.write("flow.yaml", &STEPS.replace("you\"", "all\""));
    drop(env.run(&["resume", "last", "--definition", "current"]).expect(3));
    let view = RunView::open(env.last_run()).unwrap();
    let open: Vec<_> = view.open_questions().collect();
    assert_eq!(open.len(), 1);
    assert_ne!(open[0].id, id, "what was asked before is not what would happen");
    let question = view.question(&open[0].id).unwrap();
    assert!(question.preview.contains("hello all"), "{}", question.preview);
    let stale = env.run(&["answer", "last", &id, "--approve"]).expect(2);
    assert!(
        stale.stderr.contains("unknown_question") || stale.stderr.contains("path"),
        "{stale}"
    );
}

fn definition() -> Definition {
    load_str(STEPS, "flow.yaml", None, None).unwrap().definition
}

fn steps(env: &TestEnvironment) -> RunContextBuilder {
    context("flow_root", &env.project())
}

#[tokio::test]
async fn a_handler_approves_edits_and_denies() {
    let env = project();
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let sees = Arc::clone(&seen);
    let approves = move |event: ApprovalRequiredEvent| {
        sees.lock()
            .unwrap()
            .push(json!([event.path, event.node_type, event.settings]));
        async move {
            match event.path.leaf() {
                "say" if event.preview.contains("hello") => {
                    event.edit_input(json!({ "commands": [["echo", "edited"]] }))?;
                }
                "part" => event
                    .edit_input(json!({ "variables": { "deep": "other" } }))
                    .or_else(|_| event.approve())?,
                _ => event.approve()?,
            }
            Ok::<_, HandlerError>(())
        }
    };
    // The component is edited for ever by this handler: a second one would have to stop it.
    let asked: Arc<Mutex<u32>> = Arc::default();
    let counts = Arc::clone(&asked);
    let bounded = move |event: ApprovalRequiredEvent| {
        let mut count = counts.lock().unwrap();
        if event.path.leaf() == "part" {
            *count += 1;
        }
        let is_second = *count > 1;
        async move {
            if is_second {
                event.approve()?;
            }
            Ok::<_, HandlerError>(())
        }
    };
    let context = steps(&env).on(bounded).on(approves).build().unwrap();
    let report = Runner::new(definition(), context).run().await.unwrap();
    assert_eq!(report.status, RunStatus::Completed);
    assert_eq!(report.output, Some("edited\n".into()));
    let view = RunView::open(&report.run_dir).unwrap();
    let end = view.result(&"flow_root.part.end".parse().unwrap()).unwrap();
    assert_eq!(end["outcome"]["results"][0]["stdout"], "other\n");
    let seen = seen.lock().unwrap().clone();
    assert_eq!(
        seen[0],
        json!(["flow_root.say", "command", { "commands": [["echo", "hello you"]] }])
    );
    assert_eq!(seen.last().unwrap()[2], json!({ "deep": "hello!" }));

    async fn denies(event: ApprovalRequiredEvent) -> Result<(), HandlerError> {
        Ok(event.deny("never")?)
    }
    let context = steps(&env).on(denies).build().unwrap();
    let failed = Runner::new(definition(), context).run().await.unwrap_err();
    let report = failed.report().unwrap();
    let error = report.error.as_ref().unwrap();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("denied", "it was not approved: never")
    );
    assert!(
        records(&report.run_dir, "step_started").is_empty(),
        "nothing was executed"
    );
}

#[tokio::test]
async fn secrets_are_in_no_question() {
    let env = project();
    env.write("flow.yaml", "");
    let text = STEPS.replace("hello }", "sk-very-secret }");
    let definition = load_str(&text, "flow.yaml", None, None).unwrap().definition;
    let secrets = dhenara::core::SecretRegistry::new();
    secrets.add("sk-very-secret");
    let context = steps(&env).secrets(secrets).build().unwrap();
    let report = Runner::new(definition, context).run().await.unwrap();
    assert_eq!(report.status, RunStatus::Waiting);
    let questions = report.run_dir.join(".run/questions");
    for entry in std::fs::read_dir(questions).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(
            !text.contains("sk-very-secret") && text.contains("preview"),
            "{text}"
        );
    }
}

/// What a person agreed to is what happens: when the files change meanwhile, the person is asked about the new change.
#[test]
fn an_approval_does_not_cover_what_changed_after_it_was_shown() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "\
schema_version: 1
kind: flow
root_id: f
elements:
  - node: edits
    type: file_operation
    requires_approval: true
    settings:
      base_directory: \"$var{project_root}/tree\"
      operations: [{ type: edit_file, path: a.txt, edits: [{ old_text: one, new_text: two }] }]
",
    );
    let file = env.write("tree/a.txt", "one\n");
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    std::fs::write(&file, "one\nand the user's own line\n").unwrap();
    // The answer is to the question that was shown.
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(3));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "one\nand the user's own line\n"
    );
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(0));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "two\nand the user's own line\n"
    );
    let answers = records(&env.last_run(), "answered");
    assert_eq!(answers.len(), 1, "only what was agreed to counts: {answers:?}");
}
