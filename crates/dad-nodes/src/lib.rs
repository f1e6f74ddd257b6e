//! The built-in nodes: AI model call, folder analyzer, file operation, command and HTTP request.
//!
//! Each node type has a settings type, which a definition in Rust fills in, and an executor that [`builtin_nodes`]
//! registers. Names of settings and shapes of outcomes are those of the original system.
//!
//! ```
//! use dad_definition::FlowBuilder;
//! use dad_nodes::{CommandNode, builtin_nodes};
//!
//! let greet = CommandNode::new(["echo hello"]).timeout(10.0);
//! let flow = FlowBuilder::new().node("greet", greet).build()?;
//! assert_eq!(flow.definition().body.elements.len(), 1);
//! assert_eq!(builtin_nodes().type_names(), ["ai_model_call", "command", "file_operation", "folder_analyzer", "http"]);
//! # Ok::<(), dad_definition::Problems>(())
//! ```
//!
//! Settings and most of their enums may grow. The forms that one setting may have are closed sets: `CommandLine`, `Sandbox`,
//! `InheritedVariable`, `SystemInstruction`, `Prompt`, `Tool` and `OneOrMany`.
//!
//! # Features
//! All are on by default. `ai`, `command`, `files`, `folder` and `http` are the nodes; without `ai` and `http` the crate has no
//! client of the network. `outline-javascript`, `outline-python`, `outline-rust` and `outline-typescript` are the languages that
//! the folder analyzer makes outlines of.

#![cfg_attr(
    not(all(feature = "ai", feature = "folder", feature = "http")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        unused_variables,
        reason = "what nodes share serves those too that this build leaves out"
    )
)]

#[cfg(feature = "ai")]
mod ai_model;
#[cfg(feature = "command")]
mod command;
mod environment;
#[cfg(feature = "files")]
mod file_operation;
#[cfg(feature = "folder")]
mod folder_analyzer;
#[cfg(feature = "files")]
mod git;
#[cfg(any(feature = "files", feature = "folder"))]
mod git_call;
#[cfg(feature = "files")]
mod git_hooks;
#[cfg(feature = "http")]
mod http;
#[cfg(any(feature = "command", feature = "http"))]
mod json_text;
#[cfg(any(feature = "ai", feature = "http"))]
mod model_error;
mod not_compared;
#[cfg(feature = "processes")]
mod process;
#[cfg(feature = "command")]
mod sandbox;
#[cfg(any(feature = "command", feature = "http"))]
mod secret_text;
mod serde_forms;
mod settings_node;
#[cfg(feature = "command")]
mod shell;
#[cfg(any(feature = "ai", feature = "folder"))]
mod tokens;
#[cfg(feature = "command")]
mod written;

use dad_runner::NodeRegistry;

#[cfg(feature = "ai")]
pub use ai_model::{
    AIModelCallConfig, AIModelNode, AIModelNodeInput, AIModelNodeOutcome, AIModelNodeSettings, GeneratedFile,
    MarkedInstruction, Prompt, PromptCaching, PromptFile, PromptMessage, PromptRole, PromptVariable,
    PromptVariables, StructuredOutput, SystemInstruction, Tool, ToolChoice, ToolSettings,
};
#[cfg(feature = "command")]
pub use command::{
    CommandLimits, CommandLine, CommandNode, CommandNodeInput, CommandNodeOutcome, CommandNodeSettings,
    CommandOutput, CommandResult, CountedVariable, InheritedVariable,
};
#[cfg(feature = "files")]
pub use file_operation::{
    FileDiff, FileEdit, FileOperation, FileOperationNode, FileOperationNodeInput, FileOperationNodeOutcome,
    FileOperationNodeSettings, FileOperationType, OnFailure, SearchConfig, Undo, UndoAction, UndoChange,
    UndoError, UndoStep, file_diffs,
};
#[cfg(feature = "folder")]
pub use folder_analyzer::{
    ContentExclusion, ContentReadMode, FolderAnalysisOperation, FolderAnalysisResult, FolderAnalyzerNode,
    FolderAnalyzerNodeInput, FolderAnalyzerNodeOutcome, FolderAnalyzerSettings, FolderOperationType,
    StructureDetailLevel, analyze_folders,
};
#[cfg(feature = "http")]
pub use http::{HttpFile, HttpMethod, HttpNode, HttpNodeOutcome, HttpNodeSettings, HttpOutput};
#[cfg(feature = "command")]
pub use sandbox::{Sandbox, SandboxBounds, SandboxHome, SandboxMode, SandboxPolicy};
pub use serde_forms::{ObjectTemplate, OneOrMany};

/// A registry with the built-in nodes, those whose features are on.
#[must_use]
pub fn builtin_nodes() -> NodeRegistry {
    let nodes = NodeRegistry::new();
    #[cfg(feature = "ai")]
    let nodes = nodes.register::<ai_model::AIModelExecutor>();
    #[cfg(feature = "command")]
    let nodes = nodes.register::<command::CommandExecutor>();
    #[cfg(feature = "files")]
    let nodes = nodes.register::<file_operation::FileOperationExecutor>();
    #[cfg(feature = "folder")]
    let nodes = nodes.register::<folder_analyzer::FolderAnalyzerExecutor>();
    #[cfg(feature = "http")]
    let nodes = nodes.register::<http::HttpExecutor>();
    nodes
}

/// Helpers that the crates of the run system share. They are no part of the public interface: any version may change them.
#[doc(hidden)]
pub mod internal {
    pub use crate::environment::passed_environment;
    pub use crate::not_compared::not_compared;
}
