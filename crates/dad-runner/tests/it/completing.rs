//! The end of a run that its owner set up, and what its report gives.

use dad_core::{FlowDefinition, RunStatus};
use dad_definition::FlowBuilder;
use dad_run::{RunError, RunView, SetupError};
use dad_runner::{CompleteRun, FlowRunner, RunReport};
use serde::Deserialize;
use serde_json::json;

use crate::nodes::{echo, node};
use crate::{context, report};

/// Sets a run up, executes it, and completes it as it ended.
async fn completed(flow: &FlowDefinition, project: &std::path::Path) -> (RunReport, RunView) {
    let run = context(project).build().unwrap().setup_run(flow).unwrap();
    let ended = FlowRunner::within(flow, &run).run().await;
    let sealed = run.complete(&ended).await.unwrap();
    let report = report(ended);
    assert_eq!(sealed.status, report.status);
    drop(dad_tests::validate_run_dir(&report.run_dir));
    let view = RunView::open(&report.run_dir).unwrap();
    (report, view)
}

#[tokio::test]
async fn a_run_is_completed_as_its_runner_ended_it() {
    let project = tempfile::tempdir().unwrap();
    let flow = |last| {
        FlowBuilder::new()
            .node("first", echo(1))
            .node("second", last)
            .build()
            .unwrap()
    };
    let (_, done) = completed(&flow(echo(2)), project.path()).await;
    assert_eq!(done.status, RunStatus::Completed);

    let asks = echo("asked").pre_events(["node_input_required"]);
    let (_, waiting) = completed(&flow(asks), project.path()).await;
    assert_eq!(waiting.status, RunStatus::Waiting);
    assert_eq!(waiting.open_questions().count(), 1, "it can still be answered");

    let (report, failed) = completed(&flow(node("panics", json!({}))), project.path()).await;
    assert_eq!(failed.status, RunStatus::Failed);
    let summary = std::fs::read_to_string(report.run_dir.join("run_summary.json")).unwrap();
    let error = report.error.unwrap();
    assert_eq!(
        error.path.as_ref().map(ToString::to_string).as_deref(),
        Some("flow.second")
    );
    assert!(
        summary.contains(&format!("\"code\": \"{}\"", error.code)),
        "the error of the step, as for a run that its runner completes: {summary}"
    );
}

#[derive(Debug, Deserialize, PartialEq)]
struct Echoed {
    value: u32,
}

#[tokio::test]
async fn outcomes_and_output_are_read_as_types() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("first", echo(1))
        .output(json!({ "value": "$expr{ $hier{flow.first}.outcome.value }" }))
        .build()
        .unwrap();
    let (report, view) = completed(&flow, project.path()).await;
    assert_eq!(
        report.outcome::<Echoed>("flow.first").unwrap(),
        Echoed { value: 1 }
    );
    assert_eq!(
        view.outcome::<Echoed>(&"flow.first".parse().unwrap())
            .unwrap()
            .value,
        1
    );
    assert_eq!(report.output_as::<Echoed>().unwrap(), Echoed { value: 1 });

    let other = report.outcome::<Vec<u32>>("flow.first").unwrap_err();
    assert!(
        matches!(&other, RunError::Unreadable { reason, .. } if reason.contains("its outcome is of another type")),
        "{other}"
    );
    let absent = report.outcome::<Echoed>("flow.frist").unwrap_err().to_string();
    assert!(absent.contains("did you mean `flow.first`?"), "{absent}");
    let no_path = report.outcome::<Echoed>("flow..first").unwrap_err();
    assert!(matches!(no_path.setup(), Some(SetupError::Path(_))), "{no_path}");
}

#[tokio::test]
async fn the_events_of_a_run_are_heard_from_its_first_on() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new().node("first", echo(1)).build().unwrap();
    let mut context = context(project.path()).build().unwrap();
    let mut events = context.subscribe(100);
    let running = tokio::spawn(FlowRunner::new(flow, context).run());
    let mut kinds = Vec::new();
    while let Some(delivery) = events.next().await {
        let dad_events::Delivery::Event(event) = delivery else {
            panic!("{delivery:?}")
        };
        kinds.push(event.event_type().to_string());
    }
    assert!(running.await.unwrap().is_ok());
    let is_early = |kind: &str| kinds.iter().position(|heard| heard == kind);
    assert!(
        is_early("run_started") < is_early("node_execution_completed"),
        "{kinds:?}"
    );
    assert_eq!(kinds.last().map(String::as_str), Some("run_completed"));
}
