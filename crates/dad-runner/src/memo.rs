use std::sync::{Mutex, PoisonError};

use dad_core::{Digest, Redactor};
use dad_fs::{AppendFile, Dir, FsResult};
use dad_run::layout::MEMO;
use dad_run::{MemoLine, RunError, StagedStep};
use serde_json::Value;

use crate::node::NodeError;

/// The memos of one attempt of a step.
#[derive(Debug)]
pub(crate) struct Memo {
    state: Mutex<State>,
    redactor: Redactor,
}

#[derive(Debug)]
struct State {
    file: Option<AppendFile>,
    /// Names with the number of exchanges begun.
    begun: Vec<(String, u32)>,
    /// Exchanges of an interrupted attempt, not answered from yet.
    recorded: Vec<MemoLine>,
    /// Why an exchange that was made could not be written down.
    lost: Option<RunError>,
}

impl Memo {
    /// The memos of an attempt. One that goes on with an interrupted one begins with a copy of its memos.
    pub(crate) fn resume(
        redactor: Redactor,
        recorded: Vec<MemoLine>,
        staged: &StagedStep,
    ) -> Result<Self, RunError> {
        let mut file = None;
        if !recorded.is_empty() {
            let mut copy = staged.dir()?.append(MEMO)?;
            for line in &recorded {
                copy.append(&to_line(line).map_err(|e| RunError::unreadable(MEMO, e))?)?;
            }
            file = Some(copy);
        }
        Ok(Self {
            state: Mutex::new(State {
                file,
                begun: Vec::new(),
                recorded,
                lost: None,
            }),
            redactor,
        })
    }

    /// Why an exchange that was made could not be written down, if that happened. It is no failure of the step, which
    /// would begin anew and make all its exchanges again, but one of the run, which can go on from what is written.
    pub(crate) fn take_lost(&self) -> Option<RunError> {
        self.state().lost.take()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an exchange: its number, and the answer if an interrupted attempt has it.
    pub(crate) fn begin(&self, name: &str, digest: Digest) -> (u32, Option<Value>) {
        let mut state = self.state();
        let number = match state.begun.iter_mut().find(|(begun, _)| begun == name) {
            Some((_, number)) => {
                *number += 1;
                *number
            }
            None => {
                state.begun.push((name.to_owned(), 1));
                1
            }
        };
        let fits =
            |line: &MemoLine| line.name == name && line.number == number && line.request_digest == digest;
        let found = state.recorded.iter().position(fits);
        (
            number,
            found.map(|index| state.recorded.swap_remove(index).response),
        )
    }

    /// Appends a finished exchange.
    pub(crate) fn finish(&self, dir: &Dir, mut line: MemoLine) -> Result<(), NodeError> {
        self.redactor.redact_json(&mut line.request);
        self.redactor.redact_json(&mut line.response);
        let text = to_line(&line).map_err(|e| NodeError::from_error("memo", &e))?;
        let mut state = self.state();
        if let Err(error) = write(&mut state.file, dir, &text) {
            let told = NodeError::from_error("memo", &error);
            state.lost = Some(error.into());
            return Err(told.permanent());
        }
        Ok(())
    }
}

fn write(file: &mut Option<AppendFile>, dir: &Dir, text: &[u8]) -> FsResult<()> {
    match file {
        Some(file) => file.append(text),
        None => file.insert(dir.append(MEMO)?).append(text),
    }
}

fn to_line(line: &MemoLine) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}
