//! Run LLM agents so that every run is one directory of plain files: readable, repeatable, comparable.
//!
//! This crate is a facade: the parts live in crates of their own, named here by short names, and the types that most
//! programs need stand at the root.
//!
//! ```
//! # #[cfg(feature = "project")]
//! # mod example {
//! use dhenara::nodes::{CommandNode, CommandNodeSettings};
//! use dhenara::project::User;
//! use dhenara::{FlowBuilder, FlowRunner};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = dad_tests::TestProject::new();
//! # let user = User::from_variables(Default::default())?;
//! let flow = FlowBuilder::new()
//!     .node("greet", CommandNode {
//!         settings: CommandNodeSettings { commands: vec![["echo", "hello"].into()], ..Default::default() },
//!     })
//!     .build()?;
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
//! # Features
//! - `nodes` (default): the built-in nodes and the model clients they use.
//! - `observability` (default): traces, metrics and logs of a run.
//! - `project` (default): a project directory with its configuration, opened for its user.
//! - `terminal` (default): prompts, printers and live progress.

#[doc(inline)]
pub use dad_core as core;
#[doc(inline)]
pub use dad_definition as definition;
#[doc(inline)]
pub use dad_events as events;
#[doc(inline)]
pub use dad_fs as fs;
#[cfg(feature = "nodes")]
#[doc(inline)]
pub use dad_models as models;
#[cfg(feature = "nodes")]
#[doc(inline)]
pub use dad_nodes as nodes;
#[cfg(feature = "nodes")]
#[doc(inline)]
pub use dad_nodes::testing;
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
#[cfg(feature = "nodes")]
pub use dad_nodes::{
    AIModelNode, CommandNode, FileOperationNode, FolderAnalyzerNode, ObjectTemplate, Prompt, builtin_nodes,
};
#[cfg(feature = "observability")]
pub use dad_observability::ObservabilitySettings;
#[cfg(feature = "project")]
pub use dad_project::{Project, ProjectError};
pub use dad_run::{
    ActiveRun, Catalog, Durability, RunContext, RunEnd, RunError, RunHandle, RunStop, RunView, SetupError,
    Share, find_project_root,
};
pub use dad_runner::{
    AgentRunner, BindContext, Bound, BoundStep, CompleteRun, Error, FlowRunner, Node, NodeContext, NodeError,
    NodeOutput, NodeRegistry, ReadSet, RunReport, Runner, SetUpRun, World,
};
#[cfg(feature = "terminal")]
pub use dad_terminal::{
    ask_node_input, async_input, get_ai_model_node_input, get_command_node_input,
    get_file_operations_node_input, get_folder_analyzer_node_input, print_component_completion,
    print_node_completion,
};
