//! `runs cost`: what runs consumed.

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::TestEnvironment;
use crate::models::{Scripted, says};

fn flow(models: &[&str]) -> String {
    let ask = |(index, model): (usize, &&str)| {
        let name = if index == 0 {
            "ask".to_owned()
        } else {
            format!("ask{index}")
        };
        format!(
            "  - {{ node: {name}, type: ai_model_call, settings: {{ models: [{model}], prompt: Hello }} }}\n"
        )
    };
    models.iter().enumerate().map(ask).collect()
}

/// A project with a run of two models, one without a price, a re-run of it, and one of a third model.
async fn environment() -> Scripted {
    let scripted = Scripted::new(vec![says("hello")]).await;
    scripted.flow(&flow(&["local/tiny", "local/free"]));
    drop(scripted.run(&[]).expect(0));
    drop(
        scripted
            .env
            .run(&["rerun", "last", "--execute", "ask1"])
            .expect(0),
    );
    scripted.flow(&flow(&["local/big"]));
    drop(scripted.run(&[]).expect(0));
    scripted
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_by_each_part() {
    let scripted = environment().await;
    let env = &scripted.env;
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(?m)^\d{4}-\d\d-\d\d ", "0000-00-00 ");
    let _days = settings.bind_to_scope();
    for by in ["model", "agent", "day", "run"] {
        assert_snapshot!(by, env.unchanged(&["runs", "cost", "--by", by]).expect(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_result_costs_nothing_and_a_call_without_price_is_named() {
    let scripted = environment().await;
    let env = &scripted.env;
    let document = |args: &[&str]| {
        let output = env.unchanged(&[&["runs", "cost", "--json"], args].concat());
        output.expect(0).json("cli_runs_cost")
    };
    let all = document(&[]);
    assert_eq!(all["total"]["runs"], 3);
    assert_eq!(all["total"]["usage"]["calls"], 4);
    assert_eq!(all["total"]["unpriced_calls"], 2);
    let row = |document: &Value, key: &str| {
        let rows = document["rows"].as_array().unwrap();
        rows.iter()
            .find(|row| row["key"] == key)
            .cloned()
            .unwrap_or(Value::Null)
    };
    assert_eq!(
        row(&all, "local/tiny")["usage"]["calls"],
        1,
        "it was asked in one run and reused in the other"
    );
    assert_eq!(row(&all, "local/free")["usage"]["cost"], Value::Null);
    assert_eq!(row(&all, "local/free")["unpriced_calls"], 2);
    // All parts add up to the same.
    for by in ["agent", "day", "run"] {
        let other = document(&["--by", by]);
        assert_eq!(other["total"]["usage"]["calls"], 4, "{by}");
        assert_eq!(other["total"]["unpriced_calls"], 2, "{by}");
        assert_eq!(
            other["total"]["usage"]["cost"], all["total"]["usage"]["cost"],
            "{by}"
        );
    }
    // A run that is named twice counts once.
    let one = document(&["last", "last"]);
    assert_eq!(
        (&one["total"]["runs"], one["rows"].as_array().map(Vec::len)),
        (&1.into(), Some(1))
    );
    let none = document(&["--agent", "other"]);
    assert_eq!(
        (&none["total"]["runs"], &none["rows"]),
        (&0.into(), &Value::Array(Vec::new()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_exchanges_do_not_tell_is_of_no_known_model() {
    let scripted = environment().await;
    let env = &scripted.env;
    env.is_checked();
    std::fs::write(env.last_run().join("flow_root/ask/memo.jsonl"), "changed\n").unwrap();
    let document = env
        .unchanged(&["runs", "cost", "last", "--json"])
        .expect(0)
        .json("cli_runs_cost");
    assert_eq!(document["rows"][0]["key"], Value::Null);
    assert_eq!(document["total"]["usage"]["calls"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_counts_once() {
    let scripted = Scripted::new(vec![says("hello")]).await;
    scripted.flow(&(flow(&["local/tiny"]) + "  - { node: fails, type: command, settings: { commands: ['test -e ../../../../../go || test -e go'], working_dir: \"$var{project_root}\" } }\n"));
    drop(scripted.run(&[]).expect(1));
    scripted.env.write("go", "");
    drop(scripted.env.run(&["resume", "last"]).expect(0));
    let document = scripted
        .env
        .unchanged(&["runs", "cost", "--json"])
        .expect(0)
        .json("cli_runs_cost");
    assert_eq!(document["total"]["usage"]["calls"], 1);
    assert_eq!(document["total"]["runs"], 1);
}

#[test]
fn runs_without_models_cost_nothing() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.unchanged(&["runs", "cost"]).expect(0), @r"
    ---- stderr
    no model was asked in 0 runs
    ---- exit code 0
    ");
    env.write("flow.yaml", "schema_version: 1\nkind: flow\nelements:\n  - { node: a, type: command, settings: { commands: ['true'] } }\n");
    drop(env.run(&["run", "flow", "flow.yaml"]).expect(0));
    assert_snapshot!(env.unchanged(&["runs", "cost"]).expect(0), @r"
    ---- stderr
    no model was asked in 1 run
    ---- exit code 0
    ");
    std::fs::write(env.last_run().join(".run/journal.jsonl"), "damaged\n").unwrap();
    env.is_checked();
    let damaged = env
        .unchanged(&["runs", "cost", "--json"])
        .expect(0)
        .json("cli_runs_cost");
    assert_eq!(damaged["unreadable"].as_array().map(Vec::len), Some(1));
}
