//! The end of a run that its owner set up, and what its report gives.

use std::error::Error as _;

use dad_core::{ErrorInfo, FlowDefinition, RunStatus};
use dad_definition::{AgentBuilder, FlowBuilder};
use dad_run::{RunContext, RunEnd, RunError, RunView, SetupError};
use dad_runner::{AgentRunner, CompleteRun, Error, FlowRunner, RunReport, SetUpRun};
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

#[tokio::test]
async fn an_error_given_by_hand_is_recorded_with_its_code_and_place() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("first", node("panics", json!({})))
        .build()
        .unwrap();
    let run = context(project.path()).build().unwrap().setup_run(&flow).unwrap();
    let run_dir = run.identity().run_dir.clone();
    let error = FlowRunner::within(&flow, &run).run().await.unwrap_err();
    drop(run.complete_run(RunEnd::Failed, Some(&error)).await.unwrap());
    let recorded = RunView::open(&run_dir).unwrap().error.unwrap();
    assert_eq!(Some(&recorded), error.report().unwrap().error.as_ref());
    assert_eq!(recorded.code, "node_panicked");
    assert_eq!(recorded.path.unwrap().as_str(), "flow.first");

    // Any other error is recorded in its words.
    let run = context(project.path()).build().unwrap().setup_run(&flow).unwrap();
    let run_dir = run.identity().run_dir.clone();
    let other = std::io::Error::other("the printer is out of paper");
    drop(run.complete_run(RunEnd::Failed, Some(&other)).await.unwrap());
    let recorded = RunView::open(&run_dir).unwrap().error.unwrap();
    assert_eq!(
        (recorded.code.as_str(), recorded.message.as_str()),
        ("run_failed", "the printer is out of paper")
    );
}

#[tokio::test]
async fn an_error_says_its_cause_once() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("first", node("panics", json!({})))
        .build()
        .unwrap();
    let error = crate::run(flow.clone(), project.path()).await.unwrap_err();
    assert_eq!(error.to_string(), "the run failed at `flow.first`");
    let cause = error.source().unwrap().downcast_ref::<ErrorInfo>().unwrap();
    assert_eq!(cause.code, error.code());

    let unknown = context(project.path())
        .previous_run_id("last")
        .start_hierarchy_path("zz");
    let error = FlowRunner::new(flow, unknown.build().unwrap())
        .run()
        .await
        .unwrap_err();
    let words = ErrorInfo::from_error("code", &error).message;
    assert_eq!(words.matches("names no step").count(), 1, "{words}");
    let is_said_twice = |cause: &dyn std::error::Error| error.to_string().contains(&cause.to_string());
    assert!(!error.source().is_some_and(is_said_twice), "{error}");
}

#[tokio::test]
async fn a_definition_names_the_root_that_its_context_has() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new().node("step", echo(1));
    let agent = AgentBuilder::new("one").flow("main", flow).build().unwrap();
    let context = || {
        RunContext::builder("two", project.path())
            .unmasked()
            .origin_key(dad_tests::origin_key())
            .nodes(crate::nodes::registry())
            .build()
            .unwrap()
    };
    let error = AgentRunner::new(agent.clone(), context())
        .run()
        .await
        .unwrap_err();
    assert_eq!(error.code(), "other_root_id");
    assert!(
        error.to_string().contains("`one`") && error.to_string().contains("`two`"),
        "{error}"
    );
    assert!(!project.path().join("runs").exists(), "no run was made");

    let agent = agent.with_root_id("two".parse().unwrap());
    let report = AgentRunner::new(agent, context()).run().await.unwrap();
    assert!(report.run_dir.join("two/main/step/result.json").is_file());
}

#[tokio::test]
async fn a_run_that_its_owner_sets_up_is_checked_before_its_first_step() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("first", echo(1))
        .node("needs", node("needs", json!({})))
        .build()
        .unwrap();
    let error = context(project.path())
        .build()
        .unwrap()
        .set_up(&flow)
        .await
        .unwrap_err();
    assert!(matches!(error.setup(), Some(SetupError::NotReady(_))), "{error}");
    assert!(!project.path().join("runs").exists(), "no run was made");

    // Without a runner the set-up cannot know; then the runner refuses, and nothing has executed.
    let run = context(project.path()).build().unwrap().setup_run(&flow).unwrap();
    let run_dir = run.identity().run_dir.clone();
    let ended = FlowRunner::within(&flow, &run).run().await;
    assert!(
        matches!(&ended, Err(Error::Run(error)) if error.setup().is_some()),
        "{ended:?}"
    );
    drop(run.complete(&ended).await.unwrap());
    assert_eq!(RunView::open(&run_dir).unwrap().steps().count(), 0);

    let given = context(project.path()).resource(std::sync::Arc::new(crate::nodes::Needed));
    let run = given.build().unwrap().set_up(&flow).await.unwrap();
    let ended = FlowRunner::within(&flow, &run).run().await;
    assert_eq!(run.complete(&ended).await.unwrap().status, RunStatus::Completed);
}

#[tokio::test]
async fn a_rerun_that_its_owner_sets_up_has_the_plan_of_its_runner() {
    let project = tempfile::tempdir().unwrap();
    let flow = |last: i64| {
        let flow = FlowBuilder::new()
            .node("first", echo(1))
            .node("second", echo(last));
        flow.build().unwrap()
    };
    crate::run(flow(2), project.path()).await.unwrap();
    let rerun = context(project.path()).previous_run_id("last");
    let run = rerun.build().unwrap().set_up(&flow(3)).await.unwrap();
    let counts = run.driver().unwrap().plan().unwrap().counts();
    assert_eq!(
        counts,
        (1, 1, 0),
        "one is reused, one executes, and nothing is decided on the way"
    );
}

#[tokio::test]
async fn a_runner_executes_no_other_definition_than_its_run_was_set_up_with() {
    let project = tempfile::tempdir().unwrap();
    let flow = |value: i64| FlowBuilder::new().node("step", echo(value)).build().unwrap();
    let run = context(project.path())
        .build()
        .unwrap()
        .setup_run(&flow(1))
        .unwrap();
    let error = FlowRunner::within(&flow(2), &run).run().await.unwrap_err();
    assert_eq!(error.code(), "other_definition");
}

#[tokio::test]
async fn a_node_may_have_no_settings() {
    let project = tempfile::tempdir().unwrap();
    let unit = dad_definition::NodeBuilder::new(dad_core::NodeType::from_static("bare"), ());
    let flow = FlowBuilder::new()
        .node("built", unit)
        .node("written", node("bare", json!({})))
        .build()
        .unwrap();
    let report = crate::run(flow, project.path()).await.unwrap();
    assert_eq!(report.status, RunStatus::Completed);
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

#[tokio::test]
async fn a_report_serialises_as_the_command_prints_it() {
    let project = tempfile::tempdir().unwrap();
    let flow = FlowBuilder::new()
        .node("step", echo(1))
        .output("$expr{ $hier{step}.outcome.value }");
    let report = crate::run(flow.build().unwrap(), project.path()).await.unwrap();
    let written = serde_json::to_value(&report).unwrap();
    let keys: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "run_id",
        "run_dir",
        "status",
        "duration_seconds",
        "counts",
        "usage",
        "error",
        "first_failures",
        "warnings",
        "output",
    ];
    assert_eq!(keys, expected);
    assert_eq!(
        (&written["status"], &written["output"]),
        (&json!("completed"), &json!(1))
    );
}
