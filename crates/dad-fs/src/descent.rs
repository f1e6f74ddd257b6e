//! Walks into directories that follow no symbolic link.

use std::ffi::OsString;
use std::path::Path;

use cap_std::fs::OpenOptions;

use crate::error::{Context, FsResult, optional};
use crate::patience::patiently;
use crate::{Dir, EntryKind};

/// Directories that are still to be looked into, one at a time: however deep they lie, the stack does not grow, and no more
/// directories are open than have others beside the one that is looked into.
///
/// ```
/// use dad_fs::{Descent, Dir, EntryKind};
/// # let place = tempfile::tempdir()?;
/// # let dir = Dir::open(place.path())?;
/// # dir.create_dir_all("a/b/c")?;
///
/// let mut directories = 0;
/// let mut descent = Descent::into_dir(dir, ());
/// while let Some((dir, ())) = descent.next_dir()? {
///     directories += 1;
///     for (name, kind) in dir.names()? {
///         if kind == EntryKind::Dir {
///             descent.add(&dir, name, ());
///         }
///     }
/// }
/// assert_eq!(directories, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Descent<T> {
    first: Option<(Dir, T)>,
    waiting: Vec<(Dir, OsString, T)>,
}

impl<T> Descent<T> {
    /// Begins with an open directory; what is known of each directory goes with it.
    #[must_use]
    pub const fn into_dir(dir: Dir, known: T) -> Self {
        Self {
            first: Some((dir, known)),
            waiting: Vec::new(),
        }
    }

    /// Adds a directory in an open one.
    pub fn add(&mut self, around: &Dir, name: impl Into<OsString>, known: T) {
        self.waiting.push((around.clone(), name.into(), known));
    }

    /// The next directory, open: the one that was added last.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn next_dir(&mut self) -> FsResult<Option<(Dir, T)>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Some((around, name, known)) = self.waiting.pop() else {
            return Ok(None);
        };
        Ok(Some((around.open_dir(&name)?, known)))
    }
}

impl Dir {
    /// Waits until all files and directories in this one are on the disk, and then its own names.
    ///
    /// # Errors
    /// If one of them cannot be opened, or the operating system cannot promise it.
    pub fn sync_tree(&self) -> FsResult<()> {
        let mut descent = Descent::into_dir(self.clone(), ());
        while let Some((dir, ())) = descent.next_dir()? {
            for entry in dir.entries_where(|_| true)? {
                match entry.kind {
                    EntryKind::File => {
                        let name = Path::new(&entry.name);
                        // Only Windows wants more than a handle for reading.
                        let options = OpenOptions::new().read(true).write(cfg!(windows)).clone();
                        let opened = patiently(|| dir.cap().open_with(name, &options));
                        let file = opened.context("open", || dir.full(name))?;
                        dir.sync_opened(&file.into_std(), name)?;
                    }
                    EntryKind::Dir => descent.add(&dir, entry.name, ()),
                    EntryKind::Symlink | EntryKind::Other => {}
                }
            }
            dir.sync()?;
        }
        Ok(())
    }

    /// The length of the files below this directory together, symbolic links not followed. What disappears meanwhile
    /// does not count.
    ///
    /// # Errors
    /// If a directory cannot be listed or a file cannot be asked about.
    pub fn size(&self) -> FsResult<u64> {
        let mut bytes = 0;
        let mut descent = Descent::into_dir(self.clone(), ());
        loop {
            let Some((dir, ())) = (match optional(descent.next_dir())? {
                Some(next) => next,
                None => continue,
            }) else {
                return Ok(bytes);
            };
            for entry in optional(dir.entries_where(|_| true))?.unwrap_or_default() {
                match entry.kind {
                    EntryKind::Dir => descent.add(&dir, entry.name, ()),
                    EntryKind::File => bytes += dir.len(&entry.name)?.unwrap_or(0),
                    EntryKind::Symlink | EntryKind::Other => {}
                }
            }
        }
    }
}
