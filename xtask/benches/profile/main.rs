//! The scenarios of `cargo xtask profile`, each in a process of its own under a counter of instructions.
//!
//! What a scenario needs beforehand is made by another process, so that it does not count. Everything that could differ
//! from one execution to the next is fixed: one thread, one run id, no terminal.
//!
//! Started by `cargo xtask profile`.
#![expect(clippy::print_stderr, reason = "a measurement says why it failed")]

mod scenarios;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use crate::scenarios::Scenario;

/// Any failure ends the measurement.
type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [phase, scenario, project, units] = args.as_slice() else {
        return Err("this program is started by `cargo xtask profile`".into());
    };
    let scenario: Scenario = scenario.parse()?;
    let (project, units) = (Path::new(project), units.parse()?);
    match *phase {
        "prepare" => scenario.prepare(project, units),
        _ => scenario.execute(project, units),
    }
}
