//! The context of a run: its options, checked as far as that is possible without a definition.

use std::path::Path;

use dad_core::{ElementId, PathSelector, SecretRegistry};
use dad_events::{EventBusBuilder, Subscription};
use serde_json::{Map, Value};

use crate::error::{RunError, SetupError};
use crate::journal::place::RunPlace;
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
///
/// A context is for one run, and cannot be cloned: its subscriptions are receivers, which hear one run, and its observers keep
/// what they know of one run. A program that starts many runs has a function that makes the context.
///
/// ```
/// use dad_run::{RunContext, SetupError};
///
/// # let project = tempdir();
/// let context = RunContext::builder("greeter", &project)
///     .run_root("runs")
///     .variable("name", "Ada")
///     .unmasked()
///     .build()?;
/// assert_eq!(context.root_id().as_str(), "greeter");
///
/// // A choice that cannot be followed is a `SetupError`, with a stable code.
/// let refused = RunContext::builder("not an id", &project).unmasked().build();
/// assert!(matches!(refused, Err(SetupError::RootId(_))));
/// # fn tempdir() -> std::path::PathBuf { std::env::temp_dir() }
/// # Ok::<(), SetupError>(())
/// ```
pub struct RunContext {
    pub(crate) root_id: ElementId,
    pub(crate) dirs: Dirs,
    pub(crate) entry_point: Option<PathSelector>,
    /// The settings that the run is driven with: the given ones over the recorded ones of a resumed run.
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
    /// The directories in which this context creates its run.
    #[must_use]
    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// The id of the root component.
    #[must_use]
    pub fn root_id(&self) -> &ElementId {
        &self.root_id
    }

    /// A queue of all events of the run, from its first on, that holds at most `capacity` of them. For a runner that owns the life
    /// of its run; an [`ActiveRun`](crate::ActiveRun) has a queue of the events from now on.
    ///
    /// ```no_run
    /// # async fn example(mut context: dad_run::RunContext) {
    /// let mut events = context.subscribe(1024);
    /// // A runner takes the context, and another task reads the events.
    /// while let Some(delivery) = events.next().await {
    ///     println!("{delivery:?}");
    /// }
    /// # }
    /// ```
    pub fn subscribe(&mut self, capacity: usize) -> Subscription {
        self.bus.subscribe(capacity)
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
        if self.options.trust_run {
            Ok(())
        } else {
            view.check_origin(self.options.trust_unsigned)
        }
    }

    /// The run that another one is started from. Results may be taken from a run of another user too, but what people said in
    /// it counts only if it is the user's own.
    pub(crate) fn open_previous(&self, entry: &RunEntry) -> Result<RunView, RunError> {
        let view = open_any(entry, self.options.origin_key.as_ref())?;
        // Without a key there is no telling.
        let is_own =
            self.options.origin_key.is_none() || view.is_original() || self.check_origin(&view).is_ok();
        if is_own {
            Ok(view)
        } else if self.options.reuse_answers.is_empty() {
            Ok(view.without_answers())
        } else {
            Err(SetupError::AnswersOfOthers(view.run_id).into())
        }
    }

    /// The secrets that are masked in the run.
    #[must_use]
    pub fn secrets(&self) -> &SecretRegistry {
        &self.options.secrets
    }

    /// The scope of templates for a run of some name and place.
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
            place: RunPlace {
                run_id: run_id.to_owned(),
                run_dir: run_dir.to_path_buf(),
                run_root: self.dirs.run_root.clone(),
                project_root: self.dirs.project_root.clone(),
            },
            given_variables,
            spans: self.options.spans.clone(),
        }
    }
}
