use std::sync::{Mutex, PoisonError};

use dad_core::{Digest, Redactor};
use dad_fs::{AppendFile, Dir};
use dad_run::MemoLine;
use dad_run::layout::MEMO;
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
}

impl Memo {
    pub(crate) fn new(redactor: Redactor, recorded: Vec<MemoLine>) -> Self {
        Self {
            state: Mutex::new(State {
                file: None,
                begun: Vec::new(),
                recorded,
            }),
            redactor,
        }
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
        let mut text = serde_json::to_vec(&line).map_err(|e| NodeError::from_error("memo", &e))?;
        text.push(b'\n');
        let mut state = self.state();
        if state.file.is_none() {
            state.file = Some(dir.append(MEMO)?);
        }
        if let Some(file) = &mut state.file {
            file.append(&text)?;
        }
        Ok(())
    }
}
