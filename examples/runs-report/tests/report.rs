//! The report of runs that a test makes.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]
#![expect(clippy::disallowed_methods, reason = "the test damages a run")]

use dad_testing::{FakeAnswer, FakeModel, TestProject};
use dhenara::{FlowBuilder, FlowRunner, NodeBuilder, NodeType, Usage};
use serde_json::json;

async fn run(test: &TestProject, answer: FakeAnswer) {
    let ask = json!({ "models": ["any/model"], "prompt": "Write." });
    let flow = FlowBuilder::new().node("ask", NodeBuilder::new(NodeType::AI_MODEL_CALL, ask));
    let project = test.project().offline_models(FakeModel::answering([answer]));
    let context = project.context("story").unwrap().build().unwrap();
    let _ = FlowRunner::new(flow.build().unwrap(), context).run().await;
}

#[tokio::test]
async fn each_run_has_a_line_and_each_failure_its_own() {
    let test = TestProject::new();
    let mut usage = Usage::default();
    (usage.calls, usage.total_tokens, usage.cost) = (1, 7, Some(0.25));
    run(&test, FakeAnswer::text("A story.").with_usage(usage)).await;
    run(&test, FakeAnswer::status(401)).await;
    let runs = test.into_unchecked();
    let runs = runs.path().join("runs");
    let damaged = runs.join("run_20260102_030405_0a1b2c/.run");
    std::fs::create_dir_all(&damaged).unwrap();
    std::fs::write(damaged.join("journal.jsonl"), "not a journal\n").unwrap();

    let report = runs_report::report(&runs).unwrap();
    let lines: Vec<&str> = report.lines().collect();
    let words = |line: usize| -> Vec<&str> { lines[line].split_whitespace().collect() };
    assert_eq!(words(0), ["run", "status", "steps", "cost", "seconds"]);
    assert_eq!(words(1)[1..4], ["completed", "1", "$0.2500"]);
    assert_eq!(words(2)[1..4], ["failed", "1", "-"]);
    assert!(
        lines[3].starts_with("  story.ask: ") && lines[3].contains("401"),
        "{report}"
    );
    assert!(lines[4].contains("run_20260102_030405_0a1b2c"), "{report}");
    assert_eq!(lines.len(), 5, "{report}");
}
