//! Reading a journal: each line is checked against those before it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use blake3::Hasher;
use dad_core::Digest;
use dad_core::internal::in_words;
use semver::Version;

use crate::error::RunError;
use crate::files::{RunFiles, in_dot_run};
use crate::format;
use crate::journal::chain::{Link, Sealed, Verified};
use crate::journal::record::{Record, RecordBody};
use crate::layout::JOURNAL;
use crate::origin::Origin;
use crate::origin_key::OriginKey;

/// No record is longer, in bytes; large fields are kept elsewhere.
pub(crate) const MAX_RECORD: usize = 64 * 1024;

/// The end of a journal's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With a line feed.
    #[default]
    Whole,
    /// With a record that lacks only its line feed.
    Unterminated,
    /// With a part of a record, as a crash leaves it.
    Torn,
    /// With lines that were changed, of which there is a copy.
    Damaged,
}

/// The result of reading a journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct JournalEnd {
    /// The number of records.
    pub(crate) records: u64,
    /// Their length in bytes.
    pub(crate) len: u64,
    pub(crate) tail: Tail,
    /// The link for the next line.
    pub(crate) link: Link,
    /// The version of its format.
    pub(crate) format: u32,
    /// Digest of its lines, of a journal of format 1.
    pub(crate) digest: Option<Digest>,
    /// Whose run it is.
    pub(crate) origin: Origin,
    /// The version of dad-run that wrote records of types this one does not know.
    pub(crate) newer: Option<String>,
}

/// Reads a journal from its beginning and checks each line against those before it. A torn last line is expected after a
/// crash; damage before it is an error.
pub(crate) fn read_journal(
    run: &dyn RunFiles,
    key: Option<&OriginKey>,
    each: impl FnMut(Record) -> Result<(), String>,
) -> Result<JournalEnd, RunError> {
    let name = in_dot_run(JOURNAL);
    read_lines(Lines::of(run.open(&name)?), &run.path_of(&name), key, each)
}

pub(super) fn read_lines(
    mut lines: Lines<impl Read>,
    path: &Path,
    key: Option<&OriginKey>,
    mut each: impl FnMut(Record) -> Result<(), String>,
) -> Result<JournalEnd, RunError> {
    let mut checker = Checker::new(key);
    let mut tail = Tail::Whole;
    while let Some(line) = lines.next().map_err(|e| RunError::unreadable(path, e))? {
        let text = line.strip_suffix(b"\n");
        let Some(text) = text.or_else(|| checker.continues(line).then_some(line)) else {
            if line.len() >= MAX_RECORD {
                return Err(LineError::TooLong.at(path, checker.records + 1));
            }
            tail = Tail::Torn;
            break;
        };
        if text.len() == line.len() {
            tail = Tail::Unterminated;
        }
        let record = checker
            .check(text)
            .map_err(|error| error.at(path, checker.records + 1))?;
        checker.accept(text, line.len());
        let line = checker.records;
        each(record).map_err(|reason| LineError::Damage(reason).at(path, line))?;
    }
    Ok(checker.end(tail))
}

/// The lines of a journal, with their line feeds, none longer than a record may be.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(crate) fn of(journal: R) -> Self {
        Self {
            reader: BufReader::with_capacity(256 * 1024, journal),
            line: Vec::new(),
        }
    }

    /// The next line; `None` at the end. One that is too long comes in pieces, without a line feed.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<&[u8]>> {
        self.line.clear();
        let mut limited = self.reader.by_ref().take(MAX_RECORD as u64);
        let read = limited.read_until(b'\n', &mut self.line)?;
        Ok((read > 0).then_some(&self.line))
    }
}

/// A problem with a line of a journal.
#[derive(Debug)]
pub(crate) enum LineError {
    /// It is not the line that was written, or does not stand where it was written.
    Damage(String),
    /// It is longer than a record may be.
    TooLong,
    /// A program that knows a newer format wrote it.
    Newer(u32),
}

impl LineError {
    fn damage(reason: impl std::fmt::Display) -> Self {
        Self::Damage(in_words(&reason))
    }

    pub(crate) fn at(self, path: &Path, line: u64) -> RunError {
        let reason = match self {
            Self::Newer(found) => {
                return RunError::NewerVersion {
                    path: path.into(),
                    found,
                    supported: format::JOURNAL,
                };
            }
            Self::TooLong => format!("it is longer than {MAX_RECORD} bytes"),
            Self::Damage(reason) => reason,
        };
        RunError::Journal {
            path: path.into(),
            line,
            reason,
        }
    }
}

/// Checks the lines of a journal, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Checker<'k> {
    key: Option<&'k OriginKey>,
    pub(crate) records: u64,
    pub(crate) len: u64,
    /// 0 before the first line.
    format: u32,
    pub(crate) link: Link,
    /// The link for the next line, as the checked one states it.
    checked: Option<Link>,
    /// Of all lines, as long as the format has no sums.
    digest: Hasher,
    is_signed: bool,
    is_mine: bool,
    /// Of dad-run, as the last driver names it.
    version: Option<String>,
    newer: Option<String>,
}

impl<'k> Checker<'k> {
    pub(crate) fn new(key: Option<&'k OriginKey>) -> Self {
        Self {
            key,
            records: 0,
            len: 0,
            format: 0,
            link: Link::default(),
            checked: None,
            digest: Hasher::new(),
            is_signed: false,
            is_mine: false,
            version: None,
            newer: None,
        }
    }

    /// Whether a line without its line feed is whole all the same.
    pub(crate) fn continues(&self, line: &[u8]) -> bool {
        Sealed::read(line).is_some_and(|sealed| sealed.is_whole(&self.link.sum))
    }

    /// Reads a line, without its line feed, and refuses it unless it follows those before it.
    pub(crate) fn check(&mut self, line: &[u8]) -> Result<Record, LineError> {
        let sealed = Sealed::read(line);
        let verified = sealed.map(|sealed| sealed.verify(&self.link, self.key));
        if verified.is_some_and(|verified| !verified.is_whole) {
            return Err(LineError::damage(
                "its sum differs: it, or the line before it, was changed",
            ));
        }
        // Looked at once here, and not again for each text in it.
        let text = std::str::from_utf8(line).map_err(LineError::damage)?;
        let record: Record = serde_json::from_str(text).map_err(LineError::damage)?;
        if record.seq != self.records + 1 {
            return Err(LineError::Damage(format!(
                "record {} stands where {} was expected",
                record.seq,
                self.records + 1
            )));
        }
        self.check_format(&record, sealed.is_some())?;
        if let (Some(sealed), Some(verified)) = (sealed, verified) {
            self.note_origin(&record, sealed, verified);
        }
        self.checked = sealed.map(|sealed| sealed.stated);
        if let RecordBody::RunStarted(start) | RecordBody::RunResumed(start) = &record.body {
            self.version = Some(start.driver.version.clone());
        }
        if record.body == RecordBody::Unknown && self.format >= 2 {
            match self.version.take_if(|version| is_newer(version)) {
                Some(version) => self.newer = Some(version.clone()).inspect(|_| self.version = Some(version)),
                None => return Err(LineError::damage("it is of an unknown type")),
            }
        }
        Ok(record)
    }

    /// Which format a line is in: a run that was begun in the first one continues in the second.
    fn check_format(&mut self, record: &Record, is_sealed: bool) -> Result<(), LineError> {
        let begun = match &record.body {
            RecordBody::RunCreated { schema_version, .. } => Some(*schema_version),
            RecordBody::RunResumed(start) => start.schema_version,
            RecordBody::Repaired { schema_version, .. } => *schema_version,
            _ => None,
        };
        if let Some(newer) = begun.filter(|version| *version > format::JOURNAL) {
            return Err(LineError::Newer(newer));
        }
        let format = match (self.format, begun) {
            (0, Some(version)) => version.min(format::JOURNAL),
            (1, Some(2)) if is_sealed => {
                let digest = Digest::from(*self.digest.finalize().as_bytes());
                if prev_of(&record.body) != Some(digest) {
                    return Err(LineError::damage("the lines before it were changed"));
                }
                2
            }
            (0, None) => 1,
            (format, _) => format,
        };
        match (format, is_sealed) {
            (2, false) => Err(LineError::damage("it has no sum")),
            (0 | 1, true) => Err(LineError::damage("it has a sum, which its format does not know")),
            _ => {
                self.format = format;
                Ok(())
            }
        }
    }

    fn note_origin(&mut self, record: &Record, sealed: Sealed<'_>, verified: Verified) {
        self.is_signed |= sealed.has_mac();
        let vouches_for_all_before = match &record.body {
            RecordBody::RunCreated { .. } => true,
            // To repair a run is not to trust it: `repaired` vouches for nothing.
            RecordBody::RunResumed(start) => start.prev.is_some(),
            RecordBody::Trusted { trusts } => trusts.as_bytes() == self.link.sum,
            _ => false,
        };
        self.is_mine = verified.is_mine && (self.is_mine || vouches_for_all_before);
    }

    /// Takes the line that was checked for the last one.
    pub(crate) fn accept(&mut self, line: &[u8], len: usize) {
        if let Some(link) = self.checked.take() {
            self.link = link;
        } else {
            self.digest.update(line);
            self.digest.update(b"\n");
        }
        self.records += 1;
        self.len += len as u64;
    }

    pub(crate) fn end(self, tail: Tail) -> JournalEnd {
        let origin = match (self.is_signed, self.key) {
            (false, _) => Origin::Unsigned,
            (true, None) => Origin::Unchecked,
            (true, Some(_)) if self.is_mine => Origin::Mine,
            (true, Some(_)) => Origin::Foreign,
        };
        JournalEnd {
            records: self.records,
            len: self.len,
            tail,
            link: self.link,
            format: self.format,
            digest: (self.format == 1).then(|| Digest::from(*self.digest.finalize().as_bytes())),
            origin,
            newer: self.newer,
        }
    }
}

/// The digest of the lines before it, in the first line of the second format.
fn prev_of(body: &RecordBody) -> Option<Digest> {
    match body {
        RecordBody::RunResumed(start) => start.prev,
        RecordBody::Repaired { prev, .. } => *prev,
        _ => None,
    }
}

/// Whether a version of dad-run is newer than this one.
fn is_newer(version: &str) -> bool {
    let own = Version::parse(env!("CARGO_PKG_VERSION"));
    matches!((Version::parse(version), own), (Ok(version), Ok(own)) if version > own)
}

/// The first and the last record of a journal.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) first: Record,
    pub(crate) last: Record,
    /// Whose run it is, by its last record alone.
    pub(crate) origin: Origin,
}

/// The first and last whole record, without reading what lies between; `None` if there is none yet.
pub(crate) fn first_and_last(
    mut file: File,
    path: &Path,
    key: Option<&OriginKey>,
) -> Result<Option<Ends>, RunError> {
    let unreadable = |e: &dyn std::fmt::Display| RunError::unreadable(path, e);
    // Three record lengths, so that neither a torn tail nor the last whole record hides the one before. Most journals are
    // shorter, and are read by one call: the catalogue does this for each run there is.
    let window = 3 * MAX_RECORD as u64;
    let len = file.metadata().map_err(|e| unreadable(&e))?.len();
    let mut head = Vec::with_capacity(usize::try_from(len.min(window)).unwrap_or(0) + 1);
    file.by_ref()
        .take(window)
        .read_to_end(&mut head)
        .map_err(|e| unreadable(&e))?;
    let Some(end) = head.iter().position(|b| *b == b'\n') else {
        return Ok(None);
    };
    let mut checker = Checker::new(key);
    let first = checker.check(&head[..end]).map_err(|error| error.at(path, 1))?;
    let mut tail = Vec::new();
    if len > window {
        file.seek(SeekFrom::Start(len - window))
            .map_err(|e| unreadable(&e))?;
        file.read_to_end(&mut tail).map_err(|e| unreadable(&e))?;
    } else {
        tail = head;
    }
    let (before, last_line) = last_two(&tail);
    let sealed = Sealed::read(last_line);
    let link = before.map_or_else(Link::default, |before| {
        Sealed::read(before).map_or_else(Link::default, |before| before.stated)
    });
    if sealed.map_or(checker.format == 2, |sealed| !sealed.is_whole(&link.sum)) {
        return Err(unreadable(
            &"its last line was changed; verify the run to see the damage",
        ));
    }
    let last = serde_json::from_slice(last_line).map_err(|e| unreadable(&e))?;
    let origin = match (sealed.filter(Sealed::has_mac), key) {
        (None, _) => Origin::Unsigned,
        (Some(_), None) => Origin::Unchecked,
        (Some(sealed), Some(_)) if sealed.verify(&link, key).is_mine => Origin::Mine,
        (Some(_), Some(_)) => Origin::Foreign,
    };
    Ok(Some(Ends { first, last, origin }))
}

/// The last whole line of a text and the one before it, if there is one. A line that lacks only its line feed is whole.
fn last_two(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let split_last = |text: &[u8]| text.iter().rposition(|b| *b == b'\n');
    let (whole, rest) = match split_last(text) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (&text[..0], text),
    };
    let line_start = split_last(whole).map_or(0, |end| end + 1);
    let last = &whole[line_start..];
    let sum_of = |line: &[u8]| Sealed::read(line).map(|sealed| sealed.stated.sum);
    let is_whole = |sealed: Sealed<'_>| sum_of(last).is_some_and(|sum| sealed.is_whole(&sum));
    if Sealed::read(rest).is_some_and(is_whole) {
        return (Some(last), rest);
    }
    let above = whole[..line_start].strip_suffix(b"\n");
    let before = above.map(|above| &above[split_last(above).map_or(0, |end| end + 1)..]);
    (before, last)
}
