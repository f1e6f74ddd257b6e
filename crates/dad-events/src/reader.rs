//! Access to the results of earlier steps for handlers, which do not know the run.

use std::fmt;
use std::sync::{Arc, OnceLock};

use dad_core::HierarchyPath;
use serde_json::Value;

/// Reads what a run has around a step, when a listener asks for it.
///
/// Implemented by the driver of a run; listeners reach it through the events.
pub trait ReadResults: Send + Sync {
    /// The settings of a node as its definition has them, templates not rendered; `None` if there is no such node.
    fn settings(&self, path: &HierarchyPath) -> Option<Value>;

    /// The result of a step that the one at `asker` could refer to by `$hier{name}`; `None` if it was skipped or not
    /// reached.
    ///
    /// # Errors
    /// If there is no such step, or its result cannot be read.
    fn result(&self, asker: &HierarchyPath, name: &str) -> Result<Option<Value>, String>;

    /// The input that the previous run was given for a step or component.
    ///
    /// # Errors
    /// If it cannot be read.
    fn previous_input(&self, path: &HierarchyPath) -> Result<Option<Value>, String>;
}

/// The place where the driver of a run puts its [`ReadResults`]; until then nothing can be read.
#[derive(Clone, Default)]
pub struct ResultReader(Arc<OnceLock<Arc<dyn ReadResults>>>);

impl ResultReader {
    /// Sets what reads. Only the first one counts.
    pub fn set(&self, reader: Arc<dyn ReadResults>) {
        // A second runner within the same run reads the same directory.
        let _ = self.0.set(reader);
    }

    /// As [`ReadResults::settings`].
    #[must_use]
    pub fn settings(&self, path: &HierarchyPath) -> Option<Value> {
        self.0.get()?.settings(path)
    }

    /// As [`ReadResults::result`].
    ///
    /// # Errors
    /// As there, or if there is no driver yet.
    pub fn result(&self, asker: &HierarchyPath, name: &str) -> Result<Option<Value>, String> {
        self.read()?.result(asker, name)
    }

    /// As [`ReadResults::previous_input`].
    ///
    /// # Errors
    /// As there, or if there is no driver yet.
    pub fn previous_input(&self, path: &HierarchyPath) -> Result<Option<Value>, String> {
        self.read()?.previous_input(path)
    }

    fn read(&self) -> Result<&Arc<dyn ReadResults>, String> {
        self.0
            .get()
            .ok_or_else(|| "nothing drives the run that could read its results".to_owned())
    }
}

impl fmt::Debug for ResultReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResultReader")
            .field(&self.0.get().is_some())
            .finish()
    }
}
