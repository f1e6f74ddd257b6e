//! Looking at a tree that other processes may be changing meanwhile.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use cap_std::fs::{Metadata, OpenOptions};

use crate::dir::{Dir, EntryKind};
use crate::error::{Context, FsResult, join, optional};
use crate::patience::patiently;

/// The facts about an entry that can be read without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Look {
    /// The kind of the entry; symbolic links are not followed.
    pub kind: EntryKind,
    /// Its length in bytes.
    pub len: u64,
    /// When it was made, where the file system knows.
    pub created: Option<SystemTime>,
    /// When its content was changed last.
    pub modified: Option<SystemTime>,
    /// When it was read last, as far as the file system keeps that.
    pub accessed: Option<SystemTime>,
    /// The permission bits; `None` where there are none.
    pub mode: Option<u32>,
}

impl Look {
    fn of(metadata: &Metadata) -> Self {
        let std =
            |time: io::Result<cap_std::time::SystemTime>| time.ok().map(cap_std::time::SystemTime::into_std);
        Self {
            kind: EntryKind::of(metadata.file_type()),
            len: metadata.len(),
            created: std(metadata.created()),
            modified: std(metadata.modified()),
            accessed: std(metadata.accessed()),
            mode: mode(metadata),
        }
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no such bits")]
fn mode(metadata: &Metadata) -> Option<u32> {
    use cap_std::fs::MetadataExt;
    Some(metadata.mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> Option<u32> {
    None
}

impl Dir {
    /// Everything in the directory, sorted by name: also what [`entries`](Self::entries) leaves out.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names(&self) -> FsResult<Vec<(OsString, EntryKind)>> {
        let read = || -> io::Result<Vec<_>> {
            let mut names = Vec::new();
            for entry in self.cap().entries()? {
                let entry = entry?;
                names.push((entry.file_name(), EntryKind::of(entry.file_type()?)));
            }
            Ok(names)
        };
        let mut names = patiently(read).context("list", || self.path().to_path_buf())?;
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    /// The facts about the entry under a name, symbolic links not followed; `None` if there is none.
    ///
    /// # Errors
    /// If the name leads outside or cannot be asked about.
    pub fn look(&self, name: impl AsRef<Path>) -> FsResult<Option<Look>> {
        let name = name.as_ref();
        let metadata = self.cap().symlink_metadata(name);
        let metadata = metadata.context("look at", || join(self.path(), name));
        Ok(optional(metadata)?.map(|metadata| Look::of(&metadata)))
    }

    /// Opens a regular file for reading, and tells its length; `None` if something else stands there, at once and whatever
    /// it is: a pipe is not waited for, a link is not followed.
    ///
    /// # Errors
    /// If it is missing, outside or unreadable.
    pub fn open_regular(&self, name: impl AsRef<Path>) -> FsResult<Option<(File, u64)>> {
        let name = name.as_ref();
        let opened = match patiently(|| self.open_at_once(name)) {
            // What the system says of a socket or a link differs from system to system, so it is asked what stands there.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let is_file = self.look(name)?.is_some_and(|look| look.kind == EntryKind::File);
                if !is_file {
                    return Ok(None);
                }
                Err(error)
            }
            opened => opened,
        };
        let file = opened.context("open", || join(self.path(), name))?;
        let metadata = file.metadata().context("look at", || join(self.path(), name))?;
        Ok(metadata.is_file().then_some((file, metadata.len())))
    }

    #[cfg(unix)]
    fn open_at_once(&self, name: &Path) -> io::Result<File> {
        use cap_std::fs::OpenOptionsExt;
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
        // One segment that is no link leads nowhere: one call of the system, where a way of several takes more.
        if name.to_str().is_some_and(crate::is_plain_name) {
            let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
            return Ok(openat(self.cap(), name, flags, Mode::empty())?.into());
        }
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        Ok(self.cap().open_with(name, &options)?.into_std())
    }

    #[cfg(not(unix))]
    fn open_at_once(&self, name: &Path) -> io::Result<File> {
        Ok(self
            .cap()
            .open_with(name, OpenOptions::new().read(true))?
            .into_std())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests make the files a user would have")]

    use super::*;

    #[test]
    fn names_are_listed_whatever_they_are_made_of() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("b"), "").unwrap();
        std::fs::write(temp.path().join(".tmp-a"), "").unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        let names = Dir::open(temp.path()).unwrap().names().unwrap();
        let expected = [
            (".tmp-a", EntryKind::File),
            ("a", EntryKind::Dir),
            ("b", EntryKind::File),
        ];
        assert_eq!(names, expected.map(|(name, kind)| (name.into(), kind)));
    }

    #[test]
    fn an_entry_is_looked_at() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("file"), "four").unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let look = dir.look("file").unwrap().unwrap();
        assert_eq!((look.kind, look.len), (EntryKind::File, 4));
        assert!(look.modified.is_some());
        assert_eq!(dir.look("missing").unwrap(), None);
        assert!(dir.look("../outside").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        use std::os::unix::fs::symlink;
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("/etc/passwd", at("out")).unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status()
            .unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        assert!(dir.open_regular("file").unwrap().is_some());
        for name in ["link", "out", "dir", "pipe", "socket"] {
            assert!(dir.open_regular(name).unwrap().is_none(), "{name}");
        }
        assert!(dir.open_regular("missing").unwrap_err().is_not_found());
    }
}
