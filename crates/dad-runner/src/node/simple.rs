//! The shortest form of a node: settings that do their own work.

use std::marker::PhantomData;

use async_trait::async_trait;
use dad_core::NodeType;
use dad_definition::NodeBuilder;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::node::context::NodeContext;
use crate::node::error::NodeError;
use crate::node::output::NodeOutput;
use crate::node::traits::{BindContext, Bound, BoundStep, Node};

/// A node whose settings do its work. It has no client of its own, no input from outside, and no preview; one that needs them is
/// a [`Node`].
///
/// ```
/// use dad_definition::FlowBuilder;
/// use dad_runner::{NodeContext, NodeError, NodeRegistry, SimpleNode, async_trait};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Greeting { name: String }
///
/// #[derive(Serialize, Deserialize)]
/// struct Greeted { text: String }
///
/// #[async_trait]
/// impl SimpleNode for Greeting {
///     type Outcome = Greeted;
///     const TYPE: &'static str = "greeting";
///
///     async fn execute(&self, _: &NodeContext) -> Result<Greeted, NodeError> {
///         Ok(Greeted { text: format!("Hello, {}", self.name) })
///     }
/// }
///
/// let nodes = NodeRegistry::new().register_simple::<Greeting>();
/// let flow = FlowBuilder::new().node("greet", Greeting { name: "Ada".to_owned() }.node());
/// # assert_eq!(nodes.type_names(), ["greeting"]);
/// # assert!(flow.build().is_ok());
/// ```
#[async_trait]
pub trait SimpleNode: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The part of the result that other steps use; `Value` for one without a type.
    type Outcome: Serialize + DeserializeOwned + Send + 'static;

    /// The name definitions use.
    const TYPE: &'static str;
    /// The version of the node's behaviour, a part of every fingerprint. Raise it by hand whenever the same settings give another
    /// result.
    const VERSION: u32 = 1;

    /// Does the work; called again for another attempt.
    ///
    /// # Errors
    /// [`NodeError`] fails the attempt.
    async fn execute(&self, cx: &NodeContext) -> Result<Self::Outcome, NodeError>;

    /// The node as a definition in Rust holds it.
    fn node(self) -> NodeBuilder
    where
        Self: Serialize,
    {
        NodeBuilder::new(NodeType::from_static(Self::TYPE), self)
    }
}

/// A simple node as a node.
pub(crate) struct Simple<S>(PhantomData<fn(S)>);

impl<S> Default for Simple<S> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<S: SimpleNode> Node for Simple<S> {
    type Settings = S;
    type Input = ();
    type Outcome = S::Outcome;
    const TYPE: &'static str = S::TYPE;
    const VERSION: u32 = S::VERSION;

    fn bind(&self, settings: S, _: Option<()>, _: &BindContext<'_>) -> Result<Bound<S::Outcome>, NodeError> {
        Ok(Box::new(SimpleStep(settings)))
    }
}

struct SimpleStep<S>(S);

#[async_trait]
impl<S: SimpleNode> BoundStep<S::Outcome> for SimpleStep<S> {
    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput<S::Outcome>, NodeError> {
        self.0.execute(cx).await.map(NodeOutput::new)
    }
}
