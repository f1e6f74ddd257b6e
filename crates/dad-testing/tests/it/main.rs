//! Scripted models, projects that verify their runs, and the messages of assertions.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]
#![expect(clippy::disallowed_methods, reason = "a test damages a run")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use dad_core::{Budget, FlowDefinition, NodeType, StepStatus, Usage};
use dad_definition::{CallbackBuilder, FlowBuilder, NodeBuilder};
use dad_models::Role;
use dad_nodes::builtin_nodes;
use dad_project::Project;
use dad_run::RunView;
use dad_runner::{Error, FlowRunner, NodeContext, NodeError, RunReport};
use dad_testing::{FakeAnswer, FakeModel, RunAssertions, TestProject};
use serde_json::{Value, json};

async fn weather(_: Value, _: NodeContext) -> Result<String, NodeError> {
    Ok("rain".to_owned())
}

async fn broken(_: (), _: NodeContext) -> Result<(), NodeError> {
    Err(NodeError::new("out_of_ink", "the printer has no ink"))
}

fn ask(settings: &Value) -> NodeBuilder {
    let mut whole = json!({ "models": ["any/model"], "prompt": "Write." });
    whole
        .as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    NodeBuilder::new(NodeType::AI_MODEL_CALL, whole)
}

fn asking(settings: &Value) -> FlowDefinition {
    FlowBuilder::new().node("ask", ask(settings)).build().unwrap()
}

fn project(test: &TestProject, model: &FakeModel) -> Project {
    let nodes = builtin_nodes()
        .callback("weather", weather)
        .callback("broken", broken);
    test.project().nodes(nodes).offline_models(model.clone())
}

async fn run(test: &TestProject, model: &FakeModel, flow: FlowDefinition) -> Result<RunReport, Error> {
    let context = project(test, model).context("story").unwrap().build().unwrap();
    FlowRunner::new(flow, context).run().await
}

/// The message of a failed assertion.
fn message<R>(assertion: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).err().unwrap();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test]
async fn answers_come_in_their_order_and_requests_are_recorded() {
    let test = TestProject::new();
    let model = FakeModel::answering([
        FakeAnswer::tool_calls([("weather", json!({})), ("weather", json!({ "day": 2 }))]),
        "It rains.".into(),
    ]);
    let flow = asking(&json!({ "model_call_config": { "tools": ["weather"] } }));
    let report = run(&test, &model, flow).await.unwrap();
    let outcome: Value = report.outcome("story.ask").unwrap();
    assert_eq!(outcome["text"], "It rains.");
    assert_eq!(model.unused(), 0);

    let requests = model.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(model.prompts()[0], "Write.");
    let answered: Vec<&str> = requests[1]
        .messages
        .iter()
        .filter(|message| message.role == Role::Tool)
        .filter_map(|message| message.tool_call_id.as_deref())
        .collect();
    assert_eq!(answered, ["call_1_1", "call_1_2"]);
    assert_eq!(report.totals.usage.calls, 2);
}

#[tokio::test]
async fn a_request_beyond_the_script_fails_and_is_named() {
    let test = TestProject::new();
    let model = FakeModel::answering(["One."]);
    let flow = FlowBuilder::new()
        .node("first", ask(&json!({})))
        .node("second", ask(&json!({})));
    let error = run(&test, &model, flow.build().unwrap()).await.unwrap_err();
    let report = error.report().unwrap();
    report.assert_step("story.second", StepStatus::Failed);
    let message = &report.error.as_ref().unwrap().message;
    for part in ["1 answers", "request 2", "`story.second`", "`Write.`"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[tokio::test]
async fn a_function_answers_by_the_request_with_text_json_or_an_error() {
    let test = TestProject::new();
    let model = FakeModel::by(|request| match request.model.as_str() {
        "any/model" => FakeAnswer::status(404),
        _ => json!({ "title": "The sea" }).into(),
    });
    let schema = json!({ "type": "object", "properties": { "title": { "type": "string" } } });
    let flow = asking(&json!({
        "models": ["any/model", "other/model"],
        "model_call_config": { "structured_output": { "schema": schema } },
    }));
    let report = run(&test, &model, flow).await.unwrap();
    let outcome: Value = report.outcome("story.ask").unwrap();
    assert_eq!(outcome["structured"]["title"], "The sea");
    assert_eq!(model.requests().len(), 2);
}

#[tokio::test]
async fn the_consumption_counts_for_budgets() {
    let test = TestProject::new();
    let model = FakeModel::by(|_| "A story.");
    let budget: Budget = "calls=1".parse().unwrap();
    let flow = FlowBuilder::new()
        .budget(budget)
        .node("first", ask(&json!({})))
        .node("second", ask(&json!({})));
    let error = run(&test, &model, flow.build().unwrap()).await.unwrap_err();
    error.report().unwrap().assert_failed("budget_exceeded");

    let mut usage = Usage::default();
    (usage.calls, usage.total_tokens, usage.cost) = (1, 9, Some(0.5));
    let model = FakeModel::answering([FakeAnswer::text("A story.").with_usage(usage)]);
    let report = run(&test, &model, asking(&json!({}))).await.unwrap();
    assert_eq!(report.totals.usage, usage);
}

#[tokio::test]
async fn a_failed_assertion_shows_the_steps_of_the_run() {
    let test = TestProject::new();
    let flow = FlowBuilder::new()
        .node("ask", ask(&json!({})))
        .callback("print", CallbackBuilder::new("broken"));
    let error = run(&test, &FakeModel::by(|_| "A story."), flow.build().unwrap()).await;
    let error = error.unwrap_err();
    let report = error.report().unwrap();
    let view = RunView::open(&report.run_dir).unwrap();
    view.assert_failed("out_of_ink")
        .assert_step("story.ask", StepStatus::Completed);

    let id = report.run_id.to_string();
    let shown = "\n  story: failed\n    ask: completed\n    print: failed: the printer has no ink\n\
         error `out_of_ink`: the printer has no ink";
    let expected = format!("expected a run that is completed:\n{id} is failed{shown}");
    assert_eq!(message(|| report.assert_completed()), expected);
    let expected = format!("expected `story.ask` to be failed, and it is completed:\n{id} is failed{shown}");
    assert_eq!(
        message(|| view.assert_step("story.ask", StepStatus::Failed)),
        expected
    );
}

#[tokio::test]
async fn a_run_that_waits_names_its_question() {
    let test = TestProject::new();
    let flow = FlowBuilder::new().node("ask", ask(&json!({})).pre_events(["node_input_required"]));
    let report = run(&test, &FakeModel::by(|_| ""), flow.build().unwrap())
        .await
        .unwrap();
    report
        .assert_waiting("story.ask")
        .assert_step("story.ask", StepStatus::Waiting);
    let message = message(|| report.assert_completed());
    assert!(
        message.ends_with("waits for an answer at `story.ask`"),
        "{message}"
    );
}

#[tokio::test]
async fn a_project_finds_damage_of_its_runs_when_it_is_dropped() {
    let test = TestProject::new();
    let report = run(&test, &FakeModel::by(|_| "A story."), asking(&json!({})))
        .await
        .unwrap();
    std::fs::write(report.run_dir.join("story/ask/outcome.json"), "{}").unwrap();
    let message = message(|| drop(test));
    assert!(message.contains("story/ask/outcome.json: "), "{message}");
}

#[test]
fn files_of_a_project_stay_in_it() {
    let test = TestProject::new();
    test.write("agents/a/agent.yaml", "kind: agent");
    let written = std::fs::read_to_string(test.path().join("agents/a/agent.yaml")).unwrap();
    assert_eq!(written, "kind: agent");
    let message = message(|| test.write("../outside", ""));
    assert!(message.starts_with("cannot write `../outside`"), "{message}");
}
