//! A project: its configuration, its agents, and its runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dad_core::{Budget, Definition, RunId, SecretRegistry};
use dad_models::{ModelClient, Models, OfflineClient, ReplayClient, ReplayNote};
use dad_run::{Catalog, Dirs, ReplayFrom, ReplaySource, RunEntry, RunView};
use dad_runner::NodeRegistry;

use crate::config::{Config, Environment};
use crate::error::ProjectError;
use crate::known_secrets::known_secrets;
use crate::user::User;

/// A project that is opened for its user: its configuration was read once, and everything that is made from it agrees.
#[derive(Clone)]
pub struct Project {
    user: User,
    root: PathBuf,
    pub(crate) config: Arc<Config>,
    environment: Environment,
    /// Whether the environment was named, so that it holds for runs that were started in another one.
    names_environment: bool,
    secrets: SecretRegistry,
    nodes: NodeRegistry,
    built_in: Vec<(String, Definition)>,
    pub(crate) run_root: Option<PathBuf>,
    run_root_subpath: Option<String>,
    pub(crate) client: Client,
    /// The client that asks over the network with the limits of the environment, for all runs of this project.
    pub(crate) http: Arc<OnceLock<Models>>,
    pub(crate) on_note: Arc<dyn Fn(&ReplayNote) + Send + Sync>,
    pub(crate) models: Vec<String>,
    pub(crate) budget: Budget,
    pub(crate) only_looks: bool,
}

/// The source of answers to model calls.
#[derive(Clone)]
pub(crate) enum Client {
    /// As the environment says, or what a run recorded.
    Configured,
    /// A client of the program.
    Given(Models),
    /// A run that made the same requests.
    Replay(ReplayClient, ReplaySource),
    /// No client: no model is asked.
    None,
}

impl Project {
    /// Opens a project: reads its configuration and that of the user of this process, and their environment.
    ///
    /// # Errors
    /// If it belongs to another user whom this one does not trust, or a configuration cannot be used.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ProjectError> {
        User::from_environment()?.open(dir)
    }

    /// Opens the project that a directory lies in, or where there is none the directory itself.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_or_here(start: impl AsRef<Path>) -> Result<Self, ProjectError> {
        User::from_environment()?.find_or_here(start)
    }

    pub(crate) fn read(user: User, root: &Path) -> Result<Self, ProjectError> {
        // What is wrong with the directory itself is said first.
        let root = Dirs::new(root, None, None)?.project_root;
        let config = Config::read(&root)?;
        Ok(Self {
            environment: config.environment(&root, None, &user.defaults())?,
            names_environment: false,
            secrets: known_secrets(&root, &config, user.all_variables()),
            config: Arc::new(config),
            nodes: dad_nodes::builtin_nodes(),
            built_in: Vec::new(),
            run_root: None,
            run_root_subpath: None,
            client: Client::Configured,
            http: Arc::default(),
            on_note: Arc::new(|_| {}),
            models: Vec::new(),
            budget: Budget::default(),
            only_looks: false,
            user,
            root,
        })
    }

    /// The same in an environment of `.dhenara/config.yaml`. It holds for runs that were started in another one, too, when
    /// they are resumed by this.
    ///
    /// # Errors
    /// [`ProjectError::UnknownEnvironment`] with the nearest name.
    pub fn environment(mut self, name: &str) -> Result<Self, ProjectError> {
        self = self.in_environment(name)?;
        self.names_environment = true;
        Ok(self)
    }

    /// The same in the environment that a run recorded, unless one was named.
    ///
    /// # Errors
    /// [`ProjectError::UnknownEnvironment`] if it is not there any more.
    pub fn in_environment_of(self, run: &RunView) -> Result<Self, ProjectError> {
        if self.names_environment {
            Ok(self)
        } else {
            self.in_environment(run.settings().environment())
        }
    }

    /// The same in an environment that a run recorded.
    pub(crate) fn in_environment(mut self, name: &str) -> Result<Self, ProjectError> {
        if self.environment.name != name {
            self.environment = self
                .config
                .environment(&self.root, Some(name), &self.user.defaults())?;
            self.http = Arc::default();
        }
        Ok(self)
    }

    /// The nodes that definitions may use; the built-in ones by default.
    #[must_use]
    pub fn nodes(mut self, nodes: NodeRegistry) -> Self {
        self.nodes = nodes;
        self
    }

    /// An agent or flow that is built into the program; it is found by its name before one in a file.
    #[must_use]
    pub fn built_in(mut self, name: impl Into<String>, definition: impl Into<Definition>) -> Self {
        self.built_in.push((name.into(), definition.into()));
        self
    }

    /// A client that answers what models are asked, in the place of the one that the environment says.
    #[must_use]
    pub fn models(self, client: impl ModelClient + 'static) -> Self {
        self.shared_models(Models::new(client))
    }

    /// As [`models`](Self::models), a client that opens no connection: runs without network take it too.
    #[must_use]
    pub fn offline_models(self, client: impl OfflineClient + 'static) -> Self {
        self.shared_models(Models::offline(client))
    }

    /// As [`models`](Self::models), a client that others share.
    #[must_use]
    pub fn shared_models(mut self, models: Models) -> Self {
        self.client = Client::Given(models);
        self
    }

    /// Answers what models are asked from a run that asked the same: its id, a unique beginning of it, or `last`. Runs are
    /// recorded as being without network.
    ///
    /// # Errors
    /// If there is no such run, or it cannot be read.
    pub fn replay(mut self, run: &str) -> Result<Self, ProjectError> {
        let entry = self.own_runs()?.find(run, None)?;
        let (client, source) = replay_of(&entry)?;
        self.client = Client::Replay(client, source);
        Ok(self)
    }

    /// Calls a function with a note about each answer that a cassette gives.
    #[must_use]
    pub fn on_replay_note(mut self, tell: impl Fn(&ReplayNote) + Send + Sync + 'static) -> Self {
        self.on_note = Arc::new(tell);
        self
    }

    /// A model that every step asks in the place of those that its definition names.
    #[must_use]
    pub fn ask_model(mut self, model: impl Into<String>) -> Self {
        self.models = vec![model.into()];
        self
    }

    /// The budget of runs, which replaces those of the definition and the environment.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The run root, which replaces that of the environment.
    #[must_use]
    pub fn run_root(mut self, run_root: impl Into<PathBuf>) -> Self {
        self.run_root = Some(run_root.into());
        self
    }

    /// A directory in the run root.
    #[must_use]
    pub fn run_root_subpath(mut self, subpath: impl Into<String>) -> Self {
        self.run_root_subpath = Some(subpath.into());
        self
    }

    /// The same, whose contexts have no client of models: for what asks none, such as rendering a step.
    #[must_use]
    pub fn without_models(mut self) -> Self {
        self.client = Client::None;
        self
    }

    /// The same for looking alone: a context of it makes no origin key for a user who has none yet.
    #[must_use]
    pub fn only_looks(mut self) -> Self {
        self.only_looks = true;
        self
    }

    /// Its directory, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name of its directory; `None` for a directory that is no project.
    pub(crate) fn name(&self) -> Option<String> {
        let name = self.root.file_name()?.to_str()?;
        self.root.join(".dhenara").is_dir().then(|| name.to_owned())
    }

    /// Whose process this is.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The settings of the environment.
    #[must_use]
    pub fn settings(&self) -> &Environment {
        &self.environment
    }

    /// The secrets that its runs mask: all keys that the project and its user's environment hold, and each that a run of it
    /// is given.
    #[must_use]
    pub fn secrets(&self) -> &SecretRegistry {
        &self.secrets
    }

    /// The nodes that definitions may use.
    #[must_use]
    pub fn node_registry(&self) -> &NodeRegistry {
        &self.nodes
    }

    /// The agents and flows that are built into the program.
    #[must_use]
    pub fn definitions_built_in(&self) -> &[(String, Definition)] {
        &self.built_in
    }

    /// The directories of the project and its runs.
    ///
    /// # Errors
    /// If the run root cannot be one.
    pub fn dirs(&self) -> Result<Dirs, ProjectError> {
        Ok(Dirs::new(
            &self.root,
            self.root_of_runs(),
            self.subpath_of_runs(),
        )?)
    }

    pub(crate) fn root_of_runs(&self) -> Option<&Path> {
        self.run_root.as_deref().or(self.environment.run_root.as_deref())
    }

    pub(crate) fn subpath_of_runs(&self) -> Option<&str> {
        self.run_root_subpath.as_deref()
    }

    pub(crate) const fn names_environment(&self) -> bool {
        self.names_environment
    }
}

/// The catalogue of runs.
impl Project {
    /// The runs there are, for reading: of every environment, if none and no run root was named. For a user who has no origin
    /// key yet it is not checked whose they are.
    ///
    /// # Errors
    /// If a run root cannot be one, or the origin key cannot be used.
    pub fn runs(&self) -> Result<Catalog, ProjectError> {
        let key = self.user.origin_key()?;
        self.everywhere(self.dirs()?.catalog().with_origin_key(key))
    }

    /// The runs there are, where one of them is to be continued or removed: `last` and beginnings of ids never name a run that
    /// is not the user's own.
    ///
    /// # Errors
    /// As [`runs`](Self::runs).
    pub fn own_runs(&self) -> Result<Catalog, ProjectError> {
        self.everywhere(self.runs_in_root()?)
    }

    /// As [`own_runs`](Self::own_runs), those in the run root of the environment alone.
    ///
    /// # Errors
    /// As there.
    pub fn runs_in_root(&self) -> Result<Catalog, ProjectError> {
        let key = self.user.origin_key_to_choose()?;
        let catalog = self.dirs()?.catalog().with_origin_key(key);
        Ok(catalog.trusting_unsigned(self.user.trusts_unsigned()))
    }

    fn everywhere(&self, catalog: Catalog) -> Result<Catalog, ProjectError> {
        let mut catalog = catalog.trusting_unsigned(self.user.trusts_unsigned());
        if self.run_root.is_some() || self.names_environment {
            return Ok(catalog);
        }
        let roots = self
            .config
            .environments()
            .map(|environment| environment.run_root.as_deref());
        for root in roots.chain([None]) {
            catalog = catalog.and_in(&Dirs::new(&self.root, root, None)?.run_root);
        }
        Ok(catalog)
    }

    /// Reads a run, and looks whose it is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn view(&self, run: &RunEntry) -> Result<RunView, ProjectError> {
        Ok(RunView::open_with(&run.dir, self.user.origin_key()?.as_ref())?)
    }

    /// Refuses a run that is not the user's own.
    ///
    /// # Errors
    /// [`SetupError::ForeignRun`](dad_run::SetupError) with where it was driven last.
    pub fn check_origin(&self, run: &RunView) -> Result<(), ProjectError> {
        Ok(run.check_origin(self.user.trusts_unsigned())?)
    }
}

/// The client that answers from a run, and how it is recorded.
pub(crate) fn replay_of(run: &RunEntry) -> Result<(ReplayClient, ReplaySource), ProjectError> {
    let client = ReplayClient::of_run(&run.dir)?;
    let source = ReplaySource::new(ReplayFrom::Run(RunId::clone(&run.run_id)), client.digest()?);
    Ok((client, source))
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Project")
            .field("root", &self.root)
            .field("environment", &self.environment.name)
            .finish_non_exhaustive()
    }
}
