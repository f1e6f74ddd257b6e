//! Contained directories, atomic publication and durable appends.
//!
//! All writing of the run system goes through this crate, for three reasons: a [`Dir`] cannot be left by `..`, an
//! absolute name or a symbolic link; content appears under its final name complete or not at all; and every
//! operation passes one [`Gate`], which counts it and can make it fail, so that tests can stop a run at each of them.
//!
//! ```
//! use dad_fs::{Dir, Durability};
//!
//! let temp = tempfile::tempdir()?;
//! let dir = Dir::open(temp.path())?;
//! dir.replace("status.json", b"{}", Durability::Process)?;
//! assert_eq!(dir.read("status.json")?, b"{}");
//! assert!(dir.read("../outside").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod append;
mod attributes;
mod descent;
mod dir;
mod error;
mod gate;
mod lock;
mod look;
mod patience;
mod private;
mod regular;
mod removal;
mod scratch;
mod share;
mod space;

pub use append::AppendFile;
pub use attributes::Attributes;
pub use descent::Descent;
pub use dir::{Dir, Entry, EntryKind, is_plain_name, temporary_name};
pub use error::{FsError, FsResult, optional};
pub use gate::{Change, Fault, FaultInjector, Gate, Operation, Place};
pub use lock::FileLock;
pub use look::Look;
pub use scratch::ScratchDir;
pub use share::Share;
pub use space::{free_space, is_writable};

/// The kind of crash that a finished write survives. A closed set.
///
/// ```
/// use dad_fs::Durability;
///
/// assert_eq!("disk".parse(), Ok(Durability::Disk));
/// let error = "never".parse::<Durability>().unwrap_err();
/// assert_eq!(error.to_string(), "`never` is no durability; there are process, disk");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, however it comes; not a loss of power.
    #[default]
    Process,
    /// A loss of power too: files, then directories are synced before the write counts as done.
    Disk,
}

impl Durability {
    /// The word used in files and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Disk => "disk",
        }
    }
}

impl std::fmt::Display for Durability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no [`Durability`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no durability; there are process, disk")]
#[non_exhaustive]
pub struct ParseDurabilityError(pub String);

impl std::str::FromStr for Durability {
    type Err = ParseDurabilityError;

    fn from_str(word: &str) -> Result<Self, ParseDurabilityError> {
        let found = [Self::Process, Self::Disk]
            .into_iter()
            .find(|one| one.as_str() == word);
        found.ok_or_else(|| ParseDurabilityError(word.to_owned()))
    }
}
