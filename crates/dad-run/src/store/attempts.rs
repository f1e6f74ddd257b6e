//! The attempts of a step, and the exchanges that each of them made.

use std::collections::HashMap;
use std::path::PathBuf;

use dad_core::{ErrorInfo, HierarchyPath, StepStatus, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::error::RunError;
use crate::files::in_dot_run;
use crate::journal::reason::Reason;
use crate::journal::record::{Record, RecordBody};
use crate::journal::text::RecordedError;
use crate::layout::{ATTEMPTS, MEMO, STAGE};
use crate::store::memo_file::MemoLine;
use crate::store::view::RunView;

/// An attempt to execute a step. One that was interrupted and resumed is one attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepAttempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Its status; running until a record ends it, also if its process died.
    pub status: StepStatus,
    /// When it began; `None` if the result was taken from another run or settled by hand.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended otherwise than well, shortened.
    pub error: Option<ErrorInfo>,
    /// Why it was begun; `None` if it was not.
    #[serde(skip)]
    pub reason: Option<Reason>,
    /// The numbers of the records that began and resumed it, which name its directories.
    #[serde(skip)]
    started: Vec<u64>,
    /// Whether its files are those of the step.
    #[serde(skip)]
    is_result: bool,
}

impl StepAttempt {
    fn new(attempt: u32, started_at: impl Into<Option<Timestamp>>) -> Self {
        Self {
            attempt,
            status: StepStatus::Running,
            started_at: started_at.into(),
            ended_at: None,
            error: None,
            reason: None,
            started: Vec::new(),
            is_result: false,
        }
    }

    fn end(&mut self, status: StepStatus, at: Timestamp, error: Option<ErrorInfo>) {
        self.status = status;
        self.ended_at = Some(at);
        self.error = error;
    }
}

impl RunView {
    /// The attempts of a step, oldest first; none if it was not begun.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn attempts(&self, step: &HierarchyPath) -> Result<Vec<StepAttempt>, RunError> {
        Ok(attempts_in(self.records_of(step)?))
    }

    /// The attempts of all steps that were begun, by one reading of the journal.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn attempts_by_step(&self) -> Result<HashMap<HierarchyPath, Vec<StepAttempt>>, RunError> {
        let mut found: HashMap<HierarchyPath, Vec<StepAttempt>> = HashMap::new();
        self.each_record(|record| {
            if let Some(path) = record.body.path().cloned() {
                note(found.entry(path).or_default(), record);
            }
        })?;
        found.retain(|_, attempts| !attempts.is_empty());
        Ok(found)
    }

    /// The exchanges that an attempt of a step finished. Those of the attempt that ended the step are the recorded ones; what
    /// another left is read as far as it is whole.
    ///
    /// # Errors
    /// If a file cannot be read, or is not the one that was recorded.
    pub fn exchanges(&self, step: &HierarchyPath, attempt: &StepAttempt) -> Result<Vec<MemoLine>, RunError> {
        if attempt.is_result {
            return self
                .step(step)
                .map_or_else(|| Ok(Vec::new()), |step| self.memos(step));
        }
        let mut longest = Vec::new();
        for (path, bytes) in self.left_files(attempt, MEMO)? {
            let memos = MemoLine::parse(&path, bytes)?;
            if memos.len() > longest.len() {
                longest = memos;
            }
        }
        Ok(longest)
    }

    /// A JSON file that an attempt of a step wrote, by its name in the directory of the step; `None` if it wrote none, or was
    /// stopped while it did.
    ///
    /// # Errors
    /// If a file cannot be read, or is not the one that was recorded.
    pub fn attempt_file(
        &self,
        step: &HierarchyPath,
        attempt: &StepAttempt,
        name: &str,
    ) -> Result<Option<Value>, RunError> {
        if attempt.is_result {
            return self.step_file(step, name);
        }
        let left = self.left_files(attempt, name)?;
        Ok(left
            .iter()
            .rev()
            .find_map(|(_, bytes)| serde_json::from_slice(bytes).ok()))
    }

    /// The files of a name that an attempt left, with their paths.
    fn left_files(&self, attempt: &StepAttempt, name: &str) -> Result<Vec<(PathBuf, Vec<u8>)>, RunError> {
        let mut files = Vec::new();
        for dir in self.left_by(attempt)? {
            let file = dir.join(name);
            let bytes = self.files().read_optional(&file)?;
            files.extend(bytes.map(|bytes| (self.files.path_of(&file), bytes)));
        }
        Ok(files)
    }

    /// The directories with the files of an attempt, by their names in the run: that of the step which it ended, or those that it
    /// left, or works in. The last is the newest.
    ///
    /// # Errors
    /// If a directory cannot be listed.
    pub fn attempt_dirs(
        &self,
        step: &HierarchyPath,
        attempt: &StepAttempt,
    ) -> Result<Vec<PathBuf>, RunError> {
        if attempt.is_result {
            return Ok(vec![step.to_relative_dir()]);
        }
        self.left_by(attempt)
    }

    /// The directories that an attempt left, by their names in the run. Each time it was resumed it began with a copy.
    fn left_by(&self, attempt: &StepAttempt) -> Result<Vec<PathBuf>, RunError> {
        let mut dirs = Vec::new();
        for place in [ATTEMPTS, STAGE].map(in_dot_run) {
            let entries = self.files().list_optional(&place)?.into_iter();
            let is_of = |name: &str| {
                let seq = name.split('_').next().and_then(|seq| seq.parse().ok());
                seq.is_some_and(|seq| attempt.started.contains(&seq))
            };
            let names = entries.map(|entry| entry.name).filter(|name| is_of(name));
            dirs.extend(names.map(|name| place.join(name)));
        }
        Ok(dirs)
    }
}

/// The attempts that the records of a step tell of, oldest first.
pub(crate) fn attempts_in(records: impl IntoIterator<Item = Record>) -> Vec<StepAttempt> {
    let mut attempts = Vec::new();
    for record in records {
        note(&mut attempts, record);
    }
    attempts
}

/// Notes what a record of a step says of its attempts.
fn note(attempts: &mut Vec<StepAttempt>, record: Record) {
    let at = record.at;
    match record.body {
        RecordBody::StepStarted { attempt, reason, .. } => {
            let resumed = attempts
                .last_mut()
                .filter(|last| reason == Reason::Resumed && last.attempt == attempt);
            match resumed {
                Some(last) => {
                    last.status = StepStatus::Running;
                    (last.ended_at, last.error, last.is_result) = (None, None, false);
                    last.started.push(record.seq);
                }
                None => {
                    // Its files moved out of the way of this attempt.
                    attempts.iter_mut().for_each(|before| before.is_result = false);
                    let mut begun = StepAttempt::new(attempt, at);
                    begun.started.push(record.seq);
                    begun.reason = Some(reason);
                    attempts.push(begun);
                }
            }
        }
        RecordBody::AttemptFailed { attempt, error, .. } => {
            if let Some(last) = attempts.last_mut().filter(|last| last.attempt == attempt) {
                last.end(StepStatus::Failed, at, Some(error.into_inner()));
            }
        }
        RecordBody::StepCommitted(step) => {
            let is_open = |last: &&mut StepAttempt| last.ended_at.is_none();
            if attempts.last_mut().filter(is_open).is_none() {
                // It was settled, or taken from another run.
                attempts.push(StepAttempt::new(step.attempt, None));
            }
            if let Some(last) = attempts.last_mut() {
                let error = step.error.clone().map(RecordedError::into_inner);
                last.end(step.status, at, error);
                last.is_result = step.has_files();
            }
        }
        _ => {}
    }
}
