use std::fs::{File, TryLockError};
use std::path::PathBuf;

use crate::error::{Context, FsError, FsResult};

/// A lock on a file, held until it is dropped or the process ends.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Locks the file for one holder; `None` if somebody holds it.
    pub(crate) fn exclusive(file: File, path: impl FnOnce() -> PathBuf) -> FsResult<Option<Self>> {
        let outcome = file.try_lock();
        Self::from_outcome(file, outcome, path)
    }

    /// Locks the file for readers; `None` if somebody holds it for writing.
    pub(crate) fn shared(file: File, path: impl FnOnce() -> PathBuf) -> FsResult<Option<Self>> {
        let outcome = file.try_lock_shared();
        Self::from_outcome(file, outcome, path)
    }

    fn from_outcome(
        file: File,
        outcome: Result<(), TryLockError>,
        path: impl FnOnce() -> PathBuf,
    ) -> FsResult<Option<Self>> {
        match outcome {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(FsError::new("lock", path(), source)),
        }
    }

    /// Replaces the content of the locked file; what it says is a hint for people, the lock itself is the truth.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_content(&mut self, bytes: &[u8]) -> FsResult<()> {
        use std::io::{Seek, Write};
        let file = &mut self.file;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(bytes))
            .context("write the lock file", PathBuf::new)
    }
}
