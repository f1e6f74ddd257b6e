//! Errors of file operations, with the operation and the path.

use std::io;
use std::path::{Path, PathBuf};

use crate::patience::is_out_of_descriptors;

/// A file operation that failed: what was tried, on what, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{}`", path.display())]
#[non_exhaustive]
pub struct FsError {
    /// The attempted operation, as a verb.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

/// The result of a file operation.
pub type FsResult<T> = Result<T, FsError>;

impl FsError {
    /// An operation, as a verb, that failed on a file or directory.
    pub fn new(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            operation,
            path: path.into(),
            source,
        }
    }

    /// The kind of the underlying error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether it could not be opened because the process or the machine has no descriptor left, also after a while.
    #[must_use]
    pub fn is_out_of_descriptors(&self) -> bool {
        is_out_of_descriptors(&self.source)
    }

    /// Whether the file or directory is missing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }
}

/// Adds operation and path to an I/O result.
pub(crate) trait Context<T> {
    fn context(self, operation: &'static str, path: impl FnOnce() -> PathBuf) -> FsResult<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: impl FnOnce() -> PathBuf) -> FsResult<T> {
        self.map_err(|source| FsError::new(operation, path(), source))
    }
}

/// Turns a missing file into `None`.
///
/// # Errors
/// Any other error of the operation.
pub fn optional<T>(result: FsResult<T>) -> FsResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn join(dir: &Path, name: &Path) -> PathBuf {
    dir.join(name)
}
