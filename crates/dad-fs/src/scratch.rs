//! Directories for a while.

use std::path::Path;

use tempfile::TempDir;

use crate::error::{FsError, FsResult};

/// A private directory for a while: it is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct ScratchDir(TempDir);

impl ScratchDir {
    /// An empty directory where the system has its temporary ones.
    ///
    /// # Errors
    /// If none can be made.
    pub fn new() -> FsResult<Self> {
        let made = tempfile::tempdir();
        made.map(Self)
            .map_err(|error| FsError::new("create a directory in", std::env::temp_dir(), error))
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
