//! The parts that the tests of the interface for Rust share: nodes, a model, and places for runs.

use std::path::Path;

use async_trait::async_trait;
use dhenara::models::{CallContext, ModelClient, ModelError, ModelRequest, ModelResponse};
use dhenara::run::RunContextBuilder;
use dhenara::{
    BindContext, Bound, BoundStep, Node, NodeBuilder, NodeContext, NodeError, NodeOutput, NodeRegistry,
    NodeType, RunContext, builtin_nodes,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Leaves its token wherever a node can leave something.
#[derive(Debug, Default)]
pub(crate) struct Talker;

/// The words of a [`Talker`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TalkerSettings {
    pub(crate) token: String,
}

impl TalkerSettings {
    /// The node as a definition has it.
    pub(crate) fn node(token: &str) -> NodeBuilder {
        let token = token.to_owned();
        NodeBuilder::new(NodeType::from_static("talker"), Self { token })
    }
}

impl Node for Talker {
    type Settings = TalkerSettings;
    type Input = ();
    type Outcome = serde_json::Value;
    const TYPE: &'static str = "talker";

    fn bind(&self, settings: TalkerSettings, _: Option<()>, _: &BindContext<'_>) -> Result<Bound, NodeError> {
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep for TalkerSettings {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        let token = self.token.clone();
        tracing::info!(%token, "the node says {token}");
        tokio::task::yield_now().await;
        let theirs = token.clone();
        let task = cx.spawn(async move {
            tokio::task::yield_now().await;
            tracing::info!("the task says {theirs}");
        });
        task.await
            .map_err(|error| NodeError::from_error("task", &error))?;
        let artifacts = cx.artifacts()?;
        artifacts.write_new("token.txt", token.as_bytes(), dhenara::Durability::Process)?;
        let deeper = artifacts.create_dir_all("deeper/still")?;
        deeper.write_new("token.txt", token.as_bytes(), dhenara::Durability::Process)?;
        cx.custom("said", json!({ "token": token }))?;
        Ok(NodeOutput::new(json!({ "token": token })).with_summary(token))
    }
}

/// Answers with what it is asked.
#[derive(Debug)]
pub(crate) struct Echo;

#[async_trait]
impl ModelClient for Echo {
    async fn complete(&self, request: &ModelRequest, _: &CallContext) -> Result<ModelResponse, ModelError> {
        let asked = request
            .messages
            .last()
            .map(|message| message.text.clone())
            .unwrap_or_default();
        let answer = format!("{}: {asked}", request.model);
        Ok(ModelResponse::of_text(request.model.as_str(), "echo", answer))
    }
}

/// The built-in nodes and the one above.
pub(crate) fn registry() -> NodeRegistry {
    builtin_nodes().register::<Talker>()
}

/// A context for a run in `project`.
pub(crate) fn context(root_id: &str, project: &Path) -> RunContextBuilder {
    RunContext::builder(root_id, project)
        .unmasked()
        .origin_key(dad_tests::origin_key())
        .nodes(registry())
}
