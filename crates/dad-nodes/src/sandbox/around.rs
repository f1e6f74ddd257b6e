//! The directories of a run and its project, which a sandbox shows or hides.

use dad_run::layout::{DOT_RUN, DOT_TRACE};
use dad_runner::{NodeContext, NodeError};
use std::path::{Path, PathBuf};

/// The directories of a run and its project.
pub(crate) struct Around {
    pub(super) run_dir: PathBuf,
    pub(super) root_id: String,
    pub(super) step_dir: PathBuf,
    pub(super) project: Option<PathBuf>,
    pub(super) run_roots: Vec<PathBuf>,
    /// All of them as the run names them, and without links.
    pub(super) named: Vec<(PathBuf, PathBuf)>,
}

impl Around {
    pub(super) fn of(cx: &NodeContext) -> Result<Self, NodeError> {
        let identity = cx.run().identity();
        let variables = &cx.run().scope().run_variables;
        let named = |name: &str| Some(PathBuf::from(variables.get(name)?.as_str()?));
        let directory = |name: &str| named(name).map(|dir| real(&dir));
        let all = ["project_root", "run_root", "effective_run_root"].into_iter();
        let all = all.filter_map(named).chain([identity.run_dir.clone()]);
        Ok(Self {
            named: all.map(|dir| (dir.clone(), real(&dir))).collect(),
            run_dir: real(&identity.run_dir),
            root_id: identity.root_id.as_str().to_owned(),
            step_dir: real(cx.dir()?.path()),
            project: directory("project_root"),
            run_roots: ["run_root", "effective_run_root"]
                .into_iter()
                .filter_map(directory)
                .collect(),
        })
    }

    /// The parts of the run directory that only the run itself changes.
    pub(super) fn records(&self) -> impl Iterator<Item = PathBuf> {
        let names = [DOT_RUN, DOT_TRACE, &self.root_id];
        names.map(|name| self.run_dir.join(name)).into_iter()
    }
}

pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> Result<String, NodeError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        let message = format!("`{}` is not UTF-8, and no sandbox can name it", path.display());
        NodeError::new("sandbox", message).permanent()
    })
}
