//! Directories that cannot be left: every path is resolved below them, whatever links there are.

mod read;
mod tree;
mod write;

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir as CapDir;

use crate::error::{Context, FsResult, join};
use crate::gate::{Change, Gate, Place};
use crate::patience::patiently;
use crate::share::Share;

/// Names of temporary files start so; a crash may leave one behind.
const TEMP_PREFIX: &str = ".tmp-";

/// An open directory. Names given to it are relative and stay inside it, also across symbolic links.
///
/// A clone is another handle of the same directory and shares its [`Gate`].
///
/// # Semantics
/// * **Containment.** A name is resolved below the directory. One that leads out, by `..`, an absolute path or a symbolic
///   link, is an error; links inside are followed, except by methods that say so.
/// * **Atomicity.** [`write_new`](Self::write_new), [`replace`](Self::replace) and [`publish`](Self::publish) show a reader the
///   whole content or none. A crash may leave a temporary file, which [`remove_temporaries`](Self::remove_temporaries) removes.
/// * **Durability.** With [`Durability::Disk`](crate::Durability::Disk) the content is synced before its name, and the name before the call returns.
/// * **Blocking.** All methods block. In async code, larger work belongs on a thread that may block.
/// * **Faults.** Every change passes the [`Gate`] first, where a test can count it or let it fail.
///
/// ```
/// use dad_fs::{Dir, Durability};
///
/// let place = tempfile::tempdir()?;
/// let dir = Dir::open(place.path())?;
/// dir.write_new("notes.txt", b"first\n", Durability::Process)?;
/// dir.replace("notes.txt", b"second\n", Durability::Process)?;
/// assert_eq!(dir.read("notes.txt")?, b"second\n");
/// assert!(dir.read("../outside").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Dir {
    dir: Arc<CapDir>,
    path: Arc<Path>,
    gate: Gate,
    pub(crate) share: Share,
}

/// The kind of a directory entry. Symbolic links are not followed. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name; names that are not UTF-8 are not listed.
    pub name: String,
    /// The kind of the entry.
    pub kind: EntryKind,
}

impl Entry {
    /// An entry of a directory.
    #[must_use]
    pub fn new(name: String, kind: EntryKind) -> Self {
        Self { name, kind }
    }
}

impl Dir {
    /// Opens a directory by any path of the process.
    ///
    /// # Errors
    /// If there is no such directory.
    pub fn open(path: impl AsRef<Path>) -> FsResult<Self> {
        Self::open_with(path, Gate::default())
    }

    /// Opens a directory whose operations pass `gate`.
    ///
    /// # Errors
    /// If there is no such directory.
    pub fn open_with(path: impl AsRef<Path>, gate: Gate) -> FsResult<Self> {
        let path = path.as_ref();
        let dir = patiently(|| CapDir::open_ambient_dir(path, ambient_authority()))
            .context("open the directory", || path.into())?;
        Ok(Self {
            dir: Arc::new(dir),
            path: path.into(),
            gate,
            share: Share::default(),
        })
    }

    /// Opens a directory and makes it, and its parents, if they are missing.
    ///
    /// # Errors
    /// If it cannot be made or opened.
    pub fn create_all_with(path: impl AsRef<Path>, gate: Gate) -> FsResult<Self> {
        let path = path.as_ref();
        if !path.is_dir() {
            gate.pass("create the directory", || path, Change::CreateDir)
                .and_then(|()| CapDir::create_ambient_dir_all(path, ambient_authority()))
                .context("create the directory", || path.into())?;
        }
        Self::open_with(path, gate)
    }

    /// The same directory; what is made by this handle, and by those of directories opened through it, is shared so.
    #[must_use]
    pub fn shared_with(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// The same directory; what is made by this handle is shared with those who may read the directory.
    ///
    /// # Errors
    /// If its mode cannot be read.
    pub fn shared_as_it_is(self) -> FsResult<Self> {
        let share = Share::of_dir(&self.dir).context("look at", || self.path.to_path_buf())?;
        Ok(self.shared_with(share))
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The gate its operations pass.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The handle that keeps names inside.
    pub(crate) fn capability(&self) -> &CapDir {
        &self.dir
    }

    pub(crate) fn full(&self, name: impl AsRef<Path>) -> PathBuf {
        join(&self.path, name.as_ref())
    }

    pub(crate) fn place<'a>(&'a self, name: &'a (impl AsRef<Path> + ?Sized)) -> Place<'a> {
        Place {
            dir: &self.path,
            name: name.as_ref(),
        }
    }

    /// Passes the gate and makes one change.
    pub(crate) fn change<T>(
        &self,
        operation: &'static str,
        name: &Path,
        change: Change<'_>,
        act: impl FnOnce(&CapDir) -> io::Result<T>,
    ) -> FsResult<T> {
        let path = || self.full(name);
        self.gate
            .pass(operation, path, change)
            .and_then(|()| act(&self.dir))
            .context(operation, path)
    }

    fn wrap(&self, dir: CapDir, name: &Path) -> Self {
        Self {
            dir: Arc::new(dir),
            path: self.full(name).into(),
            gate: self.gate.clone(),
            share: self.share,
        }
    }
}

impl EntryKind {
    pub(crate) fn of(file_type: cap_std::fs::FileType) -> Self {
        match file_type {
            t if t.is_symlink() => Self::Symlink,
            t if t.is_dir() => Self::Dir,
            t if t.is_file() => Self::File,
            _ => Self::Other,
        }
    }
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dir").field(&self.path).finish()
    }
}

/// A name for a temporary file, which [`Dir::entries`] leaves out; `tag` tells it from others.
#[must_use]
pub fn temporary_name(tag: &str) -> String {
    format!("{TEMP_PREFIX}{tag}")
}

pub(crate) fn plain(name: &str) -> io::Result<&Path> {
    if is_plain_name(name) {
        Ok(Path::new(name))
    } else {
        Err(invalid("it is not one plain name"))
    }
}

pub(crate) fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// Whether a name is one plain segment: no separators, no `..`, not empty.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}
