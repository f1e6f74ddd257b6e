//! The directories of a project that runs need.

use std::path::{Component, Path, PathBuf};

use dad_fs::{Dir, Durability, FsResult, Gate};

use crate::error::{RunError, SetupError};
use crate::layout::RUNS;
use crate::store::catalog::Catalog;

/// The directories of a project and its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dirs {
    /// The project, absolute.
    pub project_root: PathBuf,
    /// The run root, absolute.
    pub run_root: PathBuf,
    /// The directory in which runs of this context are created: the run root, or a directory in it.
    pub effective_run_root: PathBuf,
}

impl Dirs {
    /// Makes the directory of runs, and what is missing above it.
    pub(crate) fn create(&self, gate: &Gate) -> Result<Dir, SetupError> {
        let place = &self.effective_run_root;
        let no_root = |source| SetupError::RunRoot {
            path: place.clone(),
            source,
        };
        let is_new = !self.run_root.exists();
        let root = Dir::create_all_with(place, gate.clone()).map_err(no_root)?;
        if is_new {
            let run_root = Dir::open_with(&self.run_root, gate.clone());
            run_root.and_then(|dir| leave_to_git(&dir)).map_err(no_root)?;
        }
        Ok(root)
    }

    /// Writes a file beside the runs, in the place of one that is there.
    ///
    /// # Errors
    /// If the directory of runs cannot be made, or the file not be written.
    pub fn write_beside_runs(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        let dir = self.create(&Gate::default())?;
        Ok(dir.replace(name, bytes, Durability::Process)?)
    }

    /// Makes the paths absolute; a relative run root lies in the project.
    ///
    /// # Errors
    /// If the project is no directory, its path or that of the run root is no UTF-8 text, or the subpath leads out of the run root.
    pub fn new(
        project_root: &Path,
        run_root: Option<&Path>,
        subpath: Option<&str>,
    ) -> Result<Self, SetupError> {
        let refused = |reason: String| SetupError::Project {
            path: project_root.to_path_buf(),
            reason,
        };
        let project_root = std::fs::canonicalize(project_root).map_err(|e| refused(e.to_string()))?;
        std::fs::read_dir(&project_root).map_err(|e| refused(e.to_string()))?;
        let run_root = project_root.join(run_root.unwrap_or(Path::new(RUNS)));
        for path in [&project_root, &run_root] {
            if path.to_str().is_none() {
                return Err(SetupError::Project {
                    path: path.clone(),
                    reason: "its path is no UTF-8 text, as which records hold it".to_owned(),
                });
            }
        }
        let effective_run_root = match subpath.filter(|subpath| !subpath.is_empty()) {
            None => run_root.clone(),
            Some(subpath) => {
                let plain = Path::new(subpath)
                    .components()
                    .all(|c| matches!(c, Component::Normal(_)));
                if !plain {
                    return Err(SetupError::RunRootSubpath(subpath.to_owned()));
                }
                run_root.join(subpath)
            }
        };
        Ok(Self {
            project_root,
            run_root,
            effective_run_root,
        })
    }

    /// The runs there are.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        Catalog::new(&self.run_root, &self.effective_run_root)
    }
}

/// Has git leave out a new run root: runs hold prompts and answers, and belong to no commit unless the user wants it.
fn leave_to_git(run_root: &Dir) -> FsResult<()> {
    let text = "# Made with this directory. Without this file git sees the runs.\n*\n";
    // Not through a temporary file: a crash would leave that beside the runs, and an empty file does no harm.
    match run_root.write_new(".gitignore", text.as_bytes(), Durability::Process) {
        // Another process was faster.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}
