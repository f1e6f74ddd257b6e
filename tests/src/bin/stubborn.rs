//! The `dhenara` command with a node that never stops by itself: `{ type: stubborn, settings: { looks: true } }` looks at something
//! for ever before it executes, without `looks` it blocks for ever while it executes.

use std::time::Duration;

use async_trait::async_trait;
use dhenara::runner::{Stop, look};
use dhenara::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, World, builtin_nodes,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Default)]
struct Stubborn;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct StubbornSettings {
    #[serde(default)]
    looks: bool,
}

impl Node for Stubborn {
    type Settings = StubbornSettings;
    type Input = ();
    type Outcome = Value;
    const TYPE: &'static str = "stubborn";

    fn bind(
        &self,
        settings: StubbornSettings,
        _: Option<()>,
        _: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

fn for_ever<T>(_: &Stop) -> Result<T, NodeError> {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[async_trait]
impl BoundStep for StubbornSettings {
    async fn world(&self) -> Result<World, NodeError> {
        match self.looks {
            true => look(for_ever).await,
            false => Ok(World::Effect),
        }
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        cx.blocking(for_ever).await
    }
}

fn main() -> std::process::ExitCode {
    dad_cli::App::new()
        .nodes(builtin_nodes().register::<Stubborn>())
        .run()
}
