//! The `dhenara` command with a node that never stops by itself: `{ type: stubborn, settings: { does: looks } }` looks at something
//! for ever before it executes, `works` blocks for ever while it executes, and `starts` starts a program before that.

use std::process::{Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use dhenara::run::{TOKEN_VARIABLE, process_start_time};
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
    does: Does,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Does {
    Looks,
    Works,
    Starts,
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

/// Starts a program in a process group of its own, and has it recorded.
fn start(cx: &NodeContext) -> Result<(), NodeError> {
    let mut command = Command::new("sleep");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let token = cx.run().process_token();
    let command = command.arg("600").env(TOKEN_VARIABLE, token);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    cx.process_started(child.id(), process_start_time(child.id()))
}

#[async_trait]
impl BoundStep for StubbornSettings {
    async fn world(&self) -> Result<World, NodeError> {
        match self.does {
            Does::Looks => look(for_ever).await,
            Does::Works | Does::Starts => Ok(World::Effect),
        }
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        if self.does == Does::Starts {
            start(cx)?;
        }
        cx.blocking(for_ever).await
    }
}

fn main() -> std::process::ExitCode {
    dad_cli::App::new()
        .name(env!("CARGO_BIN_NAME"))
        .nodes(builtin_nodes().register::<Stubborn>())
        .run()
}
