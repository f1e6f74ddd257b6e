use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use dad_core::{SCHEMA_VERSION, Timestamp};
use dad_fs::{AppendFile, Dir};
use serde::Deserialize;

use crate::error::RunError;
use crate::layout::JOURNAL;
use crate::record::{Driver, Record, RecordBody};

/// No record is longer, in bytes; large fields are kept elsewhere.
pub(crate) const MAX_RECORD: usize = 64 * 1024;

/// The only writer of a journal.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    file: AppendFile,
    next_seq: u64,
    line: Vec<u8>,
}

impl JournalWriter {
    /// Starts an empty journal.
    pub(crate) fn create(dot_run: &Dir) -> Result<Self, RunError> {
        let file = dot_run.append(JOURNAL)?;
        Ok(Self {
            file,
            next_seq: 1,
            line: Vec::new(),
        })
    }

    /// Goes on with a journal that was read; a last line that was cut off is cut away.
    pub(crate) fn resume(dot_run: &Dir, end: &JournalEnd) -> Result<Self, RunError> {
        let file = dot_run.append(JOURNAL)?;
        if end.torn {
            file.truncate(end.len)?;
        }
        Ok(Self {
            file,
            next_seq: end.records + 1,
            line: Vec::new(),
        })
    }

    /// The number the next record will have.
    pub(crate) const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Appends a record with one write. After an error nothing of it remains.
    pub(crate) fn append(&mut self, at: Timestamp, body: &RecordBody) -> Result<u64, RunError> {
        self.encode(at, body)?;
        self.file.append(&self.line)?;
        self.next_seq += 1;
        Ok(self.next_seq - 1)
    }

    /// Waits until every record is on the disk. After an error nothing can be appended any more.
    pub(crate) fn sync(&mut self) -> Result<(), RunError> {
        Ok(self.file.sync()?)
    }

    fn encode(&mut self, at: Timestamp, body: &RecordBody) -> Result<(), RunError> {
        use std::io::Write;
        let unwritable = |reason: String| RunError::unreadable(JOURNAL, reason);
        self.line.clear();
        // `seq` and `at` stand first in every line; serde's flatten would build a map for it.
        write!(self.line, "{{\"seq\":{},\"at\":\"{at}\",", self.next_seq)
            .map_err(|e| unwritable(e.to_string()))?;
        let start = self.line.len();
        serde_json::to_writer(&mut self.line, body).map_err(|e| unwritable(e.to_string()))?;
        self.line.remove(start);
        self.line.push(b'\n');
        match self.line.len() {
            bytes if bytes > MAX_RECORD => Err(RunError::RecordTooLong {
                bytes,
                most: MAX_RECORD,
            }),
            _ => Ok(()),
        }
    }
}

/// What reading a journal gave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JournalEnd {
    /// How many records there are.
    pub(crate) records: u64,
    /// Their length in bytes.
    pub(crate) len: u64,
    /// Whether the last line was cut off, as a crash leaves it.
    pub(crate) torn: bool,
}

/// Reads a journal from its beginning. A torn last line is expected after a crash; damage before it is an error.
pub(crate) fn read_journal(dot_run: &Dir, mut each: impl FnMut(Record)) -> Result<JournalEnd, RunError> {
    let path = dot_run.path().join(JOURNAL);
    let mut reader = BufReader::with_capacity(256 * 1024, dot_run.open_file(JOURNAL)?);
    let mut end = JournalEnd::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(|e| RunError::unreadable(&path, e))?;
        if read == 0 {
            return Ok(end);
        }
        if line.last() != Some(&b'\n') {
            end.torn = true;
            return Ok(end);
        }
        let damaged = |reason: String| RunError::Journal {
            path: path.clone(),
            line: end.records + 1,
            reason,
        };
        let record: Record = serde_json::from_slice(&line).map_err(|e| damaged(e.to_string()))?;
        if record.seq != end.records + 1 {
            return Err(damaged(format!(
                "record {} stands where {} was expected",
                record.seq,
                end.records + 1
            )));
        }
        check_version(&record, &path)?;
        end.records += 1;
        end.len += line.len() as u64;
        each(record);
    }
}

/// The first and last whole record, without reading what lies between.
pub(crate) fn first_and_last(mut file: File, path: &Path) -> Result<Option<(Record, Record)>, RunError> {
    let unreadable = |e: &dyn std::fmt::Display| RunError::unreadable(path, e);
    // Two record lengths, so that a torn tail cannot hide the last whole record. Most journals are shorter, and are read
    // by one call: the catalogue does this for each run there is.
    let window = 2 * MAX_RECORD as u64;
    let len = file.metadata().map_err(|e| unreadable(&e))?.len();
    let mut head = Vec::with_capacity(usize::try_from(len.min(window)).unwrap_or(0) + 1);
    file.by_ref()
        .take(window)
        .read_to_end(&mut head)
        .map_err(|e| unreadable(&e))?;
    let Some(end) = head.iter().position(|b| *b == b'\n') else {
        return Ok(None);
    };
    let first: Record = serde_json::from_slice(&head[..end]).map_err(|e| unreadable(&e))?;
    check_version(&first, path)?;
    let mut tail = Vec::new();
    if len > window {
        file.seek(SeekFrom::Start(len - window))
            .map_err(|e| unreadable(&e))?;
        file.read_to_end(&mut tail).map_err(|e| unreadable(&e))?;
    } else {
        tail = head;
    }
    let whole = tail
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(&tail[..0], |end| &tail[..end]);
    let last_line = whole.rsplit(|b| *b == b'\n').next().unwrap_or(whole);
    let last = serde_json::from_slice(last_line).map_err(|e| unreadable(&e))?;
    Ok(Some((first, last)))
}

/// The process that drove a run last. Of the other records only the type is read.
pub(crate) fn last_driver(dot_run: &Dir) -> Result<Option<Driver>, RunError> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        name: Cow<'a, str>,
    }
    let path = dot_run.path().join(JOURNAL);
    let mut reader = BufReader::with_capacity(256 * 1024, dot_run.open_file(JOURNAL)?);
    let mut last = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line);
        read.map_err(|e| RunError::unreadable(&path, e))?;
        // The end, or a line that a crash has torn.
        if line.last() != Some(&b'\n') {
            return Ok(last);
        }
        let unreadable = |e: serde_json::Error| RunError::unreadable(&path, e);
        let kind: Kind<'_> = serde_json::from_slice(&line).map_err(unreadable)?;
        if !["run_started", "run_resumed"].contains(&&*kind.name) {
            continue;
        }
        let record: Record = serde_json::from_slice(&line).map_err(unreadable)?;
        if let RecordBody::RunStarted(driver) | RecordBody::RunResumed(driver) = record.body {
            last = Some(driver);
        }
    }
}

fn check_version(record: &Record, path: &Path) -> Result<(), RunError> {
    match record.body {
        RecordBody::RunCreated {
            schema_version: found,
            ..
        } if found > SCHEMA_VERSION => Err(RunError::NewerVersion {
            path: path.into(),
            found,
            supported: SCHEMA_VERSION,
        }),
        _ => Ok(()),
    }
}
