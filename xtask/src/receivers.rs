//! The exporters of signals against receivers that others wrote: rotel, and the official packages of OpenTelemetry.

use std::process::Command;

use crate::process::{TaskError, cargo, run as run_command};
use crate::python::installed;
use crate::workspace_root;

const REQUIREMENTS: &str = "tests/clients/receivers.txt";

/// The place of the files and of the virtual environment, below the root of the workspace.
const PLACE: &str = "target/receivers";

/// Installs the receivers into a virtual environment and sends the signals of a run to them, over each protocol.
///
/// # Errors
/// If there is no Python, a package cannot be installed, or a receiver gets another number of records than the files hold.
pub fn run() -> Result<(), TaskError> {
    let programs = installed(&format!("{PLACE}/venv"), REQUIREMENTS)?;
    let root = workspace_root();
    let mut build = Command::new(cargo());
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "dad-cli",
        "--features",
        "grpc",
    ]);
    run_command(&mut build)?;
    let mut check = Command::new(programs.join("python"));
    check
        .arg(root.join("tests/clients/receivers.py"))
        .arg(root.join("target/debug/dhenara"))
        .arg(root.join(PLACE).join("work"));
    run_command(&mut check)
}
