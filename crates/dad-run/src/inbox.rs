//! What other processes tell the one that drives a run: a file each, under a name that only one of them gets.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use dad_core::{HierarchyPath, SCHEMA_VERSION, Timestamp};
use dad_fs::{Dir, Durability};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::random_suffix;
use crate::error::RunError;
use crate::layout::{DOT_RUN, INBOX};
use crate::projection::to_file_text;
use crate::question::Answer;

/// What is told to a run from outside: the content of a file of `.run/inbox/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Version of the format.
    pub schema_version: u32,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it, for people.
    pub source: String,
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

/// Asks the process that drives a run to stop it, or one step or component of it. That it does so stands in the journal.
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
    let inbox = Dir::open(run_dir)?.open_dir(DOT_RUN)?.create_dir_all(INBOX)?;
    let message = Message {
        schema_version: SCHEMA_VERSION,
        at: Timestamp::now(),
        source: source.to_owned(),
        body,
    };
    let bytes = to_file_text(name, &message)?;
    // Whoever answers is told that it counts: it has to be there after a loss of power too.
    Ok(inbox.publish(name, &bytes, Durability::Disk)?)
}

/// The inbox of a run as its driver sees it.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    seen: HashSet<String>,
}

impl Inbox {
    /// An inbox, and the answers that came while nobody drove the run. What else lies in it was meant for an earlier
    /// driver.
    pub(crate) fn open(dot_run: &Dir) -> Result<(Self, HashMap<String, Answer>), RunError> {
        let mut inbox = Self::default();
        let messages = inbox.new_messages(dot_run)?;
        Ok((inbox, messages.into_iter().filter_map(Answer::of).collect()))
    }

    /// What has come since it was asked last. What cannot be read is passed over: it came from outside.
    pub(crate) fn new_messages(&mut self, dot_run: &Dir) -> Result<Vec<Message>, RunError> {
        let Some(dir) = dot_run.open_dir_optional(INBOX)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for entry in dir.entries()? {
            if !self.seen.insert(entry.name.clone()) {
                continue;
            }
            match serde_json::from_slice::<Message>(&dir.read(&entry.name)?) {
                Ok(message) => found.push(message),
                Err(error) => {
                    tracing::warn!(file = entry.name, %error, "a message to the run cannot be read");
                }
            }
        }
        Ok(found)
    }
}
