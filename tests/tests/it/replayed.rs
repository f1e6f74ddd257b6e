//! A run that is answered from recorded exchanges asks no server, in whatever way it is continued, and costs nothing.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{TestEnvironment, records};
use crate::models::{Scripted, says};

const FLOW: &str = r#"schema_version: 1
kind: flow
elements:
  - { node: first, type: ai_model_call, settings: { models: [local/tiny], prompt: One. } }
  - { node: gate, type: command, requires_approval: true, settings: { commands: [["true"]] } }
  - { node: second, type: ai_model_call, settings: { models: [local/tiny], prompt: Two. } }
"#;

const RUN: [&str; 4] = ["run", "flow", "flow.yaml", "--no-input"];
const APPROVE: [&str; 4] = ["answer", "last", "--approve", "--no-input"];

fn usage(run: &Path) -> Value {
    records(run, "run_sealed").pop().unwrap()["totals"]["usage"].clone()
}

fn name(env: &TestEnvironment) -> String {
    env.last_run().file_name().unwrap().to_str().unwrap().to_owned()
}

/// A run that asked a server twice, whose models have a price.
async fn recorded() -> (Scripted, String) {
    let scripted = Scripted::new(vec![says("hello")]).await;
    let env = &scripted.env;
    env.write("flow.yaml", FLOW);
    drop(env.run(&RUN).expect(3));
    drop(env.run(&APPROVE).expect(0));
    assert_eq!(scripted.asked().await.len(), 2);
    let name = name(env);
    (scripted, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_run_asks_no_server_however_it_is_continued() {
    let (scripted, source) = recorded().await;
    let env = &scripted.env;
    let replay = [&RUN[..], &["--replay", &source]].concat();
    // Answered.
    drop(env.run(&replay).expect(3));
    drop(env.run(&APPROVE).expect(0));
    // One step of it.
    drop(
        env.run(&["run", "step", "last", "second", "--no-input"])
            .expect(0),
    );
    // Killed and resumed.
    drop(env.run(&replay).expect(3));
    drop(env.run(&["resume", "last", "--no-input"]).expect(3));
    drop(env.run(&APPROVE).expect(0));
    // A re-run of it, and one that executes everything.
    let again = [&RUN[..], &["--previous-run-id", "last"]].concat();
    drop(env.run(&again).expect(0));
    drop(
        env.run(&[&again[..], &["--fresh", "--replay", &source]].concat())
            .expect(3),
    );
    drop(env.run(&APPROVE).expect(0));
    assert_eq!(scripted.asked().await.len(), 2, "only the recorded run asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_answers_cost_nothing_and_are_shown_as_replayed() {
    let (scripted, source) = recorded().await;
    let env = &scripted.env;
    let paid = usage(&env.last_run());
    assert_eq!(paid["calls"], 2);
    assert!(paid["cost"].as_f64().unwrap() > 0.0, "{paid}");
    assert_eq!(paid["replayed"], Value::Null);

    let said = env.run(&[&RUN[..], &["--replay", &source]].concat()).expect(3);
    assert!(said.stderr.contains("model     1 call replayed"), "{said}");
    assert!(!said.stderr.contains("$0"), "{said}");
    let said = env.run(&APPROVE).expect(0);
    assert!(said.stderr.contains("model     2 calls replayed"), "{said}");
    let run = env.last_run();
    let nothing =
        json!({ "calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "replayed": 2 });
    assert_eq!(usage(&run), nothing);
    let steps = records(&run, "step_committed");
    assert!(steps.iter().all(|step| step["cost"].is_null()), "{steps:?}");
    let listed = env.run(&["runs", "list"]).expect(0).stdout;
    let row = listed.lines().find(|line| line.contains(&name(env))).unwrap();
    assert!(row.contains("replayed") && !row.contains('$'), "{row}");
    let shown = env.run(&["runs", "show", "last"]).expect(0).stdout;
    assert!(!shown.contains('$'), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_not_spent_by_recorded_answers() {
    let (scripted, source) = recorded().await;
    let env = &scripted.env;
    drop(
        env.run(&[&RUN[..], &["--replay", &source, "--budget", "calls=1"]].concat())
            .expect(3),
    );
    drop(env.run(&APPROVE).expect(0));
    assert_eq!(scripted.asked().await.len(), 2);
}
