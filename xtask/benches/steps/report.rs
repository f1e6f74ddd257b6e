//! Medians, and how they are shown.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::child::Measured;
use crate::options::Place;

/// The medians of one place and size.
#[derive(Debug)]
pub(crate) struct Row {
    place: Place,
    steps: usize,
    run_seconds: f64,
    floor_seconds: f64,
    peak_kib: Option<u64>,
}

impl Row {
    pub(crate) fn new(place: Place, steps: usize, runs: &[Measured], floors: &[Measured]) -> Self {
        Self {
            place,
            steps,
            run_seconds: median(runs),
            floor_seconds: median(floors),
            peak_kib: runs.iter().filter_map(|run| run.peak_kib).max(),
        }
    }

    fn ratio(&self) -> f64 {
        self.run_seconds / self.floor_seconds
    }

    fn per_step(&self, seconds: f64) -> f64 {
        seconds * 1e6 / f64::from(u32::try_from(self.steps).unwrap_or(u32::MAX))
    }
}

fn median(measured: &[Measured]) -> f64 {
    let mut seconds: Vec<f64> = measured.iter().map(|measured| measured.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// A table for people.
pub(crate) fn to_table(rows: &[Row]) -> String {
    let mut table = String::from(
        "place     steps        run      floor   ratio   a step, run   a step, floor   peak memory\n",
    );
    for row in rows {
        let peak = row
            .peak_kib
            .map_or("n/a".to_owned(), |kib| format!("{} MiB", kib / 1024));
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{:<6} {:>8} {:>7.1} ms {:>7.1} ms {:>6.2}x {:>10.1} µs {:>12.1} µs {peak:>13}",
            row.place,
            row.steps,
            row.run_seconds * 1e3,
            row.floor_seconds * 1e3,
            row.ratio(),
            row.per_step(row.run_seconds),
            row.per_step(row.floor_seconds),
        );
    }
    table
}

/// One document for programs.
pub(crate) fn to_json(rows: &[Row], rounds: usize) -> Value {
    let row = |row: &Row| {
        json!({
            "place": row.place.to_string(),
            "steps": row.steps,
            "run_seconds": row.run_seconds,
            "floor_seconds": row.floor_seconds,
            "ratio": row.ratio(),
            "peak_kib": row.peak_kib,
        })
    };
    json!({ "schema_version": 1, "rounds": rounds, "rows": rows.iter().map(row).collect::<Vec<_>>() })
}
