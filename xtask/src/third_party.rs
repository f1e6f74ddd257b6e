//! The client of models against servers that others wrote: litellm, which translates between protocols, and llmock, which makes
//! faults and judges the client. Behind litellm stand llmock and the strict server of the tests.

use std::process::Command;

use crate::process::{TaskError, cargo, run as run_command};
use crate::python::installed;
use crate::workspace_root;

const REQUIREMENTS: &str = "tests/clients/third_party.txt";

/// The place of the logs and of the virtual environment, below the root of the workspace.
const PLACE: &str = "target/third-party";

/// Installs the servers into a virtual environment and executes the checks.
///
/// # Errors
/// If there is no Python, a package cannot be installed, or a check fails. Nothing is left out in silence: a step that needs what is
/// not there fails.
pub fn run() -> Result<(), TaskError> {
    let programs = installed(&format!("{PLACE}/venv"), REQUIREMENTS)?;
    let mut command = Command::new(cargo());
    command
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "dad-tests",
            "--bin",
            "third-party",
            "--",
        ])
        .arg(programs)
        .arg(workspace_root().join(PLACE));
    run_command(&mut command)
}
