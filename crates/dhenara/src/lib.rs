//! Run LLM agents so that every run is one directory of plain files: readable, repeatable, comparable.
//!
//! This crate is a facade: the parts live in crates of their own, named here by short names, and the types that most
//! programs need stand at the root.
//!
//! ```
//! # #[cfg(feature = "project")]
//! # mod example {
//! use dhenara::project::User;
//! use dhenara::{CommandNode, FlowBuilder, FlowRunner};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let user = User::from_variables(Default::default())?;
//! let flow = FlowBuilder::new().node("greet", CommandNode::new(["echo hello"])).build()?;
//! let project = user.open(dir.path())?; // `Project::open(dir)` for the user of this process
//! let context = project.context("hello")?.build()?;
//! let report = FlowRunner::new(flow, context).run().await?;
//! assert!(report.run_dir.join("hello/greet/result.json").is_file());
//! # Ok(())
//! # }
//! # }
//! # #[cfg(feature = "project")]
//! # example::main().unwrap();
//! ```
//!
//! The [`guide`] leads from a first run to a service: resuming, questions, nodes of your own, tests, and embedding.
//!
//! # Features
//! - `nodes` (default): all built-in nodes. A program with fewer takes them one by one: `ai` (with the model clients), `command`,
//!   `files`, `folder`, `http`; without `ai` and `http` nothing of the network is built.
//! - `observability` (default): traces, metrics and logs of a run, and their exporters.
//! - `grpc`: exporters that send them over gRPC too.
//! - `project` (default): a project directory with its configuration, opened for its user.
//! - `terminal` (default): prompts, printers and live progress.

#[cfg(all(doc, feature = "project"))]
#[doc = include_str!("guide.md")]
pub mod guide {}

#[doc(inline)]
pub use dad_definition as definition;
#[doc(inline)]
pub use dad_events as events;
#[cfg(any(feature = "ai", feature = "http"))]
#[doc(inline)]
pub use dad_models as models;
#[cfg(any(
    feature = "ai",
    feature = "command",
    feature = "files",
    feature = "folder",
    feature = "http"
))]
#[doc(inline)]
pub use dad_nodes as nodes;
#[cfg(feature = "observability")]
#[doc(inline)]
pub use dad_observability as observability;
#[cfg(feature = "project")]
#[doc(inline)]
pub use dad_project as project;
#[doc(inline)]
pub use dad_run as run;
#[doc(inline)]
pub use dad_runner as runner;
#[doc(inline)]
pub use dad_template as template;
// Not `core`: a glob import of this crate would shadow the language's own.
#[doc(inline)]
pub use dad_core as types;
#[cfg(feature = "terminal")]
#[doc(inline)]
pub use dad_terminal as terminal;

pub use dad_core::{
    AgentDefinition, Budget, Definition, ElementId, ErrorInfo, FlowDefinition, HierarchyPath, NodeType,
    OnError, OnExhausted, OnLimit, RetryPolicy, RunId, RunStatus, StepStatus, Usage,
};
pub use dad_definition::{
    AgentBuilder, CallbackBuilder, ConditionalBuilder, FlowBuilder, ForEachBuilder, NodeBuilder,
    ParallelBuilder, Problems, RepeatBuilder,
};
pub use dad_events::{
    ComponentExecutionCompletedEvent, EventBus, EventType, HandlerError, NodeExecutionCompletedEvent,
    NodeInputRequiredEvent, RunObserver, on,
};
#[cfg(feature = "command")]
pub use dad_nodes::CommandNode;
#[cfg(feature = "files")]
pub use dad_nodes::FileOperationNode;
#[cfg(feature = "folder")]
pub use dad_nodes::FolderAnalyzerNode;
#[cfg(feature = "http")]
pub use dad_nodes::HttpNode;
#[cfg(feature = "ai")]
pub use dad_nodes::{AIModelNode, Prompt};
#[cfg(any(
    feature = "ai",
    feature = "command",
    feature = "files",
    feature = "folder",
    feature = "http"
))]
pub use dad_nodes::{ObjectTemplate, builtin_nodes};
#[cfg(feature = "observability")]
pub use dad_observability::ObservabilitySettings;
#[cfg(feature = "project")]
pub use dad_project::{DefinitionChoice, Project, ProjectError, ProjectRun, Resumption};
pub use dad_run::{
    ActiveRun, Catalog, Durability, RunContext, RunEnd, RunError, RunHandle, RunStop, RunView, SetupError,
    Share, find_project_root,
};
pub use dad_runner::{
    AgentRunner, BindContext, Bound, BoundStep, CompleteRun, Error, FlowRunner, Node, NodeContext, NodeError,
    NodeOutput, NodeRegistry, ReadSet, RunReport, Runner, SetUpRun, SimpleNode, World, async_trait,
};
#[cfg(feature = "terminal")]
pub use dad_terminal::{
    ask_node_input, async_input, get_ai_model_node_input, get_command_node_input,
    get_file_operations_node_input, get_folder_analyzer_node_input, print_component_completion,
    print_node_completion,
};
