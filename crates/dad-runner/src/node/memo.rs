//! The memos of an attempt: its paid or effectful exchanges, appended to `memo.jsonl` as they finish.

use std::collections::BTreeMap;

use dad_core::{Digest, Usage};
use dad_fs::{AppendFile, Durability};
use dad_run::driver::{RunDriver, StagedStep};
use dad_run::layout::MEMO;
use dad_run::{MemoLine, RunError};

use crate::node::error::NodeError;
use parking_lot::{Mutex, MutexGuard};

/// The memos of one attempt of a step.
#[derive(Debug)]
pub(crate) struct Memo {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Option<AppendFile>,
    /// With `Durability::Disk`: whether the file's name is on the disk.
    is_named: bool,
    /// Names with the highest number that an exchange has.
    begun: Vec<(String, u32)>,
    /// Exchanges of an interrupted attempt, not answered from yet.
    recorded: Vec<MemoLine>,
    /// The usage of recorded exchanges that the run counted before this attempt.
    counted: Usage,
    /// The error for an exchange that was made and could not be written.
    lost: Option<RunError>,
}

impl Memo {
    /// The memos of an attempt. One that continues an interrupted one begins with a copy of its memos.
    pub(crate) fn resume(
        recorded: Vec<MemoLine>,
        driver: &RunDriver,
        staged: &StagedStep,
    ) -> Result<Self, RunError> {
        let mut file = None;
        if !recorded.is_empty() {
            let mut copy = staged.dir()?.append(MEMO)?;
            for line in &recorded {
                copy.append(&driver.memo_line(&staged.path, line)?)?;
            }
            file = Some(copy);
        }
        Ok(Self {
            state: Mutex::new(State {
                file,
                is_named: false,
                begun: highest(&recorded),
                recorded,
                counted: Usage::default(),
                lost: None,
            }),
        })
    }

    /// The error for an exchange that was made and could not be written, if there is one. It fails the run, which can be resumed from
    /// the written memos; a failed step would make all its exchanges again.
    pub(crate) fn take_lost(&self) -> Option<RunError> {
        self.state().lost.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Notes an answer that the run has counted already.
    pub(crate) fn count_before(&self, usage: Usage) {
        self.state().counted += usage;
    }

    /// The usage of answers that the run counted before this attempt.
    pub(crate) fn counted(&self) -> Usage {
        self.state().counted
    }

    /// Takes the memo of an exchange, if an interrupted attempt has it.
    pub(crate) fn take(&self, name: &str, digest: Digest) -> Option<MemoLine> {
        let mut state = self.state();
        let fits = |line: &MemoLine| line.name == name && line.request_digest == digest;
        let index = state.recorded.iter().position(fits)?;
        Some(state.recorded.remove(index))
    }

    /// Begins an exchange: its number, and its memo if an interrupted attempt has it.
    pub(crate) fn begin(&self, name: &str, digest: Digest) -> (u32, Option<MemoLine>) {
        let mut state = self.state();
        // Not by its number: what a recorded exchange did within itself had numbers too, and is not begun again.
        let fits = |line: &MemoLine| line.name == name && line.request_digest == digest;
        if let Some(index) = state.recorded.iter().position(fits) {
            let line = state.recorded.remove(index);
            return (line.number, Some(line));
        }
        match state.begun.iter_mut().find(|(begun, _)| begun == name) {
            Some((_, number)) => {
                *number += 1;
                (*number, None)
            }
            None => {
                state.begun.push((name.to_owned(), 1));
                (1, None)
            }
        }
    }

    /// A number of an exchange that was begun.
    pub(crate) const fn guard<'a>(&'a self, name: &'a str) -> Begun<'a> {
        Begun {
            memo: self,
            name: Some(name),
        }
    }

    /// Appends a finished exchange.
    pub(crate) fn finish(
        &self,
        driver: &RunDriver,
        staged: &StagedStep,
        line: &MemoLine,
    ) -> Result<(), NodeError> {
        let text = driver.memo_line(&staged.path, line);
        let text = text.map_err(|e| NodeError::from_error("memo", &e))?;
        let mut state = self.state();
        let State { file, is_named, .. } = &mut *state;
        // With the records so far, because a resumed run finds the memos by the record that the step began.
        if let Err(error) =
            driver.make_durable(|| write(file, is_named, staged, driver.handle().durability(), &text))
        {
            let failed = NodeError::from_error("memo", &error);
            state.lost = Some(error);
            return Err(failed.permanent());
        }
        Ok(())
    }
}

/// An exchange that is being made. Its number is given back if it fails or is dropped: a continued attempt counts only finished
/// exchanges.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    memo: &'a Memo,
    name: Option<&'a str>,
}

impl Begun<'_> {
    /// Keeps the number, because the exchange was made.
    pub(crate) fn keep(mut self) {
        self.name = None;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let Some(name) = self.name else { return };
        let mut state = self.memo.state();
        if let Some((_, number)) = state.begun.iter_mut().find(|(begun, _)| begun == name) {
            *number = number.saturating_sub(1);
        }
    }
}

/// The highest number of each name. Whatever is not recorded comes after it.
fn highest(recorded: &[MemoLine]) -> Vec<(String, u32)> {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    for line in recorded {
        let highest = numbers.entry(&line.name).or_default();
        *highest = line.number.max(*highest);
    }
    numbers
        .into_iter()
        .map(|(name, number)| (name.to_owned(), number))
        .collect()
}

fn write(
    file: &mut Option<AppendFile>,
    is_named: &mut bool,
    staged: &StagedStep,
    durability: Durability,
    text: &[u8],
) -> Result<(), RunError> {
    let file = match file {
        Some(file) => file,
        None => file.insert(staged.dir()?.append(MEMO)?),
    };
    file.append(text)?;
    if durability == Durability::Disk {
        file.sync()?;
        if !*is_named {
            staged.sync_names()?;
            *is_named = true;
        }
    }
    Ok(())
}
