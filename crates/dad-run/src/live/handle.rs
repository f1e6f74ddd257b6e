//! Access to a run for nodes and listeners. It records nothing.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use dad_core::{Definition, HierarchyPath, SecretRegistry, Timestamp};
use dad_definition::{NodeTypes, Program};
use dad_events::RunInfo;
use dad_fs::Dir;

use crate::error::RunError;
use crate::journal::place::RunPlace;
use crate::journal::settings::RunSettings;
use crate::layout::ATTEMPTS;
use crate::live::adopt::adopted;
use crate::live::inputs::GivenInput;
use crate::live::resources::Resources;
use crate::live::result_store::ResultStore;
use crate::live::scope::RunScope;
use crate::live::shared::RunShared;
use crate::store::view::RunView;

/// Access to a run for nodes and listeners. Nothing can be recorded by it: that is for the [`driver`](crate::driver).
///
/// ```no_run
/// use dad_run::RunHandle;
///
/// fn report(run: &RunHandle) {
///     let steps = run.program().steps().count();
///     println!("{} has {steps} steps", run.identity().run_id);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RunHandle {
    inner: Arc<RunShared>,
}

impl RunHandle {
    pub(super) fn new(inner: RunShared) -> Self {
        Self {
            inner: Arc::new_cyclic(|this| RunShared {
                this: Weak::clone(this),
                ..inner
            }),
        }
    }

    /// The shared state of the run, to outlive this handle.
    pub(super) fn shared(&self) -> Arc<RunShared> {
        Arc::clone(&self.inner)
    }

    pub(crate) fn inner(&self) -> &RunShared {
        &self.inner
    }

    /// Which run this is.
    #[must_use]
    pub fn identity(&self) -> &Arc<RunInfo> {
        &self.inner.identity
    }

    /// The checked definition.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.inner.reader.program
    }

    /// The files that the definition was read from, itself first; none if it was built in Rust.
    #[must_use]
    pub fn definition_files(&self) -> &[PathBuf] {
        &self.inner.definition_files
    }

    /// The node types it was checked with.
    #[must_use]
    pub fn node_types(&self) -> &Arc<dyn NodeTypes> {
        &self.inner.types
    }

    /// The resources that the run was given.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.inner.resources
    }

    /// The secrets of the run.
    #[must_use]
    pub fn secrets(&self) -> &SecretRegistry {
        &self.inner.secrets
    }

    /// The variables that templates of every step can see.
    #[must_use]
    pub fn scope(&self) -> &RunScope {
        &self.inner.reader.scope
    }

    /// The places where this run and its ancestors were driven: their paths stand in results.
    #[must_use]
    pub fn places(&self) -> Vec<RunPlace> {
        let inner = &self.inner;
        let mut places = vec![inner.place()];
        let seen = [self.history(), inner.reader.parent.as_deref()];
        places.extend(seen.into_iter().flatten().flat_map(RunView::places));
        places.extend(inner.plan.iter().flat_map(|plan| plan.ancestors.iter().cloned()));
        places
    }

    pub(crate) fn history(&self) -> Option<&RunView> {
        self.inner.reader.history.as_deref()
    }

    /// The input that was given for a step before it asked.
    #[must_use]
    pub fn given_input(&self, path: &HierarchyPath) -> Option<GivenInput> {
        self.inner.state().inputs.get(path).cloned()
    }

    /// Whether the run is to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.is_cancelled()
    }

    /// The run this one was started from.
    #[must_use]
    pub fn parent(&self) -> Option<&RunView> {
        self.inner.reader.parent.as_deref()
    }

    /// Whether a user at a terminal can be asked.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        self.inner.interactive
    }

    /// The present time of the run's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The directories of the last attempt of a step that did not end well before this process resumed the run: the newest
    /// directory first.
    ///
    /// # Errors
    /// If the directories cannot be opened.
    pub fn uncommitted_attempts(&self, path: &HierarchyPath) -> Result<Vec<Dir>, RunError> {
        let started = self.history().and_then(|history| history.left(path));
        let Some(attempts) = self.inner.dot_run.open_dir_optional(ATTEMPTS)? else {
            return Ok(Vec::new());
        };
        let mut left = Vec::new();
        for seq in started.into_iter().flat_map(|left| left.started.iter().rev()) {
            let is_of = |name: &str| name.split('_').next() == Some(seq.to_string().as_str());
            for entry in attempts
                .entries()?
                .iter()
                .rev()
                .filter(|entry| is_of(&entry.name))
            {
                left.push(attempts.open_dir(&entry.name)?);
            }
        }
        Ok(left)
    }

    /// The settings that it is driven with.
    #[must_use]
    pub fn settings(&self) -> &RunSettings {
        &self.inner.settings
    }

    /// Whether it executes a definition that its caller gave: as it is, but for the models that were chosen for the run, and
    /// for known secrets in it.
    ///
    /// # Errors
    /// If the definition cannot be read without the secrets in it.
    pub fn executes(&self, definition: &Definition) -> Result<bool, RunError> {
        let adopted = adopted(definition, &self.inner.settings.models, &self.inner.secrets)?;
        Ok(*self.program().definition == *adopted)
    }

    /// The token that the environment of a child process must hold as [`TOKEN_VARIABLE`](crate::TOKEN_VARIABLE): by it a later driver
    /// recognises the children of this one.
    #[must_use]
    pub fn process_token(&self) -> &str {
        &self.inner.token
    }

    /// The bytes of a committed step's `result.json`, or of a component's `component_result.json`; `None` if the
    /// place was not reached or the step was skipped.
    ///
    /// # Errors
    /// If the file exists and cannot be read, or is not the one that an earlier process recorded.
    pub fn read_result(&self, path: &HierarchyPath) -> Result<Option<Vec<u8>>, RunError> {
        self.inner.reader.read_result(path)
    }

    /// Reads the results of this run, for those who may outlive it.
    #[must_use]
    pub fn result_store(&self) -> &ResultStore {
        &self.inner().reader
    }
}
