//! The pipeline of a step and the order of components, seen through runs of nodes made for these tests.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]

mod binding;
mod completing;
mod control;
mod forecasts;
mod nodes;
mod reruns;
mod resume;
mod room;
mod steps;
mod stop_cases;
mod stop_table;
mod stopping;

use std::path::Path;

use dad_core::{FlowDefinition, HierarchyPath, RunStatus, StepStatus};
use dad_run::{RunContext, RunContextBuilder, RunView};
use dad_runner::{Error, FlowRunner, RunReport};

/// A context of a run of `flow` in a project.
fn context(project: &Path) -> RunContextBuilder {
    RunContext::builder("flow", project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(nodes::registry())
}

async fn run(flow: FlowDefinition, project: &Path) -> Result<RunReport, Error> {
    let ended = FlowRunner::new(flow, context(project).build()?).run().await;
    let report = ended.as_ref().ok().or_else(|| ended.as_ref().err()?.report());
    if let Some(report) = report {
        let _ = dad_tests::validate_run_dir(&report.run_dir);
    }
    ended
}

/// The report of a run, however it ended.
fn report(ended: Result<RunReport, Error>) -> RunReport {
    match ended {
        Ok(report) => report,
        Err(error) => error.report().unwrap().clone(),
    }
}

/// Steps of a run in the order in which they were entered, with how they ended.
fn statuses(report: &RunReport) -> Vec<(String, StepStatus)> {
    let view = RunView::open(&report.run_dir).unwrap();
    assert_eq!(
        view.status, report.status,
        "the journal says what the report says"
    );
    view.steps()
        .map(|step| (step.path.to_string(), step.status))
        .collect()
}

fn path(text: &str) -> HierarchyPath {
    text.parse().unwrap()
}

/// Checks that a run leaves no rubbish behind, however it ended.
fn assert_tidy(report: &RunReport) {
    let stage = report.run_dir.join(".run/stage");
    assert_eq!(
        std::fs::read_dir(stage).unwrap().count(),
        0,
        "nothing is left in the stage"
    );
    assert_ne!(report.status, RunStatus::Running);
}
