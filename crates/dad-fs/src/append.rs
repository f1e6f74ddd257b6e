//! Files that grow by whole lines.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Context, FsError, FsResult};
use crate::gate::{Change, Gate};

/// A file that only grows. Every append is one `write` call, so that a crash leaves at most one torn line; one that
/// fails leaves nothing.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
    gate: Gate,
    /// Why nothing can be added any more.
    broken: Option<&'static str>,
}

impl AppendFile {
    pub(crate) fn new(file: File, path: PathBuf, gate: Gate) -> Self {
        Self {
            file,
            path,
            gate,
            broken: None,
        }
    }

    /// Appends bytes: all of them, or after an error none. If what was written of them cannot be cut away again,
    /// nothing can be appended any more, so that nothing follows a torn line. Needs to be the only writer of the file.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> FsResult<()> {
        self.refuse_if_broken("append to")?;
        let written = self.gate.write(
            "append to",
            || &self.path,
            Change::Append(bytes),
            || Ok(&self.file),
        );
        let Err((written, error)) = written else {
            return Ok(());
        };
        if written > 0 && self.take_back(written).is_err() {
            self.broken = Some("an earlier append left part of its bytes behind");
        }
        Err(FsError::new("append to", &self.path, error))
    }

    fn take_back(&self, written: usize) -> FsResult<()> {
        // Asked only here, so that appends that succeed cost one call.
        let len = self
            .file
            .metadata()
            .context("look at", || self.path.clone())?
            .len();
        self.truncate(len.saturating_sub(written as u64))
    }

    fn refuse_if_broken(&self, operation: &'static str) -> FsResult<()> {
        match self.broken {
            None => Ok(()),
            Some(why) => Err(FsError::new(operation, &self.path, io::Error::other(why))),
        }
    }

    /// Waits until what was appended is on the disk. If that fails nothing can be appended any more: what of it is
    /// there can no longer be known, and a second attempt would succeed without having saved anything.
    ///
    /// # Errors
    /// If the operating system cannot promise it.
    pub fn sync(&mut self) -> FsResult<()> {
        self.refuse_if_broken("sync")?;
        let synced = self
            .gate
            .pass("sync", || &self.path, Change::SyncFile)
            .and_then(|()| self.file.sync_data())
            .context("sync", || self.path.clone());
        if synced.is_err() {
            self.broken = Some("earlier bytes could not be synced");
        }
        synced
    }

    /// Cuts the file to `len` bytes; appends go on from there.
    ///
    /// # Errors
    /// If the file cannot be cut.
    pub fn truncate(&self, len: u64) -> FsResult<()> {
        self.gate
            .pass("truncate", || &self.path, Change::Truncate(len))
            .and_then(|()| self.file.set_len(len))
            .context("truncate", || self.path.clone())
    }

    /// The path of the file when it was opened.
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
