//! The context of a run: its options, checked as far as that is possible without a definition.

use std::path::Path;

use dad_core::{ElementId, PathSelector, SecretRegistry};
use dad_events::EventBusBuilder;
use serde_json::{Map, Value};

use crate::error::{RunError, SetupError};
use crate::journal::settings::RunSettings;
use crate::layout::STATIC_INPUTS;
use crate::live::scope::RunScope;
use crate::setup::dirs::Dirs;
use crate::setup::options::Options;
use crate::store::catalog::Catalog;
use crate::store::original::open_any;
use crate::store::run_entry::RunEntry;
use crate::store::view::RunView;

/// Everything about a run that is not in its definition; nothing has been made yet.
pub struct RunContext {
    pub(crate) root_id: ElementId,
    pub(crate) dirs: Dirs,
    pub(crate) entry_point: Option<PathSelector>,
    /// What the run is driven with: what is given, and of a run that is resumed what was recorded beside.
    pub(crate) settings: RunSettings,
    /// Which of them were recorded otherwise.
    pub(crate) overrides: Vec<String>,
    pub(crate) options: Options,
    pub(crate) bus: EventBusBuilder,
}

impl std::fmt::Debug for RunContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext")
            .field("root_id", &self.root_id)
            .field("dirs", &self.dirs)
            .finish_non_exhaustive()
    }
}

impl RunContext {
    /// Where this context makes its run.
    #[must_use]
    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// The id of the root component.
    #[must_use]
    pub fn root_id(&self) -> &ElementId {
        &self.root_id
    }

    /// Takes up what a run was driven with, where nothing else is given.
    pub(crate) fn take_up(&mut self, recorded: &RunSettings) {
        (self.settings, self.overrides) = recorded.overridden_by(&self.options.settings);
    }

    /// The runs there are, as this context tells the user's own from others.
    pub(crate) fn catalog(&self) -> Catalog {
        let Options {
            origin_key,
            trust_unsigned,
            ..
        } = &self.options;
        let catalog = self.dirs.catalog().with_origin_key(origin_key.clone());
        catalog.trusting_unsigned(*trust_unsigned)
    }

    /// Refuses a run that is neither the user's own nor trusted.
    pub(crate) fn check_origin(&self, view: &RunView) -> Result<(), SetupError> {
        match self.options.trust_run {
            true => Ok(()),
            false => view.check_origin(self.options.trust_unsigned),
        }
    }

    /// The run that another one is started from. Results may be taken from a run of another user too, but what people said in
    /// it counts only if it is the user's own.
    pub(crate) fn open_previous(&self, entry: &RunEntry) -> Result<RunView, RunError> {
        let view = open_any(entry, self.options.origin_key.as_ref())?;
        // Without a key there is no telling.
        let is_own =
            self.options.origin_key.is_none() || view.is_original() || self.check_origin(&view).is_ok();
        match is_own {
            true => Ok(view),
            false if self.options.reuse_answers.is_empty() => Ok(view.without_answers()),
            false => Err(SetupError::AnswersOfOthers(view.run_id).into()),
        }
    }

    /// The secrets that are masked in the run.
    #[must_use]
    pub fn secrets(&self) -> &SecretRegistry {
        &self.options.secrets
    }

    /// What templates see of a run of some name and place.
    pub(crate) fn scope_of(
        &self,
        run_id: &str,
        run_dir: &Path,
        given_variables: Map<String, Value>,
    ) -> RunScope {
        let text = |path: &Path| Value::from(path.to_string_lossy().into_owned());
        let run_variables = [
            ("run_id", Value::from(run_id)),
            ("run_dir", text(run_dir)),
            ("run_root", text(&self.dirs.run_root)),
            ("effective_run_root", text(&self.dirs.effective_run_root)),
            ("project_root", text(&self.dirs.project_root)),
            ("static_inputs_dir", text(&run_dir.join(STATIC_INPUTS))),
            ("environment", Value::from(self.settings.environment())),
        ];
        RunScope {
            run_variables: run_variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            given_variables,
            spans: self.options.spans.clone(),
        }
    }
}
