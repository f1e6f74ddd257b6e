//! What other processes tell the one that drives a run: a file each, under a name that only one of them gets.

use std::collections::HashSet;
use std::path::Path;

use dad_core::{HierarchyPath, SCHEMA_VERSION, Timestamp};
use dad_fs::{Dir, Durability};
use serde::{Deserialize, Serialize};

use crate::clock::random_suffix;
use crate::error::RunError;
use crate::layout::{DOT_RUN, INBOX};

/// What is told to a run from outside: the content of a file of `.run/inbox/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageBody {
    /// The run, or one step or component of it, is to stop.
    Cancel {
        /// The step or component; `None` for the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<HierarchyPath>,
    },
    /// Something of a newer version.
    #[serde(other)]
    Unknown,
}

/// Asks the process that drives a run to stop it, or one step or component of it. That it does so stands in the journal.
///
/// # Errors
/// If the request cannot be written.
pub fn request_cancel(run_dir: &Path, path: Option<HierarchyPath>, source: &str) -> Result<(), RunError> {
    let inbox = Dir::open(run_dir)?.open_dir(DOT_RUN)?.create_dir_all(INBOX)?;
    let message = Message {
        schema_version: SCHEMA_VERSION,
        at: Timestamp::now(),
        source: source.to_owned(),
        body: MessageBody::Cancel { path },
    };
    let bytes = serde_json::to_vec_pretty(&message).map_err(|e| RunError::unreadable(INBOX, e))?;
    loop {
        let name = format!("cancel_{:06x}.json", random_suffix());
        if inbox.publish(&name, &bytes, Durability::Process)? {
            return Ok(());
        }
    }
}

/// The inbox of a run as its driver sees it.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    seen: HashSet<String>,
}

impl Inbox {
    /// An inbox of which nothing counts that lies in it now: it was meant for an earlier driver.
    pub(crate) fn from_now_on(dot_run: &Dir) -> Result<Self, RunError> {
        let mut inbox = Self::default();
        inbox.new_messages(dot_run)?;
        Ok(inbox)
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
