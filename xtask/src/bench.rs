//! Starts the measurements, built for release: of steps, of templates, of looking at files, of looking at runs and of
//! going on with them.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{TaskError, cargo, output, run as run_command};

/// Builds and starts one of `benches` by the first option, `benches/steps` if that names none, with the rest.
///
/// # Errors
/// If it cannot be built or fails.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let (bench, options) = match options {
        ["templates", rest @ ..] => ("templates", rest),
        ["runs", rest @ ..] => ("catalog", rest),
        ["analyzer", rest @ ..] => ("analyzer", rest),
        ["resume" | "rerun", ..] => ("again", options),
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
    if bench == "catalog" {
        command.arg("--dhenara").arg(build_dhenara()?);
    }
    run_command(&mut command)
}

/// Builds the command for release and tells where it is.
fn build_dhenara() -> Result<PathBuf, TaskError> {
    let mut build = Command::new(cargo());
    build.args([
        "build",
        "--release",
        "--quiet",
        "--locked",
        "--package",
        "dad-cli",
    ]);
    build.args(["--bin", "dhenara", "--message-format", "json"]);
    let messages = output(&mut build)?;
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    };
    let found = messages.lines().filter_map(executable).next_back();
    found.ok_or_else(|| TaskError("cargo does not tell where it put `dhenara`".to_owned()))
}
