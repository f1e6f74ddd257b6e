//! Whole lines of a file that grows.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use dad_fs::{Dir, optional};

use crate::names::{LOGS_FILE, METRICS_FILE, TRACE_FILE};
use crate::settings::Signal;

/// The length of a line that is read at most, in bytes: no line that a run writes comes near.
const LONGEST: usize = 256 << 20;

/// The file of a signal.
pub(super) const fn file_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => TRACE_FILE,
        Signal::Metrics => METRICS_FILE,
        Signal::Logs => LOGS_FILE,
    }
}

/// Reads whole lines from a place in the file of a signal; a line without its end waits for it.
#[derive(Debug)]
pub(super) struct Lines {
    file: File,
    at: u64,
}

/// Whole lines of a file.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lines: Vec<u8>,
    /// The offset behind them.
    pub(super) end: u64,
}

impl Lines {
    /// The lines of a signal from `at` on; `None` if the run has no file of it.
    ///
    /// # Errors
    /// If the file cannot be read, or is shorter than that.
    pub(super) fn open(trace_dir: &Path, signal: Signal, at: u64) -> io::Result<Option<Self>> {
        let dir = optional(Dir::open(trace_dir)).map_err(|error| error.source)?;
        let open = |dir: Dir| optional(dir.open_regular(file_of(signal)));
        let opened = dir.map(open).transpose().map_err(|error| error.source)?;
        let Some((mut file, len)) = opened.flatten().flatten() else {
            return Ok(None);
        };
        if at > len {
            let reason = format!(
                "it has {len} bytes, and {at} were sent before; `--again` sends it from the beginning"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        file.seek(SeekFrom::Start(at))?;
        Ok(Some(Self { file, at }))
    }

    /// The next lines, of about `wanted` bytes and at least one; `None` if there is no whole line.
    pub(super) fn next(&mut self, wanted: usize) -> io::Result<Option<Batch>> {
        let mut lines = Vec::new();
        let end = loop {
            let before = lines.len();
            let read = (&mut self.file).take(wanted as u64).read_to_end(&mut lines)?;
            // Only what is new can have a line feed, unless this is the first piece.
            let end = lines[before..].iter().rposition(|byte| *byte == b'\n');
            match end {
                Some(end) => break before + end + 1,
                None if read == 0 => {
                    self.file.seek(SeekFrom::Start(self.at))?;
                    return Ok(None);
                }
                None if lines.len() > LONGEST => {
                    let reason = format!("the line at byte {} is longer than {LONGEST} bytes", self.at);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                }
                None => {}
            }
        };
        lines.truncate(end);
        self.at += end as u64;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(Some(Batch { lines, end: self.at }))
    }
}

#[cfg(test)]
mod tests {
    use dad_fs::{Durability, ScratchDir};

    use super::*;

    #[test]
    fn whole_lines_are_read_in_pieces_and_a_torn_one_waits() {
        let scratch = ScratchDir::new().unwrap();
        let dir = Dir::open(scratch.path()).unwrap();
        let write = |text: &str| {
            dir.replace(TRACE_FILE, text.as_bytes(), Durability::Process)
                .unwrap();
        };
        write("one\ntwo\na line that is longer than a piece\nto");
        let mut lines = Lines::open(scratch.path(), Signal::Traces, 0).unwrap().unwrap();
        let mut next = || {
            let batch = lines.next(9).unwrap();
            batch.map(|batch| (String::from_utf8(batch.lines).unwrap(), batch.end))
        };
        assert_eq!(next(), Some(("one\ntwo\n".to_owned(), 8)));
        assert_eq!(
            next(),
            Some(("a line that is longer than a piece\n".to_owned(), 43))
        );
        assert_eq!(next(), None);
        assert!(Lines::open(scratch.path(), Signal::Logs, 0).unwrap().is_none());
        let behind = Lines::open(scratch.path(), Signal::Traces, 1000).unwrap_err();
        assert!(behind.to_string().contains("`--again`"), "{behind}");
    }
}
