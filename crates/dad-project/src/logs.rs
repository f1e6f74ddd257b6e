//! The log records of a run and what its steps printed, by time.
//!
//! Three sources are joined as they are read, none of them wholly in memory: the file of log records, the journal, which says when
//! each step ended, and the files that steps print to. A step's printed lines have no times of their own: they stand where the step
//! ended, and while it executes where they were read.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dad_core::{HierarchyPath, Timestamp};
use dad_events::{Event, EventBody};
use dad_fs::{Dir, optional};
use dad_observability::{DamagedLines, LogLevel, LogRecords, ReadLog, names};
use dad_run::{RunError, RunFollower, layout};
use derive_setters::Setters;
use serde::Serialize;

use crate::error::ProjectError;
use crate::run::ProjectRun;

/// The records of a file of logs that are put in order: those of concurrent steps are not written in the order of their times.
const WINDOW: usize = 4096;
/// The records of the journal that are read at once.
const RECORDS: usize = 256;
/// The longest line that is given, in bytes.
const LONGEST: usize = 16 * 1024;

/// The lines that are wanted; by default all of level `info` or above.
#[derive(Clone, Debug, Setters)]
#[non_exhaustive]
pub struct LogFilter {
    /// The step, component or iteration that they are of.
    #[setters(into)]
    pub within: Option<HierarchyPath>,
    /// The least level; printed lines are of level `info`.
    pub level: LogLevel,
    /// Whether only those of steps are wanted that failed.
    pub failed: bool,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self {
            within: None,
            level: LogLevel::Info,
            failed: false,
        }
    }
}

/// The origin of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogSource {
    /// A log record.
    Log,
    /// The standard output of a command.
    Stdout,
    /// The standard error of a command.
    Stderr,
    /// The text of a model, as it arrived.
    Stream,
}

/// The files that a step prints to.
const FILES: [(LogSource, &str); 3] = [
    (LogSource::Stdout, layout::STDOUT),
    (LogSource::Stderr, layout::STDERR),
    (LogSource::Stream, layout::STREAM),
];

/// A log record, or a line that a step printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogLine {
    /// When it happened; of a printed line when its step ended, or while that executes when it was read.
    pub at: Timestamp,
    /// Its origin.
    pub source: LogSource,
    /// Its level.
    #[serde(serialize_with = "small")]
    pub level: LogLevel,
    /// The step or component that it is about; `None` for the run.
    pub path: Option<HierarchyPath>,
    /// The name of an event in the life of the run.
    pub event: Option<String>,
    /// The place in the source of a log event, such as its module.
    pub target: Option<String>,
    /// The text, which may have several lines if it is that of a log record.
    pub text: String,
    /// The number of bytes at the end of a very long line that are left out.
    pub cut_bytes: u64,
}

fn small<S: serde::Serializer>(level: &LogLevel, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word(*level))
}

/// The word for a level.
const fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        _ => "info",
    }
}

/// The lines of a run, one after the other. A run that a process drives may have more of them later.
#[derive(Debug)]
pub struct RunLogs {
    dir: Dir,
    filter: LogFilter,
    /// The steps that failed, if only their lines are wanted.
    failed: Option<HashSet<HierarchyPath>>,
    follower: RunFollower,
    events: VecDeque<Arc<Event>>,
    file: Option<LogRecords>,
    records: BinaryHeap<Reverse<Ordered>>,
    /// The number of records so far, which orders those of one time.
    count: u64,
    /// The printed lines that are read now.
    output: Option<Output>,
    /// The steps that execute.
    tails: Vec<(HierarchyPath, Tail)>,
    is_complete: bool,
}

impl ProjectRun {
    /// The log records of the run and what its steps printed, in the order of time.
    ///
    /// # Errors
    /// If the definition or the journal of the run cannot be read.
    pub fn logs(&self, filter: LogFilter) -> Result<RunLogs, ProjectError> {
        let view = self.view();
        let failed = filter.failed.then(|| {
            let failed = view.steps().filter(|step| step.status.is_failure());
            failed.map(|step| step.path.clone()).collect()
        });
        Ok(RunLogs {
            dir: Dir::open(view.dir()).map_err(RunError::from)?,
            filter,
            failed,
            follower: RunFollower::new(view)?,
            events: VecDeque::new(),
            file: None,
            records: BinaryHeap::new(),
            count: 0,
            output: None,
            tails: Vec::new(),
            is_complete: false,
        })
    }
}

impl RunLogs {
    /// The next line; `None` if there is none now.
    ///
    /// # Errors
    /// If the journal or a file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<LogLine>, ProjectError> {
        loop {
            if let Some(output) = &mut self.output {
                if let Some(line) = output.next()? {
                    return Ok(Some(line));
                }
                self.output = None;
            }
            self.read_events()?;
            self.read_records()?;
            let event = self.events.front().map(|event| event.at);
            let record = self.records.peek().map(|Reverse(record)| record.log.at);
            if record.is_some() && event.is_none_or(|event| record <= Some(event)) {
                let Some(Reverse(record)) = self.records.pop() else {
                    continue;
                };
                return Ok(Some(of_record(record.log)));
            }
            match self.events.pop_front() {
                Some(event) => self.take_in(&event)?,
                None => return self.tail(),
            }
        }
    }

    /// Says that nothing is written any more: a last line counts then also without its line feed.
    pub fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Whether a process drives the run.
    ///
    /// # Errors
    /// If its lease cannot be read.
    pub fn is_driven(&self) -> Result<bool, ProjectError> {
        Ok(self.follower.is_driven()?)
    }

    /// The lines of the file of log records so far that hold none.
    #[must_use]
    pub fn damaged(&self) -> DamagedLines {
        self.file.as_ref().map(LogRecords::damaged).unwrap_or_default()
    }

    /// The file of log records.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.path().join(log_file())
    }

    fn is_wanted(&self, path: Option<&HierarchyPath>) -> bool {
        let is_within = |within: &HierarchyPath| path.is_some_and(|path| path.is_within(within));
        let is_failed = |failed: &HashSet<HierarchyPath>| path.is_some_and(|path| failed.contains(path));
        self.filter.within.as_ref().is_none_or(is_within) && self.failed.as_ref().is_none_or(is_failed)
    }

    fn read_events(&mut self) -> Result<(), ProjectError> {
        while self.events.is_empty()
            && let Some(events) = self.follower.next_events(RECORDS)?
        {
            self.events.extend(events);
        }
        Ok(())
    }

    fn read_records(&mut self) -> Result<(), ProjectError> {
        if self.file.is_none() {
            let file = optional(self.dir.open_file(log_file())).map_err(RunError::from)?;
            self.file = file.map(LogRecords::new);
        }
        while self.records.len() < WINDOW
            && let Some(file) = &mut self.file
        {
            let read = file.next_record(self.is_complete);
            let Some(mut log) = read.map_err(|error| unreadable(self.file(), &error))? else {
                return Ok(());
            };
            let is_start = log.event.as_deref() == Some(names::SPAN_START);
            if is_start {
                log.level = log.level.min(LogLevel::Debug);
            }
            if log.level >= self.filter.level && self.is_wanted(log.path.as_ref()) {
                self.count += 1;
                let (log, number) = (log, self.count);
                self.records.push(Reverse(Ordered { log, number }));
            }
        }
        Ok(())
    }

    /// Notes what an event says about the files of its step.
    fn take_in(&mut self, event: &Event) -> Result<(), ProjectError> {
        let Some(path) = event.path() else {
            return Ok(());
        };
        if self.filter.level > LogLevel::Info || !self.is_wanted(Some(path)) {
            return Ok(());
        }
        match &event.body {
            EventBody::StepStarted(_) => {
                let begun = Tail::new(event.seq.unwrap_or_default());
                self.tails.retain(|(of, _)| of != path);
                self.tails.push((path.clone(), begun));
            }
            EventBody::AttemptFailed(_) | EventBody::StepEnded(_) => {
                let tail = self
                    .tails
                    .extract_if(.., |(of, _)| of == path)
                    .next()
                    .map(|(_, tail)| tail);
                let is_taken =
                    matches!(&event.body, EventBody::StepEnded(ended) if ended.taken_from().is_some());
                if !is_taken {
                    self.output = Some(self.output_of(path, event.at, tail)?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The printed lines of an attempt that ended, as far as they were not read while it executed.
    fn output_of(
        &self,
        path: &HierarchyPath,
        at: Timestamp,
        tail: Option<Tail>,
    ) -> Result<Output, ProjectError> {
        let mut tail = tail.unwrap_or_default();
        // Where it is unless another attempt followed it.
        let left = dot_run(layout::ATTEMPTS, tail.seq);
        self.open(&mut tail, &left)?;
        self.open(&mut tail, &path.to_relative_dir())?;
        Ok(Output {
            path: path.clone(),
            at,
            files: tail.files.into_iter().flatten().collect(),
        })
    }

    /// Opens those files of an attempt that are not open yet.
    fn open(&self, tail: &mut Tail, place: &Path) -> Result<(), ProjectError> {
        if tail.files.iter().all(Option::is_some) {
            return Ok(());
        }
        let Some(dir) = optional(self.dir.open_dir(place)).map_err(RunError::from)? else {
            return Ok(());
        };
        for (slot, (source, name)) in tail.files.iter_mut().zip(FILES) {
            if slot.is_none() {
                let file = optional(dir.open_file(name)).map_err(RunError::from)?;
                *slot = file.map(|file| Printed::new(source, dir.path().join(name), file));
            }
        }
        Ok(())
    }

    /// The next line of a step that executes.
    fn tail(&mut self) -> Result<Option<LogLine>, ProjectError> {
        let mut tails = std::mem::take(&mut self.tails);
        let read = self.read_tails(&mut tails);
        self.tails = tails;
        read
    }

    fn read_tails(&self, tails: &mut [(HierarchyPath, Tail)]) -> Result<Option<LogLine>, ProjectError> {
        let now = Timestamp::now();
        for (path, tail) in tails {
            self.open(tail, &dot_run(layout::STAGE, tail.seq))?;
            for file in tail.files.iter_mut().flatten() {
                if let Some(line) = file.next(path, now, self.is_complete)? {
                    return Ok(Some(line));
                }
            }
        }
        Ok(None)
    }
}

fn log_file() -> PathBuf {
    Path::new(layout::DOT_TRACE).join(names::LOGS_FILE)
}

fn dot_run(place: &str, seq: u64) -> PathBuf {
    Path::new(layout::DOT_RUN).join(place).join(seq.to_string())
}

fn unreadable(path: PathBuf, error: &io::Error) -> ProjectError {
    let reason = error.to_string();
    RunError::Unreadable { path, reason }.into()
}

fn of_record(log: ReadLog) -> LogLine {
    LogLine {
        at: log.at,
        source: LogSource::Log,
        level: log.level,
        path: log.path,
        event: log.event,
        target: log.target,
        text: log.text,
        cut_bytes: 0,
    }
}

/// A log record in the order of time, and of those of one time in that of the file.
#[derive(Debug)]
struct Ordered {
    log: ReadLog,
    number: u64,
}

impl Ordered {
    fn key(&self) -> (Timestamp, u64) {
        (self.log.at, self.number)
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Ordered {}

/// An attempt of a step that executes, and its files as far as they are there.
#[derive(Debug, Default)]
struct Tail {
    /// The number of the record that began it, which names its directory.
    seq: u64,
    files: [Option<Printed>; FILES.len()],
}

impl Tail {
    fn new(seq: u64) -> Self {
        Self {
            seq,
            ..Self::default()
        }
    }
}

/// The printed lines of a step that ended.
#[derive(Debug)]
struct Output {
    path: HierarchyPath,
    at: Timestamp,
    files: VecDeque<Printed>,
}

impl Output {
    fn next(&mut self) -> Result<Option<LogLine>, ProjectError> {
        while let Some(file) = self.files.front_mut() {
            if let Some(line) = file.next(&self.path, self.at, true)? {
                return Ok(Some(line));
            }
            self.files.pop_front();
        }
        Ok(None)
    }
}

/// A file that a step prints to, of which each byte is read once.
#[derive(Debug)]
struct Printed {
    source: LogSource,
    path: PathBuf,
    reader: BufReader<File>,
    /// The line so far, without what is too much of it.
    line: Vec<u8>,
    cut_bytes: u64,
}

impl Printed {
    fn new(source: LogSource, path: PathBuf, file: File) -> Self {
        Self {
            source,
            path,
            reader: BufReader::with_capacity(64 * 1024, file),
            line: Vec::new(),
            cut_bytes: 0,
        }
    }

    fn next(
        &mut self,
        step: &HierarchyPath,
        at: Timestamp,
        is_complete: bool,
    ) -> Result<Option<LogLine>, ProjectError> {
        let is_whole = self
            .read_line()
            .map_err(|error| unreadable(self.path.clone(), &error))?;
        let is_left = is_complete && (!self.line.is_empty() || self.cut_bytes > 0);
        if !is_whole && !is_left {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        Ok(Some(LogLine {
            at,
            source: self.source,
            level: LogLevel::Info,
            path: Some(step.clone()),
            event: None,
            target: None,
            text: String::from_utf8_lossy(line).into_owned(),
            cut_bytes: std::mem::take(&mut self.cut_bytes),
        }))
    }

    /// Reads on in the line, and says whether that was its end.
    fn read_line(&mut self) -> io::Result<bool> {
        loop {
            let mut part = Vec::new();
            let read = self
                .reader
                .by_ref()
                .take(LONGEST as u64)
                .read_until(b'\n', &mut part)?;
            if read == 0 {
                return Ok(false);
            }
            let is_whole = part.pop_if(|last| *last == b'\n').is_some();
            let room = LONGEST.saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(&part[..room]);
            self.cut_bytes += (part.len() - room) as u64;
            if is_whole {
                return Ok(true);
            }
        }
    }
}
