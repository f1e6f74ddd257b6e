//! The files of a run that is read: a directory, or a cache that fetches them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use dad_core::{ArtifactRef, Digest};
use dad_fs::{Dir, Entry, FsError, FsResult, optional};

use crate::error::RunError;
use crate::layout::DOT_RUN;

/// No file that is read as a whole is longer, in bytes.
const LONGEST: u64 = 1 << 30;

/// The files of one run, as far as reading the run needs them. An open run directory ([`Dir`]) is one; another is a cache
/// that fetches files from elsewhere when they are read first.
///
/// Names are relative to the run directory. An error has the kind [`NotFound`](io::ErrorKind::NotFound) if, and only if,
/// there is no such file: readers take that for an answer.
pub trait RunFiles: fmt::Debug + Send + Sync {
    /// The run directory, by which messages name files.
    fn run_dir(&self) -> &Path;

    /// Opens a regular file to be read from its beginning.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be read.
    fn open(&self, name: &Path) -> FsResult<Box<dyn Read + Send>>;

    /// The length of a file in bytes; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be asked for.
    fn len(&self, name: &Path) -> FsResult<Option<u64>>;

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// If there is no such directory, or it cannot be listed.
    fn list(&self, name: &Path) -> FsResult<Vec<Entry>>;
}

impl RunFiles for Dir {
    fn run_dir(&self) -> &Path {
        self.path()
    }

    fn open(&self, name: &Path) -> FsResult<Box<dyn Read + Send>> {
        Ok(Box::new(self.open_file(name)?))
    }

    fn len(&self, name: &Path) -> FsResult<Option<u64>> {
        Self::len(self, name)
    }

    fn list(&self, name: &Path) -> FsResult<Vec<Entry>> {
        self.open_dir(name)?.entries()
    }
}

/// The operations of readers on the files of a run.
impl dyn RunFiles + '_ {
    /// The content of a file.
    pub(crate) fn read(&self, name: &Path) -> FsResult<Vec<u8>> {
        let bytes = self.read_at_most(name, LONGEST)?;
        if bytes.len() as u64 > LONGEST {
            let why = io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it is longer than {LONGEST} bytes"),
            );
            return Err(self.error("read", name, why));
        }
        Ok(bytes)
    }

    /// The content of a file that is recorded with its digest, and nothing else.
    pub(crate) fn read_recorded(&self, name: &Path, digest: Digest) -> Result<Vec<u8>, RunError> {
        let bytes = self.read(name)?;
        if Digest::of(&bytes) == digest {
            return Ok(bytes);
        }
        Err(RunError::Corrupt {
            path: self.path_of(name),
            reason: "its digest differs".to_owned(),
        })
    }

    /// The content of a file; `None` if there is none.
    pub(crate) fn read_optional(&self, name: &Path) -> FsResult<Option<Vec<u8>>> {
        optional(self.read(name))
    }

    /// The content of a file that is to have `len` bytes: of a longer one the first byte that is too much and no more.
    pub(crate) fn read_expected(&self, name: &Path, len: u64) -> FsResult<Vec<u8>> {
        self.read_at_most(name, len)
    }

    fn read_at_most(&self, name: &Path, most: u64) -> FsResult<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.open(name)?;
        let read = file.take(most.saturating_add(1)).read_to_end(&mut bytes);
        read.map(|_| bytes)
            .map_err(|error| self.error("read", name, error))
    }

    /// The entries of a directory; none if there is no such directory.
    pub(crate) fn list_optional(&self, name: &Path) -> FsResult<Vec<Entry>> {
        Ok(optional(self.list(name))?.unwrap_or_default())
    }

    /// Length and digest of a file, of which as much is held at a time as a buffer takes.
    pub(crate) fn digest(&self, file: &Path, name: String) -> FsResult<ArtifactRef> {
        let mut hasher = blake3::Hasher::new();
        let copied = io::copy(&mut self.open(file)?, &mut hasher);
        Ok(ArtifactRef::new(
            name,
            copied.map_err(|error| self.error("read", file, error))?,
            Digest::from(*hasher.finalize().as_bytes()),
        ))
    }

    /// The path of a file as messages show it.
    pub(crate) fn path_of(&self, name: &Path) -> PathBuf {
        self.run_dir().join(name)
    }

    fn error(&self, operation: &'static str, name: &Path, source: io::Error) -> FsError {
        FsError::new(operation, self.path_of(name), source)
    }
}

/// A name among what the run system keeps of a run.
pub(crate) fn in_dot_run(name: impl AsRef<Path>) -> PathBuf {
    Path::new(DOT_RUN).join(name)
}
