use dad_core::HierarchyPath;
use dad_events::{ComponentInputRequiredEvent, HandlerError};
use serde_json::{Map, Value, json};

use super::form::{json_or_text, text_of};
use super::question::{checked, quietly};
use crate::conversation::Conversation;
use crate::error::TerminalError;
use crate::screen::is_interactive;

/// Asks at the terminal for the variables of a component; a handler, usually the last. Without a terminal it answers
/// nothing, and neither does a person who ends the prompt, so that the run can wait for somebody outside.
///
/// # Errors
/// If the terminal cannot be used.
pub async fn ask_component_input(event: ComponentInputRequiredEvent) -> Result<(), HandlerError> {
    if !is_interactive() || event.handled() {
        return Ok(());
    }
    let begun = match &event.previous_input {
        Some(previous) => with_previous(&event.variables, previous),
        None => event.variables.clone(),
    };
    quietly(ask(&event.path, &begun, |value| checked(event.set_input(value))).await)
}

/// Asks at the terminal for the variables of a component, again until `check` takes them. What the person leaves as it is
/// is not among them; of those without a value (null) each has to be given.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if nobody can be asked, or if the person ends the prompt.
pub async fn ask_variables(
    path: &HierarchyPath,
    variables: &Map<String, Value>,
    check: impl Fn(&Value) -> Result<(), String> + Sync,
) -> Result<Value, TerminalError> {
    ask(path, variables, |value| Ok(check(value))).await
}

/// The variables with what a previous run had been given for them.
fn with_previous(variables: &Map<String, Value>, previous: &Value) -> Map<String, Value> {
    let given = |name: &str| previous.get("variables")?.get(name).cloned();
    let begun = variables.iter();
    begun
        .map(|(name, value)| (name.clone(), given(name).unwrap_or_else(|| value.clone())))
        .collect()
}

async fn ask(
    path: &HierarchyPath,
    variables: &Map<String, Value>,
    take: impl Fn(&Value) -> Result<Result<(), String>, TerminalError> + Sync,
) -> Result<Value, TerminalError> {
    let conversation = Conversation::about(path).await?;
    loop {
        let mut given = Map::new();
        for (name, value) in variables {
            let prompt = format!("{name} ");
            let default = (!value.is_null()).then(|| text_of(value));
            // What is a text stays one, whatever it looks like.
            let is_text = value.is_null() || value.is_string();
            let typed = conversation.text(&prompt, default.as_deref()).await?;
            if default.as_ref() != Some(&typed) {
                let value = if is_text {
                    typed.into()
                } else {
                    json_or_text(&typed)
                };
                given.insert(name.clone(), value);
            }
        }
        let input = json!({ "variables": given });
        match take(&input)? {
            Ok(()) => return Ok(input),
            Err(reason) => conversation.tell(&format!("this does not fit: {reason}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_before_is_offered_again() {
        let variables = json!({ "who": null, "greeting": "hello" });
        let begun = with_previous(
            variables.as_object().unwrap(),
            &json!({ "variables": { "who": "Ada", "gone": 1 } }),
        );
        assert_eq!(Value::Object(begun), json!({ "who": "Ada", "greeting": "hello" }));
    }
}
