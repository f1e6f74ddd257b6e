//! The client of models against servers that others wrote: litellm, which translates between protocols, and llmock, which makes
//! faults and judges the client.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{TaskError, cargo, run as run_command};
use crate::workspace_root;

/// The servers, in versions that the checks were written against. litellm 1.110 asks for a package that PyPI does not have.
const PACKAGES: [&str; 2] = ["litellm[proxy]==1.108.7", "llmock==0.2.2"];

/// The place of the virtual environment and of the logs, below the root of the workspace.
const PLACE: &str = "target/third-party";

/// Installs the servers into a virtual environment and executes the checks.
///
/// # Errors
/// If there is no Python, a package cannot be installed, or a check fails. Nothing is left out in silence: a step that needs what is
/// not there fails.
pub fn run() -> Result<(), TaskError> {
    let place = workspace_root().join(PLACE);
    let programs = installed(&place)?;
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
        .arg(&place);
    run_command(&mut command)
}

/// The directory of the programs of the virtual environment.
fn installed(place: &Path) -> Result<PathBuf, TaskError> {
    let environment = place.join("venv");
    let needs = |error: TaskError| {
        TaskError(format!(
            "{error}; this step needs `python3` (3.10 or newer, with venv) and a registry with {}",
            PACKAGES.join(" and ")
        ))
    };
    let mut create = Command::new("python3");
    create.args(["-m", "venv"]).arg(&environment);
    run_command(&mut create).map_err(needs)?;
    let programs = environment.join("bin");
    eprintln!("installing {}", PACKAGES.join(", "));
    let mut install = Command::new(programs.join("pip"));
    install
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES);
    run_command(&mut install).map_err(needs)?;
    Ok(programs)
}
