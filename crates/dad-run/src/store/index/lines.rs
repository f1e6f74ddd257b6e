//! Records of a journal, read again at the places where they begin.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use dad_fs::Dir;

use crate::error::RunError;
use crate::files::in_dot_run;
use crate::journal::reader::MAX_RECORD;
use crate::journal::record::Record;
use crate::layout::JOURNAL;

/// The length that most records are below, in bytes.
const USUAL: usize = 2048;

/// A journal whose lines were checked when they were read first.
pub(super) struct PlacedRecords {
    path: PathBuf,
    journal: BufReader<File>,
    line: Vec<u8>,
}

impl PlacedRecords {
    pub(super) fn open(dir: &Dir) -> Result<Self, RunError> {
        let name = in_dot_run(JOURNAL);
        Ok(Self {
            path: dir.path().join(&name),
            journal: BufReader::with_capacity(USUAL, dir.open_file(&name)?),
            line: Vec::new(),
        })
    }

    /// The record that begins at a place.
    pub(super) fn at(&mut self, place: u64) -> Result<Record, RunError> {
        self.seek(place)?;
        self.next()?
            .ok_or_else(|| RunError::unreadable(&self.path, "it has become shorter: the run was repaired"))
    }

    /// The records from one place up to that at another that name a path.
    pub(super) fn naming(&mut self, path: &str, from: u64, to: u64) -> Result<Vec<Record>, RunError> {
        let mut found = Vec::new();
        let mut place = from;
        self.seek(from)?;
        while place <= to && self.read_line()? {
            place += self.line.len() as u64;
            if holds(&self.line, path.as_bytes()) {
                let record: Record = self.parsed()?;
                if record.body.path().is_some_and(|of| of.as_str() == path) {
                    found.push(record);
                }
            }
        }
        Ok(found)
    }

    fn seek(&mut self, place: u64) -> Result<(), RunError> {
        let sought = self.journal.seek(SeekFrom::Start(place));
        sought
            .map(drop)
            .map_err(|error| RunError::unreadable(&self.path, error))
    }

    fn next(&mut self) -> Result<Option<Record>, RunError> {
        if self.read_line()? {
            self.parsed().map(Some)
        } else {
            Ok(None)
        }
    }

    fn read_line(&mut self) -> Result<bool, RunError> {
        self.line.clear();
        let mut limited = self.journal.by_ref().take(MAX_RECORD as u64);
        let read = limited.read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| RunError::unreadable(&self.path, error))?;
        Ok(read > 0 && self.line.ends_with(b"\n"))
    }

    fn parsed(&self) -> Result<Record, RunError> {
        serde_json::from_slice(&self.line).map_err(|error| RunError::unreadable(&self.path, error))
    }
}

/// Whether a line holds a text.
fn holds(line: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(line, text).is_some()
}
