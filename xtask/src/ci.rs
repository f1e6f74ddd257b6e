//! Everything that continuous integration does, in its order.
//!
//! The first failure ends it.
#![expect(clippy::print_stderr, reason = "a developer tool talks to its terminal")]

use std::process::Command;
use std::time::Instant;

use crate::process::{TaskError, cargo, output, run as run_command};
use crate::{api, book, browser, clients, layers, packages, profile, receivers, release, third_party, tidy};

type Step = (&'static str, fn() -> Result<(), TaskError>);

const STEPS: &[Step] = &[
    ("format", format),
    ("clippy", clippy),
    ("layers", layers::run),
    ("tidy", tidy::run),
    ("book", book::run),
    ("dependencies", dependencies),
    ("documentation", documentation),
    ("public interface", public_interface),
    ("tests", tests),
    ("features", features),
    ("packages", packages::run),
    ("oldest Rust", oldest_rust),
    ("profile", profile),
];

/// Steps that need more than this machine, or much time, after all others.
const STEPS_OF_ALL: &[Step] = &[
    ("official clients", official_clients),
    ("third-party servers", third_party::run),
    ("receivers of signals", receivers::run),
    ("pages in a browser", browser::run),
    ("each package alone", release::packages_alone),
];

/// Runs all steps and reports how long each took; those that need more than this machine, or much time, with `--all`.
///
/// # Errors
/// If a step fails; those after it are not started.
pub fn run(options: &[&str]) -> Result<(), TaskError> {
    let more = match options {
        [] => &[],
        ["--all"] => STEPS_OF_ALL,
        _ => {
            return Err(TaskError(
                "`cargo xtask ci` knows the option `--all` only".to_owned(),
            ));
        }
    };
    let steps: Vec<&Step> = STEPS.iter().chain(more).collect();
    let start = Instant::now();
    let mut done = Vec::new();
    for (number, (name, step)) in (1..).zip(&steps) {
        eprintln!("\n==== {number}/{} {name}", steps.len());
        let step_start = Instant::now();
        step().map_err(|error| TaskError(format!("step {number}, {name}: {error}")))?;
        let seconds = step_start.elapsed().as_secs_f64();
        eprintln!("==== {name}: passed in {seconds:.1} s");
        done.push((name, seconds));
    }
    for (name, _) in STEPS_OF_ALL.iter().filter(|_| more.is_empty()) {
        eprintln!("\n==== not done without `--all`: {name}");
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

/// The public interface of the published crates is the recorded one.
fn public_interface() -> Result<(), TaskError> {
    api::run(&[])
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

/// Licences, banned and duplicate dependencies, and their sources, by the rules of `deny.toml`.
fn dependencies() -> Result<(), TaskError> {
    if !is_installed("deny") {
        return Ok(());
    }
    run_command(Command::new(cargo()).args(["deny", "--locked", "check", "licenses", "bans", "sources"]))
}

/// Each crate builds with the features it asks for itself, not with those that its neighbours happen to switch on; with cargo-hack
/// also with each of its features by itself, and with none.
fn features() -> Result<(), TaskError> {
    if !is_installed("hack") {
        for krate in layers::metadata()?.crate_names() {
            check(&["--package", krate])?;
        }
        return check(&["--package", "dhenara", "--no-default-features"]);
    }
    let mut command = Command::new(cargo());
    command.args([
        "hack",
        "check",
        "--quiet",
        "--locked",
        "--workspace",
        "--each-feature",
    ]);
    run_command(&mut command)
}

/// Whether cargo has a subcommand; the reader of the log learns of one that is missing.
fn is_installed(subcommand: &str) -> bool {
    let version = Command::new(cargo()).args([subcommand, "--version"]).output();
    let is_there = version.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("not checked: `cargo install cargo-{subcommand}` installs what this step needs");
    }
    is_there
}

/// The workspace builds with the Rust version that its manifest promises.
fn oldest_rust() -> Result<(), TaskError> {
    let metadata = layers::metadata()?;
    let oldest = metadata
        .rust_version()
        .ok_or_else(|| TaskError("the workspace names no `rust-version`".to_owned()))?;
    let present = output(Command::new("rustc").arg("--version"))?;
    if present.starts_with(&format!("rustc {oldest}.")) {
        eprintln!("Rust {oldest} has built all of the above");
        return Ok(());
    }
    let toolchain = Command::new("rustup")
        .args(["run", oldest, "rustc", "--version"])
        .output();
    if !toolchain.is_ok_and(|output| output.status.success()) {
        eprintln!("not checked: `rustup toolchain install {oldest}` installs what this step needs");
        return Ok(());
    }
    let mut command = Command::new("rustup");
    command
        .args([
            "run",
            oldest,
            "cargo",
            "check",
            "--workspace",
            "--locked",
            "--quiet",
        ])
        .env("CARGO_TARGET_DIR", "target/oldest-rust");
    run_command(&mut command)
}

/// For readers of the log: no figure fails.
fn profile() -> Result<(), TaskError> {
    profile::run(&[])
}

/// The providers' own clients, against the servers that our tests talk to.
fn official_clients() -> Result<(), TaskError> {
    clients::run(&[])
}

fn check(selection: &[&str]) -> Result<(), TaskError> {
    let mut command = Command::new(cargo());
    command.args(["check", "--quiet", "--locked"]).args(selection);
    run_command(&mut command)
}
