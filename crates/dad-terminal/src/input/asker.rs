//! A question of a step, and the conversation in which it is asked.

use dad_core::{HierarchyPath, NodeType};
use dad_events::NodeInputRequiredEvent;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::conversation::Conversation;
use crate::error::TerminalError;

/// The question of a step, from an event of this process or from the file of an open question.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeQuestion {
    /// The step.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
    /// The node's settings, templates not rendered.
    pub settings: Value,
    /// The input of the previous run, which is offered again.
    pub previous_input: Option<Value>,
    /// JSON Schema of the input, for the fields of nodes of your own; without one, the person writes the JSON itself.
    pub schema: Option<Value>,
}

impl NodeQuestion {
    /// A question without a previous input and a schema.
    #[must_use]
    pub fn new(path: HierarchyPath, node_type: NodeType, settings: Value) -> Self {
        Self {
            path,
            node_type,
            settings,
            previous_input: None,
            schema: None,
        }
    }

    /// The previous input as a type, or an empty one.
    pub(crate) fn begun<T: DeserializeOwned + Default>(&self) -> T {
        let previous = self.previous_input.clone();
        previous
            .and_then(|input| serde_json::from_value(input).ok())
            .unwrap_or_default()
    }
}

impl From<&NodeInputRequiredEvent> for NodeQuestion {
    fn from(event: &NodeInputRequiredEvent) -> Self {
        Self {
            previous_input: event.previous_input.clone(),
            ..Self::new(
                event.path.clone(),
                event.node_type.clone(),
                event.settings.clone(),
            )
        }
    }
}

/// Asks for one step. Takes the terminal when there is something to ask and not before.
pub(crate) struct Asker<'a> {
    pub(crate) question: &'a NodeQuestion,
    conversation: Option<Conversation>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(question: &'a NodeQuestion) -> Self {
        Self {
            question,
            conversation: None,
        }
    }

    pub(crate) async fn conversation(&mut self) -> Result<&Conversation, TerminalError> {
        let begun = match self.conversation.take() {
            Some(begun) => begun,
            None => Conversation::about(&self.question.path).await?,
        };
        Ok(self.conversation.insert(begun))
    }

    /// A setting of the node, not rendered.
    pub(crate) fn setting(&self, name: &str) -> Option<&'a Value> {
        self.question.settings.get(name).filter(|value| !value.is_null())
    }
}
