//! A run is continued as it was started: with its environment, models, budget and recorded answers.

use std::path::{Path, PathBuf};

use dhenara::models::{Credentials, HttpClient, ModelCatalog};
use dhenara::run::Catalog;
use dhenara::runner::Runner;
use dhenara::{Error, RunStatus};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{TestEnvironment, read_json, records};
use crate::models::{Scripted, says};

/// Asks a model, then a person, then a model again.
const FLOW: &str = r#"schema_version: 1
kind: flow
variables: { who: absent }
output: "$expr{ $var{environment} + ' ' + who + ' ' + $hier{second}.outcome.text }"
elements:
  - { node: first, type: ai_model_call, settings: { models: [local/tiny], prompt: One. } }
  - { node: gate, type: command, requires_approval: true, settings: { commands: [["true"]] } }
  - { node: second, type: ai_model_call, settings: { models: [local/tiny], prompt: Two. } }
"#;

const RUN: [&str; 4] = ["run", "flow", "flow.yaml", "--no-input"];
const APPROVE: [&str; 4] = ["answer", "last", "--approve", "--no-input"];

async fn scripted() -> Scripted {
    let scripted = Scripted::new(vec![says("hello")]).await;
    scripted.env.write("flow.yaml", FLOW);
    scripted
}

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    args.iter().chain(more).copied().collect()
}

fn name(run: &Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The settings that the last driver of a run recorded.
fn resumed(run: &Path) -> Value {
    records(run, "run_resumed").pop().unwrap()
}

fn output(run: &Path) -> Value {
    read_json(&run.join("output.json"))
}

async fn models_asked(scripted: &Scripted) -> Vec<Value> {
    let asked = scripted.asked().await;
    asked.into_iter().map(|body| body["model"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_holds_though_its_configuration_changed() {
    let scripted = scripted().await;
    let env = &scripted.env;
    let configure = |ci: &str| env.write(".dhenara/config.yaml", &format!("environments: {{ ci: {ci} }}\n"));
    configure("{ budget: { calls: 5 }, variables: { who: Ada }, limits: { max_concurrency: 1 } }");
    let started = env.run(&with(&RUN, &["--env", "ci"])).expect(3);
    assert!(
        started.stderr.contains("next      dhenara answer run_"),
        "{started}"
    );
    configure("{ budget: { calls: 1 }, variables: { who: Bob } }");
    let answered = env.run(&APPROVE).expect(0);
    let notes: Vec<&str> = answered
        .stderr
        .lines()
        .filter(|line| line.starts_with("note:"))
        .collect();
    assert_snapshot!(notes.join("\n"), @"note: `budget`, `limits`, `variables` of the environment `ci` in `.dhenara/config.yaml` changed since the run was started, and the run keeps what it was started with; `--env ci` uses the present configuration");
    let run = env.last_run();
    assert_eq!(output(&run), "ci Ada hello");
    let resumed = resumed(&run);
    assert_eq!(resumed["environment"], "ci");
    assert_eq!(resumed["budget"], json!({ "calls": 5 }));
    assert_eq!(resumed["limits"], json!({ "max_concurrency": 1 }));
    assert_eq!(resumed["overrides"], Value::Null);

    // A re-run is a new run.
    let again = env.run(&with(&RUN, &["--env", "ci", "--previous-run-id", "last"]));
    assert!(!again.stderr.contains("note:"), "{again}");
    let started = records(&env.last_run(), "run_started").pop().unwrap();
    assert_eq!(started["budget"], json!({ "calls": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_named_again_is_taken_as_it_is_now() {
    let scripted = scripted().await;
    let env = &scripted.env;
    let configure = |all: &str| env.write(".dhenara/config.yaml", &format!("environments: {all}\n"));
    configure("{ ci: { budget: { calls: 1 } } }");
    drop(env.run(&with(&RUN, &["--env", "ci"])).expect(3));
    let failed = env.run(&APPROVE).expect(1);
    assert!(failed.stderr.contains("budget"), "{failed}");
    configure("{ ci: { budget: { calls: 4 } } }");
    drop(env.run(&["resume", "last", "--no-input"]).expect(1));
    let run = env.last_run();
    drop(
        env.run(&["resume", "last", "--no-input", "--env", "ci"])
            .expect(0),
    );
    let taken = resumed(&run);
    assert_eq!(taken["overrides"], json!(["budget"]));
    assert_eq!(taken["budget"], json!({ "calls": 4 }));

    drop(env.run(&with(&RUN, &["--env", "ci"])).expect(3));
    configure("{}");
    let refused = env.run(&["resume", "last", "--no-input"]).expect(2);
    assert!(
        refused
            .stderr
            .contains("error[unknown_environment]: there is no environment `ci`"),
        "{refused}"
    );
    drop(env.run(&with(&APPROVE, &["--env", "default"])).expect(0));
    assert_eq!(resumed(&env.last_run())["overrides"], json!(["environment"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_that_was_chosen_is_asked_to_the_end() {
    let scripted = scripted().await;
    let env = &scripted.env;
    drop(env.run(&with(&RUN, &["--model", "local/big"])).expect(3));
    drop(env.run(&APPROVE).expect(0));
    assert_eq!(models_asked(&scripted).await, ["big", "big"]);
    assert_eq!(resumed(&env.last_run())["models"], json!(["local/big"]));

    // Another one is an override, and the definition that changed in its file is still refused.
    drop(env.run(&with(&RUN, &["--model", "local/big"])).expect(3));
    env.write("flow.yaml", &FLOW.replace("Two.", "Three."));
    let refused = env.run(&["resume", "last", "--no-input"]).expect(4);
    assert!(refused.stderr.contains("changed flow_root.second"), "{refused}");
    env.write("flow.yaml", FLOW);
    drop(env.run(&with(&APPROVE, &["--model", "local/tiny"])).expect(0));
    assert_eq!(models_asked(&scripted).await[2..], ["big", "tiny"]);
    let resumed = resumed(&env.last_run());
    assert_eq!(
        (&resumed["models"], &resumed["overrides"]),
        (&json!(["local/tiny"]), &json!(["models"]))
    );

    // A step alone asks what its run asked.
    drop(env.run(&["run", "step", "last", "second"]).expect(0));
    drop(
        env.run(&["run", "step", "last", "second", "--model", "local/big"])
            .expect(0),
    );
    assert_eq!(models_asked(&scripted).await[4..], ["tiny", "big"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_holds_until_another_is_given() {
    let scripted = scripted().await;
    let env = &scripted.env;
    drop(env.run(&with(&RUN, &["--budget", "calls=1,tokens=9k"])).expect(3));
    drop(env.run(&APPROVE).expect(1));
    drop(env.run(&["resume", "last"]).expect(1));
    drop(env.run(&["resume", "last", "--budget", "calls=2"]).expect(0));
    let run = env.last_run();
    assert_eq!(records(&run, "control"), Vec::<Value>::new());
    let resumed = resumed(&run);
    assert_eq!(resumed["budget"], json!({ "calls": 2, "tokens": 9000 }));
    assert_eq!(resumed["overrides"], json!(["budget"]));
}

/// A completed run, and how many requests it took.
async fn recorded(scripted: &Scripted) -> (PathBuf, usize) {
    drop(scripted.env.run(&RUN).expect(3));
    drop(scripted.env.run(&APPROVE).expect(0));
    (scripted.env.last_run(), scripted.asked().await.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_run_is_without_network_to_its_end() {
    let scripted = scripted().await;
    let env = &scripted.env;
    let (source, asked) = recorded(&scripted).await;
    let id = name(&source);
    drop(env.run(&with(&RUN, &["--replay", &id])).expect(3));
    drop(env.run(&APPROVE).expect(0));
    let run = env.last_run();
    assert_eq!(output(&run), "default absent hello");
    for session in [records(&run, "run_started").pop().unwrap(), resumed(&run)] {
        assert_eq!(
            (&session["replay"]["run"], &session["offline"]),
            (&json!(id), &json!(true)),
            "{session}"
        );
        assert_eq!(session["overrides"], Value::Null);
    }
    assert_eq!(records(&run, "inputs")[0]["options"]["replay"]["run"], id);
    // So is a step of it alone, and what the run did not ask is not asked elsewhere.
    drop(env.run(&["run", "step", &name(&run), "second"]).expect(0));
    assert_eq!(records(&env.last_run(), "run_started")[0]["offline"], true);
    env.write("flow.yaml", &FLOW.replace("Two.", "Three."));
    drop(env.run(&["run", "step", &name(&run), "second"]).expect(1));
    assert_eq!(scripted.asked().await.len(), asked, "no network was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_answers_that_is_gone_or_changed_is_refused() {
    let scripted = scripted().await;
    let env = &scripted.env;
    let (source, asked) = recorded(&scripted).await;
    drop(env.run(&with(&RUN, &["--replay", &name(&source)])).expect(3));
    let resume = ["resume", &name(&env.last_run()), "--no-input"];

    let memo = source.join("flow_root/second/memo.jsonl");
    let text = std::fs::read_to_string(&memo).unwrap();
    std::fs::write(&memo, text.replace("hello", "other")).unwrap();
    assert_snapshot!(env.unchanged(&resume), @"
    ---- stderr
    error[replay_changed]: the run takes answers of models from `run_00000000_000000_000001`, whose exchanges are not those of before
      hint: bring back what it was, or take what it is now by naming it again: a run by `--replay RUN`, the environment of a cassette by `--env NAME`
    ---- exit code 4
    ");
    std::fs::write(&memo, &text).unwrap();
    let aside = env.path("tmp/aside");
    std::fs::rename(&source, &aside).unwrap();
    assert_snapshot!(env.unchanged(&resume), @"
    ---- stderr
    error[replay_gone]: the run takes answers of models from `run_00000000_000000_000001`, which is not there any more: there is no run `run_00000000_000000_000001`
      hint: bring it back to where it was, name a run by `--replay RUN`, or choose an environment by `--env NAME`
    ---- exit code 4
    ");
    std::fs::rename(&aside, &source).unwrap();
    drop(env.run(&resume).expect(3));
    assert_eq!(scripted.asked().await.len(), asked);
}

/// An environment `offline` whose cassette is what a run recorded.
fn cassette(env: &TestEnvironment, source: &Path) {
    env.copy_dir(
        &source.join("flow_root"),
        &env.project().join("cassettes/flow/flow_root"),
    );
    env.write(
        ".dhenara/config.yaml",
        "environments: { offline: { cassette: cassettes/flow } }\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cassette_holds_too_and_is_taken_anew_by_its_environment() {
    let scripted = scripted().await;
    let env = &scripted.env;
    let (source, asked) = recorded(&scripted).await;
    cassette(env, &source);
    drop(env.run(&with(&RUN, &["--env", "offline"])).expect(3));
    drop(env.run(&APPROVE).expect(0));
    assert_eq!(output(&env.last_run()), "offline absent hello");

    drop(env.run(&with(&RUN, &["--env", "offline"])).expect(3));
    let memo = env.project().join("cassettes/flow/flow_root/second/memo.jsonl");
    let text = std::fs::read_to_string(&memo).unwrap();
    std::fs::write(&memo, text.replace("hello", "other")).unwrap();
    let refused = env.unchanged(&["resume", "last", "--no-input"]).expect(4);
    assert!(refused.stderr.contains("error[replay_changed]"), "{refused}");
    // Nothing is recorded by an answer that the run cannot be resumed with.
    drop(env.unchanged(&APPROVE).expect(4));
    drop(env.run(&with(&APPROVE, &["--env", "offline"])).expect(0));
    let run = env.last_run();
    assert_eq!(output(&run), "offline absent other");
    assert_eq!(resumed(&run)["overrides"], json!(["replay"]));
    assert_eq!(scripted.asked().await.len(), asked, "no network was used");

    // A step is rendered without answers; a run does not begin without them.
    env.write(
        ".dhenara/config.yaml",
        "environments: { offline: { cassette: cassettes/flow }, gone: { cassette: nowhere } }\n",
    );
    drop(
        env.run(&["render", "flow.yaml", "first", "--env", "gone"])
            .expect(0),
    );
    for more in [&["--env", "gone"][..], &["--env", "gone", "--dry-run"]] {
        let refused = env.unchanged(&with(&RUN, more)).expect(2);
        assert!(refused.stderr.contains("nowhere` cannot be read"), "{refused}");
    }

    // A user who names an environment with a network wants it.
    drop(env.run(&with(&RUN, &["--env", "offline"])).expect(3));
    drop(env.run(&with(&APPROVE, &["--env", "default"])).expect(0));
    let resumed = resumed(&env.last_run());
    assert_eq!(resumed["overrides"], json!(["environment", "replay", "offline"]));
    assert_eq!(scripted.asked().await.len(), asked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_may_open_connections_is_refused_by_its_type() {
    let scripted = scripted().await;
    let env = &scripted.env;
    let (source, asked) = recorded(&scripted).await;
    drop(env.run(&with(&RUN, &["--replay", &name(&source)])).expect(3));
    drop(env.run(&with(&APPROVE, &["--no-resume"])).expect(0));

    let root = env.project();
    let http = || {
        let credentials = Credentials::new(&root, None, dhenara::types::SecretRegistry::new());
        HttpClient::new(ModelCatalog::load(&root).unwrap(), credentials)
    };
    let project = env.opened().models(http());
    let run = project.run("last").unwrap();
    let failed = run.resume().runner().unwrap().run().await.unwrap_err();
    assert_eq!(failed.report().unwrap().error.as_ref().unwrap().code, "offline");

    // A new run without network refuses it before it begins.
    let flow = project.flow(root.join("flow.yaml")).unwrap();
    let context = project.context_for(&flow).unwrap().offline(true).build().unwrap();
    let refused = Runner::new(flow, context).run().await;
    match refused {
        Err(Error::Run(error)) => assert!(
            error.to_string().contains("no model is asked over a network"),
            "{error}"
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(scripted.asked().await.len(), asked, "no network was used");

    let project = env.opened();
    let run = project.run("last").unwrap();
    let report = run.resume().runner().unwrap().run().await.unwrap();
    assert_eq!(report.status, RunStatus::Completed);
    assert_eq!(scripted.asked().await.len(), asked, "no network was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_found_in_the_run_root_of_its_environment() {
    let scripted = scripted().await;
    let env = &scripted.env;
    env.write(
        ".dhenara/config.yaml",
        "environments: { ci: { run_root: ci_runs } }\n",
    );
    drop(env.run(&with(&RUN, &["--env", "ci"])).expect(3));
    let run = env.last_run();
    assert_eq!(run.parent(), Some(&*env.project().join("ci_runs")));
    for args in [&["runs", "show", "last"][..], &["runs", "verify", "last"]] {
        drop(env.run(args).expect(0));
    }
    assert!(env.run(&["runs", "list"]).expect(0).stdout.contains(&name(&run)));
    // What removes by a rule looks at one run root.
    drop(env.run(&["runs", "prune", "--keep-last", "0"]).expect(0));
    drop(env.run(&APPROVE).expect(0));
    let root = Catalog::new(&env.project().join("ci_runs"), &env.project().join("ci_runs"));
    assert_eq!(root.list().unwrap().len(), 1);
}
