//! The node and the callback, with a scripted model.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]

use dad_testing::{FakeAnswer, FakeModel, RunAssertions, TestProject};
use dhenara::{Error, FlowRunner, RunReport, StepStatus};
use own_node::{FoundTerms, description, nodes};
use serde::Deserialize;

/// The outcome of a callback.
#[derive(Deserialize)]
struct Called {
    callable_result: bool,
}

async fn run(test: &TestProject, model: &FakeModel, terms: &[&str]) -> Result<RunReport, Error> {
    let project = test.project().nodes(nodes()).offline_models(model.clone());
    let context = project.context("description").unwrap().build()?;
    FlowRunner::new(description("a lamp", terms)?, context)
        .run()
        .await
}

#[tokio::test]
async fn terms_are_found_and_decide() {
    let test = TestProject::new();
    let model = FakeModel::answering(["A revolutionary lamp.", "A lamp."]);
    for (found, may_be_published) in [(vec!["Revolutionary"], false), (vec![], true)] {
        let report = run(&test, &model, &["Revolutionary", "disruptive"])
            .await
            .unwrap();
        report.assert_completed();
        let terms: FoundTerms = report.outcome("description.terms").unwrap();
        assert_eq!(terms.found, found);
        let verdict: Called = report.outcome("description.verdict").unwrap();
        assert_eq!(verdict.callable_result, may_be_published);
    }
    assert_eq!(model.prompts(), ["Describe a lamp in one sentence."; 2]);
}

#[tokio::test]
async fn a_model_that_refuses_its_key_ends_the_run_before_the_terms() {
    let test = TestProject::new();
    let model = FakeModel::answering([FakeAnswer::status(401)]);
    let error = run(&test, &model, &["new"]).await.unwrap_err();
    let report = error.report().unwrap();
    report
        .assert_failed("model_status")
        .assert_step("description.write", StepStatus::Failed)
        .assert_step("description.terms", StepStatus::Pending);
}

#[tokio::test]
async fn an_empty_term_is_refused() {
    let test = TestProject::new();
    let error = run(&test, &FakeModel::answering(["A lamp."]), &[""])
        .await
        .unwrap_err();
    error.report().unwrap().assert_failed("empty_term");
}
