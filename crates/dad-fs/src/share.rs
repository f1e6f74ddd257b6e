//! Which users of the machine may read what is made.

use cap_std::fs::{Dir as CapDir, DirBuilder, OpenOptions};

/// Which users of the machine may read the files and directories that are made below a [`Dir`](crate::Dir). The umask of the
/// process takes further rights away and adds none. On Windows, where new files have the rights of their directory, all are
/// alike. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// The user of the process: directories of mode 0700, files of 0600.
    User,
    /// The members of the file's group as well: 0750 and 0640.
    Group,
    /// Everyone whom the umask leaves: 0777 and 0666 without it.
    #[default]
    All,
}

impl Share {
    /// The readers of a directory that exists.
    #[cfg(unix)]
    pub(crate) fn of_dir(dir: &CapDir) -> std::io::Result<Self> {
        use cap_std::fs::MetadataExt;
        let mode = dir.dir_metadata()?.mode();
        Ok(match (mode & 0o070, mode & 0o007) {
            (0, 0) => Self::User,
            (_, 0) => Self::Group,
            _ => Self::All,
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn of_dir(_: &CapDir) -> std::io::Result<Self> {
        Ok(Self::All)
    }

    pub(crate) fn create_dir(
        self,
        dir: &CapDir,
        name: &std::path::Path,
        parents: bool,
    ) -> std::io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(parents);
        #[cfg(unix)]
        {
            use cap_std::fs::DirBuilderExt;
            builder.mode(match self {
                Self::User => 0o700,
                Self::Group => 0o750,
                Self::All => 0o777,
            });
        }
        dir.create_dir_with(name, &builder)
    }

    /// The permission bits of a copied file, if they are to be others.
    pub(crate) fn narrowed(self, mode: u32) -> Option<u32> {
        let narrowed = mode
            & match self {
                Self::User => 0o700,
                Self::Group => 0o750,
                Self::All => 0o777,
            };
        (narrowed != mode).then_some(narrowed)
    }

    /// Opens a file so that, if this makes it, it has the mode.
    pub(crate) fn options(self, options: &mut OpenOptions) -> &mut OpenOptions {
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            options.mode(match self {
                Self::User => 0o600,
                Self::Group => 0o640,
                Self::All => 0o666,
            });
        }
        options
    }
}
