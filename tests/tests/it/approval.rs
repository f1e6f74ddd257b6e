//! Approvals: a person agrees before a step executes, or does not.

use std::sync::{Arc, Mutex};

use dhenara::definition::load_str;
use dhenara::events::ApprovalRequiredEvent;
use dhenara::run::{RunContextBuilder, RunView};
use dhenara::runner::Runner;
use dhenara::types::Definition;
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
    (what the programs themselves read is not covered)
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
    error[no_answer]: no answer is given for `flow_root.say`
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
    assert!(part.stdout.contains("  deep: hello!\n"), "{part}");
    // A person who refuses may be asked again later.
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
    let secrets = dhenara::types::SecretRegistry::new();
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

/// The approved action is the one that executes: when the files change meanwhile, the person is asked about the new change.
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

/// A preview that is too long is shown up to a line with the length of the rest, and the whole of it is in a file.
#[test]
fn a_long_preview_is_cut_and_a_file_has_all_of_it() {
    let env = TestEnvironment::new();
    let content: String = (1..=1000).map(|n| format!("line {n} of many\n")).collect();
    let settings = json!({
        "base_directory": "$var{project_root}/tree",
        "operations": [{ "type": "create_file", "path": "new.txt", "content": content + "key sk-very-secret-value\n" }],
    });
    let flow = json!({
        "schema_version": 1, "kind": "flow", "root_id": "f",
        "elements": [{ "node": "writes", "type": "file_operation", "requires_approval": true, "settings": settings }],
    });
    env.write("flow.json", &flow.to_string());
    std::fs::create_dir_all(env.project().join("tree")).unwrap();
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        "MY_KEY: sk-very-secret-value\n",
    );
    drop(env.run(&["run", "flow", "flow.json"]).expect(3));

    let run = env.last_run();
    let view = RunView::open(&run).unwrap();
    let question = view.question(&view.open_questions().next().unwrap().id).unwrap();
    let file = view.facts_file(&question).unwrap().unwrap();
    let all = std::fs::read_to_string(&file).unwrap();
    assert!(
        all.contains("+line 1000 of many\n") && !all.contains("very-secret"),
        "all of it, masked"
    );
    let (shown, end) = question.preview.rsplit_once('\n').unwrap();
    assert!(all.starts_with(shown) && shown.lines().count() == 200, "{shown}");
    let rest = all.lines().count() - 200;
    let name = &question.facts_file.as_ref().unwrap().path;
    assert!(
        end.starts_with(&format!("[cut here: {rest} more lines, ")),
        "{end}"
    );
    assert!(
        end.ends_with(&format!("all of it is in {name} of the run]")),
        "{end}"
    );
    assert_eq!(run.join(name), file);
    let recorded = &records(&run, "question")[0]["facts_file"];
    assert_eq!(
        *recorded,
        json!({ "blake3": question.facts_file.unwrap().stored.blake3, "len": all.len() })
    );

    let told = file.display().to_string();
    let shown = env.run(&["runs", "show", "last", "writes"]).expect(0);
    assert!(shown.stdout.contains(&format!("all of it {told}")), "{shown}");
    let unanswered = env.run(&["answer", "last"]).expect(2);
    assert!(unanswered.stderr.contains(&told), "{unanswered}");
    drop(env.run(&["runs", "verify", "last"]).expect(0));

    // One that was changed is not what the person is to agree to.
    std::fs::write(&file, all.replace("line 900", "line nine hundred")).unwrap();
    drop(env.run(&["runs", "verify", "last"]).expect(5));
    for command in [
        &["runs", "show", "last", "writes"][..],
        &["answer", "last", "--approve"],
    ] {
        let refused = env.run(command).expect(5);
        assert!(refused.stderr.contains("its digest differs"), "{refused}");
    }
    std::fs::write(&file, &all).unwrap();
    drop(env.run(&["answer", "last", "--approve"]).expect(0));
    let written = std::fs::read_to_string(env.project().join("tree/new.txt")).unwrap();
    assert_eq!(written.lines().count(), 1001);
}

/// A definition with one step of each built-in type, all of which need approval.
fn each_type() -> Value {
    let settings = json!({
        "ai_model_call": { "models": ["a/b"], "prompt": { "text": "Look at this.", "files": ["$var{project_root}/tree/old.txt"] } },
        "command": { "commands": [["cat"], "echo $var{run_id}"], "stdin": "read me", "env_vars": { "A": "b" } },
        "file_operation": {
            "base_directory": "$var{project_root}/tree",
            "operations": [
                { "type": "edit_file", "path": "old.txt", "edits": [{ "old_text": "before", "new_text": "after" }] },
                { "type": "create_file", "path": "deep/new.txt", "content": "new" },
                { "type": "delete_directory", "path": "gone" },
                { "type": "list_directory" },
            ],
        },
        "folder_analyzer": { "base_directory": "$var{project_root}/tree", "operations": [{ "operation_type": "analyze_folder", "path": "." }] },
        "http": { "method": "POST", "url": "https://example.com/$var{run_id}", "body": { "a": "$var{run_id}" } },
    });
    let step = |(name, settings): (&String, &Value)| json!({ "node": name, "type": name, "requires_approval": true, "settings": settings });
    let steps: Vec<Value> = settings.as_object().unwrap().iter().map(step).collect();
    json!({
        "schema_version": 1, "kind": "flow", "root_id": "flow_root",
        "elements": [{ "parallel": "all", "elements": steps }],
    })
}

/// The digest of what each step shows, and the number of its questions.
fn facts(run: &std::path::Path) -> Vec<(String, String)> {
    let view = RunView::open(run).unwrap();
    let mut found: Vec<_> = view
        .open_questions()
        .map(|open| {
            let facts = view.question(&open.id).unwrap().facts.unwrap();
            (open.path.leaf().to_owned(), facts.to_string())
        })
        .collect();
    found.sort();
    found
}

/// Nothing but what would be done counts: neither the time, nor when a file was touched.
#[tokio::test]
async fn what_is_shown_twice_is_the_same_for_every_type_of_node() {
    let env = project();
    env.write("tree/gone/a.txt", "a");
    let definition = load_str(&each_type().to_string(), "flow.json", None, None)
        .unwrap()
        .definition;
    let report = Runner::new(definition.clone(), steps(&env).build().unwrap())
        .run()
        .await
        .unwrap();
    let first = facts(&report.run_dir);
    let types: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    let mut registered = dhenara::nodes::builtin_nodes()
        .type_names()
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    registered.sort();
    assert_eq!(types, registered, "a type without a step here");

    let again = async || {
        let context = steps(&env).build().unwrap();
        drop(
            Runner::resume(definition.clone(), context, &report.run_dir)
                .run()
                .await
                .unwrap(),
        );
        facts(&report.run_dir)
    };
    env.write("tree/old.txt", "before\n");
    assert_eq!(again().await, first);
    assert_eq!(
        records(&report.run_dir, "question").len(),
        types.len(),
        "asked once"
    );

    // What would be done differs: each file that is changed, read or sent, and what stands in a directory that goes.
    env.write("tree/old.txt", "before and more\n");
    env.write("tree/gone/b.txt", "b");
    let differing: Vec<String> = again()
        .await
        .into_iter()
        .filter(|facts| !first.contains(facts))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(differing, ["ai_model_call", "file_operation"]);
}

/// Approves each time, and changes the file that would be edited `changes` times; edits the input when the preview says so.
async fn approved_while_it_changes(changes: u32, edits_at: Option<u32>) -> (Result<String, String>, u32) {
    let env = project();
    let file = env.project().join("tree/old.txt");
    let flow = json!({
        "schema_version": 1, "kind": "flow", "root_id": "flow_root",
        "elements": [{ "node": "files", "type": "file_operation", "requires_approval": true, "settings": {
            "base_directory": "$var{project_root}/tree",
            "operations": [{ "type": "edit_file", "path": "old.txt", "edits": [{ "old_text": "before", "new_text": "after" }] }],
        } }],
    });
    let definition = load_str(&flow.to_string(), "flow.json", None, None)
        .unwrap()
        .definition;
    let asked: Arc<Mutex<u32>> = Arc::default();
    let counts = Arc::clone(&asked);
    let path = file.clone();
    let handler = move |event: ApprovalRequiredEvent| {
        let mut count = counts.lock().unwrap();
        *count += 1;
        let edits = edits_at == Some(*count);
        if !edits && *count <= changes {
            std::fs::write(&path, format!("before {count}\n")).unwrap();
        }
        async move {
            if edits {
                event.edit_input(json!({ "operations": [
                    { "type": "edit_file", "path": "old.txt", "edits": [{ "old_text": "before", "new_text": "edited" }] }
                ] }))?;
            } else {
                event.approve()?;
            }
            Ok::<_, HandlerError>(())
        }
    };
    let report = Runner::new(definition, steps(&env).on(handler).build().unwrap())
        .run()
        .await;
    let ended = match report {
        Ok(_) => Ok(std::fs::read_to_string(&file).unwrap()),
        Err(failed) => Err(failed.report().unwrap().error.clone().unwrap().code),
    };
    let count = *asked.lock().unwrap();
    (ended, count)
}

#[tokio::test]
async fn what_changes_while_it_is_asked_about_is_asked_again_three_times() {
    let (ended, asked) = approved_while_it_changes(2, None).await;
    assert_eq!((ended, asked), (Ok("after 2\n".to_owned()), 3));
    let (ended, asked) = approved_while_it_changes(100, None).await;
    assert_eq!((ended, asked), (Err("world_unstable".to_owned()), 3));
    // What the person changes is another proposal, worked out anew.
    let (ended, asked) = approved_while_it_changes(5, Some(3)).await;
    assert_eq!((ended, asked), (Ok("edited 5\n".to_owned()), 6));
}

#[test]
fn an_approval_of_the_previous_run_is_none_of_the_re_run() {
    let env = project();
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    for code in [3, 3, 0] {
        drop(env.run(&["answer", "last", "--approve"]).expect(code));
    }
    let again = ["run", "flow", "flow.yaml", "--previous-run-id", "last"];
    for more in [&["--fresh"][..], &["--execute", "say"], &["--entry-point", "say"]] {
        drop(env.run(&[&again[..], more].concat()).expect(3));
        let asked = records(&env.last_run(), "question");
        assert_eq!(asked[0]["path"], "flow_root.say", "{more:?}");
        drop(env.run(&["cancel", "last"]));
    }
}

#[test]
fn an_approval_of_a_component_does_not_cover_its_next_visit() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - subflow: inner\n    requires_approval: true\n    elements:\n      \
         - { node: fails, type: command, settings: { commands: [[test, -e, there]] } }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml", "--no-input"]).expect(3));
    drop(env.run(&["answer", "last", "--approve", "--no-input"]).expect(1));
    let said = env.run(&["resume", "last", "--no-input"]).expect(3);
    assert!(said.stderr.contains("flow_root.inner"), "{said}");
}

#[test]
fn what_a_person_would_decide_by_is_what_was_asked() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nroot_id: f\nelements:\n  - { node: act, type: command, requires_approval: true, settings: { commands: [[touch, \"$var{project_root}/acted\"]] } }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    let run = env.last_run();
    let question = std::fs::read_dir(run.join(".run/questions"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let asked = std::fs::read_to_string(&question).unwrap();
    let other = asked.replace("touch", "echo");
    assert_ne!(other, asked);
    std::fs::write(&question, other).unwrap();
    for args in [
        &["answer", "last"][..],
        &["answer", "last", "--input", "{\"approve\": true}"],
    ] {
        let refused = env.unchanged(args);
        assert!(
            refused.stderr.contains("its digest differs"),
            "{args:?}: {refused}"
        );
    }
    let verified = env.run(&["runs", "verify", "last"]).expect(5);
    assert!(
        verified.stdout.contains("it is not the file that was recorded"),
        "{verified}"
    );
    assert!(!env.project().join("acted").exists());
    std::fs::write(&question, asked).unwrap();
    drop(
        env.run(&["answer", "last", "--input", "{\"approve\": true}"])
            .expect(0),
    );
    assert!(env.project().join("acted").exists());
}
