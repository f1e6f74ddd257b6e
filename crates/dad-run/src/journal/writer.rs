//! The only writer of a journal.

use std::io::{Read, Seek, SeekFrom};

use dad_core::Timestamp;
use dad_fs::{AppendFile, Dir, Durability};

use crate::error::RunError;
use crate::journal::chain::Link;
use crate::journal::codec::encode;
use crate::journal::reader::{JournalEnd, MAX_RECORD, Tail};
#[cfg(debug_assertions)]
use crate::journal::reader::{Lines, read_lines};
use crate::journal::record::RecordBody;
use crate::journal::state::Progress;
#[cfg(debug_assertions)]
use crate::journal::state::RunState;
use crate::journal::step_committed::StepCommitted;
use crate::layout::{JOURNAL, TORN};
use crate::origin_key::OriginKey;

/// The only writer of a journal.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    file: AppendFile,
    next_seq: u64,
    line: Vec<u8>,
    link: Link,
    key: Option<OriginKey>,
    progress: Progress,
    #[cfg(debug_assertions)]
    shadow: RunState,
}

impl JournalWriter {
    /// Starts an empty journal, which is signed if there is a key.
    pub(crate) fn create(dot_run: &Dir, key: Option<OriginKey>) -> Result<Self, RunError> {
        Ok(Self {
            file: dot_run.append(JOURNAL)?,
            next_seq: 1,
            line: Vec::new(),
            link: Link::default(),
            key,
            progress: Progress::default(),
            #[cfg(debug_assertions)]
            shadow: RunState::default(),
        })
    }

    /// Continues a journal that was read. A last line without its line feed is completed if it is whole; else what a crash
    /// left of it is kept in `.run/torn/`.
    pub(crate) fn resume(
        dot_run: &Dir,
        end: &JournalEnd,
        progress: Progress,
        key: Option<OriginKey>,
    ) -> Result<Self, RunError> {
        let mut file = dot_run.append(JOURNAL)?;
        match end.tail {
            Tail::Whole => {}
            Tail::Unterminated => file.append(b"\n")?,
            Tail::Torn => {
                keep_torn(dot_run, end)?;
                file.truncate(end.len)?;
            }
            Tail::Damaged => file.truncate(end.len)?,
        }
        Ok(Self {
            file,
            next_seq: end.records + 1,
            line: Vec::new(),
            link: end.link,
            key,
            progress,
            #[cfg(debug_assertions)]
            shadow: {
                let mut shadow = RunState::default();
                let lines = Lines::of(dot_run.open_file(JOURNAL)?);
                let path = dot_run.path().join(JOURNAL);
                read_lines(lines, &path, None, |record| shadow.apply_read(record))?;
                shadow
            },
        })
    }

    /// The number the next record will have.
    pub(crate) const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The sum of the last line.
    pub(crate) fn last_sum(&self) -> String {
        String::from_utf8_lossy(&self.link.sum).into_owned()
    }

    /// Whether lines are signed.
    pub(crate) const fn is_signed(&self) -> bool {
        self.key.is_some()
    }

    /// The state after the records so far.
    pub(crate) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Appends a record with one write. After an error nothing of it remains. `before` is how its step ended before, if the
    /// record voids that.
    pub(crate) fn append(
        &mut self,
        at: Timestamp,
        body: &RecordBody,
        before: Option<&StepCommitted>,
    ) -> Result<u64, RunError> {
        self.progress.check(body).map_err(RunError::Contradiction)?;
        encode(&mut self.line, self.next_seq, at, body)?;
        let link = self.link.seal(&mut self.line, self.key.as_ref());
        self.line.push(b'\n');
        if self.line.len() > MAX_RECORD {
            return Err(RunError::RecordTooLong {
                bytes: self.line.len(),
                most: MAX_RECORD,
            });
        }
        self.file.append(&self.line)?;
        self.link = link;
        let seq = self.next_seq;
        self.next_seq += 1;
        let voided = before.map(|step| step.totals().counts);
        self.progress.apply(seq, at, body, voided);
        #[cfg(debug_assertions)]
        self.compare_with_reader()?;
        Ok(seq)
    }

    /// Checks that the state of the driver is the one that a reader derives from the journal.
    #[cfg(debug_assertions)]
    fn compare_with_reader(&mut self) -> Result<(), RunError> {
        let record = serde_json::from_slice(&self.line).map_err(|e| RunError::unreadable(JOURNAL, e))?;
        self.shadow.apply_read(record).map_err(RunError::Contradiction)?;
        assert_eq!(
            self.progress, self.shadow.progress,
            "the driver knows what a reader does"
        );
        Ok(())
    }

    /// Waits until every record is on the disk. After an error nothing can be appended any more.
    pub(crate) fn sync(&mut self) -> Result<(), RunError> {
        Ok(self.file.sync()?)
    }
}

/// Copies a torn last line to `.run/torn/`, under the number that its record would have had.
fn keep_torn(dot_run: &Dir, end: &JournalEnd) -> Result<(), RunError> {
    let path = dot_run.path().join(JOURNAL);
    let mut file = dot_run.open_file(JOURNAL)?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(end.len))
        .and_then(|_| file.take(MAX_RECORD as u64).read_to_end(&mut tail))
        .map_err(|e| RunError::unreadable(&path, e))?;
    let torn = dot_run.create_dir_all(TORN)?;
    let name = crate::free_name::free_name(&torn, &(end.records + 1).to_string())?;
    torn.write_new(name, &tail, Durability::Disk)?;
    Ok(torn.sync()?)
}
