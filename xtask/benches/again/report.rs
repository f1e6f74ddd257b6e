//! Medians, and how they are shown.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::child::Measured;
use crate::options::{Options, Place};

/// The medians of one task at one place.
#[derive(Debug)]
pub(crate) struct Row {
    title: &'static str,
    place: Place,
    seconds: f64,
    floor_seconds: Option<f64>,
    peak_kib: Option<u64>,
}

impl Row {
    /// `floors` is empty for what has no floor.
    pub(crate) fn new(title: &'static str, place: Place, measured: &[Measured], floors: &[Measured]) -> Self {
        Self {
            title,
            place,
            seconds: median(measured).unwrap_or_default(),
            floor_seconds: median(floors),
            peak_kib: measured.iter().filter_map(|measured| measured.peak_kib).max(),
        }
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.seconds / self.floor_seconds?)
    }
}

fn median(measured: &[Measured]) -> Option<f64> {
    let mut seconds: Vec<f64> = measured.iter().map(|measured| measured.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

/// A table for people.
pub(crate) fn to_table(rows: &[Row]) -> String {
    let mut table =
        String::from("                            place        time       floor   ratio   peak memory\n");
    for row in rows {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let floor = text(row.floor_seconds.map(|floor| format!("{:.1} ms", floor * 1e3)));
        let ratio = text(row.ratio().map(|ratio| format!("{ratio:.2}x")));
        let peak = text(row.peak_kib.map(|kib| format!("{} MiB", kib / 1024)));
        let time = format!("{:.1} ms", row.seconds * 1e3);
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{:<27} {:<6} {time:>11} {floor:>11} {ratio:>7} {peak:>13}",
            row.title, row.place,
        );
    }
    table
}

/// One document for programs.
pub(crate) fn to_json(rows: &[Row], options: &Options) -> Value {
    let row = |row: &Row| {
        json!({
            "task": row.title,
            "place": row.place.to_string(),
            "seconds": row.seconds,
            "floor_seconds": row.floor_seconds,
            "ratio": row.ratio(),
            "peak_kib": row.peak_kib,
        })
    };
    json!({
        "schema_version": 1,
        "steps": options.steps,
        "rounds": options.rounds,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}
