//! The builder of flows.

use dad_core::{DefinitionKind, ElementKind, FlowDefinition};

use crate::build::component::{ComponentBuilder, List};
use crate::build::control::Elements;
use crate::build::control::sealed::Sealed;
use crate::build::node::NodeBuilder;
use crate::build::{component_methods, element_methods};
use crate::problem::Problems;

/// Builds the definition of a flow, to be run by itself or put into an agent or another flow.
///
/// No method fails; what is wrong is collected and reported by `build`, all at once.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct FlowBuilder {
    inner: ComponentBuilder,
}

impl FlowBuilder {
    /// A flow without elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the id that the flow has when it is run by itself.
    pub fn root_id(mut self, id: &str) -> Self {
        self.inner.root_id = Some(id.to_owned());
        self
    }

    component_methods!();

    /// Adds a node.
    pub fn node(mut self, id: &str, node: impl Into<NodeBuilder>) -> Self {
        self.add_node(List::Elements, id, node.into());
        self
    }

    /// Adds a node that is executed at the end, however the elements ended.
    pub fn finally_node(mut self, id: &str, node: impl Into<NodeBuilder>) -> Self {
        self.add_node(List::Finally, id, node.into());
        self
    }

    /// Adds a flow.
    pub fn subflow(mut self, id: &str, flow: impl Into<Self>) -> Self {
        self.add_flow(List::Elements, id, flow.into());
        self
    }

    /// Adds a flow that is executed at the end, however the elements ended.
    pub fn finally_subflow(mut self, id: &str, flow: impl Into<Self>) -> Self {
        self.add_flow(List::Finally, id, flow.into());
        self
    }

    fn add_node(&mut self, list: List, id: &str, node: NodeBuilder) {
        let (node, options, problems) = node.into_element();
        self.inner
            .element(list, id, ElementKind::Node(node), options, problems);
    }

    fn add_flow(&mut self, list: List, id: &str, flow: Self) {
        let (body, options, problems) = flow.inner.into_element();
        self.inner
            .element(list, id, ElementKind::Subflow(body), options, problems);
    }

    pub(crate) fn into_inner(self) -> ComponentBuilder {
        self.inner
    }

    /// The definition.
    ///
    /// # Errors
    /// [`Problems`] with everything that is wrong in it and its parts.
    pub fn build(self) -> Result<FlowDefinition, Problems> {
        let definition = self.inner.build(DefinitionKind::Flow)?;
        // The kind is the right one, it was given one line above.
        Ok(FlowDefinition::try_from(definition).unwrap_or_default())
    }
}

impl From<FlowDefinition> for FlowBuilder {
    fn from(flow: FlowDefinition) -> Self {
        Self {
            inner: ComponentBuilder::from_definition(flow.definition()),
        }
    }
}

impl Elements for FlowBuilder {}

impl Sealed for FlowBuilder {
    fn into_parts(self) -> ComponentBuilder {
        self.inner
    }
}
