//! From a project to the context of a run: of a new one, or of one that is continued as it was recorded.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use dad_core::{Definition, Timestamp};
use dad_events::EventBusConfig;
use dad_models::{
    Credentials, HttpClient, Limits, ModelCatalog, ModelWarning, Models, RecordedWeb, ReplayClient,
};
use dad_run::{
    ReplayFrom, ReplaySource, RunContext, RunContextBuilder, RunError, RunSettings, RunView, SecretSource,
    SetupError,
};
use serde::Deserialize;
use serde_json::json;

use crate::config::{Environment, FILE};
use crate::definitions::FoundDefinition;
use crate::error::ProjectError;
use crate::project::{Client, Project, replay_of};

/// Changes of an environment since a run was started that keeps what it was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvironmentChange {
    /// The name of the environment; naming it anew takes the present configuration.
    pub environment: String,
    /// The changed fields.
    pub fields: Vec<String>,
}

impl fmt::Display for EnvironmentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<String> = self.fields.iter().map(|field| format!("`{field}`")).collect();
        write!(
            f,
            "{} of the environment `{}` in `{FILE}` changed since the run was started, and the run keeps what it was started \
             with",
            fields.join(", "),
            self.environment
        )
    }
}

impl Project {
    /// The context of a new run of the component `root_id`: with everything that the project, its environment and its user
    /// say. What is said on it afterwards comes before that.
    ///
    /// # Errors
    /// If the origin key, the models or the recorded exchanges of the project cannot be used.
    pub fn context(&self, root_id: impl Into<String>) -> Result<RunContextBuilder, ProjectError> {
        let mut context = self.plain_context(root_id)?;
        for (name, value) in &self.settings().variables {
            context = context.variable(name, value.clone());
        }
        let environment = self.settings();
        context = self.with_environment(context, environment);
        match &self.client {
            Client::Configured => self.answered(context, environment.limits, self.cassette()?),
            _ => self.answered(context, environment.limits, None),
        }
    }

    /// The context of a new run of a definition that was found in the project.
    ///
    /// # Errors
    /// As [`context`](Self::context).
    pub fn context_for(&self, found: &FoundDefinition) -> Result<RunContextBuilder, ProjectError> {
        Ok(found.placed(self.context(&found.root_id)?))
    }

    /// The context of a run that is [resumed](dad_run::RunContext::resume_run), or of which a step
    /// [executes alone](RunContextBuilder::step_alone): as it was recorded, whatever the configuration says now. What was said
    /// on the project (an environment by name, a model, a budget, a replay) is an override, which the run records.
    ///
    /// # Errors
    /// As [`context`](Self::context); [`ProjectError::ReplayGone`] or [`ProjectError::ReplayChanged`] if the run has its answers
    /// of models from where there are none any more, or others.
    pub fn context_of(&self, run: &RunView) -> Result<RunContextBuilder, ProjectError> {
        let recorded = run.settings();
        if self.names_environment() {
            return self.context_in_another(run, &recorded);
        }
        let project = self.clone().in_environment(recorded.environment())?;
        let mut context = project.plain_context(run.root_id.as_str())?;
        if !self.budget.is_unlimited() {
            context = context.budget(self.budget);
        }
        project.client_of(context, run, &recorded)
    }

    /// The context of a run that is continued in an environment that is named anew. The run that its answers come from stays.
    fn context_in_another(
        &self,
        run: &RunView,
        recorded: &RunSettings,
    ) -> Result<RunContextBuilder, ProjectError> {
        let context = self.plain_context(run.root_id.as_str())?;
        let environment = self.settings();
        let context = self.with_environment(context, environment);
        let replays_run =
            matches!(&recorded.replay, Some(source) if matches!(source.from, ReplayFrom::Run(_)));
        match &self.client {
            Client::Configured if replays_run => self.client_of(context, run, recorded),
            Client::Configured => {
                let cassette = self.cassette()?;
                let context = context.offline(cassette.is_some());
                self.answered(context, environment.limits, cassette)
            }
            _ => self.answered(context, environment.limits, None),
        }
    }

    /// The differences of the environment's configuration from that which a run was started with, and keeps; `None` if nothing
    /// does, or if the environment was named anew.
    ///
    /// # Errors
    /// If the environment is not there any more.
    pub fn changes_since(&self, run: &RunView) -> Result<Option<EnvironmentChange>, ProjectError> {
        let recorded = run.settings();
        if self.names_environment() || recorded.configuration.is_empty() {
            return Ok(None);
        }
        let name = recorded.environment();
        let now = self.clone().in_environment(name)?;
        let now = now.settings().digests(self.secrets());
        let fields: Vec<String> = now
            .iter()
            .filter(|(field, digest)| recorded.configuration.get(*field) != Some(digest))
            .map(|(field, _)| field.clone())
            .collect();
        Ok((!fields.is_empty()).then(|| EnvironmentChange {
            environment: name.to_owned(),
            fields,
        }))
    }

    /// The models that every step asks, by their own names: an alias may stand for another one when the run is resumed.
    fn asked_models(&self) -> Result<Vec<String>, ProjectError> {
        // A client that was given has names of its own.
        if self.models.is_empty() || matches!(self.client, Client::Given(_)) {
            return Ok(self.models.clone());
        }
        let catalog = self.model_catalog()?;
        let names = self.models.iter().map(|name| catalog.without_alias(name));
        Ok(names.map(str::to_owned).collect())
    }

    /// The options that all contexts of this project and user share.
    fn plain_context(&self, root_id: impl Into<String>) -> Result<RunContextBuilder, ProjectError> {
        let user = self.user();
        let key = if self.only_looks {
            user.origin_key()?
        } else {
            user.origin_key_to_drive()?
        };
        let environment = self.settings();
        let mut events = EventBusConfig::default();
        if let Some(limit) = environment.ask_timeout {
            events.ask_timeout = limit;
        }
        let secrets = SecretSource::new(self.root(), environment.credentials.as_deref());
        let mut context = RunContext::builder(root_id, self.root())
            .nodes(self.node_registry().clone())
            .secrets(self.secrets().clone())
            .project_trust(user.trust())
            .approval_rules(user.approval_rules().iter().cloned())
            .origin_key(key)
            .trust_unsigned_runs(user.trusts_unsigned())
            .resource(Arc::new(secrets.variables(user.variables())))
            .resource(Arc::new(user.sandbox()))
            .ask_models(self.asked_models()?)
            .event_config(events);
        if let Some(root) = self.root_of_runs() {
            context = context.run_root(root);
        }
        if let Some(subpath) = self.subpath_of_runs() {
            context = context.run_root_subpath(subpath);
        }
        if let Some(share) = environment.share {
            context = context.share(share);
        }
        Ok(match environment.durability {
            Some(durability) => context.durability(durability),
            None => context,
        })
    }

    /// Gives a context what the environment says that is recorded with a run.
    fn with_environment(&self, context: RunContextBuilder, environment: &Environment) -> RunContextBuilder {
        context
            .environment(&environment.name)
            .configuration(environment.digests(self.secrets()))
            .limits(json!(environment.limits))
            .budget(environment.budget.overridden_by(self.budget))
    }

    /// Gives a context the client that was chosen, or one for what a run recorded.
    fn client_of(
        &self,
        context: RunContextBuilder,
        run: &RunView,
        recorded: &RunSettings,
    ) -> Result<RunContextBuilder, ProjectError> {
        let limits = match &recorded.limits {
            Some(limits) => Limits::deserialize(limits).map_err(|error| RunError::Unreadable {
                path: run.dir().to_path_buf(),
                reason: format!("the limits that it recorded: {error}"),
            })?,
            None => self.settings().limits,
        };
        let replay = match (&self.client, &recorded.replay) {
            (Client::Configured, Some(source)) => Some((self.recorded_client(source)?, source.clone())),
            _ => None,
        };
        self.answered(context, limits, replay)
    }

    /// Gives a context the client that answers what models are asked.
    fn answered(
        &self,
        context: RunContextBuilder,
        limits: Limits,
        recorded: Option<(ReplayClient, ReplaySource)>,
    ) -> Result<RunContextBuilder, ProjectError> {
        Ok(match (&self.client, recorded) {
            (Client::Given(models), _) => context.resource(Arc::new(models.clone())),
            (Client::Replay(client, source), _) => replayed(context, client.clone(), source.clone()),
            (Client::Configured, Some((client, source))) => replayed(context, client, source),
            (Client::None, _) => context,
            (Client::Configured, None) => context.resource(Arc::new(self.http(limits)?)),
        })
    }

    /// The client of the environment's cassette, if it has one.
    fn cassette(&self) -> Result<Option<(ReplayClient, ReplaySource)>, ProjectError> {
        let Some(cassette) = &self.settings().cassette else {
            return Ok(None);
        };
        let client = self.cassette_client(cassette);
        let digest = client.digest().map_err(|error| ProjectError::Cassette {
            environment: self.settings().name.clone(),
            reason: error.to_string(),
        })?;
        let source = ReplaySource::new(ReplayFrom::Cassette(cassette.clone()), digest);
        Ok(Some((client, source)))
    }

    fn cassette_client(&self, cassette: &Path) -> ReplayClient {
        let tell = Arc::clone(&self.on_note);
        ReplayClient::new(self.root().join(cassette), move |note| tell(note))
    }

    /// The client that answers from what a run recorded as its source, which must be as it was.
    fn recorded_client(&self, source: &ReplaySource) -> Result<ReplayClient, ProjectError> {
        let from = match &source.from {
            ReplayFrom::Run(run) => run.to_string(),
            ReplayFrom::Cassette(cassette) => cassette.display().to_string(),
        };
        let gone = |error: ProjectError| ProjectError::ReplayGone {
            from: from.clone(),
            reason: error.to_string(),
        };
        let client = match &source.from {
            ReplayFrom::Run(run) => {
                let missing = || {
                    RunError::from(SetupError::UnknownRun {
                        selector: run.to_string(),
                        nearest: None,
                    })
                };
                let is_unknown = |error: &RunError| {
                    matches!(
                        error.setup(),
                        Some(SetupError::UnknownRun { .. } | SetupError::AmbiguousRun { .. })
                    )
                };
                let found = match self.runs()?.find(run.as_str(), None) {
                    // The beginning of another id is not the run that is meant.
                    Ok(entry) if entry.run_id != *run => Err(missing()),
                    Err(error) if is_unknown(&error) => Err(missing()),
                    found => found,
                };
                let entry = found.map_err(|error| gone(error.into()))?;
                replay_of(&entry).map_err(gone)?.0
            }
            ReplayFrom::Cassette(cassette) => self.cassette_client(cassette),
        };
        if client.digest().map_err(|error| gone(error.into()))? == source.digest {
            Ok(client)
        } else {
            Err(ProjectError::ReplayChanged { from })
        }
    }

    /// The models of the project and those of its user, which send keys where the user allows.
    ///
    /// # Errors
    /// If `.dhenara/models.yaml`, or the user's `models.yaml`, is no list of models.
    pub fn model_catalog(&self) -> Result<ModelCatalog, ProjectError> {
        let catalog = ModelCatalog::load(self.root())?.allow_keys(self.user().allowed_keys());
        Ok(match self.user().models_file()? {
            Some(file) => catalog.with_user_file(&file)?,
            None => catalog,
        })
    }

    /// The warnings about the models that a new run of a definition may ask over the network: names of models that have retired,
    /// or that their providers do not have.
    #[must_use]
    pub fn model_warnings(&self, definition: &Definition) -> Vec<ModelWarning> {
        let mut asked = definition.asked_models();
        let asks_providers = matches!(self.client, Client::Configured) && self.settings().cassette.is_none();
        if asked.is_empty() || !asks_providers {
            return Vec::new();
        }
        if !self.models.is_empty() {
            asked = self.models.iter().map(String::as_str).collect();
        }
        // A list of models that cannot be read is an error of the run's context.
        let Ok(catalog) = self.model_catalog() else {
            return Vec::new();
        };
        let now = Timestamp::now();
        let warnings = asked.into_iter().filter_map(|name| catalog.warning(name, now));
        warnings.collect()
    }

    /// The keys of models: those of the credentials file, then those of the user's environment.
    pub(crate) fn model_keys(&self) -> Credentials {
        let file = self.settings().credentials.as_deref();
        Credentials::new(self.root(), file, self.secrets().clone()).variables(self.user().variables())
    }

    /// A client that asks providers over the network, without limits.
    pub(crate) fn http_client(&self) -> Result<HttpClient, ProjectError> {
        Ok(HttpClient::new(self.model_catalog()?, self.model_keys()))
    }

    /// The client that asks providers over the network.
    fn http(&self, limits: Limits) -> Result<Models, ProjectError> {
        let is_shared = limits == self.settings().limits;
        if let Some(models) = self.http.get().filter(|_| is_shared) {
            return Ok(models.clone());
        }
        let models = Models::new(self.http_client()?.with_limits(limits));
        Ok(if is_shared {
            self.http.get_or_init(|| models).clone()
        } else {
            models
        })
    }
}

fn replayed(context: RunContextBuilder, client: ReplayClient, source: ReplaySource) -> RunContextBuilder {
    context
        .resource(Arc::new(RecordedWeb::new(client.clone())))
        .resource(Arc::new(Models::offline(client)))
        .replay(source)
        .offline(true)
}
