//! What other processes say to the driver of a run: a file each, under a name that only one of them gets.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use dad_core::{HierarchyPath, Timestamp};
use dad_fs::{Dir, Durability, Entry, FsError, FsResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::random_suffix;
use crate::error::RunError;
use crate::format;
use crate::journal::file::read_journal;
use crate::journal::record::RecordBody;
use crate::layout::{DOT_RUN, INBOX};
use crate::lease;
use crate::projection::to_file_text;

/// The longest message that is sent or read, in bytes.
const LONGEST_MESSAGE: u64 = 16 * 1024 * 1024;

/// A message to a run from outside: the content of a file of `.run/inbox/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Version of the format.
    pub schema_version: u32,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it, for people.
    pub source: String,
    /// The session that it is meant for, counted from 1: the one that drove the run when it was written, else the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// What it says.
    #[serde(flatten)]
    pub body: MessageBody,
}

/// What a [`Message`] says.
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
        /// What is given.
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
        return Err(RunError::MessageTooLong {
            bytes: bytes.len(),
            most: LONGEST_MESSAGE,
        });
    }
    let inbox = dot_run.create_dir_all(INBOX)?;
    // Its sender learns that it counts: it has to be there after a loss of power too.
    Ok(inbox.publish(name, &bytes, Durability::Disk)?)
}

/// The session that drives a run, else the next one. `None` if its journal cannot be read: a process that drives it does not
/// need to be told.
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

/// The inbox of a run as its driver sees it.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Messages that need not be looked at again.
    seen: HashSet<String>,
    /// Messages that the driver has warned of and looks at again: why they cannot be read may pass.
    warned: HashSet<String>,
    /// Messages that were there before this process became the driver. A cancel among them was meant for an earlier one, unless
    /// it says otherwise.
    earlier: HashSet<String>,
    /// The session of this process.
    epoch: u32,
}

/// A message and the name of its file.
#[derive(Debug)]
pub(crate) struct Received {
    name: String,
    pub(crate) message: Message,
}

impl Inbox {
    /// The inbox of a run whose lease this process is about to take. To be called before that: the sender of a
    /// later cancel may have seen the lease, and means this driver.
    pub(crate) fn before_lease(dot_run: &Dir) -> Result<Self, RunError> {
        let mut inbox = Self::default();
        if let Some(dir) = dot_run.open_dir_optional(INBOX)? {
            inbox
                .earlier
                .extend(dir.entries()?.into_iter().map(|entry| entry.name));
        }
        Ok(inbox)
    }

    /// Says which session the driver is.
    pub(crate) fn in_session(self, epoch: u32) -> Self {
        Self { epoch, ..self }
    }

    /// The messages that have come since the last call; of those that were there before this process became the driver
    /// only answers, and what is meant for its session. What cannot be read is passed over: anyone may write there.
    pub(crate) fn new_messages(&mut self, dot_run: &Dir) -> Result<Vec<Received>, RunError> {
        let Some(dir) = dot_run.open_dir_optional(INBOX)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for Entry { name, .. } in dir.entries()? {
            if self.seen.contains(&name) {
                continue;
            }
            match read_message(&dir, &name) {
                Ok(Ok(message)) => {
                    self.seen.insert(name.clone());
                    let is_meant = message.is_answer() || message.epoch == Some(self.epoch);
                    let is_old = self.earlier.contains(&name) && !is_meant;
                    if !is_old {
                        found.push(Received { name, message });
                    }
                }
                Ok(Err(reason)) => {
                    tracing::warn!(file = name, reason, "a message to the run is ignored");
                    self.seen.insert(name);
                }
                Err(error) => {
                    if self.warned.insert(name.clone()) {
                        tracing::warn!(file = name, %error, "a message to the run cannot be read yet");
                    }
                }
            }
        }
        Ok(found)
    }

    /// Whether it is the first time that the driver warns of a message.
    pub(crate) fn warns_of(&mut self, received: &Received) -> bool {
        self.warned.insert(received.name.clone())
    }

    /// Has a message given out again: what it asks for could not be done.
    pub(crate) fn put_back(&mut self, received: &Received) {
        self.seen.remove(&received.name);
    }
}

/// A message, or why what stands there is none and never will be. An error of the file system may pass.
fn read_message(inbox: &Dir, name: &str) -> FsResult<Result<Message, String>> {
    let Some((file, len)) = inbox.open_regular(name)? else {
        return Ok(Err("it is not a regular file".to_owned()));
    };
    if len > LONGEST_MESSAGE {
        return Ok(Err(format!(
            "it has {len} bytes, and at most {LONGEST_MESSAGE} are read"
        )));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_MESSAGE)
        .read_to_end(&mut bytes)
        .map_err(|source| FsError {
            operation: "read",
            path: inbox.path().join(name),
            source,
        })?;
    Ok(serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
}

impl Message {
    const fn is_answer(&self) -> bool {
        matches!(self.body, MessageBody::Answer { .. } | MessageBody::Deny { .. })
    }
}
