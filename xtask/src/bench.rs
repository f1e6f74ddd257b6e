//! Starts the measurement of what a step costs, built for release.

use std::process::Command;

use crate::process::{TaskError, cargo, run as run_command};

/// Builds and starts `benches/steps` with the given options.
///
/// # Errors
/// If it cannot be built or fails.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let mut command = Command::new(cargo());
    command
        .args([
            "bench",
            "--quiet",
            "--locked",
            "--package",
            "xtask",
            "--bench",
            "steps",
            "--",
        ])
        .args(options);
    run_command(&mut command)
}
