//! Directories that cannot be left: every path is resolved below them, whatever links there are.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir as CapDir, OpenOptions};

use crate::Durability;
use crate::append::AppendFile;
use crate::attributes::Attributes;
use crate::error::{Context, FsError, FsResult, join, optional};
use crate::gate::{Change, Gate, Place};
use crate::lock::FileLock;
use crate::patience::patiently;
use crate::regular::{open_regular, read_whole};
use crate::removal::remove_tree;
use crate::share::Share;

/// Names of temporary files start so; a crash may leave one behind.
const TEMP_PREFIX: &str = ".tmp-";

/// Tells the temporary files of one process apart.
static TEMP_NUMBER: AtomicU64 = AtomicU64::new(0);

/// An open directory. Names given to it are relative and stay inside it, also across symbolic links.
///
/// A clone is another handle of the same directory and shares its [`Gate`].
#[derive(Clone)]
pub struct Dir {
    dir: Arc<CapDir>,
    path: Arc<Path>,
    gate: Gate,
    pub(crate) share: Share,
}

/// The kind of a directory entry. Symbolic links are not followed.
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
pub struct Entry {
    /// Its name; names that are not UTF-8 are not listed.
    pub name: String,
    /// The kind of the entry.
    pub kind: EntryKind,
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

    /// Opens a directory inside this one.
    ///
    /// # Errors
    /// If it is missing, not a directory, or outside.
    pub fn open_dir(&self, name: impl AsRef<Path>) -> FsResult<Self> {
        let name = name.as_ref();
        let dir = patiently(|| self.dir.open_dir(name)).context("open the directory", || self.full(name))?;
        Ok(self.wrap(dir, name))
    }

    /// Opens a directory inside this one, `None` if it is missing.
    ///
    /// # Errors
    /// If it is not a directory, or outside.
    pub fn open_dir_optional(&self, name: impl AsRef<Path>) -> FsResult<Option<Self>> {
        optional(self.open_dir(name))
    }

    /// Makes a new directory and opens it.
    ///
    /// # Errors
    /// If something of that name exists or it cannot be made.
    pub fn create_dir(&self, name: impl AsRef<Path>) -> FsResult<Self> {
        let name = name.as_ref();
        self.create_dir_only(name)?;
        self.open_dir(name)
    }

    /// Makes a new directory without opening it.
    ///
    /// # Errors
    /// If something of that name exists or it cannot be made.
    pub fn create_dir_only(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let name = name.as_ref();
        self.change("create the directory", name, Change::CreateDir, |dir| {
            self.share.create_dir(dir, name, false)
        })
    }

    /// Opens a directory inside this one and makes it, and those between, if they are missing.
    ///
    /// # Errors
    /// If one of them cannot be made or is no directory.
    pub fn create_dir_all(&self, name: impl AsRef<Path>) -> FsResult<Self> {
        let name = name.as_ref();
        if let Some(dir) = self.open_dir_optional(name)? {
            return Ok(dir);
        }
        self.change("create the directory", name, Change::CreateDir, |dir| {
            self.share.create_dir(dir, name, true)
        })?;
        self.open_dir(name)
    }

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
        self.replace_by(name, (self, &temp), durability)
    }

    /// As [`replace`](Self::replace), with the temporary file in another directory of the same file system: for
    /// directories in which others keep files, where what a crash leaves could not be told from theirs.
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
        self.replace_by(Path::new(name), (temporary, &temp), durability)
    }

    fn replace_by(&self, name: &Path, (from, temp): (&Self, &Path), durability: Durability) -> FsResult<()> {
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
        drop(self.dir.remove_file(name));
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

    /// The content of a file, which is at most 1 GiB.
    ///
    /// # Errors
    /// If it is missing, outside, no regular file, longer, or unreadable.
    pub fn read(&self, name: impl AsRef<Path>) -> FsResult<Vec<u8>> {
        const LONGEST: u64 = 1 << 30;
        self.read_regular_inside(name, LONGEST)
    }

    /// The content of a file that is to have `len` bytes: of a longer one the first byte that is too much and no more.
    ///
    /// # Errors
    /// If it is missing, outside or unreadable.
    pub fn read_expected(&self, name: impl AsRef<Path>, len: u64) -> FsResult<Vec<u8>> {
        let name = name.as_ref();
        let file = self.open_file(name)?;
        // As much is known as a plain read would ask the system for, three times for each file.
        let most = len.saturating_add(1);
        let mut bytes = Vec::new();
        usize::try_from(most)
            .map_err(|_| io::ErrorKind::OutOfMemory.into())
            .and_then(|capacity| Ok(bytes.try_reserve_exact(capacity)?))
            .and_then(|()| file.take(most).read_to_end(&mut bytes))
            .context("read", || self.full(name))?;
        Ok(bytes)
    }

    /// The content of a file, `None` if it is missing.
    ///
    /// # Errors
    /// If it is outside or unreadable.
    pub fn read_optional(&self, name: impl AsRef<Path>) -> FsResult<Option<Vec<u8>>> {
        optional(self.read(name))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// If it is missing, outside, no regular file, or unreadable.
    pub fn open_file(&self, name: impl AsRef<Path>) -> FsResult<std::fs::File> {
        let name = name.as_ref();
        open_regular(&self.dir, name, OpenOptions::new().read(true)).context("open", || self.full(name))
    }

    /// The kind of the entry under a name, symbolic links not followed; `None` if there is none.
    ///
    /// # Errors
    /// If the name leads outside or cannot be asked about.
    pub fn kind(&self, name: impl AsRef<Path>) -> FsResult<Option<EntryKind>> {
        let name = name.as_ref();
        let metadata = self
            .dir
            .symlink_metadata(name)
            .context("look at", || self.full(name));
        Ok(optional(metadata)?.map(|metadata| EntryKind::of(metadata.file_type())))
    }

    /// The length of a file in bytes, symbolic links not followed; `None` if it is missing.
    ///
    /// # Errors
    /// If the name leads outside or cannot be asked about.
    pub fn len(&self, name: impl AsRef<Path>) -> FsResult<Option<u64>> {
        let name = name.as_ref();
        let metadata = self
            .dir
            .symlink_metadata(name)
            .context("look at", || self.full(name));
        Ok(optional(metadata)?.map(|metadata| metadata.len()))
    }

    /// When an entry was changed last, symbolic links not followed: of a directory, when an entry of it was made, renamed
    /// or removed. `None` if it is missing.
    ///
    /// # Errors
    /// If the name leads outside or cannot be asked about.
    pub fn modified(&self, name: impl AsRef<Path>) -> FsResult<Option<SystemTime>> {
        let name = name.as_ref();
        let modified = || self.dir.symlink_metadata(name)?.modified();
        let modified = modified().context("look at", || self.full(name));
        Ok(optional(modified)?.map(cap_std::time::SystemTime::into_std))
    }

    /// The entries, sorted by name, temporary files left out.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn entries(&self) -> FsResult<Vec<Entry>> {
        self.entries_where(|name| !name.starts_with(TEMP_PREFIX))
    }

    pub(crate) fn cap(&self) -> &CapDir {
        &self.dir
    }

    pub(crate) fn entries_where(&self, wanted: impl Fn(&str) -> bool) -> FsResult<Vec<Entry>> {
        let read = || -> io::Result<Vec<Entry>> {
            let mut entries = Vec::new();
            for entry in self.dir.entries()? {
                let entry = entry?;
                let kind = EntryKind::of(entry.file_type()?);
                match entry.file_name().into_string() {
                    Ok(name) if wanted(&name) => entries.push(Entry { name, kind }),
                    _ => {}
                }
            }
            Ok(entries)
        };
        let mut entries = patiently(read).context("list", || self.path.to_path_buf())?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The target of a symbolic link, as it is written in it.
    ///
    /// # Errors
    /// If it is missing or no symbolic link.
    pub fn link_target(&self, name: impl AsRef<Path>) -> FsResult<PathBuf> {
        let name = name.as_ref();
        self.dir
            .read_link_contents(name)
            .context("read the link", || self.path.join(name))
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

    /// Removes a file.
    ///
    /// # Errors
    /// If it is missing or cannot be removed.
    pub fn remove_file(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let name = name.as_ref();
        self.change("remove", name, Change::Remove, |dir| dir.remove_file(name))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// If it is missing, not empty, or cannot be removed.
    pub fn remove_dir(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let name = name.as_ref();
        self.change("remove the directory", name, Change::Remove, |dir| {
            dir.remove_dir(name)
        })
    }

    /// Removes a directory and everything in it.
    ///
    /// # Errors
    /// If any of it cannot be removed.
    pub fn remove_dir_all(&self, name: impl AsRef<Path>) -> FsResult<()> {
        let name = name.as_ref();
        self.change("remove the directory", name, Change::Remove, |dir| {
            remove_tree(dir, name)
        })
    }

    /// Copies one regular file; the copy must not exist.
    ///
    /// # Errors
    /// If the source is no regular file, or the copy cannot be written.
    pub fn copy_file(&self, from: impl AsRef<Path>, to_dir: &Self, to: impl AsRef<Path>) -> FsResult<u64> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let metadata = self
            .dir
            .symlink_metadata(from)
            .and_then(|metadata| match metadata.is_file() {
                true => Ok(metadata),
                false => Err(invalid("it is not a regular file")),
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

    /// Opens a directory of this one by its plain name, and not where a symbolic link of that name leads.
    ///
    /// # Errors
    /// If it is missing, not a directory, or a symbolic link, also one that took its place just now.
    pub fn open_dir_nofollow(&self, name: &str) -> FsResult<Self> {
        let opened = patiently(|| self.dir.open_dir_nofollow(plain(name)?));
        let dir = opened.context("open the directory", || self.full(name))?;
        Ok(self.wrap(dir, Path::new(name)))
    }

    /// The content of a regular file by its plain name, with what it has beside it. Symbolic links are not followed, and
    /// nothing else that took the file's place is waited for.
    ///
    /// # Errors
    /// If it is missing, no regular file, longer than `longest`, or unreadable.
    pub fn read_regular(&self, name: &str, longest: u64) -> FsResult<(Vec<u8>, Attributes)> {
        let mut options = OpenOptions::new().read(true).clone();
        options.follow(FollowSymlinks::No).nonblock(true);
        let read = || {
            let file = self.dir.open_with(plain(name)?, &options)?.into_std();
            let (bytes, metadata) = read_whole(&file, longest)?;
            Ok((bytes, Attributes::of(&file, &metadata)?))
        };
        patiently(read).context("read", || self.full(name))
    }

    /// As [`read_regular`](Self::read_regular) for any path inside, through symbolic links that stay inside.
    ///
    /// # Errors
    /// If it is missing, outside, no regular file, longer than `longest`, or unreadable.
    pub fn read_regular_inside(&self, path: impl AsRef<Path>, longest: u64) -> FsResult<Vec<u8>> {
        let path = path.as_ref();
        let mut options = OpenOptions::new().read(true).clone();
        options.nonblock(true);
        let read = || read_whole(&self.dir.open_with(path, &options)?.into_std(), longest);
        Ok(patiently(read).context("read", || self.full(path))?.0)
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

    /// Feeds a file to `sink` in pieces.
    ///
    /// # Errors
    /// If the file is missing, outside or unreadable.
    pub fn read_chunks(&self, name: impl AsRef<Path>, mut sink: impl FnMut(&[u8])) -> FsResult<()> {
        let name = name.as_ref();
        let mut file = self.open_file(name)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer).context("read", || self.full(name))? {
                0 => return Ok(()),
                n => sink(&buffer[..n]),
            }
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
    match is_plain_name(name) {
        true => Ok(Path::new(name)),
        false => Err(invalid("it is not one plain name")),
    }
}

pub(crate) fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
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

/// Whether a name is one plain segment: no separators, no `..`, not empty.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}
