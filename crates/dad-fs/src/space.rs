//! The room that a file system has, and the right to write there.

use std::path::Path;

/// The bytes that the user of this process may still write in the file system of a path; `None` where the system does not say.
///
/// ```
/// let free = dad_fs::free_space(&std::env::temp_dir());
/// assert!(free.is_none_or(|bytes| bytes > 0));
/// assert_eq!(dad_fs::free_space(std::path::Path::new("no/such/directory")), None);
/// ```
#[must_use]
pub fn free_space(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let found = rustix::fs::statvfs(path).ok()?;
        found.f_frsize.checked_mul(found.f_bavail)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Whether this process may make files in a directory, as far as the system says without trying.
#[must_use]
pub fn is_writable(dir: &Path) -> bool {
    #[cfg(unix)]
    {
        dir.is_dir() && rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
    }
    #[cfg(not(unix))]
    {
        dir.metadata()
            .is_ok_and(|metadata| metadata.is_dir() && !metadata.permissions().readonly())
    }
}
