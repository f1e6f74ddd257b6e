//! The pipeline of a step: nodes, their registry, and the runners of agents and flows.
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
//!
//! The source stands on floors, and no file imports from a higher one:
//! `render` < `concurrency` < `session` < `ask` < `node` < `step` < `flow` < `forecast` < `report` < `error` < `runner`.

mod ask;
mod complete;
mod concurrency;
mod error;
mod flow;
mod forecast;
mod node;
mod render;
mod report;
mod runner;
mod session;
mod set_up;
mod step;

/// The attribute that the traits of nodes need.
pub use async_trait::async_trait;

pub use ask::approval::{Agreement, WantedCall};
pub use complete::CompleteRun;
pub use error::Error;
pub use forecast::forecast;
pub use node::activity::RunningActivity;
pub use node::blocking::{Stop, look};
pub use node::context::{ExchangeId, NodeContext};
pub use node::erased::node_type_info;
pub use node::error::{AsError, MAX_APPROVALS, NodeError};
pub use node::lifetime::Guard;
pub use node::output::NodeOutput;
pub use node::registry::NodeRegistry;
pub use node::simple::SimpleNode;
pub use node::traits::{BindContext, Bound, BoundStep, Node, Preview, ReadSet, RunSetup, World};
pub use render::preview::{RenderedStep, ValueOrigin, render_step};
pub use report::RunReport;
pub use runner::{AgentRunner, FlowRunner, Runner};
pub use set_up::SetUpRun;
