//! Begins a run and dies without ending it: `abandon PROJECT forget|abort`.
//!
//! `forget` leaves the process while a run is set up; `abort` kills it in the middle of a step.

use std::process::ExitCode;

use async_trait::async_trait;
use dhenara::{
    BindContext, Bound, BoundStep, FlowBuilder, FlowDefinition, FlowRunner, Node, NodeBuilder, NodeContext,
    NodeError, NodeOutput, NodeRegistry, NodeType, ObservabilitySettings, RunContext,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A node that writes a file and kills its process, or does nothing.
#[derive(Debug, Default)]
struct Step;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct StepSettings {
    abort: bool,
}

impl Node for Step {
    type Settings = StepSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "step";

    fn bind(&self, settings: StepSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for StepSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        if self.abort {
            let answer = |_| async { Ok(json!("paid for")) };
            cx.memo::<Value, _>("question", &json!("what?"), answer).await?;
            std::process::abort();
        }
        Ok(NodeOutput::new(Value::Null))
    }
}

fn flow(abort: bool) -> Result<FlowDefinition, dhenara::definition::Problems> {
    let step = |abort| NodeBuilder::new(NodeType::from_static("step"), StepSettings { abort });
    FlowBuilder::new()
        .node("before", step(false))
        .node("last_one", step(abort))
        .build()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(project), Some(how)) = (words.next(), words.next()) else {
        return ExitCode::from(2);
    };
    match begin(&project, how == "abort").await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn begin(project: &str, abort: bool) -> Result<(), Box<dyn std::error::Error>> {
    let flow = flow(abort)?;
    let context = RunContext::builder("abandoned_flow", project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(NodeRegistry::new().register::<Step>())
        .observability_settings(ObservabilitySettings::default())
        .build()?;
    if abort {
        FlowRunner::new(flow, context).run().await?;
    } else {
        std::mem::forget(context.setup_run(&flow)?);
    }
    Ok(())
}
