//! Starts the measurements of what steps and templates cost, built for release.

use std::process::Command;

use crate::process::{TaskError, cargo, run as run_command};

/// Builds and starts `benches/steps`, or `benches/templates` if that is the first option, with the rest.
///
/// # Errors
/// If it cannot be built or fails.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let (bench, options) = match options {
        ["templates", rest @ ..] => ("templates", rest),
        options => ("steps", options),
    };
    let mut command = Command::new(cargo());
    command
        .args([
            "bench",
            "--quiet",
            "--locked",
            "--package",
            "xtask",
            "--bench",
            bench,
            "--",
        ])
        .args(options);
    run_command(&mut command)
}
