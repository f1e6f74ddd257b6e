//! The costs of templates: parsing and rendering a prompt, looking into a large result, a comprehension.
//!
//! Every case is repeated within a round until the clock is far too coarse to matter; printed is the median of the
//! rounds, for one time.
//!
//! Started by `cargo xtask bench templates`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement is printed"
)]

mod cases;
mod options;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cases::Case;
use crate::options::Options;

/// Any failure ends the measurement.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// The shortest time of a round.
const ROUND: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--bench")
        .collect();
    let outcome = Options::parse(&args)
        .map_err(Into::into)
        .and_then(|options| measure(&options));
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
    for case in cases::all()? {
        eprintln!("{}: {} rounds", case.name, options.rounds);
        rows.push((case.name, median(&case, options.rounds)?));
    }
    if options.json {
        println!("{}", to_json(&rows, options.rounds));
    } else {
        print!("{}", to_table(&rows));
    }
    Ok(())
}

/// The median of the rounds, in seconds for one time.
fn median(case: &Case, rounds: usize) -> Outcome<f64> {
    let mut seconds = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        seconds.push(round(case)?);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

fn round(case: &Case) -> Outcome<f64> {
    let start = Instant::now();
    let mut times = 0_u32;
    while start.elapsed() < ROUND {
        (case.once)()?;
        times += 1;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(times))
}

/// A table for people.
fn to_table(rows: &[(&str, f64)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut table = format!("{:<width$} {:>13}\n", "template", "one time");
    for (name, seconds) in rows {
        table.push_str(&format!("{name:<width$} {:>10.1} µs\n", seconds * 1e6));
    }
    table
}

/// One document for programs.
fn to_json(rows: &[(&str, f64)], rounds: usize) -> Value {
    let row = |(name, seconds): &(&str, f64)| json!({ "template": name, "seconds": seconds });
    json!({ "schema_version": 1, "rounds": rounds, "rows": rows.iter().map(row).collect::<Vec<_>>() })
}
