//! The labels of a run: tags and a note, which people write beside its record.
//!
//! They stand in a file of their own, which may change after the run was sealed. The journal does not name it, so that a label
//! changes no recorded fact: verification does not look at it, and nothing that a run does depends on it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use dad_fs::{Dir, Durability, FileLock, FsError, optional};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{Versioned, check_version, to_file_text};
use crate::error::{RunError, SetupError};
use crate::format;
use crate::layout::{DOT_RUN, LABELS};

/// The longest file of labels, in bytes.
const LONGEST: u64 = 1 << 20;
/// The longest note, in bytes.
const LONGEST_NOTE: usize = 64 * 1024;
/// The largest number of tags of a run.
const MOST_TAGS: usize = 100;
/// The longest tag, in bytes.
const LONGEST_TAG: usize = 64;

/// The number of times that the lock is tried, and the pause between two.
const LOCK_ATTEMPTS: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A tag of a run: letters, digits, `-`, `_`, `.`, `:` and `/`, beginning with a letter or digit, at most 64 bytes.
///
/// ```
/// use dad_run::Tag;
///
/// assert!("good".parse::<Tag>().is_ok());
/// assert!("two words".parse::<Tag>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// A text that is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is no tag: a tag has letters, digits, `-`, `_`, `.`, `:` and `/`, begins with a letter or digit, and has at most \
     {LONGEST_TAG} bytes",
    if .0.is_empty() { "an empty text".to_owned() } else { format!("`{}`", .0) }
)]
#[non_exhaustive]
pub struct ParseTagError(pub String);

impl FromStr for Tag {
    type Err = ParseTagError;

    fn from_str(text: &str) -> Result<Self, ParseTagError> {
        let is_inner = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
        let is_tag = text.starts_with(char::is_alphanumeric) && text.chars().all(is_inner);
        if is_tag && text.len() <= LONGEST_TAG {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseTagError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Tag {
    type Error = ParseTagError;

    fn try_from(text: String) -> Result<Self, ParseTagError> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The labels of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Labels {
    /// Its tags, sorted.
    #[serde(default)]
    pub tags: BTreeSet<Tag>,
    /// Its note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Labels {
    /// Reads the labels of a run by its directory; those of a run without labels are empty. Others may have written them: they are
    /// texts for people and nothing to rely on.
    ///
    /// # Errors
    /// If the file cannot be read, is none of labels, or of a newer version.
    pub fn read(run_dir: &Path) -> Result<Self, RunError> {
        Self::read_in(&Dir::open(run_dir)?, Path::new(""))
    }

    /// As [`read`](Self::read), for a run by its name in a directory.
    pub(crate) fn read_in(place: &Dir, run: &Path) -> Result<Self, RunError> {
        let name = run.join(DOT_RUN).join(LABELS);
        let Some(bytes) = optional(place.read_regular_inside(&name, LONGEST))? else {
            return Ok(Self::default());
        };
        let path = place.path().join(name);
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| RunError::unreadable(&path, error))?;
        check_version(&value["schema_version"], &path, format::LABELS)?;
        serde_json::from_value(value).map_err(|error| RunError::unreadable(&path, error))
    }

    /// Changes the labels of a run, whether a process drives it or not. Changes of several processes follow each other.
    ///
    /// # Errors
    /// [`SetupError::OriginalSystem`] for a run without a journal; [`SetupError::Labels`] if there would be too many of them;
    /// or if the file cannot be read or written.
    pub fn change(run_dir: &Path, change: impl FnOnce(&mut Self)) -> Result<Self, RunError> {
        let dir = Dir::open(run_dir)?.shared_as_it_is()?;
        let Some(dot_run) = dir.open_dir_optional(DOT_RUN)? else {
            let name = run_dir
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            return Err(SetupError::OriginalSystem(name).into());
        };
        let _lock = lock(&dot_run)?;
        let mut labels = Self::read_in(&dir, Path::new(""))?;
        change(&mut labels);
        if labels.tags.len() > MOST_TAGS {
            return Err(SetupError::Labels(format!("a run has at most {MOST_TAGS} tags")).into());
        }
        if labels.note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
            return Err(SetupError::Labels(format!("a note has at most {LONGEST_NOTE} bytes")).into());
        }
        let text = to_file_text(LABELS, &Versioned::new(format::LABELS, &labels))?;
        dot_run.replace(LABELS, &text, Durability::Process)?;
        Ok(labels)
    }
}

/// The lock under which labels change.
fn lock(dot_run: &Dir) -> Result<FileLock, RunError> {
    for _ in 0..LOCK_ATTEMPTS {
        if let Some(lock) = dot_run.lock_directory()? {
            return Ok(lock);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    let busy = std::io::Error::new(
        std::io::ErrorKind::ResourceBusy,
        "another process changes the labels of the run",
    );
    Err(FsError::new("lock", dot_run.path(), busy).into())
}
