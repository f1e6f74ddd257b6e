//! Everything that continuous integration does, in its order.
//!
//! The first failure ends it.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::process::Command;
use std::time::Instant;

use crate::process::{TaskError, cargo, run as run_command};
use crate::{layers, profile, tidy};

type Step = (&'static str, fn() -> Result<(), TaskError>);

const STEPS: &[Step] = &[
    ("format", format),
    ("clippy", clippy),
    ("layers", layers::run),
    ("tidy", tidy::run),
    ("documentation", documentation),
    ("tests", tests),
    ("each library alone", each_library_alone),
    ("profile", profile),
];

/// Runs all steps and reports how long each took.
///
/// # Errors
/// If a step fails; those after it are not started.
pub fn run() -> Result<(), TaskError> {
    let start = Instant::now();
    let mut done = Vec::new();
    for (number, (name, step)) in (1..).zip(STEPS) {
        eprintln!("\n==== {number}/{} {name}", STEPS.len());
        let step_start = Instant::now();
        step().map_err(|error| TaskError(format!("step {number}, {name}: {error}")))?;
        let seconds = step_start.elapsed().as_secs_f64();
        eprintln!("==== {name}: passed in {seconds:.1} s");
        done.push((name, seconds));
    }
    eprintln!("\n==== all passed in {:.1} s", start.elapsed().as_secs_f64());
    for (name, seconds) in done {
        eprintln!("{seconds:8.1} s  {name}");
    }
    Ok(())
}

fn format() -> Result<(), TaskError> {
    run_command(Command::new(cargo()).args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), TaskError> {
    let mut command = Command::new(cargo());
    command
        .args(["clippy", "--workspace", "--all-targets", "--locked"])
        .args(["--", "-D", "warnings"]);
    run_command(&mut command)
}

fn documentation() -> Result<(), TaskError> {
    let mut command = Command::new(cargo());
    command
        .args(["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings");
    run_command(&mut command)
}

/// Unit tests, integration tests, the tests of whole runs, and the examples in the documentation.
fn tests() -> Result<(), TaskError> {
    let mut command = Command::new(cargo());
    // A snapshot that differs is a failure, not a new file.
    command
        .args(["test", "--workspace", "--locked"])
        .env("INSTA_UPDATE", "no");
    run_command(&mut command)
}

/// Each crate builds with the features it asks for itself, not with those that its neighbours happen to switch on;
/// the facade also without any of its own.
fn each_library_alone() -> Result<(), TaskError> {
    for krate in layers::metadata()?.crate_names() {
        check(&["--package", krate])?;
    }
    check(&["--package", "dhenara", "--no-default-features"])
}

/// For readers of the log: no figure fails.
fn profile() -> Result<(), TaskError> {
    profile::run(&[])
}

fn check(selection: &[&str]) -> Result<(), TaskError> {
    let mut command = Command::new(cargo());
    command.args(["check", "--quiet", "--locked"]).args(selection);
    run_command(&mut command)
}
