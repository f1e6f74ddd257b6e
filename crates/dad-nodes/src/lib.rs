//! The built-in nodes: AI model call, folder analyzer, file operation, command and HTTP request.
//!
//! Each node type has a settings type, which a definition in Rust fills in, and an executor that [`builtin_nodes`]
//! registers. Names of settings and shapes of outcomes are those of the original system.
//!
//! ```
//! use dad_definition::FlowBuilder;
//! use dad_nodes::{CommandNode, CommandNodeSettings, builtin_nodes};
//!
//! let flow = FlowBuilder::new()
//!     .node("greet", CommandNode {
//!         settings: CommandNodeSettings { commands: vec!["echo hello".into()], ..Default::default() },
//!     })
//!     .build()?;
//! assert_eq!(flow.definition().body.elements.len(), 1);
//! assert_eq!(builtin_nodes().type_names(), ["ai_model_call", "command", "file_operation", "folder_analyzer", "http"]);
//! # Ok::<(), dad_definition::Problems>(())
//! ```

mod ai_model;
mod command;
mod file_operation;
mod folder_analyzer;
mod git;
mod git_hooks;
mod http;
mod json_text;
mod model_error;
mod not_compared;
mod outcomes;
mod process;
mod sandbox;
mod secret_text;
mod serde_forms;
mod settings_node;
mod shell;
mod tokens;
mod written;

use dad_runner::NodeRegistry;

pub use ai_model::{
    AIModelCallConfig, AIModelNode, AIModelNodeInput, AIModelNodeSettings, MarkedInstruction, Prompt,
    PromptCaching, PromptFile, PromptMessage, PromptRole, PromptVariable, PromptVariables, StructuredOutput,
    SystemInstruction, Tool, ToolChoice, ToolSettings,
};
pub use command::{
    CommandLimits, CommandLine, CommandNode, CommandNodeInput, CommandNodeSettings, CommandOutput,
    CountedVariable, InheritedVariable,
};
pub use file_operation::{
    FileEdit, FileOperation, FileOperationNode, FileOperationNodeInput, FileOperationNodeSettings,
    FileOperationType, OnFailure, SearchConfig, Undo, UndoAction, UndoChange, UndoError, UndoStep,
};
pub use folder_analyzer::{
    ContentExclusion, ContentReadMode, FolderAnalysisOperation, FolderAnalyzerNode, FolderAnalyzerNodeInput,
    FolderAnalyzerSettings, FolderOperationType, StructureDetailLevel, analyze_folders,
};
pub use http::{HttpFile, HttpMethod, HttpNode, HttpNodeOutcome, HttpNodeSettings, HttpOutput};
pub use not_compared::not_compared;
pub use outcomes::{
    AIModelNodeOutcome, CommandNodeOutcome, CommandResult, FileOperationNodeOutcome, GeneratedFile,
};
pub use process::passed_environment;
pub use sandbox::{Sandbox, SandboxBounds, SandboxHome, SandboxMode, SandboxPolicy};
pub use serde_forms::{ObjectTemplate, OneOrMany};

/// A registry with the built-in nodes.
#[must_use]
pub fn builtin_nodes() -> NodeRegistry {
    NodeRegistry::new()
        .register::<ai_model::AIModelExecutor>()
        .register::<command::CommandExecutor>()
        .register::<file_operation::FileOperationExecutor>()
        .register::<folder_analyzer::FolderAnalyzerExecutor>()
        .register::<http::HttpExecutor>()
}
