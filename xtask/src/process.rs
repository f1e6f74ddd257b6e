//! Child processes, started in the root of the workspace.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::{env, fmt};

use crate::workspace_root;

/// A task that did not succeed, in words for its reader.
#[derive(Debug)]
pub struct TaskError(pub String);

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TaskError {}

/// Returns the cargo that started this program, else the one on the path.
#[must_use]
pub fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Starts a command in the root of the workspace and waits for its success.
///
/// # Errors
/// If it cannot be started or does not succeed.
pub fn run(command: &mut Command) -> Result<(), TaskError> {
    let line = line_of(command);
    let status = command
        .current_dir(workspace_root())
        .status()
        .map_err(|error| TaskError(format!("cannot start `{line}`: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(TaskError(format!("`{line}` ended with {status}")))
    }
}

/// Starts a command in the root of the workspace and returns its standard output.
///
/// # Errors
/// If it cannot be started, does not succeed or writes something that is not UTF-8.
pub fn output(command: &mut Command) -> Result<String, TaskError> {
    let line = line_of(command);
    let output = command
        .current_dir(workspace_root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| TaskError(format!("cannot start `{line}`: {error}")))?;
    if !output.status.success() {
        return Err(TaskError(format!("`{line}` ended with {}", output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| TaskError(format!("`{line}` wrote bytes that are not UTF-8")))
}

fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
