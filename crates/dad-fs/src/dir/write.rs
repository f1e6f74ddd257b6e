//! Whole files, appended lines and locks: content that appears complete or not at all.

use super::{Dir, EntryKind, TEMP_PREFIX, invalid, temporary_name};
use crate::Durability;
use crate::append::AppendFile;
use crate::error::{Context, FsError, FsResult, optional};
use crate::gate::Change;
use crate::lock::FileLock;
use crate::patience::patiently;
use crate::regular::open_regular;
use cap_std::fs::{Dir as CapDir, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells the temporary files of one process apart.
static TEMP_NUMBER: AtomicU64 = AtomicU64::new(0);

impl Dir {
    /// Writes a file that does not exist yet, under its final name. For directories that no process reads before they
    /// are renamed into place; elsewhere use [`Dir::replace`]. Its name is on the disk once its directory is synced.
    ///
    /// # Errors
    /// If the file exists or cannot be written; then nothing of it remains.
    pub fn write_new(&self, name: impl AsRef<Path>, bytes: &[u8], durability: Durability) -> FsResult<()> {
        let name = name.as_ref();
        let path = || self.full(name);
        let mut is_made = false;
        let written = self.gate.write("write", path, Change::Write(bytes), || {
            let mut options = OpenOptions::new();
            let options = self.share.options(options.write(true).create_new(true));
            let file = patiently(|| self.dir.open_with(name, options))?.into_std();
            is_made = true;
            Ok(file)
        });
        let synced = written
            .map_err(|(_, error)| FsError::new("write", path(), error))
            .and_then(|file| match durability {
                Durability::Process => Ok(()),
                Durability::Disk => self.sync_opened(&file, name),
            });
        if synced.is_err() && is_made {
            self.discard(name);
        }
        synced
    }

    pub(crate) fn sync_opened(&self, file: &std::fs::File, name: &Path) -> FsResult<()> {
        let path = || self.full(name);
        self.gate
            .pass("sync", path, Change::SyncFile)
            .and_then(|()| file.sync_all())
            .context("sync", path)
    }

    /// Gives a file new content: complete, or as it was before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn replace(&self, name: impl AsRef<Path>, bytes: &[u8], durability: Durability) -> FsResult<()> {
        let name = name.as_ref();
        let temp = self.write_temp(name, bytes, durability)?;
        self.replace_by(name, self, &temp, durability)
    }

    /// As [`replace`](Self::replace), with the temporary file in another directory of the same file system: for
    /// directories in which others keep files, where the remains of a crash could not be distinguished from theirs.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn replace_staged_in(
        &self,
        temporary: &Self,
        name: &str,
        bytes: &[u8],
        durability: Durability,
    ) -> FsResult<()> {
        let temp = temporary.write_temp(Path::new(name), bytes, durability)?;
        self.replace_by(Path::new(name), temporary, &temp, durability)
    }

    fn replace_by(&self, name: &Path, from: &Self, temp: &Path, durability: Durability) -> FsResult<()> {
        let change = Change::Rename(from.place(temp));
        self.change("replace", name, change, |dir| from.dir.rename(temp, dir, name))
            .inspect_err(|_| from.discard(temp))?;
        self.sync_name_if(name, durability)
    }

    /// Gives content a name that must be free; of several processes that try, one succeeds.
    ///
    /// Returns whether the name was free.
    ///
    /// # Errors
    /// If the file cannot be written or linked.
    pub fn publish(&self, name: impl AsRef<Path>, bytes: &[u8], durability: Durability) -> FsResult<bool> {
        let name = name.as_ref();
        let temp = self.write_temp(name, bytes, durability)?;
        let change = Change::Link(self.place(&temp));
        let linked = self.change("publish", name, change, |dir| dir.hard_link(&temp, dir, name));
        self.discard(&temp);
        let is_new = match linked {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        // Also where another process was first, which may not have come to it yet.
        self.sync_name_if(name, durability)?;
        Ok(is_new)
    }

    fn write_temp(&self, name: &Path, bytes: &[u8], durability: Durability) -> FsResult<PathBuf> {
        let number = TEMP_NUMBER.fetch_add(1, Ordering::Relaxed);
        let temp = name.with_file_name(temporary_name(&format!("{}-{number}", std::process::id())));
        self.write_new(&temp, bytes, durability)?;
        Ok(temp)
    }

    /// Removes a file that is not needed; it does no harm if it stays.
    pub(crate) fn discard(&self, name: &Path) {
        let _ = self.dir.remove_file(name);
    }

    pub(crate) fn sync_name_if(&self, name: &Path, durability: Durability) -> FsResult<()> {
        match durability {
            Durability::Process => Ok(()),
            Durability::Disk => self.sync_name(name),
        }
    }

    /// Waits until the names in this directory are on the disk.
    ///
    /// # Errors
    /// If the operating system cannot promise it.
    pub fn sync(&self) -> FsResult<()> {
        self.sync_dir(Path::new(""))
    }

    /// Waits until it is on the disk what stands under a name: the last segment of it, in the directory that holds it.
    ///
    /// # Errors
    /// If that directory is missing or outside, or the operating system cannot promise it.
    pub fn sync_name(&self, name: impl AsRef<Path>) -> FsResult<()> {
        self.sync_dir(name.as_ref().parent().unwrap_or(Path::new("")))
    }

    /// Waits until every segment of a name is on the disk, for directories that may be new.
    ///
    /// # Errors
    /// If one of them is missing or outside, or the operating system cannot promise it.
    pub fn sync_path(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let mut above = name.as_ref().ancestors().skip(1);
        above.try_for_each(|dir| self.sync_dir(dir))
    }

    fn sync_dir(&self, name: &Path) -> FsResult<()> {
        self.change("sync the directory", name, Change::SyncDir, |dir| {
            // Windows cannot open a directory as a file; its file system keeps the order of names by itself.
            if cfg!(windows) {
                return Ok(());
            }
            let inside = if name.as_os_str().is_empty() {
                Path::new(".")
            } else {
                name
            };
            patiently(|| dir.open(inside))?.sync_all()
        })
    }

    /// Opens a file to append to, made if it is missing.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn append(&self, name: impl AsRef<Path>) -> FsResult<AppendFile> {
        let name = name.as_ref();
        let file = self.change("open", name, Change::OpenFile, |dir| {
            let mut options = OpenOptions::new();
            open_regular(dir, name, self.share.options(options.append(true).create(true)))
        })?;
        Ok(AppendFile::new(file, self.full(name), self.gate.clone()))
    }

    /// Opens a file of lines to append to, made if it is missing. A last line without its end, as the death of a process
    /// leaves it, is cut away, so that the next one does not continue it.
    ///
    /// # Errors
    /// If it cannot be opened, read or cut.
    pub fn append_lines(&self, name: impl AsRef<Path>) -> FsResult<AppendFile> {
        let name = name.as_ref();
        let file = self.append(name)?;
        let len = self.len(name)?.unwrap_or(0);
        let whole = self.whole_lines(name, len)?;
        if whole < len {
            file.truncate(whole)?;
        }
        Ok(file)
    }

    /// The length of a file up to its last line feed.
    fn whole_lines(&self, name: &Path, len: u64) -> FsResult<u64> {
        const CHUNK: u64 = 64 * 1024;
        /// No line is longer.
        const LONGEST: u64 = 64 * 1024 * 1024;
        let mut end = len;
        let mut file = self.open_file(name)?;
        while end > 0 {
            let start = end.saturating_sub(CHUNK);
            let mut chunk = Vec::new();
            file.seek(SeekFrom::Start(start))
                .and_then(|_| Read::by_ref(&mut file).take(end - start).read_to_end(&mut chunk))
                .context("read", || self.full(name))?;
            if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
                return Ok(start + at as u64 + 1);
            }
            if len - start > LONGEST {
                let why = invalid("its last line is longer than 64 MiB");
                return Err(FsError::new("append to", self.full(name), why));
            }
            end = start;
        }
        Ok(0)
    }

    /// Locks a file of this directory for one holder, made if it is missing; `None` if another holds it.
    ///
    /// # Errors
    /// If it cannot be opened or locked.
    pub fn lock(&self, name: impl AsRef<Path>) -> FsResult<Option<FileLock>> {
        let name = name.as_ref();
        let file = self.change("lock", name, Change::OpenFile, |dir| {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true);
            open_regular(dir, name, self.share.options(options))
        })?;
        FileLock::exclusive(file, self.full(name), self.gate.clone())
    }

    /// As [`lock`](Self::lock) for a file that exists already: it is not made.
    ///
    /// # Errors
    /// If it is missing, or cannot be opened or locked.
    pub fn lock_existing(&self, name: impl AsRef<Path>) -> FsResult<Option<FileLock>> {
        let name = name.as_ref();
        let opened = open_regular(&self.dir, name, OpenOptions::new().read(true).write(true));
        let file = opened.context("lock", || self.full(name))?;
        FileLock::exclusive(file, self.full(name), self.gate.clone())
    }

    /// Whether the lock of a file is held; that of a missing file is not.
    ///
    /// # Errors
    /// If the file cannot be opened or asked.
    pub fn is_locked(&self, name: impl AsRef<Path>) -> FsResult<bool> {
        let name = name.as_ref();
        match optional(self.open_file(name))? {
            None => Ok(false),
            Some(file) => Ok(FileLock::shared(file, self.full(name))?.is_none()),
        }
    }

    /// Removes the temporary files that a process left here that died while it replaced a file.
    ///
    /// # Errors
    /// If the directory cannot be listed, or a file cannot be removed.
    pub fn remove_temporaries(&self) -> FsResult<()> {
        for entry in self.entries_where(|name| name.starts_with(TEMP_PREFIX))? {
            if entry.kind == EntryKind::File {
                self.remove_file(&entry.name)?;
            }
        }
        Ok(())
    }

    /// Moves an entry to another directory of the same file system; an empty directory or a file there is replaced.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn rename(
        &self,
        from: impl AsRef<Path>,
        to_dir: &Self,
        to: impl AsRef<Path>,
        durability: Durability,
    ) -> FsResult<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let change = Change::Rename(self.place(from));
        to_dir.change("move to", to, change, |target| self.dir.rename(from, target, to))?;
        // The new name first: a loss of power between the two may leave both, but never neither.
        to_dir.sync_name_if(to, durability)?;
        self.sync_name_if(from, durability)
    }

    /// Copies one regular file; the copy must not exist.
    ///
    /// # Errors
    /// If the source is no regular file, or the copy cannot be written.
    pub fn copy_file(&self, from: impl AsRef<Path>, to_dir: &Self, to: impl AsRef<Path>) -> FsResult<u64> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let metadata = self.dir.symlink_metadata(from).and_then(|metadata| {
            if metadata.is_file() {
                Ok(metadata)
            } else {
                Err(invalid("it is not a regular file"))
            }
        });
        let metadata = metadata.context("copy", || self.full(from))?;
        let narrowed = mode_of(&metadata).and_then(|mode| to_dir.share.narrowed(mode));
        let change = Change::Copy(self.place(from));
        to_dir.change("copy to", to, change, |target| {
            let copied = self.dir.copy(from, target, to)?;
            if let Some(mode) = narrowed {
                set_permission_bits(target, to, mode)?;
            }
            Ok(copied)
        })
    }

    /// Locks the directory itself for one holder, by whatever path others open it, without a file for it; `None` if
    /// another holds it. Where directories cannot be locked (on Windows, and on some network file systems) the lock keeps
    /// no one out.
    ///
    /// # Errors
    /// If the directory cannot be opened or locked.
    pub fn lock_directory(&self) -> FsResult<Option<FileLock>> {
        let path = || self.path.to_path_buf();
        if cfg!(windows) {
            return Ok(Some(FileLock::unsupported(path())));
        }
        let file = patiently(|| self.dir.open(".")).context("lock", path)?.into_std();
        match FileLock::exclusive(file, path(), self.gate.clone()) {
            Err(error) if is_not_lockable(&error) => Ok(Some(FileLock::unsupported(path()))),
            locked => locked,
        }
    }
}

/// Some network file systems lock only what is open for writing, which a directory never is.
fn is_not_lockable(error: &FsError) -> bool {
    const BAD_DESCRIPTOR: i32 = 9;
    error.kind() == io::ErrorKind::Unsupported || error.source.raw_os_error() == Some(BAD_DESCRIPTOR)
}

#[cfg(unix)]
fn mode_of(metadata: &cap_std::fs::Metadata) -> Option<u32> {
    use cap_std::fs::MetadataExt;
    Some(metadata.mode() & 0o777)
}

#[cfg(not(unix))]
fn mode_of(_: &cap_std::fs::Metadata) -> Option<u32> {
    None
}

#[cfg(unix)]
fn set_permission_bits(dir: &CapDir, name: impl AsRef<Path>, mode: u32) -> io::Result<()> {
    use cap_std::fs::PermissionsExt;
    dir.set_permissions(name, cap_std::fs::Permissions::from_mode(mode & 0o777))
}

#[cfg(not(unix))]
fn set_permission_bits(_: &CapDir, _: impl AsRef<Path>, _: u32) -> io::Result<()> {
    Ok(())
}
