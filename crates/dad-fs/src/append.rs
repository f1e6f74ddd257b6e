use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Context, FsResult};
use crate::gate::Gate;

/// A file that only grows. Every append is one `write` call, so that a crash leaves at most one torn line.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
    gate: Gate,
}

impl AppendFile {
    pub(crate) fn new(file: File, path: PathBuf, gate: Gate) -> Self {
        Self { file, path, gate }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// If the bytes could not be written completely; part of them may then stand at the end of the file.
    pub fn append(&mut self, bytes: &[u8]) -> FsResult<()> {
        self.gate
            .pass("append to", &self.path)
            .and_then(|()| self.file.write_all(bytes))
            .context("append to", || self.path.clone())
    }

    /// Waits until what was appended is on the disk.
    ///
    /// # Errors
    /// If the operating system cannot promise it.
    pub fn sync(&self) -> FsResult<()> {
        self.gate
            .pass("sync", &self.path)
            .and_then(|()| self.file.sync_data())
            .context("sync", || self.path.clone())
    }

    /// Cuts the file to `len` bytes; appends go on from there.
    ///
    /// # Errors
    /// If the file cannot be cut.
    pub fn truncate(&self, len: u64) -> FsResult<()> {
        self.gate
            .pass("truncate", &self.path)
            .and_then(|()| self.file.set_len(len))
            .context("truncate", || self.path.clone())
    }

    /// Where the file was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plain file, for programs that are given it as their output.
    ///
    /// # Errors
    /// If the operating system gives no second handle.
    pub fn try_clone_file(&self) -> FsResult<File> {
        self.file
            .try_clone()
            .context("duplicate the handle of", || self.path.clone())
    }
}
