//! The road of a step: nodes, their registry, and the runners of agents and flows.
//!
//! A [`Node`] is a type of leaf; it binds settings and input to a [`BoundStep`], which does the work. [`NodeRegistry`] knows
//! nodes by the names definitions use, and functions. The runners, [`AgentRunner`] and [`FlowRunner`], take a definition
//! through a run: every step is placed, given its input, rendered, bound, fingerprinted, decided, executed, recorded and
//! announced, in this order, by one function.
//!
//! ```
//! use dad_runner::{NodeContext, NodeError, NodeRegistry};
//!
//! async fn greet((): (), cx: NodeContext) -> Result<String, NodeError> {
//!     Ok(format!("Hello from {}", cx.path()))
//! }
//!
//! let registry = NodeRegistry::new().callback("greet", greet);
//! ```

mod approval;
mod asking;
mod attempts;
mod blocking;
mod callback;
mod common;
mod context;
mod control;
mod effects;
mod erased;
mod error;
mod evaluate;
mod fingerprint;
mod forecast;
mod input;
mod limits;
mod memo;
mod node;
mod node_error;
mod output;
mod reader;
mod registry;
mod render;
mod road;
mod room;
mod runner;
mod scope;
mod settings;
mod stops;
mod subject;
mod waiting;
mod walk;

pub use approval::{Agreement, WantedCall};
pub use blocking::{Stop, look};
pub use context::NodeContext;
pub use erased::node_type_info;
pub use error::Error;
pub use forecast::forecast;
pub use limits::Guard;
pub use node::{BindContext, Bound, BoundStep, Node, Preview, ReadSet, Start, World};
pub use node_error::{AsError, MOST_ASKED, NodeError};
pub use output::NodeOutput;
pub use registry::NodeRegistry;
pub use render::{RenderedStep, ValueOrigin, render_step};
pub use runner::{AgentRunner, FlowRunner, RunReport, Runner};
