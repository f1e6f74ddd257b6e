//! Finding a project, and checking that its owner is trusted.

use std::path::{Path, PathBuf};

use crate::error::SetupError;

/// The directory that makes a directory a project.
const DOT_DHENARA: &str = ".dhenara";

/// What configures a project, below it: each decides which commands run or where keys go.
const CONFIGURING: [&str; 5] = [
    DOT_DHENARA,
    ".dhenara/config.yaml",
    ".dhenara/models.yaml",
    ".dhenara/.secrets",
    ".dhenara/.secrets/.credentials.yaml",
];

/// How many links may lead to a file.
#[cfg(unix)]
const MOST_LINKS: usize = 40;

/// The nearest directory, from the working directory of the process upward, that holds `.dhenara`.
///
/// # Errors
/// [`SetupError::Project`] if there is none, [`SetupError::ForeignProject`] if it belongs to another user.
pub fn find_project_root() -> Result<PathBuf, SetupError> {
    ProjectTrust::default().find_project_root()
}

/// The nearest directory, from `start` upward, that holds `.dhenara`.
///
/// # Errors
/// As [`find_project_root`].
pub fn find_project_root_from(start: &Path) -> Result<PathBuf, SetupError> {
    ProjectTrust::default().find_project_root_from(start)
}

/// Whose projects are obeyed. A project decides which commands run and which servers are asked, so it must belong to the
/// user of this process or to the administrator: any user can put a `.dhenara` into a directory that all may write to.
#[derive(Clone, Debug, Default)]
pub struct ProjectTrust {
    trusted: Vec<PathBuf>,
}

impl ProjectTrust {
    /// Trusts these projects of other users too. The user says so, and no file of the project.
    #[must_use]
    pub fn new(trusted: impl IntoIterator<Item = PathBuf>) -> Self {
        let trusted = trusted.into_iter();
        Self {
            trusted: trusted.map(|dir| dir.canonicalize().unwrap_or(dir)).collect(),
        }
    }

    /// As [`find_project_root`](fn@find_project_root), with this trust.
    ///
    /// # Errors
    /// As there.
    pub fn find_project_root(&self) -> Result<PathBuf, SetupError> {
        let start = std::env::current_dir().map_err(|e| SetupError::Project {
            path: PathBuf::from("."),
            reason: e.to_string(),
        })?;
        self.find_project_root_from(&start)
    }

    /// As [`find_project_root_from`](fn@find_project_root_from), with this trust.
    ///
    /// # Errors
    /// As there.
    pub fn find_project_root_from(&self, start: &Path) -> Result<PathBuf, SetupError> {
        let found = start.ancestors().find(|dir| dir.join(DOT_DHENARA).is_dir());
        let found = found.ok_or_else(|| SetupError::Project {
            path: start.to_path_buf(),
            reason: "neither it nor a directory above it holds `.dhenara`".to_owned(),
        })?;
        self.check(found)?;
        Ok(found.to_path_buf())
    }

    /// Refuses a project whose configuration belongs to another user: `.dhenara` itself, the files in it that configure,
    /// or a link or file that one of them leads to.
    ///
    /// # Errors
    /// [`SetupError::ForeignProject`] with the path and its owner.
    pub fn check(&self, project_root: &Path) -> Result<(), SetupError> {
        let foreign = CONFIGURING
            .iter()
            .find_map(|name| foreign_owner(&project_root.join(name)));
        let Some((path, owner)) = foreign else {
            return Ok(());
        };
        let project_root = project_root
            .canonicalize()
            .unwrap_or_else(|_| project_root.to_path_buf());
        if self.trusted.contains(&project_root) {
            return Ok(());
        }
        Err(SetupError::ForeignProject {
            project_root,
            path,
            owner,
        })
    }
}

/// The first of a path and what its links lead to that belongs to another user, with the number of that user. A path that
/// does not exist has no owner.
#[cfg(unix)]
#[must_use]
pub fn foreign_owner(path: &Path) -> Option<(PathBuf, u32)> {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let found = path.symlink_metadata().ok()?;
        if found.uid() != 0 && found.uid() != me {
            return Some((path, found.uid()));
        }
        if !found.is_symlink() {
            return None;
        }
        let target = path.read_link().ok()?;
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    None
}

/// Files of this system tell no owner.
#[cfg(not(unix))]
#[must_use]
pub fn foreign_owner(_: &Path) -> Option<(PathBuf, u32)> {
    None
}
