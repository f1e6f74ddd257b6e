//! The gate that every change passes, where tests count operations and let them fail.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One change of the file system that is about to be made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Operation<'a> {
    /// Its number, from 0, among all operations that passed the gate.
    pub number: u64,
    /// The operation, as a verb for messages.
    pub name: &'static str,
    /// The file or directory it concerns.
    pub path: &'a Path,
    /// The change, so that it can be made again elsewhere.
    pub change: Change<'a>,
}

/// A name in a directory, put together only where it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) name: &'a Path,
}

impl Place<'_> {
    /// The whole path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join(self.name)
    }
}

/// The change that an operation makes to the file system. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Makes a directory, and those above it that are missing.
    CreateDir,
    /// Opens a file, and makes it empty if it is missing.
    OpenFile,
    /// Makes a file with this content.
    Write(&'a [u8]),
    /// Adds bytes to the end of a file.
    Append(&'a [u8]),
    /// Writes bytes over those at the beginning of a file, which is no longer than they are.
    Overwrite(&'a [u8]),
    /// Cuts a file to a length.
    Truncate(u64),
    /// Makes a file with the content of this one.
    Copy(Place<'a>),
    /// Moves this file or directory here; what stood here is replaced.
    Rename(Place<'a>),
    /// Gives this file one more name, if that is free.
    Link(Place<'a>),
    /// Makes a symbolic link with this text.
    MakeLink(&'a str),
    /// Sets permission bits, owner or times.
    SetAttributes,
    /// Removes a file, or a directory with everything in it.
    Remove,
    /// Waits until the content of a file is on the disk.
    SyncFile,
    /// Waits until the names in a directory are on the disk.
    SyncDir,
}

impl Change<'_> {
    /// The number of bytes that it writes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Write(bytes) | Self::Append(bytes) | Self::Overwrite(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// The failure of an operation in a test.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing of it happens, and this is reported as if the operating system had given it.
    Refused(io::Error),
    /// Only so many bytes are written; then `end` is called, which gives the error, or ends the process.
    Short {
        /// The number of bytes that are written.
        bytes: usize,
        /// The error, or the end of the process.
        end: fn() -> io::Error,
    },
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

/// Decides, in tests, whether an operation may happen.
pub trait FaultInjector: Send + Sync {
    /// Called before each operation.
    ///
    /// # Errors
    /// How the test wants the operation to fail.
    fn before(&self, operation: &Operation<'_>) -> Result<(), Fault>;
}

/// Counts the operations of every directory opened through it.
#[derive(Clone, Default)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    passed: AtomicU64,
    injector: Option<Box<dyn FaultInjector>>,
}

impl Gate {
    /// A gate that asks `injector` before each operation.
    pub fn with_faults(injector: impl FaultInjector + 'static) -> Self {
        Self {
            inner: Arc::new(Inner {
                passed: AtomicU64::new(0),
                injector: Some(Box::new(injector)),
            }),
        }
    }

    /// The number of operations that have passed.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.inner.passed.load(Ordering::Relaxed)
    }

    /// Lets an operation pass that happens as a whole or not at all.
    pub(crate) fn pass<P: AsRef<Path>>(
        &self,
        name: &'static str,
        path: impl FnOnce() -> P,
        change: Change<'_>,
    ) -> io::Result<()> {
        self.ask(name, path, change).map_err(|fault| match fault {
            Fault::Refused(error) => error,
            Fault::Short { end, .. } => end(),
        })
    }

    /// Lets an operation pass that writes bytes, and writes them to what `open` gives. Beside the error is how many
    /// were written.
    pub(crate) fn write<W: Write, P: AsRef<Path>>(
        &self,
        name: &'static str,
        path: impl FnOnce() -> P,
        change: Change<'_>,
        open: impl FnOnce() -> io::Result<W>,
    ) -> Result<W, (usize, io::Error)> {
        let (Change::Write(bytes) | Change::Append(bytes) | Change::Overwrite(bytes)) = change else {
            return Err((0, io::ErrorKind::Unsupported.into()));
        };
        let none = |error| (0, error);
        match self.ask(name, path, change) {
            Ok(()) => {
                let mut file = open().map_err(none)?;
                write_counted(&mut file, bytes)?;
                Ok(file)
            }
            Err(Fault::Refused(error)) => Err(none(error)),
            Err(Fault::Short { bytes: most, end }) => {
                let mut file = open().map_err(none)?;
                let most = most.min(bytes.len());
                write_counted(&mut file, &bytes[..most])?;
                Err((most, end()))
            }
        }
    }

    /// The path is worked out only for those who look at it.
    fn ask<P: AsRef<Path>>(
        &self,
        name: &'static str,
        path: impl FnOnce() -> P,
        change: Change<'_>,
    ) -> Result<(), Fault> {
        let number = self.inner.passed.fetch_add(1, Ordering::Relaxed);
        match &self.inner.injector {
            None => Ok(()),
            Some(injector) => injector.before(&Operation {
                number,
                name,
                path: path().as_ref(),
                change,
            }),
        }
    }
}

/// As `write_all`, which does not say how far it got.
fn write_counted(file: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("operations", &self.operations())
            .finish_non_exhaustive()
    }
}
