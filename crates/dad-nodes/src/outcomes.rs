//! Outcomes of the built-in nodes as types, for programs that read them.
//!
//! ```no_run
//! use dad_nodes::CommandNodeOutcome;
//!
//! # fn example(report: &dad_runner::RunReport) -> Result<(), Box<dyn std::error::Error>> {
//! let tested: CommandNodeOutcome = report.outcome("release.test")?;
//! println!("{}", tested.results[0].stdout);
//! # Ok(())
//! # }
//! ```

use dad_core::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::folder_analyzer::{FolderAnalysisOperation, FolderOperationType};
use crate::serde_forms::OneOrMany;

/// The outcome of a `command` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommandNodeOutcome {
    /// Whether every command ended with exit code 0.
    pub all_succeeded: bool,
    /// The number of commands that executed.
    pub commands_executed: u64,
    /// The number of them that succeeded.
    pub successful_commands: u64,
    /// The number of them that failed.
    pub failed_commands: u64,
    /// The results, in the order of the commands.
    pub results: Vec<CommandResult>,
    /// The sandbox, if one was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Value>,
    /// The standard output of the last command, read as `output` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
}

/// The result of one command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommandResult {
    /// The command as it is shown.
    pub command: String,
    /// The exit code; `None` if a signal ended it.
    pub returncode: Option<i32>,
    /// The end of the standard output.
    pub stdout: String,
    /// The end of the standard error.
    pub stderr: String,
    /// Whether it ended with exit code 0.
    pub success: bool,
    /// Whether it did not end although it was asked to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abandoned: bool,
    /// The processes that it left behind, and that were ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Value>,
    /// The processes that it left behind, and that run on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_running: Vec<Value>,
}

/// The outcome of an `ai_model_call` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AIModelNodeOutcome {
    /// The answer as a text; `None` if the step wants it in a structure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The answer in the structure that the step wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Images and other files of the answer.
    #[serde(default)]
    pub files: Vec<GeneratedFile>,
}

impl AIModelNodeOutcome {
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            text: Some(text.to_owned()),
            structured: None,
            files: Vec::new(),
        }
    }

    pub(crate) const fn of_structure(structured: Value) -> Self {
        Self {
            text: None,
            structured: Some(structured),
            files: Vec::new(),
        }
    }
}

/// A file that a model generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GeneratedFile {
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub len: u64,
    /// Digest of its bytes.
    pub blake3: Digest,
    /// Its place in the step's directory; `None` if it was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// The outcome of a `file_operation` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileOperationNodeOutcome {
    /// The directory that paths are relative to.
    pub base_directory: String,
    /// The result of each operation, in their order.
    pub results: Vec<Value>,
    /// The part of git, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Value>,
}

/// The outcome of a `folder_analyzer` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FolderAnalyzerNodeOutcome {
    /// The directory that paths are relative to.
    pub base_directory: String,
    /// The result of each operation, in their order.
    pub results: Vec<FolderAnalysisResult>,
}

/// The result of one operation of a `folder_analyzer` step. What an operation of its type does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FolderAnalysisResult {
    /// The kind of the operation.
    pub operation_type: FolderOperationType,
    /// The path or paths, as the operation has them.
    pub path: OneOrMany<String>,
    /// Whether every path could be looked at.
    pub success: bool,
    /// The errors, at most a hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The tree below the directory; of several paths a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Value>,
    /// The file with its content; of several paths a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_info: Option<Value>,
    /// The names of the files that were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_found: Option<Vec<String>>,
    /// The number of entries that were left out, if `why_ignored` does not list all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_count: Option<u64>,
    /// The entries that were left out, each with the rule or setting that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_ignored: Option<Vec<Value>>,
    /// The drawing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_diagram: Option<String>,
    /// The number of words that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_read: Option<u64>,
    /// The number of bytes that were read, if the operation limits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_read: Option<u64>,
    /// The number of tokens that were read, estimated, if the operation limits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_read: Option<u64>,
}

impl FolderAnalysisResult {
    pub(crate) fn new(operation: &FolderAnalysisOperation, success: bool) -> Self {
        Self {
            operation_type: operation.operation_type,
            path: operation.path.clone().unwrap_or_else(|| ".".into()),
            success,
            errors: Vec::new(),
            analysis: None,
            file_info: None,
            files_found: None,
            ignored_count: None,
            why_ignored: None,
            tree_diagram: None,
            words_read: None,
            bytes_read: None,
            tokens_read: None,
        }
    }
}
