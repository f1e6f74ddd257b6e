//! The variables of a component.

use dad_core::HierarchyPath;
use dad_events::{ComponentInputRequiredEvent, HandlerError};
use serde_json::{Map, Value, json};

use super::form::{json_or_text, text_of};
use super::question::{Verdict, checked, quietly};
use crate::conversation::Conversation;
use crate::error::TerminalError;
use crate::screen::is_interactive;

/// Asks at the terminal for the variables of a component; a handler, usually the last. Without a terminal, or when the person
/// ends the prompt, it gives no answer, so that the run can wait for one from outside.
///
/// # Errors
/// If the terminal cannot be used.
pub async fn ask_component_input(event: ComponentInputRequiredEvent) -> Result<(), HandlerError> {
    if !is_interactive() || event.handled() {
        return Ok(());
    }
    let asked = offers(&event.variables, event.previous_input.as_ref());
    quietly(ask(&event.path, &asked, |value| checked(event.set_input(value))).await)
}

/// Asks at the terminal for the variables of a component, again until `check` takes them. What a previous run was given is
/// offered. What stays as the definition has it is not among them; of those without a value (null) each has to be given.
///
/// # Errors
/// [`TerminalError::NoTerminal`] if no person can be asked, or if the person ends the prompt.
pub async fn ask_variables(
    path: &HierarchyPath,
    variables: &Map<String, Value>,
    previous: Option<&Value>,
    check: impl Fn(&Value) -> Result<(), String> + Sync,
) -> Result<Value, TerminalError> {
    ask(
        path,
        &offers(variables, previous),
        |value| Ok(check(value).into()),
    )
    .await
}

/// A variable that is asked for.
#[derive(Debug, PartialEq)]
struct Offer<'a> {
    name: &'a str,
    /// As the definition has it; null if it has to be given.
    defined: &'a Value,
    /// The value that Enter gives.
    offered: &'a Value,
}

impl Offer<'_> {
    fn default(&self) -> Option<String> {
        (!self.offered.is_null()).then(|| text_of(self.offered))
    }

    /// The typed text as a value; `None` if the value of the definition stays.
    fn value(&self, typed: String) -> Option<Value> {
        if !self.defined.is_null() && text_of(self.defined) == typed {
            return None;
        }
        if !self.offered.is_null() && text_of(self.offered) == typed {
            return Some(self.offered.clone());
        }
        // What is a text stays one, whatever it looks like.
        let is_text = self.defined.is_null() || self.defined.is_string();
        Some(if is_text {
            typed.into()
        } else {
            json_or_text(&typed)
        })
    }
}

/// The variables with what a previous run was given for them.
fn offers<'a>(variables: &'a Map<String, Value>, previous: Option<&'a Value>) -> Vec<Offer<'a>> {
    let given = |name: &str| previous?.get("variables")?.get(name);
    let offer = |(name, defined): (&'a String, &'a Value)| Offer {
        name,
        defined,
        offered: given(name).unwrap_or(defined),
    };
    variables.iter().map(offer).collect()
}

async fn ask(
    path: &HierarchyPath,
    asked: &[Offer<'_>],
    take: impl Fn(&Value) -> Result<Verdict, TerminalError> + Sync,
) -> Result<Value, TerminalError> {
    let conversation = Conversation::about(path).await?;
    loop {
        let mut given = Map::new();
        for offer in asked {
            let prompt = format!("{} ", offer.name);
            let typed = conversation.text(&prompt, offer.default().as_deref()).await?;
            if let Some(value) = offer.value(typed) {
                given.insert(offer.name.to_owned(), value);
            }
        }
        let input = json!({ "variables": given });
        match take(&input)? {
            Verdict::Accepted => return Ok(input),
            Verdict::Refused(reason) => conversation.tell(&format!("this does not fit: {reason}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_before_is_offered_and_given_by_enter() {
        let variables = json!({ "greeting": "hello", "times": 2, "tone": "dry", "who": null });
        let previous = json!({ "variables": { "greeting": "bye", "times": 3, "who": "Ada", "gone": 1 } });
        let asked = offers(variables.as_object().unwrap(), Some(&previous));
        let defaults: Vec<_> = asked.iter().map(|offer| offer.default().unwrap()).collect();
        assert_eq!(defaults, ["bye", "3", "dry", "Ada"]);
        let by_enter: Vec<_> = asked
            .iter()
            .map(|offer| offer.value(offer.default().unwrap()))
            .collect();
        assert_eq!(
            by_enter,
            [Some(json!("bye")), Some(json!(3)), None, Some(json!("Ada"))]
        );
        assert_eq!(asked[0].value("hello".to_owned()), None);
        assert_eq!(asked[1].value("4".to_owned()), Some(json!(4)));
        assert_eq!(asked[3].value("4".to_owned()), Some(json!("4")));
    }
}
