//! The command with the agents, nodes and handlers of an application.

use std::sync::OnceLock;

use dad_core::AgentDefinition;
use dad_events::Handler;
use dad_project::User;
use dad_runner::NodeRegistry;

/// The command with what a project adds to it.
pub struct App {
    pub(crate) nodes: NodeRegistry,
    pub(crate) agents: Vec<(String, AgentDefinition)>,
    pub(crate) handlers: Box<dyn Fn() -> Vec<Handler> + Send + Sync>,
    /// Whose process this is, once it was asked.
    pub(crate) user: OnceLock<User>,
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
            nodes: dad_nodes::builtin_nodes(),
            agents: Vec::new(),
            handlers: Box::new(Vec::new),
            user: OnceLock::new(),
        }
    }

    /// The nodes definitions may use.
    #[must_use]
    pub fn nodes(mut self, nodes: NodeRegistry) -> Self {
        self.nodes = nodes;
        self
    }

    /// An agent that `run agent NAME` finds before it looks for files.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>, agent: AgentDefinition) -> Self {
        self.agents.push((name.into(), agent));
        self
    }

    /// Event handlers of every run.
    #[must_use]
    pub fn handlers(mut self, handlers: impl Fn() -> Vec<Handler> + Send + Sync + 'static) -> Self {
        self.handlers = Box::new(handlers);
        self
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}
