//! Messages from other processes to the driver of a run: their format, and sending one.

use std::path::Path;

use dad_core::{HierarchyPath, Timestamp};
use dad_fs::{Dir, Durability};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::random_suffix;
use crate::document::to_file_text;
use crate::error::{RunError, SetupError};
use crate::format;
use crate::journal::reader::read_journal;
use crate::journal::record::RecordBody;
use crate::layout::{DOT_RUN, INBOX};
use crate::store::lease;

/// The longest message that is sent or read, in bytes.
pub(crate) const LONGEST_MESSAGE: u64 = 16 * 1024 * 1024;

/// A message to a run from outside: the content of a file of `.run/inbox/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Version of the format.
    pub schema_version: u32,
    /// When it was written.
    pub at: Timestamp,
    /// The sender, for people.
    pub source: String,
    /// The session that it is meant for, counted from 1: the one that drove the run when it was written, else the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// The content.
    #[serde(flatten)]
    pub body: MessageBody,
}

/// The content of a [`Message`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageBody {
    /// The run, or one step or component of it, is to stop.
    Cancel {
        /// The step or component; `None` for the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<HierarchyPath>,
    },
    /// The answer to a question.
    Answer {
        /// The question's id.
        question: String,
        /// The given value.
        input: Value,
    },
    /// A question will not be answered; its step fails.
    Deny {
        /// The question's id.
        question: String,
        /// Why.
        reason: String,
    },
    /// Something of a newer version.
    #[serde(other)]
    Unknown,
}

/// Asks the process that drives a run to stop it, or one step or component of it. That it does so stands in the journal. If no
/// process drives the run, the next one that does is asked.
///
/// # Errors
/// If the request cannot be written.
pub fn request_cancel(run_dir: &Path, path: Option<&HierarchyPath>, source: &str) -> Result<(), RunError> {
    loop {
        let name = format!("cancel_{:06x}.json", random_suffix());
        let body = MessageBody::Cancel { path: path.cloned() };
        if send(run_dir, &name, source, body)? {
            return Ok(());
        }
    }
}

/// Puts a message into the inbox of a run under a name of its own; `false` if the name is taken.
pub(crate) fn send(run_dir: &Path, name: &str, source: &str, body: MessageBody) -> Result<bool, RunError> {
    let dir = Dir::open(run_dir)?.shared_as_it_is()?;
    let dot_run = dir.open_dir(DOT_RUN)?;
    let message = Message {
        schema_version: format::INBOX,
        at: Timestamp::now(),
        source: source.to_owned(),
        epoch: match body {
            MessageBody::Cancel { .. } => meant_session(&dir, &dot_run)?,
            // An answer names its question, whichever session takes it.
            _ => None,
        },
        body,
    };
    let bytes = to_file_text(name, &message)?;
    if bytes.len() as u64 > LONGEST_MESSAGE {
        return Err(SetupError::MessageTooLong {
            bytes: bytes.len(),
            most: LONGEST_MESSAGE,
        }
        .into());
    }
    let inbox = dot_run.create_dir_all(INBOX)?;
    // Its sender learns that it counts: it has to be there after a loss of power too.
    Ok(inbox.publish(name, &bytes, Durability::Disk)?)
}

/// The session that drives a run, else the next one. `None` if its journal cannot be read: a process that drives it
/// notices that itself.
fn meant_session(dir: &Dir, dot_run: &Dir) -> Result<Option<u32>, RunError> {
    let mut last = (0, false);
    let read = read_journal(dir, None, |record| {
        match record.body {
            RecordBody::RunStarted(start) | RecordBody::RunResumed(start) => {
                last = (start.driver.epoch, false);
            }
            RecordBody::RunSealed { .. } => last.1 = true,
            _ => {}
        }
        Ok(())
    });
    let (epoch, is_sealed) = last;
    let is_driven = !is_sealed && lease::is_held(dot_run)?;
    Ok(read.ok().map(|_| epoch.saturating_add(u32::from(!is_driven))))
}

impl Message {
    pub(crate) const fn is_answer(&self) -> bool {
        matches!(self.body, MessageBody::Answer { .. } | MessageBody::Deny { .. })
    }
}

/// The answer of a person or program to a question. A closed set.
///
/// ```no_run
/// use dad_definition::NodeTypes;
/// use dad_run::{Answer, RunView};
///
/// fn approve(view: &RunView, types: &dyn NodeTypes) -> Result<bool, dad_run::RunError> {
///     let answer = Answer::Given {
///         source: "a script".to_owned(),
///         value: serde_json::json!({ "approve": true }),
///     };
///     // The only open question; `false` if another answer came first.
///     view.answer(None, answer, types)
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The answer.
    Given {
        /// The party that gave it.
        source: String,
        /// The kind it is of.
        value: Value,
    },
    /// There will be none; the step fails.
    Denied {
        /// The party that denied it.
        source: String,
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// The answer in a message, and the question it belongs to.
    pub(crate) fn of(message: Message) -> Option<(String, Self)> {
        let source = message.source;
        match message.body {
            MessageBody::Answer { question, input } => Some((question, Self::Given { source, value: input })),
            MessageBody::Deny { question, reason } => Some((question, Self::Denied { source, reason })),
            _ => None,
        }
    }
}
