//! Starts the measurements, built for release: of steps, of templates, of looking at files, of looking at runs and of
//! resuming them.

use std::error::Error;
use std::num::ParseIntError;
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

/// Tells `set` each option of a measurement with its value; `set` says whether it knows it.
///
/// # Errors
/// If an option is unknown, has no value, or a wrong one.
pub fn options(
    args: &[String],
    mut set: impl FnMut(&str, &str) -> Result<bool, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for pair in args.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("`{}` is unknown or has no value", pair.concat()).into());
        };
        if !set(name, value)? {
            return Err(format!("unknown option `{name}`").into());
        }
    }
    Ok(())
}

/// Reads how many there are of something, at least one.
///
/// # Errors
/// If it is no whole number.
pub fn count(value: &str) -> Result<usize, ParseIntError> {
    value.parse::<usize>().map(|count| count.max(1))
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
