//! A node and a callback of a program. A model writes a text, the node `find_terms` finds terms in it that are not to be used,
//! and the callback `verdict` decides. The tests execute both with a scripted model.

use async_trait::async_trait;
use dhenara::definition::Problems;
use dhenara::{
    AIModelNode, BindContext, Bound, BoundStep, CallbackBuilder, FlowBuilder, FlowDefinition, Node,
    NodeBuilder, NodeContext, NodeError, NodeOutput, NodeRegistry, NodeType, World, builtin_nodes,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings of the node `find_terms`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct FindTerms {
    /// The text.
    pub text: String,
    /// The terms; capitals do not matter.
    pub terms: Vec<String>,
}

/// The outcome of the node `find_terms`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTerms {
    /// The terms that the text has, in the order of the settings.
    pub found: Vec<String>,
}

/// The node `find_terms`.
#[derive(Debug, Default)]
pub struct FindTermsNode;

impl Node for FindTermsNode {
    type Settings = FindTerms;
    type Input = ();
    type Outcome = FoundTerms;
    const TYPE: &'static str = "find_terms";

    fn bind(
        &self,
        settings: FindTerms,
        _: Option<()>,
        _: &BindContext<'_>,
    ) -> Result<Bound<FoundTerms>, NodeError> {
        if settings.terms.iter().any(String::is_empty) {
            return Err(NodeError::new("empty_term", "a term is empty, and every text has it").permanent());
        }
        Ok(Box::new(settings))
    }
}

#[async_trait]
impl BoundStep<FoundTerms> for FindTerms {
    async fn execute(&self, _: &NodeContext) -> Result<NodeOutput<FoundTerms>, NodeError> {
        let text = self.text.to_lowercase();
        let terms = self.terms.iter();
        let found: Vec<String> = terms
            .filter(|term| text.contains(&term.to_lowercase()))
            .cloned()
            .collect();
        let summary = format!("{} of {} terms", found.len(), self.terms.len());
        Ok(NodeOutput::new(FoundTerms { found }).with_summary(summary))
    }

    // The settings decide the outcome: a re-run reuses it.
    async fn world(&self) -> Result<World, NodeError> {
        Ok(World::Pure)
    }
}

/// The callback `verdict`: whether the text may be published.
///
/// # Errors
/// If the step `terms` has no result.
pub async fn verdict(_: (), cx: NodeContext) -> Result<bool, NodeError> {
    let terms = cx.result("terms")?.unwrap_or_default();
    Ok(FoundTerms::deserialize(&terms["outcome"])?.found.is_empty())
}

/// The nodes of the flow.
#[must_use]
pub fn nodes() -> NodeRegistry {
    builtin_nodes()
        .register::<FindTermsNode>()
        .callback("verdict", verdict)
}

/// The flow: a model describes a product, and the description is examined.
///
/// # Errors
/// If a part of the definition does not fit another.
pub fn description(product: &str, terms: &[&str]) -> Result<FlowDefinition, Problems> {
    let write = AIModelNode::new(["anthropic/claude-haiku-4-5"])
        .prompt(format!("Describe {product} in one sentence."));
    let find = FindTerms {
        text: "$expr{ $hier{write}.outcome.text }".to_owned(),
        terms: terms.iter().map(ToString::to_string).collect(),
    };
    FlowBuilder::new()
        .node("write", write)
        .node(
            "terms",
            NodeBuilder::new(NodeType::from_static("find_terms"), find),
        )
        .callback("verdict", CallbackBuilder::new("verdict"))
        .build()
}
