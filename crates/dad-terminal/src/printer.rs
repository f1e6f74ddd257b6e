//! Handlers that print completed nodes and components.

use dad_core::format_duration;
use dad_events::{ComponentExecutionCompletedEvent, HandlerError, NodeExecutionCompletedEvent};
use serde_json::Value;

use crate::screen::print_line;
use crate::text::{BOLD, DIM, counts, mark, printable, usage};

/// The part of a text outcome that is printed, in characters.
const SHOWN: usize = 2000;

/// Prints the outcome of a node: a handler for completed nodes.
///
/// # Errors
/// If its outcome cannot be read.
pub async fn print_node_completion(event: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
    let (mark, style) = mark(event.status, event.reused_from.is_some());
    let duration = format_duration(event.duration);
    let consumed = usage(&event.usage);
    print_line(&format!(
        "{style}{mark}{style:#} {BOLD}{}{BOLD:#} {DIM}{duration} {consumed}{DIM:#}",
        event.path
    ));
    if let Some(text) = text_of(&event.outcome()?) {
        let text = printable(&text);
        let shown: String = text.chars().take(SHOWN).collect();
        let rest = if shown.len() < text.len() { " …" } else { "" };
        print_line(&format!("{shown}{rest}"));
    }
    Ok(())
}

/// Prints what a component came to: a handler for completed components.
///
/// # Errors
/// Never; the type is that of handlers.
pub async fn print_component_completion(event: ComponentExecutionCompletedEvent) -> Result<(), HandlerError> {
    let (mark, style) = mark(event.status, false);
    let duration = format_duration(event.duration);
    let steps = counts(&event.counts);
    let consumed = usage(&event.usage);
    print_line(&format!(
        "{style}{mark}{style:#} {BOLD}{}{BOLD:#} {DIM}{steps} {duration} {consumed}{DIM:#}",
        event.path
    ));
    Ok(())
}

/// The readable part of an outcome: the text of a model's answer, or its structured form.
fn text_of(outcome: &Value) -> Option<String> {
    let structured = outcome.get("structured").filter(|value| !value.is_null());
    match (structured, outcome.get("text").and_then(Value::as_str)) {
        (Some(structured), _) => serde_json::to_string_pretty(structured).ok(),
        (None, text) => text.map(str::to_owned),
    }
}
