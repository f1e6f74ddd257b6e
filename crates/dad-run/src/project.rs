use std::path::{Path, PathBuf};

use crate::error::RunError;

/// The nearest directory, from the working directory of the process upward, that holds `.dhenara`.
///
/// # Errors
/// [`RunError::Project`] if there is none.
pub fn find_project_root() -> Result<PathBuf, RunError> {
    let start = std::env::current_dir().map_err(|e| RunError::Project {
        path: PathBuf::from("."),
        reason: e.to_string(),
    })?;
    find_project_root_from(&start)
}

/// The nearest directory, from `start` upward, that holds `.dhenara`.
///
/// # Errors
/// [`RunError::Project`] if there is none.
pub fn find_project_root_from(start: &Path) -> Result<PathBuf, RunError> {
    let found = start.ancestors().find(|dir| dir.join(".dhenara").is_dir());
    found.map(Path::to_path_buf).ok_or_else(|| RunError::Project {
        path: start.to_path_buf(),
        reason: "neither it nor a directory above it holds `.dhenara`".to_owned(),
    })
}
