//! Runs that ask: the question and its answer survive the process, and no answer is lost or misrouted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dhenara::RunStatus;
use dhenara::run::{Answer, RunView};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::harness::TestEnvironment;

/// A server that gives every prompt back.
async fn echo_server(env: &TestEnvironment) -> MockServer {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let text = body["messages"][0]["content"].clone();
        ResponseTemplate::new(200).set_body_json(json!({
            "id": "1", "object": "chat.completion", "model": "tiny",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
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

fn asking(name: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    format!(
        "{pad}- node: {name}\n{pad}  type: ai_model_call\n{pad}  pre_events: [node_input_required]\n{pad}  settings:\n{pad}    \
         models: [local/tiny]\n{pad}    prompt: {{ text: \"I am $var{{who}}\", variables: {{ who: {{}} }} }}\n"
    )
}

fn flow(elements: &str) -> String {
    format!("schema_version: 1\nkind: flow\nelements:\n{elements}")
}

fn input(who: &str) -> String {
    json!({ "prompt_variables": { "who": who } }).to_string()
}

/// The texts of the answers of the newest run, by step.
fn texts(env: &TestEnvironment) -> BTreeMap<String, String> {
    let view = RunView::open(env.last_run()).unwrap();
    let texts = view.steps().filter_map(|step| {
        let outcome: Value = view.step_file(&step.path, "outcome.json").unwrap()?;
        Some((step.path.to_string(), outcome["text"].as_str()?.to_owned()))
    });
    texts.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_from_another_process() {
    let env = TestEnvironment::new();
    let server = echo_server(&env).await;
    let behind = "  - { node: behind, type: command, settings: { commands: [[echo, \"$expr{ $hier{ask}.outcome.text }\"]] } }\n";
    env.write("flow.yaml", &flow(&(asking("ask", 2) + behind)));
    insta::assert_snapshot!(env.run(&["run", "flow", "flow.yaml"]).expect(3), @r#"
    ---- stderr
    run_00000000_000000_000001
    flow_root
      ? ask                           waits for an answer

    waiting run_00000000_000000_000001 in [time]
      steps     0 completed
      asks      flow_root.ask
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara answer run_00000000_000000_000001 --input '{"prompt_variables":{"who":"…"}}'
    ---- exit code 3
    "#);
    insta::assert_snapshot!(env.run(&["runs", "list"]).expect(0), @"
    STATUS       RUN                         AGENT      MADE                     TOOK     STEPS
    waiting (1)  run_00000000_000000_000001  flow_root  0000-00-00 00:00:00 UTC  [time]  0 steps
    ---- stderr
    answer the newest waiting run with `dhenara answer run_00000000_000000_000001`
    ---- exit code 0
    ");
    insta::assert_snapshot!(env.run(&["runs", "show", "last"]).expect(0), @r#"
    run_00000000_000000_000001  waiting
      made      0000-00-00 00:00:00 UTC, took [time]
      artifacts [root]/project/runs/run_00000000_000000_000001
      asks      flow_root.ask
      next      dhenara answer run_00000000_000000_000001 --input '{"prompt_variables":{"who":"…"}}'
      flow_root  waiting
        ? ask                           waits for an answer
    ---- exit code 0
    "#);
    let shown = env
        .run(&["runs", "show", "last", "--json"])
        .expect(0)
        .json("cli_runs_show");
    assert_eq!(shown["open_questions"][0]["path"], "flow_root.ask");
    let list = env
        .run(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    assert_eq!(list["runs"][0]["open_questions"], 1);

    let wrong = env
        .run(&["answer", "last", "--input", "{\"prompt_variable\": {}}"])
        .expect(2);
    insta::assert_snapshot!(wrong, @r#"
    ---- stderr
    error[invalid_input]: the answer does not fit the question: `prompt_variable`: unknown field `prompt_variable`, expected `prompt_variables` or `settings_override`
      hint: answer it by `dhenara answer run_00000000_000000_000001 --input '{"prompt_variables":{"who":"…"}}'`; its fields are `prompt_variables`, `settings_override`; `--input @FILE` reads a file, `--deny REASON` refuses
    ---- exit code 2
    "#);
    insta::assert_snapshot!(env.run(&["answer", "last"]).expect(2), @r#"
    ---- stderr
    error[no_answer]: no answer is given for `flow_root.ask`
      hint: answer it by `dhenara answer run_00000000_000000_000001 --input '{"prompt_variables":{"who":"…"}}'`; its fields are `prompt_variables`, `settings_override`; `--input @FILE` reads a file, `--deny REASON` refuses
    ---- exit code 2
    "#);
    insta::assert_snapshot!(env.run(&["answer", "last", "behind", "--input", "{}"]).expect(2), @"
    ---- stderr
    error[unknown_question]: `behind` names no question of `run_00000000_000000_000001`, and no step or component that asks
      hint: open questions: flow_root.ask (input_6fdbdd12dee3)
    ---- exit code 2
    ");
    assert_eq!(
        calls(&server).await,
        0,
        "nothing was asked before it was answered"
    );
    insta::assert_snapshot!(env.run(&["answer", "last", "--input", &input("Ada")]).expect(0), @"
    ---- stderr
    run_00000000_000000_000001
    flow_root
      ✓ ask                           [time]  tiny, 2 tokens
      ✓ behind                        [time]  1 command

    completed run_00000000_000000_000001 in [time]
      steps     2 completed
      model     1 call, 2 tokens, unknown price
      artifacts [root]/project/runs/run_00000000_000000_000001
      next      dhenara runs show run_00000000_000000_000001 flow_root.behind
    ---- exit code 0
    ");
    assert_eq!(texts(&env)["flow_root.ask"], "I am Ada");
    assert_eq!(calls(&server).await, 1);
    let nothing = env
        .run(&[
            "answer",
            env.last_run().file_name().unwrap().to_str().unwrap(),
            "--input",
            "{}",
        ])
        .expect(2);
    assert!(nothing.stderr.contains("asks nothing"), "{nothing}");
    // The answer stands in the run: a re-run asks no person.
    drop(
        env.run(&[
            "run",
            "flow",
            "flow.yaml",
            "--previous-run-id",
            "last",
            "--entry-point",
            "ask",
        ])
        .expect(0),
    );
    assert_eq!(texts(&env)["flow_root.ask"], "I am Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_need_not_wait_goes_on_and_each_question_gets_its_own_answer() {
    let env = TestEnvironment::new();
    let server = echo_server(&env).await;
    let elements = "  - parallel: both\n    elements:\n      - subflow: one\n        elements:\n".to_owned()
        + &asking("ask", 10)
        + "      - subflow: two\n        elements:\n"
        + "          - { node: slow, type: command, settings: { commands: [[sleep, '1']] } }\n"
        + &asking("ask", 10)
        + "  - for_each: all\n    statement: $expr{range(10)}\n    max_concurrency: 4\n    body:\n"
        + &asking("ask", 6)
        + "finally:\n  - { node: last_one, type: command, settings: { commands: [[echo, bye]] } }\n";
    env.write("flow.yaml", &flow(&elements));
    let waits = env.run(&["run", "flow", "flow.yaml"]).expect(3);
    assert!(waits.stderr.contains("✓ two.slow"), "{waits}");
    let several = env.run(&["answer", "last", "--input", &input("x")]).expect(2);
    insta::assert_snapshot!(several, @"
    ---- stderr
    error[ambiguous_question]: `run_00000000_000000_000001` asks several questions: flow_root.both.one.ask (input_e023481f65b2), flow_root.both.two.ask (input_6c69187411ad)
      hint: name one by its path or its id
    ---- exit code 2
    ");
    // Still waiting for the other one.
    drop(
        env.run(&["answer", "last", "one.ask", "--input", &input("the first")])
            .expect(3),
    );
    let rest = env
        .run(&["answer", "last", "two.ask", "--input", &input("the second")])
        .expect(3);
    assert!(rest.stderr.contains("waiting"), "{rest}");
    let view = RunView::open(env.last_run()).unwrap();
    let open: Vec<(String, String)> = view
        .open_questions()
        .map(|open| (open.id.clone(), open.path.to_string()))
        .collect();
    assert_eq!(open.len(), 10, "every iteration asks for itself: {open:?}");
    assert!(
        view.steps().all(|step| step.path.leaf() != "last_one"),
        "what waits has not ended"
    );
    for (id, path) in &open {
        drop(
            env.run(&["answer", "last", id, "--no-resume", "--input", &input(path)])
                .expect(0),
        );
    }
    drop(env.run(&["resume", "last"]).expect(0));
    let texts = texts(&env);
    assert_eq!(texts["flow_root.both.one.ask"], "I am the first");
    assert_eq!(texts["flow_root.both.two.ask"], "I am the second");
    for index in 0..10 {
        let path = format!("flow_root.all.iter_{index}.ask");
        assert_eq!(texts[&path], format!("I am {path}"));
    }
    assert_eq!(calls(&server).await, 12, "each was called once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_used_at_once_while_the_process_lives() {
    let env = TestEnvironment::new();
    let _server = echo_server(&env).await;
    let elements = "  - parallel: both\n    elements:\n".to_owned()
        + &asking("ask", 6)
        + "      - { node: slow, type: command, settings: { commands: [[sleep, '20']] } }\n";
    env.write("flow.yaml", &flow(&elements));
    let running = env.start(&["run", "flow", "flow.yaml"]);
    wait_for_question(&env);
    let refused = env.run(&["answer", "last", "--input", &input("quick"), "--model", "a/b"]);
    assert!(refused.expect(2).stderr.contains("error[already_driven]"));
    drop(env.run(&["answer", "last", "--input", &input("quick")]).expect(0));
    let began = Instant::now();
    while !texts(&env).contains_key("flow_root.both.ask") {
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "the other branch sleeps for 20 s"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(env.run(&["cancel", "last"]).expect(0));
    drop(env.finish(running).expect(130));
}

fn wait_for_question(env: &TestEnvironment) {
    let began = Instant::now();
    let asks = |run: &Path| RunView::open(run).is_ok_and(|view| view.open_questions().next().is_some());
    while !env.runs().last().is_some_and(|run| asks(run)) {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was asked");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_answered_all_the_same() {
    let env = TestEnvironment::new();
    let server = echo_server(&env).await;
    let elements = "  - parallel: both\n    elements:\n".to_owned()
        + &asking("ask", 6)
        + "      - { node: slow, type: command, settings: { commands: [[sleep, '1']] } }\n";
    env.write("flow.yaml", &flow(&elements));
    let mut running = env.start(&["run", "flow", "flow.yaml"]);
    wait_for_question(&env);
    running.kill().unwrap();
    let _ = running.wait().unwrap();
    drop(
        env.run(&["answer", "last", "--no-resume", "--input", &input("late")])
            .expect(0),
    );
    let second = env
        .run(&["answer", "last", "--input", &input("too late")])
        .expect(4);
    insta::assert_snapshot!(second, @"
    ---- stderr
    error[already_answered]: the question `input_4ccfe8aec191` of `run_00000000_000000_000001` has been answered already
      hint: `dhenara resume run_00000000_000000_000001` resumes the run with that answer
    ---- exit code 4
    ");
    drop(env.run(&["resume", "last"]).expect(0));
    assert_eq!(texts(&env)["flow_root.both.ask"], "I am late");
    assert_eq!(calls(&server).await, 1);
}

#[test]
fn a_question_may_be_denied() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &flow(&asking("ask", 2)));
    env.write(
        ".dhenara/models.yaml",
        "- { name: local/tiny, base_url: \"http://127.0.0.1:9/v1\" }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    let denied = env.run(&["answer", "last", "--deny", "unknown cause"]).expect(1);
    assert!(denied.stderr.contains("unknown cause"), "{denied}");
    // It may be asked again, and what was said before does not stand in the way.
    drop(env.run(&["resume", "last"]).expect(3));
    drop(env.run(&["answer", "last", "--deny", "still unknown"]).expect(1));
    drop(env.run(&["resume", "last", "--skip", "ask"]).expect(0));
    let counts = |env: &TestEnvironment| RunView::open(env.last_run()).unwrap().totals.counts;
    assert_eq!((counts(&env).skipped, counts(&env).failed), (1, 0));
    // What was settled by hand has no files, and a re-run executes it.
    drop(
        env.run(&["run", "flow", "flow.yaml", "--previous-run-id", "last"])
            .expect(3),
    );
}

#[test]
fn of_two_who_answer_at_the_same_instant_one_is_accepted() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &flow(&asking("ask", 2)));
    env.write(
        ".dhenara/models.yaml",
        "- { name: local/tiny, base_url: \"http://127.0.0.1:9/v1\" }\n",
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    let run = env.last_run();
    let view = RunView::open(&run).unwrap();
    assert_eq!(view.status, RunStatus::Waiting);
    let question = view.open_question(None).unwrap().id.clone();
    let types = dhenara::builtin_nodes();
    for round in 0..1000 {
        let barrier = std::sync::Barrier::new(2);
        let give = |who: &str| {
            barrier.wait();
            let answer = Answer::Given {
                source: who.to_owned(),
                value: json!({ "prompt_variables": { "who": who } }),
            };
            view.answer(None, answer, &types).unwrap()
        };
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(|| give("other"));
            (give("one"), other.join().unwrap())
        });
        assert!(first != second, "round {round}: {first} and {second}");
        let file = run.join(".run/inbox").join(format!("{question}.json"));
        let message: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(
            message["input"]["prompt_variables"]["who"],
            if first { "one" } else { "other" }
        );
        std::fs::remove_file(file).unwrap();
    }
    // The same from processes.
    for _ in 0..5 {
        let answer = |who: &str| env.start(&["answer", "last", "--no-resume", "--input", &input(who)]);
        let both = [answer("one"), answer("other")].map(|child| env.finish(child).code);
        assert!(
            both == [Some(0), Some(4)] || both == [Some(4), Some(0)] || both == [Some(4), Some(4)],
            "{both:?}"
        );
    }
}

#[test]
fn a_command_is_called_when_a_run_waits() {
    let env = TestEnvironment::new();
    env.write("flow.yaml", &flow(&(asking("one", 2) + &asking("two", 2))));
    env.write(
        ".dhenara/models.yaml",
        "- { name: local/tiny, base_url: \"http://127.0.0.1:9/v1\" }\n",
    );
    let config = |command: &str| format!("environments: {{ default: {{ on_waiting: [{command}] }} }}\n");
    env.write(
        ".dhenara/config.yaml",
        &config("sh, -c, 'echo \"$@\" >> told; cat \"$3\" >> told', x"),
    );
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    let told = std::fs::read_to_string(env.project().join("told")).unwrap();
    let id = env.last_run().file_name().unwrap().to_string_lossy().into_owned();
    assert!(told.starts_with(&format!("{id} flow_root.one ")), "{told}");
    assert!(told.contains("\"node_type\": \"ai_model_call\""), "{told}");

    env.write(".dhenara/config.yaml", &config("'no-such-program'"));
    let output = env.run(&["run", "flow", "flow.yaml", "--json"]).expect(3);
    assert!(
        output.stderr.contains("warning: `on_waiting`: `no-such-program`"),
        "{output}"
    );
    assert_eq!(output.json("cli_run")["status"], "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_by_hand_and_is_asked_again_counts_once() {
    let env = TestEnvironment::new();
    let server = echo_server(&env).await;
    env.write("flow.yaml", &flow(&asking("ask", 2)));
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(3));
    drop(env.run(&["resume", "last", "--fail", "ask"]).expect(1));
    drop(env.run(&["resume", "last"]).expect(3));
    let waiting = env
        .run(&["runs", "list", "--json"])
        .expect(0)
        .json("cli_runs_list");
    assert_eq!(waiting["runs"][0]["counts"]["failed"], 0, "{waiting}");
    drop(
        env.run(&["answer", "last", "ask", "--input", &input("me")])
            .expect(0),
    );
    let run = env.last_run();
    let summary = crate::harness::read_json(&run.join("run_summary.json"));
    assert_eq!(
        summary["counts"],
        json!({ "completed": 1, "reused": 0, "failed": 0, "skipped": 0 })
    );
    assert_eq!(RunView::open(&run).unwrap().totals.counts.total(), 1);
    assert_eq!(calls(&server).await, 1);
}
