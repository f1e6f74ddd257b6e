//! Questions for the input of a node of any type.

use dad_events::{AskError, HandlerError, NodeInputRequiredEvent};
use serde::Serialize;
use serde_json::Value;

use super::ai_model::{AIModelInputOptions, AskedVariables};
use super::asker::{Asker, NodeQuestion};
use super::command::CommandInputOptions;
use super::file_operation::FileOperationsInputOptions;
use super::folder_analyzer::FolderAnalyzerInputOptions;
use super::{ai_model, command, file_operation, folder_analyzer, schema};
use crate::error::TerminalError;
use crate::screen::is_interactive;

/// Asks at the terminal for the input of a node of any type; a handler, usually the last. Without a terminal, or when the
/// person ends the prompt, it gives no answer, so that the run can wait for one from outside.
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

/// The result of asking, for a handler.
pub(super) fn quietly(asked: Result<Value, TerminalError>) -> Result<(), HandlerError> {
    match asked {
        Ok(_) => Ok(()),
        // No failure: the person does not want to answer, here or now.
        Err(TerminalError::Ended | TerminalError::Interrupted | TerminalError::NoTerminal) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The verdict on an answer.
pub(super) enum Verdict {
    /// It is taken.
    Accepted,
    /// It does not fit; the problem in words.
    Refused(String),
}

impl From<Result<(), String>> for Verdict {
    fn from(checked: Result<(), String>) -> Self {
        match checked {
            Ok(()) => Self::Accepted,
            Err(reason) => Self::Refused(reason),
        }
    }
}

/// The verdict of a question on its answer.
pub(super) fn checked(taken: Result<(), AskError>) -> Result<Verdict, TerminalError> {
    match taken {
        Ok(()) => Ok(Verdict::Accepted),
        Err(AskError::WrongShape { reason, .. }) => Ok(Verdict::Refused(reason)),
        Err(error) => Err(error.into()),
    }
}

/// Asks a step's question at the terminal, again until `check` accepts the answer; its error names the problem.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if no person can be asked, or if the person ends the prompt.
pub async fn ask_question(
    question: &NodeQuestion,
    check: impl Fn(&Value) -> Result<(), String> + Sync,
) -> Result<Value, TerminalError> {
    ask(question, |value| Ok(check(value).into())).await
}

async fn ask(
    question: &NodeQuestion,
    take: impl Fn(&Value) -> Result<Verdict, TerminalError> + Sync,
) -> Result<Value, TerminalError> {
    let mut asker = Asker::new(question);
    // Even without a question of its own, the person has to see that the step asks.
    asker.conversation().await?;
    loop {
        let value = any_input(&mut asker).await?;
        match take(&value)? {
            Verdict::Accepted => return Ok(value),
            Verdict::Refused(reason) => {
                let conversation = asker.conversation().await?;
                conversation.tell(&format!("this does not fit: {reason}"));
            }
        }
    }
}

/// Asks for the input of a node of any type.
async fn any_input(asker: &mut Asker<'_>) -> Result<Value, TerminalError> {
    match asker.question.node_type.as_str() {
        "ai_model_call" => {
            let options = AIModelInputOptions {
                variables: AskedVariables::All,
                ..AIModelInputOptions::default()
            };
            json(&ai_model::ask(asker, &options).await?)
        }
        "folder_analyzer" => {
            json(&folder_analyzer::ask(asker, &FolderAnalyzerInputOptions::default()).await?)
        }
        "file_operation" => json(&file_operation::ask(asker, &FileOperationsInputOptions::default()).await?),
        "command" => json(&command::ask(asker, &CommandInputOptions::default()).await?),
        _ => schema::ask(asker).await,
    }
}

fn json(input: &impl Serialize) -> Result<Value, TerminalError> {
    serde_json::to_value(input).map_err(|error| TerminalError::Io(error.into()))
}
