//! Attributes of files and directories: mode, owner, times and extended attributes.

use std::collections::BTreeMap;
use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir as CapDir, OpenOptions};

use crate::dir::plain;
use crate::error::Context;
use crate::gate::Change;
use crate::patience::patiently;
use crate::regular::open_regular;
use crate::{Dir, Durability, FsResult, Share};

/// The attributes of a file or directory, as far as the system knows such things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// Permission bits: of a file the lowest nine, of a directory with those for groups and for sticky names.
    pub mode: Option<u32>,
    /// Whether a file without given permission bits may be executed by those who may read it.
    pub executable: bool,
    /// The numbers of user and group.
    pub owner: Option<(u32, u32)>,
    /// When its content was last changed.
    pub modified: Option<SystemTime>,
    /// Extended attributes by name, access lists among them.
    pub extended: BTreeMap<String, Vec<u8>>,
}

/// The name of the group among the attributes that are not kept.
const GROUP: &str = "group";

/// The bytes of the names of all extended attributes of a file, and of the value of one: as many as systems allow.
#[cfg(unix)]
const MAX_EXTENDED: usize = 64 * 1024;
#[cfg(unix)]
const LONGEST_VALUE: usize = 64 * 1024;

/// The permission bits of a file that those may execute who may read it.
const fn executable_by_readers(mode: u32) -> u32 {
    mode | ((mode & 0o444) >> 2)
}

impl Attributes {
    /// The same where those may execute the file who may read it, or no one may.
    #[must_use]
    pub fn with_executable(self, executable: bool) -> Self {
        let changed = |mode: u32| {
            if executable {
                executable_by_readers(mode)
            } else {
                mode & !0o111
            }
        };
        Self {
            mode: self.mode.map(changed),
            executable,
            ..self
        }
    }

    /// Whether the file may be executed, by its permission bits if it has any.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.mode.map_or(self.executable, |mode| mode & 0o111 != 0)
    }

    #[cfg(unix)]
    pub(crate) fn of(file: &File, metadata: &Metadata) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let bits = if metadata.is_dir() { 0o7777 } else { 0o777 };
        Ok(Self {
            mode: Some(metadata.mode() & bits),
            executable: false,
            owner: Some((metadata.uid(), metadata.gid())),
            modified: metadata.modified().ok(),
            extended: extended(file)?,
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &File, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            modified: metadata.modified().ok(),
            ..Self::default()
        })
    }

    /// Gives them to a file or directory. Returns what the system does not let this process give.
    pub(crate) fn give(&self, file: &File) -> io::Result<Vec<String>> {
        // The owner first: a change of it takes permission bits away. An access list is one with them. The time last: the
        // others may change it.
        let mut not_kept = self.give_owner(file)?;
        not_kept.extend(self.give_extended(file));
        self.give_mode(file, not_kept.iter().any(|name| name == GROUP))?;
        if let Some(modified) = self.modified
            && file.set_times(FileTimes::new().set_modified(modified)).is_err()
        {
            not_kept.push("modification time".to_owned());
        }
        Ok(not_kept)
    }

    #[cfg(unix)]
    fn give_owner(&self, file: &File) -> io::Result<Vec<String>> {
        use std::os::unix::fs::{MetadataExt, fchown};
        let metadata = file.metadata()?;
        let Some((user, group)) = self.owner else {
            return Ok(Vec::new());
        };
        let mut not_kept = Vec::new();
        if metadata.gid() != group && fchown(file, None, Some(group)).is_err() {
            not_kept.push(GROUP.to_owned());
        }
        if metadata.uid() != user && fchown(file, Some(user), None).is_err() {
            not_kept.push("owner".to_owned());
        }
        Ok(not_kept)
    }

    #[cfg(not(unix))]
    fn give_owner(&self, _: &File) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    #[cfg(unix)]
    fn give_mode(&self, file: &File, is_of_other_group: bool) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mode = match self.mode {
            // Another group is given no more than all others.
            Some(mode) if is_of_other_group => (mode & !0o070) | (mode & ((mode & 0o007) << 3)),
            Some(mode) => mode,
            None if self.executable => executable_by_readers(file.metadata()?.permissions().mode()),
            None => return Ok(()),
        };
        file.set_permissions(std::fs::Permissions::from_mode(mode))
    }

    #[cfg(not(unix))]
    fn give_mode(&self, _: &File, _: bool) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn give_extended(&self, file: &File) -> Vec<String> {
        use rustix::fs::{XattrFlags, fremovexattr, fsetxattr};
        let has = extended(file).unwrap_or_default();
        let lacking = self
            .extended
            .iter()
            .filter(|(name, value)| has.get(*name) != Some(*value));
        let given = lacking
            .filter(|(name, value)| fsetxattr(file, name.as_str(), value, XattrFlags::empty()).is_err())
            .map(|(name, _)| format!("extended attribute {name}"));
        // A new file has the access list that its directory gives, which the one before may not have had.
        let others = has
            .keys()
            .filter(|name| self.mode.is_some() && !self.extended.contains_key(*name));
        let left = others
            .filter(|name| fremovexattr(file, name.as_str()).is_err())
            .map(|name| format!("absence of the extended attribute {name}"));
        given.chain(left).collect()
    }

    #[cfg(not(unix))]
    fn give_extended(&self, _: &File) -> Vec<String> {
        Vec::new()
    }
}

/// The extended attributes of a file; none where the file system has no such thing. Labels that the system gives by itself
/// are left to it.
#[cfg(unix)]
fn extended(file: &File) -> io::Result<BTreeMap<String, Vec<u8>>> {
    use rustix::fs::{fgetxattr, flistxattr, flistxattr_query};
    use rustix::io::Errno;
    // Hardly any file has some: to ask how long their names are costs no buffer.
    match flistxattr_query(file) {
        Ok(0) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::PERM | Errno::ACCESS) => return Ok(BTreeMap::new()),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let mut names = vec![0; MAX_EXTENDED];
    let listed = flistxattr(file, names.as_mut_slice())?;
    let mut found = BTreeMap::new();
    for name in names[..listed].split(|byte| *byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        if name.is_empty() || name.starts_with("security.") {
            continue;
        }
        let mut value = vec![0; LONGEST_VALUE];
        // One that is gone again cannot be kept.
        let Ok(len) = fgetxattr(file, name, value.as_mut_slice()) else {
            continue;
        };
        value.truncate(len);
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

impl Dir {
    /// The attributes of the directory.
    ///
    /// # Errors
    /// If it cannot be opened or looked at.
    pub fn attributes(&self) -> FsResult<Attributes> {
        let look = || {
            let file = self.capability().open(".")?.into_std();
            Attributes::of(&file, &file.metadata()?)
        };
        patiently(look).context("look at", || self.path().to_path_buf())
    }

    /// Gives the directory attributes. Returns what the system does not let this process give.
    ///
    /// # Errors
    /// If it cannot be opened, or its permission bits cannot be set.
    pub fn give_attributes(&self, attributes: &Attributes, durability: Durability) -> FsResult<Vec<String>> {
        self.change(
            "set the attributes of",
            Path::new(""),
            Change::SetAttributes,
            |dir| {
                let dir = patiently(|| dir.open("."))?.into_std();
                let not_kept = attributes.give(&dir)?;
                match durability {
                    Durability::Process => {}
                    Durability::Disk => dir.sync_all()?,
                }
                Ok(not_kept)
            },
        )
    }

    /// Gives a regular file by its plain name other permission bits, in one step.
    ///
    /// # Errors
    /// If it is missing, no regular file, or they cannot be set.
    pub fn set_mode(&self, name: &str, mode: u32, durability: Durability) -> FsResult<()> {
        self.change(
            "set the permissions of",
            Path::new(name),
            Change::SetAttributes,
            |dir| {
                let mut options = OpenOptions::new().read(true).clone();
                options.follow(FollowSymlinks::No);
                let file = open_regular(dir, plain(name)?, &mut options)?;
                let attributes = Attributes {
                    mode: Some(mode),
                    ..Attributes::default()
                };
                attributes.give(&file)?;
                match durability {
                    Durability::Process => Ok(()),
                    Durability::Disk => file.sync_all(),
                }
            },
        )
    }

    /// As [`replace`](Self::replace) for a file by its plain name, through a temporary file with a name of the caller's
    /// (see [`temporary_name`](crate::temporary_name)), who so finds what a crash left of it. The file has the attributes from the moment on at
    /// which it stands there. Returns those that the system does not let this process give.
    ///
    /// # Errors
    /// If it cannot be written, or the temporary file exists.
    pub fn replace_via_temporary(
        &self,
        name: &str,
        temporary: &str,
        bytes: &[u8],
        attributes: &Attributes,
        durability: Durability,
    ) -> FsResult<Vec<String>> {
        for name in [name, temporary] {
            plain(name).context("replace", || self.full(name))?;
        }
        // Until it has its permission bits no other user reads it.
        let share = attributes.mode.map_or(self.share, |_| Share::User);
        let writing = self.clone().shared_with(share);
        writing.write_new(temporary, bytes, Durability::Process)?;
        let not_kept = self
            .finish_temporary(temporary, attributes, durability)
            .inspect_err(|_| self.discard(Path::new(temporary)))?;
        let change = Change::Rename(self.place(temporary));
        self.change("replace", Path::new(name), change, |dir| {
            dir.rename(temporary, dir, name)
        })
        .inspect_err(|_| self.discard(Path::new(temporary)))?;
        self.sync_name_if(Path::new(name), durability)?;
        Ok(not_kept)
    }

    fn finish_temporary(
        &self,
        name: &str,
        attributes: &Attributes,
        durability: Durability,
    ) -> FsResult<Vec<String>> {
        let mut options = OpenOptions::new().write(true).clone();
        options.follow(FollowSymlinks::No);
        let path = || self.full(name);
        let file = patiently(|| self.capability().open_with(name, &options)).context("open", path)?;
        let file = file.into_std();
        let not_kept = attributes.give(&file).context("set the attributes of", path)?;
        match durability {
            Durability::Process => {}
            Durability::Disk => self.sync_opened(&file, Path::new(name))?,
        }
        Ok(not_kept)
    }

    /// Makes a symbolic link by its plain name, which must be free, with the text of one that stood elsewhere.
    ///
    /// # Errors
    /// If something of that name exists or the system does not make such links.
    pub fn make_link(&self, name: &str, text: &str) -> FsResult<()> {
        self.change("make the link", Path::new(name), Change::MakeLink(text), |dir| {
            make_link(dir, text, plain(name)?)
        })
    }
}

#[cfg(unix)]
fn make_link(dir: &CapDir, text: &str, name: &Path) -> io::Result<()> {
    dir.symlink_contents(text, name)
}

#[cfg(not(unix))]
fn make_link(_: &CapDir, _: &str, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
