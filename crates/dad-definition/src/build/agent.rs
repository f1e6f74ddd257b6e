//! The builder of agents.

use dad_core::{AgentDefinition, DefinitionKind, ElementKind};

use crate::build::component::{ComponentBuilder, List};
use crate::build::control::Elements;
use crate::build::control::sealed::Sealed;
use crate::build::flow::FlowBuilder;
use crate::build::{component_methods, element_methods};
use crate::problem::{Problem, Problems};

/// Builds the definition of an agent.
///
/// No method fails; what is wrong is collected and reported by [`AgentBuilder::build`], all at once.
///
/// ```
/// use dad_core::NodeType;
/// use dad_definition::{AgentBuilder, FlowBuilder, NodeBuilder};
/// use serde_json::json;
///
/// let agent = AgentBuilder::new("autocoder_root")
///     .required(["task"])
///     .variable("repo", "$var{run_root}/global_data/repo")
///     .flow(
///         "main_flow",
///         FlowBuilder::new().node(
///             "analysis",
///             NodeBuilder::new(NodeType::FOLDER_ANALYZER, json!({ "base_directory": "$expr{repo}" })),
///         ),
///     )
///     .build()?;
/// assert_eq!(agent.definition().body.elements.len(), 1);
/// # Ok::<(), dad_definition::Problems>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct AgentBuilder {
    inner: ComponentBuilder,
}

impl AgentBuilder {
    /// An agent without elements.
    pub fn new(root_id: &str) -> Self {
        Self {
            inner: ComponentBuilder {
                root_id: Some(root_id.to_owned()),
                ..ComponentBuilder::default()
            },
        }
    }

    component_methods!();

    /// Adds a flow.
    pub fn flow(mut self, id: &str, flow: impl Into<FlowBuilder>) -> Self {
        self.add_flow(List::Elements, id, flow.into());
        self
    }

    /// Adds a flow that is executed at the end, however the elements ended.
    pub fn finally_flow(mut self, id: &str, flow: impl Into<FlowBuilder>) -> Self {
        self.add_flow(List::Finally, id, flow.into());
        self
    }

    /// Adds an agent. Its own root id is forgotten: in here it is called `id`.
    pub fn subagent(mut self, id: &str, agent: impl Into<Self>) -> Self {
        self.add_agent(List::Elements, id, agent.into());
        self
    }

    /// Adds an agent that is executed at the end, however the elements ended.
    pub fn finally_subagent(mut self, id: &str, agent: impl Into<Self>) -> Self {
        self.add_agent(List::Finally, id, agent.into());
        self
    }

    fn add_flow(&mut self, list: List, id: &str, flow: FlowBuilder) {
        let (body, options, problems) = flow.into_inner().into_element();
        self.inner
            .element(list, id, ElementKind::Flow(body), options, problems);
    }

    fn add_agent(&mut self, list: List, id: &str, agent: Self) {
        let (body, options, problems): (_, _, Vec<Problem>) = agent.inner.into_element();
        self.inner
            .element(list, id, ElementKind::Subagent(body), options, problems);
    }

    /// The definition.
    ///
    /// # Errors
    /// [`Problems`] with everything that is wrong in it and its parts.
    pub fn build(self) -> Result<AgentDefinition, Problems> {
        let definition = self.inner.build(DefinitionKind::Agent)?;
        // The kind is the right one, it was given one line above.
        Ok(AgentDefinition::try_from(definition).unwrap_or_default())
    }
}

impl From<AgentDefinition> for AgentBuilder {
    fn from(agent: AgentDefinition) -> Self {
        Self {
            inner: ComponentBuilder::from_definition(agent.definition()),
        }
    }
}

impl Elements for AgentBuilder {}

impl Sealed for AgentBuilder {
    fn into_parts(self) -> ComponentBuilder {
        self.inner
    }
}
