use dad_core::{HierarchyPath, NodeType};
use dad_events::{AskError, HandlerError, NodeInputRequiredEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    AIModelInputOptions, AskedVariables, CommandInputOptions, FileOperationsInputOptions,
    FolderAnalyzerInputOptions, ai_model, command, file_operation, folder_analyzer, schema,
};
use crate::conversation::Conversation;
use crate::error::TerminalError;
use crate::screen::is_interactive;

/// What a step asks, as an event in the process or the file of a question that waits says it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeQuestion {
    /// The step.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
    /// The node's settings, templates not rendered.
    pub settings: Value,
    /// What a previous run had been given; offered again.
    pub previous_input: Option<Value>,
    /// JSON Schema of the input, by which nodes of your own are asked for; without one for the JSON itself.
    pub schema: Option<Value>,
}

impl NodeQuestion {
    /// What a step asks, without a previous input and a schema.
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

    /// The previous input as a type, or nothing to begin with.
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

/// Asks at the terminal for the input of a node of any type; a handler, usually the last. Without a terminal it answers
/// nothing, and neither does a person who ends the prompt, so that the run can wait for somebody outside.
///
/// # Errors
/// If the terminal cannot be used.
pub async fn ask_node_input(event: NodeInputRequiredEvent) -> Result<(), HandlerError> {
    ask_node_input_with(event, None).await
}

/// As [`ask_node_input`], for programs that know the JSON Schema of the input, by which nodes of their own are asked for.
///
/// # Errors
/// As [`ask_node_input`].
pub async fn ask_node_input_with(
    event: NodeInputRequiredEvent,
    schema: Option<Value>,
) -> Result<(), HandlerError> {
    if !is_interactive() || event.handled() {
        return Ok(());
    }
    let question = NodeQuestion {
        schema,
        ..NodeQuestion::from(&event)
    };
    quietly(ask(&question, |value| checked(event.set_input(value))).await)
}

/// What asking came to, for a handler.
pub(super) fn quietly(asked: Result<Value, TerminalError>) -> Result<(), HandlerError> {
    match asked {
        Ok(_) => Ok(()),
        // Nothing went wrong: the person does not want to answer, here or now.
        Err(TerminalError::Ended | TerminalError::Interrupted | TerminalError::NoTerminal) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether an answer was taken; if it does not fit, what is wrong with it.
pub(super) fn checked(taken: Result<(), AskError>) -> Result<Result<(), String>, TerminalError> {
    match taken {
        Ok(()) => Ok(Ok(())),
        Err(AskError::WrongShape { reason, .. }) => Ok(Err(reason)),
        Err(error) => Err(error.into()),
    }
}

/// Asks at the terminal what a step asks, again until `check` takes the answer; its error says what is wrong.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if nobody can be asked, or if the person ends the prompt.
pub async fn ask_question(
    question: &NodeQuestion,
    check: impl Fn(&Value) -> Result<(), String> + Sync,
) -> Result<Value, TerminalError> {
    ask(question, |value| Ok(check(value))).await
}

async fn ask(
    question: &NodeQuestion,
    take: impl Fn(&Value) -> Result<Result<(), String>, TerminalError> + Sync,
) -> Result<Value, TerminalError> {
    let mut asker = Asker::new(question);
    // However little there is to ask, the person has to see that the step wants something.
    asker.conversation().await?;
    loop {
        let value = asker.any_input().await?;
        match take(&value)? {
            Ok(()) => return Ok(value),
            Err(reason) => {
                let conversation = asker.conversation().await?;
                conversation.tell(&format!("this does not fit: {reason}"));
            }
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

    async fn any_input(&mut self) -> Result<Value, TerminalError> {
        match self.question.node_type.as_str() {
            "ai_model_call" => {
                let options = AIModelInputOptions {
                    variables: AskedVariables::All,
                    ..AIModelInputOptions::default()
                };
                json(&ai_model::ask(self, &options).await?)
            }
            "folder_analyzer" => {
                json(&folder_analyzer::ask(self, &FolderAnalyzerInputOptions::default()).await?)
            }
            "file_operation" => {
                json(&file_operation::ask(self, &FileOperationsInputOptions::default()).await?)
            }
            "command" => json(&command::ask(self, &CommandInputOptions::default()).await?),
            _ => schema::ask(self).await,
        }
    }
}

fn json(input: &impl Serialize) -> Result<Value, TerminalError> {
    serde_json::to_value(input).map_err(|error| TerminalError::Io(error.into()))
}
