//! The outcome of a command as a type.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The outcome of a `command` step.
///
/// ```no_run
/// use dad_nodes::CommandNodeOutcome;
///
/// # fn example(report: &dad_runner::RunReport) -> Result<(), Box<dyn std::error::Error>> {
/// let tested: CommandNodeOutcome = report.outcome("release.test")?;
/// println!("{}", tested.results[0].stdout);
/// # Ok(())
/// # }
/// ```
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
