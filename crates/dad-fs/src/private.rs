//! Directories and files for their owner alone.

use std::io;
use std::path::Path;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir as CapDir, OpenOptions};

use crate::dir::Dir;
use crate::error::{Context, FsResult};
use crate::regular::read_whole;
use crate::share::Share;

impl Dir {
    /// Opens a directory that only its owner can enter. It is made, with its parents, if it is missing; one that is there
    /// keeps its permissions. Files that are made in it are [`Share::User`]'s.
    ///
    /// # Errors
    /// If it cannot be made or opened.
    pub fn create_private(path: impl AsRef<Path>) -> FsResult<Self> {
        let path = path.as_ref();
        if let (false, Some(parent), Some(name)) = (path.is_dir(), path.parent(), path.file_name()) {
            let made = CapDir::create_ambient_dir_all(parent, ambient_authority())
                .and_then(|()| CapDir::open_ambient_dir(parent, ambient_authority()))
                .and_then(|parent| Share::User.create_dir(&parent, Path::new(name), false));
            match made {
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.context("create the directory", || path.into())?,
            }
        }
        Ok(Self::open(path)?.shared_with(Share::User))
    }

    /// Reads a file that must belong to this user and be closed to all others. Symbolic links are not followed.
    ///
    /// # Errors
    /// If it is missing, no regular file, another user's, open to other users, longer than `longest` bytes, or unreadable.
    pub fn read_private(&self, name: &str, longest: u64) -> FsResult<Vec<u8>> {
        let mut options = OpenOptions::new().read(true).clone();
        options.follow(FollowSymlinks::No).nonblock(true);
        let read = || {
            let file = self.capability().open_with(name, &options)?.into_std();
            check_owner(&file.metadata()?)?;
            read_whole(&file, longest)
        };
        Ok(read().context("read", || self.path().join(name))?.0)
    }
}

#[cfg(unix)]
fn check_owner(metadata: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return refused(format!("it belongs to the user {}", metadata.uid()));
    }
    match metadata.mode() & 0o777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => refused(format!(
            "other users can read or change it (its mode is {mode:o}); `chmod 600` closes it"
        )),
    }
}

#[cfg(not(unix))]
fn check_owner(_: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Durability;

    #[test]
    fn a_private_file_is_closed_to_others_and_an_open_one_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::create_private(place.path().join("a/state")).unwrap();
        assert!(dir.publish("key", b"first", Durability::Disk).unwrap());
        assert!(!dir.publish("key", b"second", Durability::Disk).unwrap());
        assert_eq!(dir.read_private("key", 100).unwrap(), b"first");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let key = dir.path().join("key");
        assert_eq!((mode(dir.path()), mode(&key)), (0o700, 0o600));

        let open_to_all = std::fs::Permissions::from_mode(0o644);
        cap_std::fs::Dir::open_ambient_dir(dir.path(), ambient_authority())
            .unwrap()
            .set_permissions("key", cap_std::fs::Permissions::from_std(open_to_all))
            .unwrap();
        let refused = dir.read_private("key", 100).unwrap_err();
        assert!(refused.source.to_string().contains("644"), "{refused}");
    }
}
