//! The costs of resuming a run that was interrupted at its very end, and of reusing all steps of a run in a
//! re-run.
//!
//! Both are asked of a loop of steps that do nothing, through the public API. Each measurement is a process of its own,
//! so that nothing is in its memory and its peak is its own; reading the recorded definition and the journal counts.
//! The **floor** is a plain program that makes the directories of the previous run and copies its step files: one read
//! and one write each, no digest, no journal, no atomic publication.
//!
//! Started by `cargo xtask bench resume` and `cargo xtask bench rerun`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement is printed"
)]

mod child;
mod floor;
mod options;
mod report;
mod runs;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::child::{Kind, start};
use crate::options::{Options, Place, Task};
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
        eprintln!("{place}, {} steps: {} rounds", options.steps, options.rounds);
        let project = tempfile::tempdir_in(&dir)?;
        start(Kind::Make, project.path(), options.steps, project.path())?;
        match options.task {
            Task::Resume => rows.push(resumed(*place, project.path(), options)?),
            Task::Rerun => rows.extend(rerun(*place, &dir, project.path(), options)?),
        }
    }
    if options.json {
        println!("{}", report::to_json(&rows, options));
    } else {
        print!("{}", report::to_table(&rows));
    }
    Ok(())
}

fn resumed(place: Place, project: &Path, options: &Options) -> Outcome<Row> {
    let mut measured = Vec::new();
    for _ in 0..options.rounds {
        runs::interrupt(project)?;
        measured.push(start(Kind::Resume, project, options.steps, project)?);
    }
    Ok(Row::new("resume at the end", place, &measured, &[]))
}

/// With an entry point and without one, in turns with the floor.
fn rerun(place: Place, dir: &Path, project: &Path, options: &Options) -> Outcome<[Row; 2]> {
    let kinds = [Kind::Entry, Kind::Fingerprint, Kind::Floor];
    let mut measured = [const { Vec::new() }; 3];
    for _ in 0..options.rounds {
        for (kind, measured) in kinds.into_iter().zip(&mut measured) {
            let target = tempfile::tempdir_in(dir)?;
            measured.push(start(kind, target.path(), options.steps, project)?);
            runs::forget_others(project)?;
        }
    }
    let [entry, fingerprint, floor] = &measured;
    Ok([
        Row::new("re-run from the last step", place, entry, floor),
        Row::new("re-run by fingerprint", place, fingerprint, floor),
    ])
}

const MEMORY: &str = "/dev/shm";

fn dir_of(place: Place) -> Option<PathBuf> {
    let dir = match place {
        Place::Memory => Path::new(MEMORY),
        Place::Disk => Path::new(env!("CARGO_TARGET_TMPDIR")),
    };
    dir.is_dir().then(|| dir.to_owned())
}
