//! The run that is measured.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dhenara::definition::NodeBuilder;
use dhenara::{
    BindContext, Bound, BoundStep, FlowBuilder, FlowDefinition, FlowRunner, Node, NodeContext, NodeError,
    NodeOutput, NodeRegistry, NodeType, ObservabilitySettings, RunContext, World,
};
use serde_json::{Value, json};

use crate::Outcome;

/// A node that does nothing, and whose result may not be reused.
#[derive(Default)]
struct Nothing;

impl Node for Nothing {
    type Settings = ();
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "nothing";

    fn bind(&self, (): (), _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl BoundStep for Nothing {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput, NodeError> {
        Ok(NodeOutput::new(json!({})))
    }

    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Effect)
    }
}

/// Runs a flow of so many steps below `project` and returns how long it took, from its context to its seal.
pub(crate) fn measure(project: &Path, steps: usize) -> Outcome<Duration> {
    let flow = flow(steps)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let start = Instant::now();
    runtime.block_on(async {
        let context = RunContext::builder("flow", project)
            .unmasked()
            .nodes(NodeRegistry::new().register::<Nothing>())
            .observability_settings(ObservabilitySettings::default())
            .build()?;
        FlowRunner::new(flow, context).run().await?;
        Outcome::Ok(())
    })?;
    Ok(start.elapsed())
}

fn flow(steps: usize) -> Outcome<FlowDefinition> {
    let node = || NodeBuilder::new(NodeType::new(Nothing::TYPE), json!({}));
    Ok((0..steps)
        .fold(FlowBuilder::new(), |flow, step| {
            flow.node(&format!("step_{step}"), node())
        })
        .build()?)
}
