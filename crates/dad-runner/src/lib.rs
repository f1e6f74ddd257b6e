//! The road of a step: nodes, their registry, and the runners of agents and flows.
//!
//! A [`Node`] is what a leaf of a definition does. [`NodeRegistry`] knows nodes by the names definitions use. The
//! runners, [`AgentRunner`] and [`FlowRunner`], take a definition through a run: every step is placed, given its
//! input, rendered, fingerprinted, decided, executed, recorded and announced, in this order, by one function.
//!
//! ```
//! use async_trait::async_trait;
//! use dad_runner::{Node, NodeContext, NodeError, NodeOutput, NodeRegistry};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use serde_json::json;
//!
//! #[derive(Default)]
//! struct Greeter;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Greeting {
//!     name: String,
//! }
//!
//! #[async_trait]
//! impl Node for Greeter {
//!     type Settings = Greeting;
//!     type Input = ();
//!     const TYPE: &'static str = "greeter";
//!
//!     async fn execute(&self, settings: Greeting, _: Option<()>, _: &NodeContext) -> Result<NodeOutput, NodeError> {
//!         Ok(NodeOutput::new(json!({ "text": format!("Hello, {}", settings.name) })))
//!     }
//! }
//!
//! let registry = NodeRegistry::new().register::<Greeter>();
//! assert_eq!(registry.type_names(), ["greeter"]);
//! ```

mod approval;
mod common;
mod context;
mod control;
mod error;
mod evaluate;
mod fingerprint;
mod forecast;
mod input;
mod limits;
mod memo;
mod node;
mod output;
mod reader;
mod registry;
mod render;
mod road;
mod runner;
mod scope;
mod waiting;
mod walk;

pub use context::NodeContext;
pub use error::Error;
pub use forecast::forecast;
pub use node::{Node, NodeError, NodeOutput, ReadSet, Start, World};
pub use registry::{NodeRegistry, node_type_info};
pub use render::{RenderedStep, ValueOrigin, render_step};
pub use runner::{AgentRunner, FlowRunner, RunReport, Runner};
