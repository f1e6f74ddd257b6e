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
