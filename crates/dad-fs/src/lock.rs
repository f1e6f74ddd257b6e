//! File locks of the operating system, which end with their process.

use std::fs::{File, TryLockError};
use std::path::PathBuf;

use crate::error::{Context, FsError, FsResult};
use crate::gate::{Change, Gate};

/// The longest content that is written over, in bytes.
const LONGEST: u64 = 64 * 1024;

/// A lock on a file, held until it is dropped or the process ends.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct FileLock {
    /// `None` where nothing can be locked.
    file: Option<File>,
    path: PathBuf,
    gate: Gate,
}

impl FileLock {
    /// Locks the file for one holder; `None` if it is locked already.
    pub(crate) fn exclusive(file: File, path: PathBuf, gate: Gate) -> FsResult<Option<Self>> {
        let outcome = file.try_lock();
        Self::from_outcome(file, outcome, path, gate)
    }

    /// Locks the file for readers; `None` if it is locked for writing.
    pub(crate) fn shared(file: File, path: PathBuf) -> FsResult<Option<Self>> {
        let outcome = file.try_lock_shared();
        Self::from_outcome(file, outcome, path, Gate::default())
    }

    /// A lock on a file system that has none.
    pub(crate) fn unsupported(path: PathBuf) -> Self {
        Self {
            file: None,
            path,
            gate: Gate::default(),
        }
    }

    fn from_outcome(
        file: File,
        outcome: Result<(), TryLockError>,
        path: PathBuf,
        gate: Gate,
    ) -> FsResult<Option<Self>> {
        match outcome {
            Ok(()) => Ok(Some(Self {
                file: Some(file),
                path,
                gate,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(FsError::new("lock", path, source)),
        }
    }

    /// Replaces the content of the locked file; what it says is a hint for people, the lock itself is the truth. Who
    /// reads meanwhile sees the old text or the new one, which may have line feeds behind it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_content(&mut self, bytes: &[u8]) -> FsResult<()> {
        use std::io::Seek;
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let path = &self.path;
        let old = file.metadata().and_then(|old| {
            file.rewind()?;
            if old.len() > LONGEST {
                // No holder wrote that.
                file.set_len(0)?;
                return Ok(0);
            }
            Ok(usize::try_from(old.len()).unwrap_or(0))
        });
        let old = old.context("write the lock file", || path.clone())?;
        // In one call and as long as what stands there: a process that dies in between leaves no half of it, and a
        // disk that is full has the room already.
        let mut text = bytes.to_vec();
        text.resize(text.len().max(old), b'\n');
        let written = self
            .gate
            .write("write", || path, Change::Overwrite(&text), || Ok(&mut *file));
        written
            .map(drop)
            .map_err(|(_, error)| error)
            .context("write the lock file", || path.clone())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // A child that was forked and has not come to its program yet has the file open as well: closing it here would leave
        // the lock to the child.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_although_another_handle_of_its_file_is_open() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("lock");
        let lock = || {
            let file = File::options().create(true).append(true).open(&path)?;
            FileLock::exclusive(file, path.clone(), Gate::default()).map_err(std::io::Error::other)
        };
        let held = lock()?;
        // As a child has it between fork and exec.
        let inherited = held
            .as_ref()
            .and_then(|held| held.file.as_ref()?.try_clone().ok());
        assert!(held.is_some() && inherited.is_some());
        assert!(lock()?.is_none());
        drop(held);
        assert!(lock()?.is_some());
        drop(inherited);
        Ok(())
    }
}
