//! Resuming a run in its own directory.

use dad_core::{FlowDefinition, RunStatus};
use dad_definition::FlowBuilder;
use dad_run::{RecordBody, RunError, RunView, SetupError};
use dad_runner::{Error, FlowRunner, RunReport};

use crate::nodes::{echo, node};
use crate::{assert_tidy, context, path, report, run};

/// Three steps, the second of which may fail.
fn flow(fail: bool) -> FlowDefinition {
    let second = node(
        "echo",
        serde_json::json!({ "value": "$expr{word}", "fail": fail }),
    );
    FlowBuilder::new()
        .variable("word", "$expr{ 'evaluated once' }")
        .subflow(
            "part",
            FlowBuilder::new()
                .node("first", echo("$var{run_id}"))
                .node("second", second),
        )
        .node("third", echo("$expr{ $hier{second}.outcome.value }"))
        .finally_node("clean", echo("$expr{ $hier{part}.counts.completed }"))
        .build()
        .unwrap()
}

async fn resume(
    flow: FlowDefinition,
    project: &std::path::Path,
    before: &RunReport,
) -> Result<RunReport, Error> {
    let context = context(project).build()?;
    let ended = FlowRunner::resume(flow, context, &before.run_dir).run().await;
    drop(dad_tests::validate_run_dir(&before.run_dir));
    ended
}

fn started(report: &RunReport) -> Vec<String> {
    let journal = std::fs::read_to_string(report.run_dir.join(".run/journal.jsonl")).unwrap();
    let bodies = journal
        .lines()
        .map(|line| serde_json::from_str::<dad_run::Record>(line).unwrap().body);
    bodies
        .filter_map(|body| match body {
            RecordBody::StepStarted { path, attempt, .. } => Some(format!("{} {attempt}", path.leaf())),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn only_what_did_not_end_well_executes() {
    let project = tempfile::tempdir().unwrap();
    let failed = report(run(flow(true), project.path()).await);
    assert_eq!(failed.status, RunStatus::Failed);
    let resumed = resume(flow(false), project.path(), &failed).await.unwrap();
    assert_eq!(
        (&resumed.run_id, resumed.status),
        (&failed.run_id, RunStatus::Completed)
    );
    assert_tidy(&resumed);
    assert_eq!(
        started(&resumed),
        ["first 1", "second 1", "clean 1", "second 2", "third 1", "clean 2"]
    );
    assert_eq!(
        (resumed.totals.counts.completed, resumed.totals.counts.failed),
        (4, 0)
    );
    let view = RunView::open(&resumed.run_dir).unwrap();
    assert_eq!(
        view.totals, resumed.totals,
        "the journal says what the report says"
    );
    assert_eq!(
        view.result(&path("flow.third")).unwrap()["outcome"]["value"],
        "evaluated once"
    );
    assert_eq!(view.result(&path("flow.clean")).unwrap()["outcome"]["value"], 2);

    let again = resume(flow(false), project.path(), &resumed).await.unwrap_err();
    assert!(
        matches!(&again, Error::Run(error) if matches!(error.setup(), Some(SetupError::AlreadyCompleted(_)))),
        "{again}"
    );
}

#[tokio::test]
async fn a_rerun_is_resumed_as_one() {
    let project = tempfile::tempdir().unwrap();
    let first = run(flow(false), project.path()).await.unwrap();
    let context = context(project.path())
        .previous_run_id("last")
        .start_hierarchy_path("second");
    let failed = report(FlowRunner::new(flow(true), context.build().unwrap()).run().await);
    assert_eq!(started(&failed), ["second 1", "clean 1"]);
    let resumed = resume(flow(false), project.path(), &failed).await.unwrap();
    assert_eq!(started(&resumed)[2..], ["second 2", "third 1", "clean 2"]);
    let view = RunView::open(&resumed.run_dir).unwrap();
    let origin = view
        .step(&path("flow.part.first"))
        .unwrap()
        .reused_from
        .clone()
        .unwrap();
    assert_eq!(origin.run_id, first.run_id);
    assert_eq!(resumed.totals.counts.reused, 1);
}

#[tokio::test]
async fn a_run_that_is_driven_is_not_taken_over() {
    let project = tempfile::tempdir().unwrap();
    let running = context(project.path())
        .build()
        .unwrap()
        .setup_run(&flow(false))
        .unwrap();
    let context = context(project.path()).build().unwrap();
    let dir = running.identity().run_dir.clone();
    let error = FlowRunner::resume(flow(false), context, &dir)
        .run()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Run(RunError::LeaseHeld { .. })), "{error}");
    drop(running);
}
