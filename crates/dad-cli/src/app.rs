//! The command with what a program adds to it.

use std::any::Any;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use dad_core::{AgentDefinition, Definition, FlowDefinition};
use dad_events::{Handler, IntoObserver};
use dad_models::{ModelClient, Models, OfflineClient};
use dad_project::{Project, User};
use dad_run::RunContextBuilder;
use dad_runner::NodeRegistry;

use crate::output::program;

/// The command with what a program adds to it: nodes, agents and flows in Rust, handlers of events, clients, observers, and
/// subcommands of its own.
///
/// ```no_run
/// use std::process::ExitCode;
/// use std::sync::Arc;
///
/// struct Pool; // such as connections to a database, for the program's own nodes
///
/// fn main() -> ExitCode {
///     dad_cli::App::new()
///         .nodes(dad_nodes::builtin_nodes())
///         .resource(Arc::new(Pool))
///         .command("greet", "Say hello", |words| {
///             println!("hello {words:?}");
///             ExitCode::SUCCESS
///         })
///         .run()
/// }
/// ```
pub struct App {
    pub(crate) name: String,
    /// The command line that is executed, and the directory that it was written in.
    pub(crate) invoked: (Vec<OsString>, PathBuf),
    /// The commands and options of the program, its own among them, once its command line is read.
    pub(crate) known: clap::Command,
    pub(crate) nodes: NodeRegistry,
    pub(crate) definitions: Vec<(String, Definition)>,
    pub(crate) handlers: Box<dyn Fn() -> Vec<Handler> + Send + Sync>,
    pub(crate) commands: Vec<OwnCommand>,
    models: Option<Models>,
    contexts: Vec<ContextHook>,
    /// Whose process this is, once it was asked.
    pub(crate) user: OnceLock<User>,
}

type ContextHook = Box<dyn Fn(RunContextBuilder) -> RunContextBuilder + Send + Sync>;

/// A subcommand of a program.
pub(crate) struct OwnCommand {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) execute: Box<dyn Fn(Vec<OsString>) -> ExitCode + Send + Sync>,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// The command with the built-in nodes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: program::DEFAULT.to_owned(),
            invoked: (Vec::new(), PathBuf::new()),
            known: clap::Command::default(),
            nodes: dad_nodes::builtin_nodes(),
            definitions: Vec::new(),
            handlers: Box::new(Vec::new),
            commands: Vec::new(),
            models: None,
            contexts: Vec::new(),
            user: OnceLock::new(),
        }
    }

    /// The name of the program, `dhenara` by default: help and hints write it before the words of a command.
    /// `env!("CARGO_BIN_NAME")` is that of a binary.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The user whose projects are opened; by default the one that the environment of the process describes.
    #[must_use]
    pub fn user_is(self, user: User) -> Self {
        Self {
            user: OnceLock::from(user),
            ..self
        }
    }

    /// The nodes definitions may use.
    #[must_use]
    pub fn nodes(mut self, nodes: NodeRegistry) -> Self {
        self.nodes = nodes;
        self
    }

    /// An agent that `run NAME` finds before it looks for files.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>, agent: AgentDefinition) -> Self {
        self.definitions.push((name.into(), agent.into()));
        self
    }

    /// A flow that `run NAME` finds before it looks for files.
    #[must_use]
    pub fn flow(mut self, name: impl Into<String>, flow: FlowDefinition) -> Self {
        self.definitions.push((name.into(), flow.into()));
        self
    }

    /// Event handlers of every run.
    #[must_use]
    pub fn handlers(mut self, handlers: impl Fn() -> Vec<Handler> + Send + Sync + 'static) -> Self {
        self.handlers = Box::new(handlers);
        self
    }

    /// The client that is asked for models, in the place of the one that the project configures. `--replay` and a cassette
    /// still come before it.
    #[must_use]
    pub fn models(mut self, client: impl ModelClient + 'static) -> Self {
        self.models = Some(Models::new(client));
        self
    }

    /// As [`models`](Self::models), a client that opens no connection: runs without network take it too.
    #[must_use]
    pub fn offline_models(mut self, client: impl OfflineClient + 'static) -> Self {
        self.models = Some(Models::offline(client));
        self
    }

    /// A client or pool for the nodes of every run, found again by its type.
    #[must_use]
    pub fn resource<T: Any + Send + Sync>(self, resource: Arc<T>) -> Self {
        self.context(move |context| context.resource(Arc::clone(&resource)))
    }

    /// An observer of every run.
    #[must_use]
    pub fn observe(self, observer: impl IntoObserver + Clone + Send + Sync + 'static) -> Self {
        self.context(move |context| context.observe(observer.clone()))
    }

    /// A change to the context of every run that the command starts or resumes, before the options of its command line.
    #[must_use]
    pub fn context(
        mut self,
        change: impl Fn(RunContextBuilder) -> RunContextBuilder + Send + Sync + 'static,
    ) -> Self {
        self.contexts.push(Box::new(change));
        self
    }

    /// A subcommand of the program, with a line about it for the help. It is given the words behind its name, and options in
    /// them are its own. A name that the command or the program has already is an error when a command line is read.
    #[must_use]
    pub fn command(
        mut self,
        name: impl Into<String>,
        about: impl Into<String>,
        execute: impl Fn(Vec<OsString>) -> ExitCode + Send + Sync + 'static,
    ) -> Self {
        self.commands.push(OwnCommand {
            name: name.into(),
            about: about.into(),
            execute: Box::new(execute),
        });
        self
    }

    /// A project with what this program adds to all projects.
    pub(crate) fn extended(&self, project: Project) -> Project {
        let mut project = project.nodes(self.nodes.clone());
        for (name, definition) in &self.definitions {
            project = project.built_in(name, definition.clone());
        }
        match &self.models {
            Some(models) => project.shared_models(models.clone()),
            None => project,
        }
    }

    /// A context with what this program adds to all contexts.
    pub(crate) fn changed(&self, context: RunContextBuilder) -> RunContextBuilder {
        let changes = self.contexts.iter();
        changes
            .fold(context, |context, change| change(context))
            .register_event_handlers((self.handlers)())
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}
