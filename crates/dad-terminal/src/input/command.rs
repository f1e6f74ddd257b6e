//! The input of a command node.

use dad_events::NodeInputRequiredEvent;
use dad_nodes::{CommandLine, CommandNodeInput};
use serde_json::Value;

use super::asker::{Asker, NodeQuestion};
use super::form::{name_and_value, patch, text_of};
use crate::conversation::Conversation;
use crate::error::TerminalError;
use crate::prompt::Item;

/// The questions for a command node.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CommandInputOptions {
    /// Environment variables that are asked for by name; by default the person names them.
    pub env_vars: Vec<String>,
    /// The directory of the commands, instead of the node's.
    pub working_dir: Option<String>,
}

/// The input of a command node: its commands or others, and environment variables.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if no person can be asked, or if the person ends the prompt.
pub async fn get_command_node_input(
    event: &NodeInputRequiredEvent,
) -> Result<CommandNodeInput, TerminalError> {
    get_command_node_input_with(event, &CommandInputOptions::default()).await
}

/// As [`get_command_node_input`], with named environment variables or another directory.
///
/// # Errors
/// As [`get_command_node_input`].
pub async fn get_command_node_input_with(
    event: &NodeInputRequiredEvent,
    options: &CommandInputOptions,
) -> Result<CommandNodeInput, TerminalError> {
    let question = NodeQuestion::from(event);
    ask(&mut Asker::new(&question), options).await
}

pub(crate) async fn ask(
    asker: &mut Asker<'_>,
    options: &CommandInputOptions,
) -> Result<CommandNodeInput, TerminalError> {
    let mut input: CommandNodeInput = asker.question.begun();
    if let Some(dir) = &options.working_dir {
        patch(&mut input.settings_override, "working_dir", dir.as_str());
    }
    let of_node = asker.setting("commands").and_then(Value::as_array);
    let of_node: Vec<String> = of_node.into_iter().flatten().map(shown).collect();
    let conversation = asker.conversation().await?;
    if let Some(commands) = ask_commands(conversation, &of_node, input.commands.as_deref()).await? {
        input.commands = Some(commands);
    }
    if options.env_vars.is_empty() {
        let prompt = "environment variable as NAME=VALUE (empty to go on): ";
        while let Some((name, value)) = conversation.optional(prompt, name_and_value).await? {
            input.env_vars.insert(name, value);
        }
    }
    for name in &options.env_vars {
        let before = input.env_vars.get(name).cloned();
        let value = conversation.text(&format!("{name}: "), before.as_deref()).await?;
        input.env_vars.insert(name.clone(), value);
    }
    Ok(input)
}

/// The commands to run; `None` for those that would run without an answer.
async fn ask_commands(
    conversation: &Conversation,
    of_node: &[String],
    before: Option<&[CommandLine]>,
) -> Result<Option<Vec<CommandLine>>, TerminalError> {
    let current: Vec<String> = match before {
        Some(before) => before
            .iter()
            .filter_map(|line| serde_json::to_value(line).ok())
            .map(|v| shown(&v))
            .collect(),
        None => of_node.to_vec(),
    };
    if !current.is_empty() {
        for command in &current {
            conversation.tell(&format!("$ {command}"));
        }
        let items = vec![Item::new("run these", ""), Item::new("run others", "")];
        if conversation.decide("Which commands?", items, 0).await? == 0 {
            return Ok(None);
        }
    }
    let first = conversation.text("command for the shell: ", None).await?;
    let mut commands = vec![CommandLine::Shell(first)];
    let prompt = "and another (empty to go on): ";
    while let Some(command) = conversation
        .optional(prompt, |typed| Ok(typed.to_owned()))
        .await?
    {
        commands.push(CommandLine::Shell(command));
    }
    Ok(Some(commands))
}

/// A command as a person reads it.
fn shown(command: &Value) -> String {
    match command {
        Value::Array(arguments) => arguments.iter().map(text_of).collect::<Vec<_>>().join(" "),
        other => text_of(other),
    }
}
