//! The page `docs/reference/command-line.md`, which the command itself describes.

use std::fs;
use std::process::Command;

use crate::process::{TaskError, cargo, output};
use crate::workspace_root;

/// The page of the commands, below the root of the workspace.
const COMMAND_LINE: &str = "docs/reference/command-line.md";

/// Writes the page of the commands, with `--update`. A test compares it with the command.
///
/// # Errors
/// If the page cannot be written, or the command cannot be built.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    if options != ["--update"] {
        return Err(TaskError(
            "`cargo xtask reference --update` writes the page; a test compares it".to_owned(),
        ));
    }
    let mut command = Command::new(cargo());
    command.args(["run", "--quiet", "--locked", "--package", "dad-tests"]);
    write(&output(command.args(["--bin", "reference"]))?)
}

#[expect(clippy::disallowed_methods, reason = "a file of the repository")]
fn write(page: &str) -> Result<(), TaskError> {
    let file = workspace_root().join(COMMAND_LINE);
    fs::write(file, page).map_err(|error| TaskError(format!("cannot write `{COMMAND_LINE}`: {error}")))
}
