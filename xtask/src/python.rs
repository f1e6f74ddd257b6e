//! Python packages from the registry, in virtual environments below `target/`.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]
#![expect(clippy::disallowed_methods, reason = "the files are no part of a run")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::process::{TaskError, run as run_command};
use crate::workspace_root;

/// The directory of the programs of a virtual environment with the packages that a file names. The registry is asked only if the
/// environment was made for other packages, or not at all.
///
/// # Errors
/// If Python is missing, or the registry does not give the packages.
pub(crate) fn installed(place: &str, requirements: &str) -> Result<PathBuf, TaskError> {
    let place = workspace_root().join(place);
    let programs = place.join("bin");
    let wanted = fs::read_to_string(workspace_root().join(requirements))
        .map_err(|error| TaskError(format!("cannot read `{requirements}`: {error}")))?;
    let stamp = place.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(programs);
    }
    eprintln!("installing `{requirements}` into {}", place.display());
    let made = run_command(Command::new("python3").args(["-m", "venv"]).arg(&place));
    made.map_err(|error| {
        TaskError(format!(
            "{error}; this task needs `python3`, 3.10 or newer, with `venv`"
        ))
    })?;
    let mut install = Command::new(programs.join("python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        requirements,
    ]);
    run_command(&mut install).map_err(|error| {
        TaskError(format!(
            "{error}; this task needs a registry with the packages of `{requirements}`"
        ))
    })?;
    fs::write(&stamp, wanted)
        .map_err(|error| TaskError(format!("cannot write `{}`: {error}", stamp.display())))?;
    Ok(programs)
}
