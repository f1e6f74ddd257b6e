//! The built-in nodes, seen through runs.

#![expect(clippy::unwrap_used, reason = "a failed expectation of a test may panic")]
#![expect(clippy::disallowed_methods, reason = "tests make the files a user would have")]

mod analyses;
mod commands;
mod files;
mod folders;
#[cfg(unix)]
mod git_view;
mod models;
mod outcomes;

use std::path::Path;
use std::sync::Arc;

use dad_core::ErrorInfo;
use dad_definition::{FlowBuilder, NodeBuilder};
use dad_models::Models;
use dad_nodes::builtin_nodes;
use dad_run::RunContext;
use dad_runner::{FlowRunner, RunReport};
use serde_json::Value;

/// Runs a flow of one node, `step`.
async fn run(node: impl Into<NodeBuilder>, project: &Path) -> RunReport {
    run_with(node, project, None).await
}

async fn run_with(node: impl Into<NodeBuilder>, project: &Path, models: Option<Models>) -> RunReport {
    let flow = FlowBuilder::new().node("step", node).build().unwrap();
    let mut context = RunContext::builder("flow", project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(builtin_nodes());
    if let Some(models) = models {
        context = context.resource(Arc::new(models));
    }
    let report = match FlowRunner::new(flow, context.build().unwrap()).run().await {
        Ok(report) => report,
        Err(error) => error.report().unwrap_or_else(|| panic!("{error}")).clone(),
    };
    drop(dad_tests::validate_run_dir(&report.run_dir));
    report
}

fn file(report: &RunReport, name: &str) -> String {
    std::fs::read_to_string(report.run_dir.join("flow/step").join(name)).unwrap()
}

fn outcome(report: &RunReport) -> Value {
    serde_json::from_str(&file(report, "outcome.json")).unwrap()
}

fn error(report: &RunReport) -> ErrorInfo {
    report.error.clone().unwrap()
}
