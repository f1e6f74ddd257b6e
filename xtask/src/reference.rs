//! The page `docs/reference/command-line.md`, which the command itself describes.

use std::fs;
use std::process::Command;

use crate::process::{TaskError, cargo, output};
use crate::workspace_root;

/// The page of the commands, below the root of the workspace.
const COMMAND_LINE: &str = "docs/reference/command-line.md";

/// Compares the page of the commands with the command, or writes it with `--update`.
///
/// # Errors
/// If the page differs from the command, cannot be read or written, or the command cannot be built.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let update = match options {
        [] => false,
        ["--update"] => true,
        _ => {
            return Err(TaskError(
                "`cargo xtask reference` knows the option `--update` only".to_owned(),
            ));
        }
    };
    let mut command = Command::new(cargo());
    command.args(["run", "--quiet", "--locked", "--package", "dad-tests"]);
    let page = output(command.args(["--bin", "reference"]))?;
    if update {
        return write(&page);
    }
    let file = workspace_root().join(COMMAND_LINE);
    let recorded = fs::read_to_string(&file);
    let recorded = recorded.map_err(|error| TaskError(format!("cannot read `{COMMAND_LINE}`: {error}")))?;
    compare(&recorded, &page)
}

/// The first difference between the page and the command is an error.
fn compare(recorded: &str, page: &str) -> Result<(), TaskError> {
    if recorded == page {
        return Ok(());
    }
    let equal = recorded.lines().zip(page.lines()).take_while(|(a, b)| a == b);
    Err(TaskError(format!(
        "{COMMAND_LINE}:{}: the command describes itself otherwise; `cargo xtask reference --update` writes the page",
        equal.count() + 1
    )))
}

#[expect(clippy::disallowed_methods, reason = "a file of the repository")]
fn write(page: &str) -> Result<(), TaskError> {
    let file = workspace_root().join(COMMAND_LINE);
    fs::write(file, page).map_err(|error| TaskError(format!("cannot write `{COMMAND_LINE}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_page_is_an_error_with_its_line() {
        assert!(compare("a\nb\n", "a\nb\n").is_ok());
        for stale in ["a\nc\n", "a\n", "a\nc"] {
            let error = compare(stale, "a\nb\n").unwrap_err().to_string();
            assert!(error.starts_with("docs/reference/command-line.md:2: "), "{error}");
        }
    }
}
