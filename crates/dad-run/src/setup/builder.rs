//! The builder of a run's context.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dad_core::{Budget, Digest, ElementId, RunId, RunKind, SecretRegistry, Timestamp};
use dad_definition::{NodeTypes, ReadyRule, SpanMap};
use dad_events::{EventBus, EventBusBuilder, EventBusConfig, Handler, IntoObserver};
use dad_fs::{Durability, Gate, Share};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::{Clock, SystemClock};
use crate::error::SetupError;
use crate::journal::settings::{ReplaySource, RunSettings};
use crate::live::inputs::{GivenInput, UnresolvedInput};
use crate::live::resources::Resources;
use crate::live::stop::RunStop;
use crate::origin_key::OriginKey;
use crate::setup::context::RunContext;
use crate::setup::dirs::Dirs;
use crate::setup::options::{NoNodeTypes, Options, check_rerun_options};
use crate::setup::project::ProjectTrust;

/// Gathers what a run needs beside its definition.
pub struct RunContextBuilder {
    root_id: String,
    project_root: PathBuf,
    pub(super) options: Options,
    bus: EventBusBuilder,
}

impl RunContextBuilder {
    pub(crate) fn new(root_id: String, project_root: PathBuf) -> Self {
        Self {
            root_id,
            project_root,
            options: Options {
                run_root: None,
                run_root_subpath: None,
                run_id_prefix: None,
                run_id: None,
                key: None,
                types: Arc::new(NoNodeTypes),
                previous_run_id: None,
                entry_point: None,
                alone: false,
                fresh: false,
                execute: Vec::new(),
                ask: Vec::new(),
                reuse_answers: Vec::new(),
                edits: Vec::new(),
                settle: Vec::new(),
                steal_lease: false,
                trust_run: false,
                trust_unsigned: false,
                origin_key: None,
                variables: Map::new(),
                inputs: Vec::new(),
                static_inputs: None,
                definition_dir: None,
                input_dir: None,
                settings: RunSettings::default(),
                resources: Resources::default(),
                secrets: SecretRegistry::new(),
                says_secrets: false,
                project_trust: ProjectTrust::default(),
                spans: None,
                interactive: false,
                stop: RunStop::new(),
                durability: Durability::Process,
                share: Share::User,
                approval_rules: Vec::new(),
                clock: Arc::new(SystemClock),
                gate: Gate::default(),
            },
            bus: EventBus::builder(),
        }
    }

    /// The run root, relative to the project; `runs` by default.
    #[must_use]
    pub fn run_root(mut self, run_root: impl Into<PathBuf>) -> Self {
        self.options.run_root = Some(run_root.into());
        self
    }

    /// A directory in the run root for the runs of this agent.
    #[must_use]
    pub fn run_root_subpath(mut self, subpath: impl Into<String>) -> Self {
        self.options.run_root_subpath = Some(subpath.into());
        self
    }

    /// A word before the run id.
    #[must_use]
    pub fn run_id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.options.run_id_prefix = Some(prefix.into());
        self
    }

    /// The run id itself; one that exists is an error.
    #[must_use]
    pub fn run_id(mut self, run_id: RunId) -> Self {
        self.options.run_id = Some(run_id);
        self
    }

    /// Starts the run once: of one root component and key there is one run in a directory of runs, however many processes
    /// start it, and whenever. All but the first get [`SetupError::StartedBefore`] with its id. It takes the place of an id and
    /// a prefix.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.options.key = Some(key.into());
        self
    }

    /// The node types definitions may use.
    #[must_use]
    pub fn nodes(mut self, types: impl NodeTypes) -> Self {
        self.options.types = Arc::new(types);
        self
    }

    /// An observer such as observability settings; `None` for none.
    #[must_use]
    pub fn observability_settings(mut self, settings: impl IntoObserver) -> Self {
        self.bus.observe(settings);
        self
    }

    /// Another observer.
    #[must_use]
    pub fn observe(mut self, observer: impl IntoObserver) -> Self {
        self.bus.observe(observer);
        self
    }

    /// The key that the journal of the run is signed with, and that those of earlier runs are checked with. Without one, no
    /// run can be verified as the user's own.
    #[must_use]
    pub fn origin_key(mut self, key: impl Into<Option<OriginKey>>) -> Self {
        self.options.origin_key = key.into();
        self
    }

    /// Adds a handler made from a function, as [`dad_events::on`] does.
    #[must_use]
    pub fn on<A, F, Fut>(mut self, f: F) -> Self
    where
        A: dad_events::HandlerArgument,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), dad_events::HandlerError>> + Send + 'static,
    {
        self.bus.register_event_handlers([dad_events::on(f)]);
        self
    }

    /// Adds handlers.
    #[must_use]
    pub fn register_event_handlers(mut self, handlers: impl IntoIterator<Item = Handler>) -> Self {
        self.bus.register_event_handlers(handlers);
        self
    }

    /// Limits of event delivery.
    #[must_use]
    pub fn event_config(mut self, config: EventBusConfig) -> Self {
        self.bus.config(config);
        self
    }

    /// Gives a node its input before it asks; `node` is its path or an unambiguous end of it.
    #[must_use]
    pub fn register_node_static_input(self, node: impl Into<String>, input: impl Serialize) -> Self {
        // A value that has no JSON form has no fields a node could want; the check of the input says so.
        let value = serde_json::to_value(input).unwrap_or(Value::Null);
        self.node_input(node, value, "register_node_static_input")
    }

    /// Gives a node its input; `source` says in messages and in the journal who gave it.
    #[must_use]
    pub fn node_input(mut self, node: impl Into<String>, value: Value, source: impl Into<String>) -> Self {
        let given = GivenInput {
            source: source.into(),
            value,
        };
        self.options.inputs.push(UnresolvedInput {
            selector: node.into(),
            given,
        });
        self
    }

    /// A file of inputs by step; else the definition's directory, then the project are looked into.
    #[must_use]
    pub fn static_inputs(mut self, file: impl Into<PathBuf>) -> Self {
        self.options.static_inputs = Some(file.into());
        self
    }

    /// The directory the definition was read from.
    #[must_use]
    pub fn definition_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.options.definition_dir = Some(dir.into());
        self
    }

    /// A directory whose files are copied into the run's `static_inputs/`, with known secrets masked.
    #[must_use]
    pub fn input_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.options.input_dir = Some(dir.into());
        self
    }

    /// Gives a variable of the root component; it is data, never a template.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.variables.insert(name.into(), value.into());
        self
    }

    /// The name of the environment, as templates see it. A run that is resumed keeps its own unless another is given here,
    /// and so with [models](Self::ask_models), [limits](Self::limits), [budget](Self::budget), [replay](Self::replay) and
    /// [network](Self::offline): what is given is recorded as an override.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.options.settings.environment = Some(name.into());
        self
    }

    /// The models that every step asks, the first that answers, in the place of those that the definition names.
    #[must_use]
    pub fn ask_models(mut self, models: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.settings.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// The limits of the client that is given as a resource, to be recorded.
    #[must_use]
    pub fn limits(mut self, limits: Value) -> Self {
        self.options.settings.limits = Some(limits);
        self
    }

    /// The source of answers of the client that is given as a resource, to be recorded.
    #[must_use]
    pub fn replay(mut self, source: ReplaySource) -> Self {
        self.options.settings.replay = Some(source);
        self
    }

    /// Whether the run is without network: then a client of models is refused unless its type says that it opens no
    /// connection. A run that was recorded so stays so, until `false` is given when it is resumed.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.options.settings.offline = Some(offline);
        self
    }

    /// Digests of what the configuration of the environment says, to be recorded: see
    /// [`RunSettings::configuration`].
    #[must_use]
    pub fn configuration(mut self, digests: BTreeMap<String, Digest>) -> Self {
        self.options.settings.configuration = digests;
        self
    }

    /// A client or pool for nodes, found again by its type.
    #[must_use]
    pub fn resource<T: Send + Sync + 'static>(mut self, resource: Arc<T>) -> Self {
        self.options.resources.insert(resource);
        self
    }

    /// The clients and pools that were given so far.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.options.resources
    }

    /// The registry of secrets that the run masks with: all that are known before its first step. A project that is opened
    /// by the crate `dad-project` gives its contexts the keys that it and its user's environment hold.
    #[must_use]
    pub fn secrets(mut self, secrets: SecretRegistry) -> Self {
        self.options.secrets = secrets;
        self.options.says_secrets = true;
        self
    }

    /// Whose projects the run obeys, beside those of the user of this process and of the administrator.
    #[must_use]
    pub fn project_trust(mut self, trust: ProjectTrust) -> Self {
        self.options.project_trust = trust;
        self
    }

    /// Says that no secret is known before the first step of the run. Those that its steps resolve are masked all the same,
    /// from then on.
    #[must_use]
    pub fn unmasked(mut self) -> Self {
        self.options.says_secrets = true;
        self
    }

    /// The places of the definition's parts in files, for messages.
    #[must_use]
    pub fn spans(mut self, spans: SpanMap) -> Self {
        self.options.spans = Some(Arc::new(spans));
        self
    }

    /// The stop signal of the application: a [`RunStop`], which gives a reason, or a token.
    #[must_use]
    pub fn cancelled_by(mut self, stop: impl Into<RunStop>) -> Self {
        self.options.stop = stop.into();
        self
    }

    /// Whether a user at a terminal can be asked.
    #[must_use]
    pub fn interactive(mut self, interactive: bool) -> Self {
        self.options.interactive = interactive;
        self
    }

    /// The failures that announced events survive. With [`Durability::Disk`] a commit waits
    /// for the disk several times, and events that tell of nothing paid or changed come up to a tenth of a second
    /// late.
    ///
    /// # Panics
    /// With [`Durability::Disk`] on a multi-threaded runtime a run cannot be driven inside a `LocalSet`: commits tell
    /// the runtime that they block.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = durability;
        self
    }

    /// Rules of the user that decide about steps and calls of tools, or have a person asked, beside those of the definition. Of a
    /// run that is resumed the rules of now count.
    #[must_use]
    pub fn approval_rules(mut self, rules: impl IntoIterator<Item = ReadyRule>) -> Self {
        self.options.approval_rules.extend(rules);
        self
    }

    /// Which users of the machine may read the run: by default only the one of the process. A run that is resumed stays as its
    /// directory is.
    #[must_use]
    pub fn share(mut self, share: Share) -> Self {
        self.options.share = share;
        self
    }

    /// The budget of the run, which replaces that of its definition. Of a resumed run it counts with
    /// what it spent before.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.options.settings.budget = Some(budget);
        self
    }

    /// The clock of the run.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.options.clock = clock;
        self
    }

    /// The gate its file operations pass.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> Self {
        self.options.gate = gate;
        self
    }

    /// Checks what can be checked without a definition. Paths are absolute from here on.
    ///
    /// # Errors
    /// If the project is no directory or belongs to another user, the root id is not valid, an entry point is given without a
    /// previous run, or neither [`secrets`](Self::secrets) nor [`unmasked`](Self::unmasked) was called.
    pub fn build(self) -> Result<RunContext, SetupError> {
        let Self {
            root_id,
            project_root,
            options,
            bus,
        } = self;
        let root_id = ElementId::new(root_id).map_err(SetupError::RootId)?;
        if let Some(prefix) = &options.run_id_prefix {
            RunId::generate(RunKind::Rerun, Some(prefix), Timestamp::UNIX_EPOCH, 0)
                .map_err(|_| SetupError::RunIdPrefix(prefix.chars().take(80).collect()))?;
            // The name of a run stands in every file of it.
            if let Cow::Owned(masked) = options.secrets.redactor().redact(prefix) {
                return Err(SetupError::RunIdPrefix(masked));
            }
        }
        let dirs = Dirs::new(
            &project_root,
            options.run_root.as_deref(),
            options.run_root_subpath.as_deref(),
        )?;
        options.project_trust.check(&dirs.project_root)?;
        check_rerun_options(&options)?;
        if !options.says_secrets {
            return Err(SetupError::NoSecrets);
        }
        let entry_point = options.entry_point.as_deref().map(str::parse).transpose()?;
        Ok(RunContext {
            root_id,
            dirs,
            entry_point,
            settings: options.settings.clone(),
            overrides: Vec::new(),
            options,
            bus,
        })
    }
}

impl std::fmt::Debug for RunContextBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContextBuilder")
            .field("root_id", &self.root_id)
            .finish_non_exhaustive()
    }
}

impl RunContext {
    /// Begins a context for a run of the component `root_id` in a project.
    pub fn builder(root_id: impl Into<String>, project_root: impl Into<PathBuf>) -> RunContextBuilder {
        RunContextBuilder::new(root_id.into(), project_root.into())
    }
}
