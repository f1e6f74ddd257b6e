//! Reading the results of a run while it is driven.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use dad_core::HierarchyPath;
use dad_definition::Program;
use dad_fs::Dir;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use crate::error::RunError;
use crate::live::scope::RunScope;
use crate::store::results::read_result;
use crate::store::view::RunView;

/// Reads the results of a run without driving it or keeping it alive.
#[derive(Clone, Debug)]
pub struct ResultStore {
    pub(crate) dir: Dir,
    pub(crate) program: Arc<Program>,
    pub(crate) scope: RunScope,
    pub(crate) parent: Option<Arc<RunView>>,
    /// Whether one step executes alone, with the results of the previous run around it.
    pub(crate) alone: bool,
    /// The run as earlier processes left it, if it is resumed.
    pub(crate) history: Option<Arc<RunView>>,
    /// Steps that a resumed run has executed again.
    pub(crate) voided: Arc<Mutex<HashSet<HierarchyPath>>>,
}

impl ResultStore {
    fn voided(&self) -> MutexGuard<'_, HashSet<HierarchyPath>> {
        self.voided.lock()
    }

    /// Notes that how a step ended before counts no longer; `false` if that was known.
    pub(crate) fn void(&self, path: &HierarchyPath) -> bool {
        self.voided().insert(path.clone())
    }

    /// The checked definition.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The variables that templates of every step can see.
    #[must_use]
    pub fn scope(&self) -> &RunScope {
        &self.scope
    }

    /// The run's directory.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        self.dir.path()
    }

    /// As [`RunHandle::read_result`](crate::RunHandle::read_result).
    ///
    /// # Errors
    /// As there.
    pub fn read_result(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        let before = self.history.as_ref();
        let before = before.filter(|_| !self.voided().contains(path));
        let own = match before
            .map(|before| before.result_bytes(path))
            .transpose()?
            .flatten()
        {
            Some(recorded) => Some(recorded),
            // What this process has recorded it has just written: of very many steps no digests are kept.
            None => read_result(&self.dir, path)?,
        };
        match (own, &self.parent) {
            // A step that executes alone has the results that the previous run has.
            (None, Some(parent)) if self.alone => parent.result_bytes(path),
            (own, _) => Ok(own),
        }
    }

    /// The input that the previous run was given for a step or component.
    ///
    /// # Errors
    /// If it was kept apart and cannot be read.
    pub fn previous_input(&self, path: &HierarchyPath) -> Result<Option<Value>, RunError> {
        let parent = self.parent.as_ref();
        Ok(parent.map(|parent| parent.input(path)).transpose()?.flatten())
    }
}
