//! The steps that a re-run executes and reuses, with the reasons that it gives.

use std::collections::BTreeMap;
use std::path::Path;

use dhenara::run::RunView;
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::harness::{TestEnvironment, read_json, records};

/// A server that answers every prompt with a text of its own, and counts.
async fn model_server(env: &TestEnvironment) -> MockServer {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let prompt = body["messages"].to_string();
        // The run's own id in an answer would differ although nothing changed.
        let text = format!(
            "an answer of {} letters",
            prompt.split("run").next().unwrap().len()
        );
        ResponseTemplate::new(200).set_body_json(json!({
            "id": "1", "object": "chat.completion", "model": "tiny",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
        }))
    };
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let models = format!("- {{ name: local/tiny, base_url: \"{}/v1\" }}\n", server.uri());
    env.write(".dhenara/models.yaml", &models);
    server
}

async fn calls(server: &MockServer) -> usize {
    server.received_requests().await.unwrap_or_default().len()
}

/// The steps of a run by the last part of their path, and whether they were executed.
fn executed(run: &Path) -> Vec<String> {
    let view = RunView::open(run).unwrap();
    let steps = view.steps().filter(|step| !step.is_taken());
    let root = format!("{}.", view.root_id);
    steps
        .map(|step| step.path.as_str().replacen(&root, "", 1))
        .collect()
}

fn rerun(env: &TestEnvironment, more: &[&str]) -> Vec<String> {
    let args = [&["run", "flow", "flow.yaml", "--previous-run-id", "last"], more].concat();
    drop(env.run(&args).expect(0));
    executed(&env.last_run())
}

fn ask(name: &str, prompt: &str) -> String {
    let prompt = Value::from(prompt);
    format!(
        "  - node: {name}\n    type: ai_model_call\n    settings: {{ models: [local/tiny], prompt: {prompt} }}\n"
    )
}

/// The refusal of a re-run.
fn refused(env: &TestEnvironment, more: &[&str]) -> String {
    let args = [&["run", "flow", "flow.yaml", "--previous-run-id", "last"], more].concat();
    env.shown(&env.unchanged(&args).expect(2).stderr)
}

/// Ten steps: one looks at files, three name the run in their prompt, the ninth uses the seventh.
fn ten_steps() -> String {
    let look = "  - node: s1\n    type: folder_analyzer\n    settings:\n      base_directory: \"$var{project_root}/src\"\n      \
                operations: [{ operation_type: analyze_folder, path: ., content_read_mode: full }]\n";
    let steps = [
        look.to_owned(),
        ask("s2", "The files: $expr{ $hier{s1}.outcome.results }"),
        ask("s3", "This is $var{run_id} in $var{run_dir}."),
        ask("s4", "In $var{run_dir}: $expr{ $hier{s3}.outcome.text }"),
        ask("s5", "Summarise $expr{ $hier{s2}.outcome.text }"),
        ask("s6", "Alone"),
        ask("s7", "First line\nSecond line of $var{run_id}\n"),
        ask("s8", "Of the third: $expr{ $hier{s3}.outcome.text }"),
        ask("s9", "Of the seventh: $expr{ $hier{s7}.outcome.text }"),
        ask("s10", "The end"),
    ];
    format!("schema_version: 1\nkind: flow\nelements:\n{}", steps.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_executes_and_what_depends_on_it() {
    let env = TestEnvironment::new();
    let server = model_server(&env).await;
    env.write("src/a.rs", "fn a() {}\n");
    env.write("src/b.rs", "fn b() {}\n");
    env.write("flow.yaml", &ten_steps());
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    assert_eq!(calls(&server).await, 9);

    // Nothing changed, again and again: the runs before stand in results that were taken over.
    assert!(rerun(&env, &[]).is_empty());
    assert!(rerun(&env, &[]).is_empty());
    assert_eq!(calls(&server).await, 9);

    env.write("flow.yaml", &ten_steps().replace("First line", "Another line"));
    let dry = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        "last",
        "--dry-run",
    ];
    insta::assert_snapshot!(env.unchanged(&dry).expect(0), @"
    reuse    flow_root.s1  nothing that is compared changed, from run_00000000_000000_000001
    reuse    flow_root.s2  nothing that is compared changed, from run_00000000_000000_000001
    reuse    flow_root.s3  nothing that is compared changed, from run_00000000_000000_000001
    reuse    flow_root.s4  nothing that is compared changed, from run_00000000_000000_000001
    reuse    flow_root.s5  nothing that is compared changed, from run_00000000_000000_000001
    reuse    flow_root.s6  nothing that is compared changed, from run_00000000_000000_000001
    execute  flow_root.s7  its settings, its input or what it reads changed
    reuse    flow_root.s8  nothing that is compared changed, from run_00000000_000000_000001
    depends  flow_root.s9  decided when the re-run reaches it; depends on flow_root.s7
    reuse    flow_root.s10  nothing that is compared changed, from run_00000000_000000_000001
    ---- stderr
    re-run of rerun_00000000_000000_000003: 8 reused (saves 77 tokens), 1 to execute, 1 decided on the way
    ---- exit code 0
    ");
    assert_eq!(rerun(&env, &[]), ["s7", "s9"]);
    assert_eq!(calls(&server).await, 11);
    let why = env.run(&["runs", "why", "last", "s7"]).expect(0);
    insta::assert_snapshot!(env.shown(&why.stdout), @"
    ✓ flow_root.s7
      executed: its settings, its input or what it reads changed
      compared with run_00000000_000000_000001
      setting prompt
        @@ -1,2 +1,2 @@
        -First line
        +Another line
         Second line of $var{run_id}
    ");
    let why = env.run(&["runs", "why", "last", "s8"]).expect(0);
    insta::assert_snapshot!(env.shown(&why.stdout), @"
    ↺ flow_root.s8
      taken from run_00000000_000000_000001: nothing that is compared changed
    ");

    env.write("src/b.rs", "fn b() { a() }\n");
    assert_eq!(rerun(&env, &[]), ["s1", "s2", "s5"]);
    let why = env
        .run(&["runs", "why", "last", "s1", "--json"])
        .expect(0)
        .json("cli_runs_why");
    let changes = why["changes"]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(
        (&changes[0]["kind"], &changes[0]["name"]),
        (&json!("read"), &json!("b.rs"))
    );

    // The parent is gone, what differed is still known.
    let runs = env.runs();
    let gone = &runs[runs.len() - 2];
    std::fs::remove_dir_all(gone).unwrap();
    drop(env.run(&["runs", "verify", "last"]).expect(0));
    let why = env.run(&["runs", "why", "last", "s1"]).expect(0);
    assert!(why.stdout.contains("file b.rs: 10 bytes, changed "), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_executes_in_a_project_that_was_moved() {
    let env = TestEnvironment::new();
    let server = model_server(&env).await;
    env.write("src/a.rs", "fn a() {}\n");
    env.write("flow.yaml", &ten_steps());
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let moved = env.path("moved");
    std::fs::rename(env.project(), &moved).unwrap();
    let id = env.last_run().file_name().unwrap().to_str().unwrap().to_owned();
    // The first run was driven elsewhere, so that it has to be named; the re-run of it is one of this place.
    for previous in [&*id, "last"] {
        drop(
            env.run_in(
                &moved,
                &["run", "flow", "flow.yaml", "--previous-run-id", previous],
            )
            .expect(0),
        );
        assert_eq!(executed(&env.last_run()), Vec::<String>::new());
    }
    assert_eq!(calls(&server).await, 9);
}

const WITH_EFFECTS: &str = "\
schema_version: 1
kind: flow
variables: { text: one }
elements:
  - node: before
    type: command
    settings: { commands: [[echo, before]] }
  - node: write
    type: file_operation
    settings:
      base_directory: \"$var{project_root}/out\"
      operations: [{ type: create_file, path: a.txt, content: \"$var{text}\" }]
  - node: look
    type: folder_analyzer
    settings: { base_directory: \"$var{project_root}/fixed\", operations: [{ operation_type: analyze_folder, path: . }] }
  - node: test
    type: command
    on_error: continue
    settings: { commands: [[sh, -c, \"grep -q two out/a.txt\"]], working_dir: \"$var{project_root}\" }
";

#[test]
fn what_depends_on_the_world_executes_behind_an_effect() {
    let env = TestEnvironment::new();
    env.write("fixed/a", "");
    env.write("out/b", "");
    env.write("flow.yaml", WITH_EFFECTS);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    // A failure that was absorbed is a result.
    assert!(rerun(&env, &[]).is_empty());
    let dry = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        "last",
        "--dry-run",
        "--var",
        "text=two",
    ];
    insta::assert_snapshot!(env.unchanged(&dry).expect(0), @"
    reuse    flow_root.before  nothing that is compared changed, from run_00000000_000000_000001
    execute  flow_root.write  its settings, its input or what it reads changed
    execute  flow_root.look  a step with an effect was executed before it
    execute  flow_root.test  a step with an effect was executed before it
    ---- stderr
    re-run of rerun_00000000_000000_000002: 1 reused, 3 to execute
    ---- exit code 0
    ");
    assert_eq!(rerun(&env, &["--var", "text=two"]), ["write", "look", "test"]);
    let why = env.run(&["runs", "why", "last", "test"]).expect(0);
    insta::assert_snapshot!(env.shown(&why.stdout), @"
    ✓ flow_root.test
      executed: `flow_root.write` had an effect before it
    ");
    let again: Value = env
        .run(&["runs", "show", "last", "test", "--json"])
        .expect(0)
        .json("cli_runs_show");
    assert_eq!(again["committed"]["status"], "completed", "it was tested again");
}

const LOOP: &str = "\
schema_version: 1
kind: flow
variables: { items: [b, c, d] }
elements:
  - for_each: all
    statement: $expr{items}
    body:
      - node: ask
        type: ai_model_call
        settings: { models: [local/tiny], prompt: \"About $expr{item}\" }
      - node: more
        type: ai_model_call
        settings: { models: [local/tiny], prompt: \"More of $expr{item}: $expr{ $hier{ask}.outcome.text }\" }
";

#[tokio::test(flavor = "multi_thread")]
async fn an_item_at_the_head_of_a_loop_executes_alone() {
    let env = TestEnvironment::new();
    let server = model_server(&env).await;
    env.write("flow.yaml", LOOP);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    env.write("flow.yaml", &LOOP.replace("[b, c, d]", "[a, b, c, d]"));
    let dry = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        "last",
        "--dry-run",
    ];
    insta::assert_snapshot!(env.unchanged(&dry).expect(0), @"
    execute  flow_root.all.iter_0.ask  its settings, its input or what it reads changed
    depends  flow_root.all.iter_0.more  decided when the re-run reaches it; depends on flow_root.all.iter_0.ask
    reuse    flow_root.all.iter_1.ask  another iteration did the same, from run_00000000_000000_000001
    reuse    flow_root.all.iter_1.more  another iteration did the same, from run_00000000_000000_000001
    reuse    flow_root.all.iter_2.ask  another iteration did the same, from run_00000000_000000_000001
    reuse    flow_root.all.iter_2.more  another iteration did the same, from run_00000000_000000_000001
    reuse    flow_root.all.iter_3.ask  another iteration did the same, from run_00000000_000000_000001
    reuse    flow_root.all.iter_3.more  another iteration did the same, from run_00000000_000000_000001
    ---- stderr
    re-run of run_00000000_000000_000001: 6 reused (saves 66 tokens), 1 to execute, 1 decided on the way
    ---- exit code 0
    ");
    assert_eq!(rerun(&env, &[]), ["all.iter_0.ask", "all.iter_0.more"]);
    assert_eq!(calls(&server).await, 8);
    let why = env.run(&["runs", "why", "last", "iter_2.more"]).expect(0);
    insta::assert_snapshot!(env.shown(&why.stdout), @"
    ↺ flow_root.all.iter_2.more
      taken from run_00000000_000000_000001 flow_root.all.iter_1.more: another iteration did the same
    ");
    drop(env.run(&["runs", "verify", "last"]).expect(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_may_ask_for_more_or_less() {
    let env = TestEnvironment::new();
    let server = model_server(&env).await;
    env.write("flow.yaml", LOOP);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    assert_eq!(rerun(&env, &["--execute", "iter_1.ask"]), ["all.iter_1.ask"]);
    assert_eq!(
        rerun(&env, &["--execute", "all.iter_0", "--execute", "iter_2.more"]).len(),
        3
    );
    assert_eq!(rerun(&env, &["--fresh"]).len(), 6);
    let before = calls(&server).await;
    env.write(
        "flow.yaml",
        &LOOP.replace("  - for_each: all\n", "  - for_each: all\n    reuse: never\n"),
    );
    assert_eq!(rerun(&env, &[]).len(), 6);
    env.write(
        "flow.yaml",
        &LOOP
            .replace("  - for_each: all\n", "  - for_each: all\n    reuse: always\n")
            .replace("About", "On"),
    );
    assert!(rerun(&env, &[]).is_empty());
    assert_eq!(calls(&server).await, before + 6);

    let told = refused(&env, &["--execute", "nowhere"]);
    insta::assert_snapshot!(told, @"error[unknown_step]: `nowhere` names no step or component; there are flow_root, flow_root.all, flow_root.all.ask, flow_root.all.more");
    let told = refused(&env, &["--execute", "all.iter_0", "--entry-point", "all.iter_1"]);
    insta::assert_snapshot!(told, @"
    error: the argument '--execute <PATH>' cannot be used with '--entry-point <PATH>'

    Usage: dhenara-under-test run flow --previous-run-id <RUN> --execute <PATH> <NAME|FILE>

    For more information, try '--help'.
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_goes_on_from_a_changed_result() {
    let env = TestEnvironment::new();
    let server = model_server(&env).await;
    env.write("src/a.rs", "fn a() {}\n");
    env.write("flow.yaml", &ten_steps());
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let edit = ["--entry-point", "s9", "--set", "s7.outcome.text=\"the opposite\""];
    assert_eq!(rerun(&env, &edit), ["s9", "s10"]);
    assert_eq!(calls(&server).await, 11);
    let view = RunView::open(env.last_run()).unwrap();
    let prompt = std::fs::read_to_string(view.dir().join("flow_root/s9/state.json")).unwrap();
    assert!(prompt.contains("Of the seventh: the opposite"), "{prompt}");
    let step = view.steps().find(|step| step.path.leaf() == "s7").unwrap();
    assert!(step.edited_from.is_some() && step.reused_from.is_none());
    drop(env.run(&["runs", "verify", "last"]).expect(0));
    let why = env.run(&["runs", "why", "last", "s7"]).expect(0);
    insta::assert_snapshot!(env.shown(&why.stdout), @r#"
    ↺ flow_root.s7
      taken from run_00000000_000000_000001: before the entry point
      changed  flow_root.s7.outcome.text = "the opposite"
    "#);
    let show = env.run(&["runs", "show", "last"]).expect(0);
    assert!(show.stdout.contains("with a changed outcome"), "{show}");

    // The program that takes it over says it too.
    assert_eq!(rerun(&env, &["--entry-point", "s10"]), ["s10"]);
    drop(env.run(&["runs", "rm", "last~1"]).expect(0));
    let why = env.run(&["runs", "why", "last", "s7"]).expect(0);
    assert!(why.stdout.contains("s7.outcome.text = \"the opposite\""), "{why}");
    let show = env.run(&["runs", "show", "last"]).expect(0);
    assert_eq!(show.stdout.matches("with a changed outcome").count(), 1, "{show}");

    let runs = env.runs().len();
    let refused = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        "last",
        "--entry-point",
        "s9",
        "--dry-run",
        "--set",
    ];
    let mistyped = env.run(&[&refused[..], &["s7.outcome.txt=1"]].concat()).expect(2);
    insta::assert_snapshot!(env.shown(&mistyped.stderr), @"error[edit]: `flow_root.s7.outcome.txt` cannot be set: it has no `txt`, but `text`");
    for (edit, entry) in [
        ("s7.outcome.text=1", "s7"),
        ("s7.outcome.=1", "s9"),
        ("s7.outcome.files[3]=1", "s9"),
        ("nowhere.outcome=1", "s9"),
        ("s7.outcome.text.deeper=1", "s9"),
        ("s7.settings=1", "s9"),
        ("s7.outcome.text=[", "s9"),
    ] {
        let output = env.run(&[
            "run",
            "flow",
            "flow.yaml",
            "--previous-run-id",
            "last",
            "--entry-point",
            entry,
            "--set",
            edit,
        ]);
        assert_eq!(output.code, Some(2), "{edit}: {output}");
        assert!(output.stderr.contains("error["), "{edit}: {output}");
    }
    assert_eq!(env.runs().len(), runs, "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_step_executes_alone_with_what_it_had() {
    let env = TestEnvironment::new();
    let server = model_server(&env).await;
    env.write("flow.yaml", LOOP);
    drop(
        env.run(&["run", "flow", "flow.yaml", "--var-json", "items=[\"x\",\"y\"]"])
            .expect(0),
    );
    env.write("flow.yaml", &LOOP.replace("More of", "Much more of"));
    let output = env.run(&["run", "step", "last", "iter_1.more"]).expect(0);
    insta::assert_snapshot!(env.shown(&output.stderr), @"
    rerun_00000000_000000_000002
    re-run of run_00000000_000000_000001: flow_root.all.iter_1.more alone
    flow_root
      all
        ✓ iter_1.more                   [time]  tiny, 11 tokens

    completed rerun_00000000_000000_000002 in [time]
      steps     1 completed
      model     1 call, 11 tokens, unknown price
      artifacts [root]/project/runs/rerun_00000000_000000_000002
      next      dhenara runs show rerun_00000000_000000_000002 flow_root.all.iter_1.more
    ");
    assert_eq!(calls(&server).await, 5);
    let run = env.last_run();
    assert_eq!(executed(&run), ["all.iter_1.more"]);
    let state = std::fs::read_to_string(run.join("flow_root/all/iter_1/more/state.json")).unwrap();
    assert!(state.contains("Much more of y: an answer of"), "{state}");
    // Such a run has one step: the next re-run starts from a whole one.
    assert_eq!(rerun(&env, &[]), ["all.iter_0.more", "all.iter_1.more"]);
    let recorded = env
        .run(&[
            "run",
            "step",
            // The newest whole run but one.
            "last~1",
            "iter_0.more",
            "--definition",
            "recorded",
            "--json",
        ])
        .expect(0)
        .json("cli_run");
    let counts: BTreeMap<String, u64> = serde_json::from_value(recorded["counts"].clone()).unwrap();
    assert_eq!(counts["completed"], 1);
    // Tried twice: the second time it does not start from the first try, which has nothing but this step.
    for _ in 0..2 {
        let tried = env.run(&["run", "step", "last", "iter_0.more", "--json"]);
        let tried = tried.expect(0).json("cli_run");
        assert_eq!(
            tried["counts"],
            json!({ "completed": 1, "reused": 0, "failed": 0, "skipped": 0 })
        );
    }
    let output = env.run(&["run", "step", "last", "all"]).expect(2);
    insta::assert_snapshot!(env.shown(&output.stderr), @"error[unknown_path]: `all` is a component, and a step is wanted; in it there are flow_root.all.ask, flow_root.all.more");
}

#[test]
fn a_step_in_a_loop_that_did_not_begin_cannot_execute_alone() {
    let env = TestEnvironment::new();
    let fails = "elements:\n  - { node: bad, type: command, settings: { commands: [['false']] } }\n";
    env.write("flow.yaml", &LOOP.replace("elements:\n", fails));
    env.write(
        ".dhenara/models.yaml",
        "- { name: local/tiny, base_url: \"http://127.0.0.1:9/v1\" }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    let output = env.unchanged(&["run", "step", "last", "iter_0.ask"]).expect(2);
    insta::assert_snapshot!(env.shown(&output.stderr), @"
    error[step_not_reached]: `flow_root.all.iter_0.ask` was not reached in `run_00000000_000000_000001`: `flow_root.all` has not begun
      hint: name a run that came to this step; `dhenara runs list` shows them
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_failed_and_waiting_runs_can_be_started_from() {
    let env = TestEnvironment::new();
    let server = model_server(&env).await;
    let first = ask("first", "One");
    let behind = "  - { node: behind, type: command, settings: { commands: [[echo, behind]] } }\n";
    let head = "schema_version: 1\nkind: flow\nelements:\n";
    let last = |middle: &str| format!("{head}{first}{middle}{behind}");

    // Failed.
    env.write(
        "flow.yaml",
        &last("  - { node: middle, type: command, settings: { commands: [['false']] } }\n"),
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    let good = "  - { node: middle, type: command, settings: { commands: [['true']] } }\n";
    env.write("flow.yaml", &last(good));
    assert_eq!(rerun(&env, &[]), ["middle", "behind"]);

    // Waiting: the middle asks, and the re-run no longer does.
    let asks = "  - node: middle\n    type: ai_model_call\n    pre_events: [node_input_required]\n    settings:\n      \
                models: [local/tiny]\n      prompt: { text: \"I am $var{who}\", variables: { who: {} } }\n";
    env.write("flow.yaml", &last(asks));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    env.write("flow.yaml", &last(good));
    assert_eq!(rerun(&env, &[]), ["middle", "behind"]);

    // Killed.
    let slow = "  - { node: middle, type: command, settings: { commands: [[sleep, '100']] } }\n";
    env.write("flow.yaml", &last(slow));
    let before = env.runs().len();
    let mut running = env.start(&["run", "flow", "flow.yaml"]);
    let began = std::time::Instant::now();
    let executes = || {
        let runs = env.runs();
        let view = runs.get(before).and_then(|run| RunView::open(run).ok());
        view.is_some_and(|view| view.entries().any(|(path, _)| path.leaf() == "middle"))
    };
    while !executes() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.kill().unwrap();
    let _ = running.wait().unwrap();
    env.write("flow.yaml", &last(good));
    let asked = calls(&server).await;
    assert_eq!(rerun(&env, &[]), ["middle", "behind"]);
    // And a re-run of that re-run of a killed run.
    assert_eq!(rerun(&env, &["--entry-point", "behind"]), ["behind"]);
    assert!(rerun(&env, &[]).is_empty());
    assert_eq!(
        calls(&server).await,
        asked,
        "what they had committed was not paid for again"
    );
    let view = RunView::open(env.last_run()).unwrap();
    let origin = view.steps().next().unwrap().reused_from.clone().unwrap();
    let plan = view.plan().unwrap().unwrap();
    assert_eq!(
        plan.root_parent, origin.run_id,
        "the line of re-runs leads back to who paid"
    );
    assert_eq!(
        plan.ancestors
            .iter()
            .map(|place| &place.run_id)
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        3
    );
}

#[test]
fn a_result_that_cannot_be_taken_over_fails_its_step() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: one, type: command, settings: { commands: [[echo, one]] } }\n  - { node: two, \
         type: ai_model_call, settings: { models: [openai/gpt-5.1], prompt: two, model_call_config: { test_mode: true } } }\n  - { node: three, type: \
         command, settings: { commands: [[echo, three]] } }\nfinally:\n  - { node: tidy, type: command, settings: { commands: [[echo, tidy]] } }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let outcome = env.last_run().join("flow_root/two/outcome.json");
    let whole = std::fs::read(&outcome).unwrap();
    std::fs::write(&outcome, "{}").unwrap();
    let failed = env
        .run(&["run", "flow", "flow.yaml", "--previous-run-id", "last"])
        .expect(1);
    insta::assert_snapshot!(env.shown(&failed.stderr), @"
    rerun_00000000_000000_000002
    re-run of run_00000000_000000_000001: 4 reused, 0 to execute
    flow_root
      ↺ one                           from run_00000000_000000_000001  1 command
      ✗ two                           [time]
        `[root]/project/runs/run_00000000_000000_000001/flow_root/two/outcome.json` is not the file that was recorded: it has 2 bytes, recorded were 67
      ↺ tidy                          from run_00000000_000000_000001  1 command
    ✗ flow_root failed

    failed rerun_00000000_000000_000002 in [time]
      steps     2 completed, of them 2 reused, 1 failed
      error     flow_root.two: `[root]/project/runs/run_00000000_000000_000001/flow_root/two/outcome.json` is not the file that was recorded: it has 2 bytes, recorded were 67
      hint      restore the file, or start a re-run whose entry point is its step or one before it
      artifacts [root]/project/runs/rerun_00000000_000000_000002
      next      dhenara runs show rerun_00000000_000000_000002 flow_root.two
      then      dhenara resume rerun_00000000_000000_000002
    ");
    std::fs::write(&outcome, whole).unwrap();
    // What could not be taken executes.
    drop(env.run(&["resume", "last"]).expect(0));
    drop(env.run(&["runs", "verify", "last"]).expect(0));
}

/// A step with one long line, in which `mid` and `tail` stand.
fn long_line(env: &TestEnvironment) {
    let filling = "x".repeat(3000);
    let text = format!("{filling} $var{{mid}} {filling} $var{{tail}}");
    let flow = format!(
        "schema_version: 1\nkind: flow\nvariables: {{ mid: M, tail: T }}\nelements:\n  - {{ node: say, type: command, \
         settings: {{ commands: [[test, \"{text}\"]] }} }}\n"
    );
    env.write("flow.yaml", &flow);
}

#[test]
fn a_long_line_is_shown_around_what_changed() {
    let env = TestEnvironment::new();
    long_line(&env);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    assert_eq!(rerun(&env, &["--var", "tail=Q"]), ["say"]);
    let why = env.run(&["runs", "why", "last", "say"]).expect(0);
    insta::assert_snapshot!(why, @"
    ✓ flow_root.say
      executed: its settings, its input or what it reads changed
      compared with run_00000000_000000_000001
      setting commands[0][1]
        @@ -1 +1 @@
        -…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx T
        +…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx Q
    ---- exit code 0
    ");
    assert_eq!(rerun(&env, &["--var", "tail=R", "--var", "mid=N"]), ["say"]);
    let why = env.run(&["runs", "why", "last", "say"]).expect(0);
    insta::assert_snapshot!(why, @"
    ✓ flow_root.say
      executed: its settings, its input or what it reads changed
      compared with rerun_00000000_000000_000002
      setting commands[0][1]
        @@ -1 +1 @@
        -…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx M xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx Q
        +…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx N xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx R
    ---- exit code 0
    ");
    // More than any line of a difference is long.
    drop(rerun(&env, &["--var", &format!("mid={}", "y".repeat(100_000))]));
    drop(rerun(&env, &["--var", &format!("mid={}z", "y".repeat(100_000))]));
    let changes: Value = read_json(&env.last_run().join("flow_root/say/changes.json"));
    let diff = changes["changes"][0]["diff"].as_str().unwrap();
    let lines: Vec<&str> = diff.lines().skip(1).collect();
    assert!(
        lines[0].contains("yy xx") && lines[1].contains("yyz xx"),
        "{diff}"
    );
}

#[test]
fn no_part_of_a_secret_is_left_where_a_long_line_is_cut() {
    let env = TestEnvironment::new();
    long_line(&env);
    let secret = "sk-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".repeat(20);
    let near = format!("tail={secret} A");
    drop(env.run(&["run", "flow", "flow.yaml", "--var", &near]).expect(0));
    // Only now it is known to be one: the run before has it as it is.
    env.write(
        ".dhenara/.secrets/.credentials.yaml",
        &format!("openai: {{ api_key: {secret} }}\n"),
    );
    drop(rerun(&env, &["--var", &near.replace(" A", " B")]));
    let why = env.run(&["runs", "why", "last", "say"]).expect(0);
    insta::assert_snapshot!(why, @"
    ✓ flow_root.say
      executed: its settings, its input or what it reads changed
      compared with run_00000000_000000_000001
      setting commands[0][1]
        @@ -1 +1 @@
        -…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx [redacted] A
        +…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx [redacted] B
    ---- exit code 0
    ");
    let changes = std::fs::read_to_string(env.last_run().join("flow_root/say/changes.json")).unwrap();
    for text in [why.stdout, changes] {
        for part in ["012345", "UVWXYZ", "mnopqr"] {
            assert!(!text.contains(part), "{text}");
        }
    }
}

#[test]
fn what_was_settled_by_hand_has_no_result_to_compare_with() {
    let env = TestEnvironment::new();
    env.write(
        "flow.yaml",
        "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: ['false'] } }\n  \
         - { node: b, type: command, settings: { commands: ['true'] } }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    drop(env.run(&["resume", "last", "--skip", "a"]).expect(0));
    let dry = [
        "run",
        "flow",
        "flow.yaml",
        "--previous-run-id",
        "last",
        "--dry-run",
    ];
    insta::assert_snapshot!(env.unchanged(&dry).expect(0), @"
    execute  flow_root.a  the previous run has no result
    execute  flow_root.b  a step with an effect was executed before it
    ---- stderr
    re-run of run_00000000_000000_000001: 0 reused, 2 to execute
    ---- exit code 0
    ");
    drop(
        env.run(&["run", "flow", "flow.yaml", "--previous-run-id", "last"])
            .expect(1),
    );
    let why = env.run(&["runs", "why", "last", "a"]).expect(0);
    insta::assert_snapshot!(why, @"
    ✗ flow_root.a
      executed: the previous run has no result
      attempt 1 failed  flow_root.a: `false` ended with exit code 1
    ---- exit code 0
    ");
}

#[test]
fn a_plan_names_each_place_where_a_run_was_driven_once() {
    let env = TestEnvironment::new();
    let flow = "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: [\"test -e \
                $var{project_root}/open\"] } }\n";
    env.write("flow.yaml", flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(1));
    drop(env.run(&["resume", "last"]).expect(1));
    env.write("open", "");
    drop(env.run(&["resume", "last"]).expect(0));
    let places = || {
        let plan = read_json(&env.last_run().join(".run/plan.json"));
        plan["ancestors"].as_array().unwrap().clone()
    };
    assert!(rerun(&env, &[]).is_empty());
    let first = places();
    assert_eq!(first.len(), 1, "{first:#?}");
    let project = env.project();
    let runs = project.join("runs");
    assert_eq!(first[0]["run_root"], *runs.to_string_lossy());
    assert_eq!(first[0]["project_root"], *project.to_string_lossy());

    // As plans were written before.
    let plan = env.last_run().join(".run/plan.json");
    let mut old = read_json(&plan);
    let unknown = json!({ "run_id": first[0]["run_id"], "run_dir": first[0]["run_dir"], "run_root": "", "project_root": "" });
    old["ancestors"] = json!([first[0], first[0], unknown]);
    std::fs::write(&plan, old.to_string()).unwrap();
    assert!(rerun(&env, &[]).is_empty());
    let second = places();
    assert_eq!(second.len(), 2, "{second:#?}");
    assert_eq!(second[1], first[0]);

    // A run that was moved is known by both of its places.
    let (run, moved) = (env.last_run(), project.join("elsewhere"));
    std::fs::create_dir(&moved).unwrap();
    let id = run.file_name().unwrap();
    std::fs::rename(&run, moved.join(id)).unwrap();
    let args = [
        "run",
        "flow",
        "flow.yaml",
        "--run-root",
        "elsewhere",
        "--previous-run-id",
        id.to_str().unwrap(),
    ];
    drop(env.run(&args).expect(0));
    let third = places();
    let dirs: Vec<&Value> = third.iter().map(|place| &place["run_dir"]).collect();
    assert_eq!(dirs.len(), 4, "{third:#?}");
    assert!(third.iter().all(|place| place["run_root"] != ""), "{third:#?}");
}

#[test]
fn all_executes_that_was_asked_for_whatever_it_depends_on() {
    let env = TestEnvironment::new();
    let flow = r#"schema_version: 1
kind: flow
elements:
  - { node: a, type: command, settings: { commands: [[echo, a]] } }
  - { node: b, type: command, settings: { commands: [[echo, "$expr{ $hier{a}.outcome.results[0].stdout }"]] } }
  - subflow: inner
    variables: { said: "$expr{ $hier{b}.outcome.results[0].stdout }" }
    elements:
      - { node: c, type: command, settings: { commands: [[echo, "$expr{said}"]] } }
  - conditional: maybe
    statement: "$expr{ len($hier{b}.outcome.results[0].stdout) > 1 }"
    true_branch:
      - { node: d, type: command, settings: { commands: [[echo, d]] } }
"#;
    env.write("flow.yaml", flow);
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    let dry = |more: &[&str]| {
        let dry = [
            "run",
            "flow",
            "flow.yaml",
            "--previous-run-id",
            "last",
            "--dry-run",
        ];
        env.unchanged(&[&dry, more].concat()).expect(0)
    };
    insta::assert_snapshot!(dry(&["--fresh"]), @"
    execute  flow_root.a  the user asked for every step
    execute  flow_root.b  the user asked for every step
    execute  flow_root.inner.c  the user asked for every step
    depends  flow_root.maybe.is_true.d  decided when the re-run reaches it; depends on flow_root.maybe
    ---- stderr
    re-run of run_00000000_000000_000001: 0 reused, 3 to execute, 1 decided on the way
    ---- exit code 0
    ");
    insta::assert_snapshot!(dry(&["--execute", "a", "--execute", "c"]), @"
    execute  flow_root.a  the user asked for this step
    depends  flow_root.b  decided when the re-run reaches it; depends on flow_root.a
    execute  flow_root.inner.c  the user asked for this step
    depends  flow_root.maybe.is_true.d  decided when the re-run reaches it; depends on flow_root.maybe
    ---- stderr
    re-run of run_00000000_000000_000001: 0 reused, 2 to execute, 2 decided on the way
    ---- exit code 0
    ");
}

#[test]
fn the_value_of_an_inherited_variable_counts() {
    let env = TestEnvironment::new();
    let flow = |names: &str| {
        format!(
            "schema_version: 1\nkind: flow\nroot_id: f\nelements:\n  - {{ node: says, type: command, settings: {{ inherit_env: [{names}], commands: [\"echo \\\"$GREETING\\\"\"] }} }}\n"
        )
    };
    env.write("flow.yaml", &flow("GREETING, API_KEY"));
    let run = |previous: &[&str], greeting: &str, key: &str| {
        let mut command = env.command(env!("CARGO_BIN_EXE_dhenara-under-test"), &env.project());
        let args = [&["run", "flow", "flow.yaml"][..], previous].concat();
        let output = command
            .args(args)
            .env("GREETING", greeting)
            .env("API_KEY", key)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        records(&env.last_run(), "step_started").len()
    };
    let again = ["--previous-run-id", "last"];
    assert_eq!(run(&[], "hello", "a-key-of-some-length"), 1);
    // A key that was changed does not make the step another one.
    assert_eq!(run(&again, "hello", "another-key-of-some-length"), 0);
    let why = env.run(&["runs", "why", "last", "says"]).expect(0);
    insta::assert_snapshot!(env.shown(&why.stdout), @"
    ↺ f.says
      taken from run_00000000_000000_000001: nothing that is compared changed
      not compared  what it reads or changed besides; `reuse: never` in its definition, or `--execute says`, executes it again
      not compared  the value of `API_KEY`
    ");
    assert_eq!(run(&again, "good morning", "a-key-of-some-length"), 1);
    let journal = std::fs::read_to_string(env.last_run().join(".run/journal.jsonl")).unwrap();
    assert!(journal.contains("\"fingerprint\":\"2:"), "{journal}");

    env.write(
        "flow.yaml",
        &flow("{ name: GREETING, fingerprint: false }, API_KEY"),
    );
    assert_eq!(
        run(&again, "hello", "a-key-of-some-length"),
        1,
        "the settings are others"
    );
    assert_eq!(run(&again, "good night", "a-key-of-some-length"), 0);
    let why = env.run(&["runs", "why", "last", "says", "--json"]).expect(0);
    let why = why.json("cli_runs_why");
    assert_eq!(why["not_compared"], json!(["API_KEY", "GREETING"]));

    env.write("flow.yaml", &flow("DHENARA_ORIGIN_KEY"));
    let refused = env.refused(&["run", "flow", "flow.yaml"]);
    assert!(refused.stderr.contains("no command is given it"), "{refused}");
}
