//! The output of a step while it executes and afterwards, from where the page has read it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use axum::Json;
use axum::extract::State;
use dad_core::HierarchyPath;
use dad_fs::{Dir, optional};
use dad_project::LogSource;
use dad_run::{IndexedStep, RunError, layout};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::nodes::not_reached;
use super::params::{RunName, Words};
use super::state::Shared;
use crate::versioned::{Versioned, versioned};

/// The files that a step prints to.
const FILES: [(LogSource, &str); 3] = [
    (LogSource::Stdout, layout::STDOUT),
    (LogSource::Stderr, layout::STDERR),
    (LogSource::Stream, layout::STREAM),
];

/// The bytes of one file in one answer.
const MOST: u64 = 256 * 1024;
/// The longest line that is given, in bytes.
const LONGEST: usize = 16 * 1024;

#[derive(Deserialize)]
pub(super) struct Wanted {
    path: HierarchyPath,
    /// The places up to which the files were read, as the answer before said.
    after: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Lines {
    lines: Vec<Line>,
    /// The value of `after` for the next request.
    next: String,
    /// Whether the step executes no more, and everything was read.
    ended: bool,
    /// The bytes before the first lines that are left out.
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Serialize)]
struct Line {
    source: LogSource,
    text: String,
    /// The bytes at the end of a very long line that are left out.
    #[serde(skip_serializing_if = "is_zero")]
    cut_bytes: u64,
}

pub(super) async fn lines(
    State(view): Shared,
    RunName(run): RunName,
    Words(wanted): Words<Wanted>,
) -> Result<Json<Versioned<Lines>>, ApiError> {
    let places = wanted.after.as_deref().map(places).transpose()?;
    let path = wanted.path.clone();
    let step = view.in_run(run, move |index| Ok(index.step(&path)?)).await?;
    let step = step.ok_or_else(|| not_reached(&wanted.path))?;
    view.blocking(move |_| Ok(Json(versioned(read(&step, &wanted.path, places)?))))
        .await
}

/// The number of the attempt that was read, and the place in each file.
type Places = (u32, [u64; FILES.len()]);

fn places(after: &str) -> Result<Places, ApiError> {
    let numbers: Result<Vec<u64>, _> = after.split('.').map(str::parse).collect();
    let places = match numbers.as_deref() {
        Ok([attempt, places @ ..]) => u32::try_from(*attempt).ok().zip(places.try_into().ok()),
        _ => None,
    };
    let message = format!("`after` is `{after}`; it is the value of `next` in an answer");
    places.ok_or_else(|| ApiError::bad_request(message))
}

fn read(step: &IndexedStep, path: &HierarchyPath, after: Option<Places>) -> Result<Lines, ApiError> {
    let is_over = step
        .view
        .entry(path)
        .is_none_or(|entry| entry.status().is_terminal());
    let attempt = step.attempts.last();
    let number = attempt.map_or(0, |attempt| attempt.attempt);
    // Another attempt begins its files anew.
    let after = after
        .filter(|(attempt, _)| *attempt == number)
        .map(|(_, places)| places);
    let dirs = attempt.map(|attempt| step.view.attempt_dirs(path, attempt));
    let dir = dirs.transpose()?.and_then(|mut dirs| dirs.pop());
    let run = Dir::open(step.view.dir()).map_err(RunError::from)?;
    let mut found = Lines {
        lines: Vec::new(),
        next: String::new(),
        ended: is_over,
        skipped: 0,
    };
    let mut next = number.to_string();
    for (number, (source, name)) in FILES.into_iter().enumerate() {
        let begun = after.map(|places| places[number]);
        let file = dir
            .as_ref()
            .map(|dir| Printed::open(&run, &dir.join(name), source, is_over));
        let place = match file.transpose()?.flatten() {
            Some(file) => file.read(begun, &mut found)?,
            None => begun.unwrap_or(0),
        };
        next = format!("{next}.{place}");
    }
    Ok(Lines { next, ..found })
}

/// A file that a step prints to.
struct Printed {
    source: LogSource,
    path: PathBuf,
    file: File,
    len: u64,
    /// Whether nothing is written any more: the last line counts then also without its line feed.
    is_complete: bool,
}

impl Printed {
    fn open(run: &Dir, name: &Path, source: LogSource, is_complete: bool) -> Result<Option<Self>, ApiError> {
        let Some(file) = optional(run.open_file(name)).map_err(RunError::from)? else {
            return Ok(None);
        };
        let path = run.path().join(name);
        let len = file
            .metadata()
            .map_err(|error| RunError::unreadable(&path, error))?
            .len();
        Ok(Some(Self {
            source,
            path,
            file,
            len,
            is_complete,
        }))
    }

    /// Reads lines from a place on, or the last ones without one, and gives the place behind them.
    fn read(self, begun: Option<u64>, found: &mut Lines) -> Result<u64, ApiError> {
        let path = self.path.clone();
        let read = self.read_lines(begun, found);
        read.map_err(|error| RunError::unreadable(path, error).into())
    }

    fn read_lines(mut self, begun: Option<u64>, found: &mut Lines) -> std::io::Result<u64> {
        let mut place = begun.unwrap_or_else(|| self.len.saturating_sub(MOST));
        let is_within_a_line = begun.is_none() && place > 0;
        self.file.seek(SeekFrom::Start(place))?;
        let end = self.len.min(place.saturating_add(MOST));
        let mut reader = BufReader::new(self.file.by_ref().take(end.saturating_sub(place)));
        if is_within_a_line {
            place += reader.skip_until(b'\n')? as u64;
            found.skipped += place;
        }
        let mut line = Vec::new();
        while place < end {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)? as u64;
            let is_whole = line.pop_if(|last| *last == b'\n').is_some();
            let is_last = self.is_complete && end == self.len;
            // A line that is longer than an answer comes in pieces.
            if !is_whole && !is_last && read < MOST {
                break;
            }
            place += read;
            found.lines.push(of(self.source, &line));
        }
        found.ended &= place >= self.len;
        Ok(place)
    }
}

fn of(source: LogSource, line: &[u8]) -> Line {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = &line[..line.len().min(LONGEST)];
    Line {
        source,
        text: String::from_utf8_lossy(shown).into_owned(),
        cut_bytes: (line.len() - shown.len()) as u64,
    }
}
