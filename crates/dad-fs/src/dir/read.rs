//! Reading files, and the facts about entries.

use super::{Dir, Entry, EntryKind, TEMP_PREFIX, plain};
use crate::attributes::Attributes;
use crate::error::{Context, FsResult, optional};
use crate::patience::patiently;
use crate::regular::{open_regular, read_whole};
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir as CapDir, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

impl Dir {
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
