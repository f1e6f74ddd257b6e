//! The costs of a step, compared with plain writes of the same files.
//!
//! A flow of steps that do nothing is run through the public API, with traces on. The **floor** is a plain program
//! that makes the directories and files of such a run, with the same bytes, by plain calls: no journal order, no
//! atomic publication, no containment. Both run in child processes of their own, in turns, so that a machine that
//! is busy with something else slows both, and so that the peak of memory is one run's.
//!
//! Started by `cargo xtask bench`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement is printed"
)]

mod child;
mod floor;
mod options;
mod report;
mod run;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::child::Kind;
use crate::options::{Options, Place};
use crate::report::Row;

/// Any failure ends the measurement.
type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--bench")
        .collect();
    let outcome = match args.as_slice() {
        [child::ARGUMENT, rest @ ..] => child::main(rest),
        options => Options::parse(options)
            .map_err(Into::into)
            .and_then(|options| measure(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Outcome<()> {
    let mut rows = Vec::new();
    for place in &options.places {
        let Some(dir) = dir_of(*place) else {
            eprintln!("no memory file system at {MEMORY}: left out");
            continue;
        };
        for steps in &options.sizes {
            eprintln!("{place}, {steps} steps: {} rounds", options.rounds);
            rows.push(measure_row(*place, &dir, *steps, options.rounds)?);
        }
    }
    if options.json {
        println!("{}", report::to_json(&rows, options.rounds));
    } else {
        print!("{}", report::to_table(&rows));
    }
    Ok(())
}

fn measure_row(place: Place, dir: &Path, steps: usize, rounds: usize) -> Outcome<Row> {
    // One run that is not measured is the model of the floor.
    let model = tempfile::tempdir_in(dir)?;
    child::start(Kind::Run, model.path(), steps, model.path())?;
    let mut runs = Vec::new();
    let mut floors = Vec::new();
    for _ in 0..rounds {
        for (kind, measured) in [(Kind::Run, &mut runs), (Kind::Floor, &mut floors)] {
            let target = tempfile::tempdir_in(dir)?;
            measured.push(child::start(kind, target.path(), steps, model.path())?);
        }
    }
    Ok(Row::new(place, steps, &runs, &floors))
}

const MEMORY: &str = "/dev/shm";

fn dir_of(place: Place) -> Option<PathBuf> {
    let dir = match place {
        Place::Memory => Path::new(MEMORY),
        Place::Disk => Path::new(env!("CARGO_TARGET_TMPDIR")),
    };
    dir.is_dir().then(|| dir.to_owned())
}
