use std::io::{BufRead, IsTerminal, Write};

use dad_events::NodeInputRequiredEvent;
use dad_nodes::AIModelNodeInput;
use serde_json::{Value, json};

use crate::text::printable;

/// Why nothing could be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminalError {
    /// The other end of standard input is gone.
    #[error("standard input ended before the answer")]
    Ended,
    /// Standard input or the screen.
    #[error("the terminal cannot be used")]
    Io(#[from] std::io::Error),
    /// The task that waits for a line died.
    #[error("the prompt was interrupted")]
    Interrupted,
}

/// Whether a person can be asked: standard input and standard error are a terminal.
#[must_use]
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a line. Other tasks go on while the person thinks.
///
/// # Errors
/// [`TerminalError::Ended`] at the end of standard input.
pub async fn async_input(prompt: &str) -> Result<String, TerminalError> {
    let prompt = printable(prompt);
    let asked = tokio::task::spawn_blocking(move || ask(&prompt));
    asked.await.map_err(|_| TerminalError::Interrupted)?
}

fn ask(prompt: &str) -> Result<String, TerminalError> {
    let mut screen = std::io::stderr().lock();
    write!(screen, "{prompt}")?;
    screen.flush()?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(TerminalError::Ended);
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// The input of an AI model node, begun: what the previous run had been given, and the model, which the person chooses
/// if the node names several.
///
/// # Errors
/// If the terminal cannot be used.
pub async fn get_ai_model_node_input(
    event: &NodeInputRequiredEvent,
) -> Result<AIModelNodeInput, TerminalError> {
    let previous = event
        .previous_input
        .clone()
        .and_then(|input| serde_json::from_value(input).ok());
    let mut input: AIModelNodeInput = previous.unwrap_or_default();
    let models: Vec<&str> = event
        .settings
        .get("models")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if models.len() > 1 && is_interactive() {
        let model = choose("Which model?", &models).await?;
        input.settings_override = Some(json!({ "models": [model] }));
    }
    Ok(input)
}

/// Asks which of several; an empty line means the first.
async fn choose<'a>(question: &str, options: &[&'a str]) -> Result<&'a str, TerminalError> {
    let list: String = options
        .iter()
        .enumerate()
        .map(|(i, option)| format!("  {}. {option}\n", i + 1))
        .collect();
    loop {
        let answer = async_input(&format!("{question}\n{list}[1] ")).await?;
        let number = if answer.trim().is_empty() {
            Ok(1)
        } else {
            answer.trim().parse::<usize>()
        };
        match number.ok().and_then(|number| options.get(number.checked_sub(1)?)) {
            Some(option) => return Ok(option),
            None => anstream::eprintln!("Type a number from 1 to {}.", options.len()),
        }
    }
}
