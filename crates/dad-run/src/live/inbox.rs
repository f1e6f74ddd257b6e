//! The inbox of a run as its driver reads it: one file per message, each under a name that only one sender gets.

use std::collections::HashSet;
use std::io::Read;

use dad_fs::{Dir, Entry, FsError, FsResult};

use crate::error::RunError;
use crate::layout::INBOX;
use crate::store::message::{LONGEST_MESSAGE, Message};

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
            match read_entry(&dir, &name) {
                Ok(Found::Message(message)) => {
                    self.seen.insert(name.clone());
                    let is_meant = message.is_answer() || message.epoch == Some(self.epoch);
                    let is_old = self.earlier.contains(&name) && !is_meant;
                    if !is_old {
                        found.push(Received {
                            name,
                            message: *message,
                        });
                    }
                }
                Ok(Found::Other(reason)) => {
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

/// The content of an entry of the inbox.
enum Found {
    Message(Box<Message>),
    /// It is no message, and never will be; the reason.
    Other(String),
}

/// Reads an entry. An error of the file system may pass.
fn read_entry(inbox: &Dir, name: &str) -> FsResult<Found> {
    let Some((file, len)) = inbox.open_regular(name)? else {
        return Ok(Found::Other("it is not a regular file".to_owned()));
    };
    if len > LONGEST_MESSAGE {
        return Ok(Found::Other(format!(
            "it has {len} bytes, and at most {LONGEST_MESSAGE} are read"
        )));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_MESSAGE)
        .read_to_end(&mut bytes)
        .map_err(|source| FsError::new("read", inbox.path().join(name), source))?;
    Ok(match serde_json::from_slice(&bytes) {
        Ok(message) => Found::Message(message),
        Err(error) => Found::Other(error.to_string()),
    })
}
