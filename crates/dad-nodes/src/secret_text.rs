//! `$secret{NAME}` in the values of environment variables. The text of the definition is looked at before it is rendered:
//! what a template puts there is never read as the name of a secret.

use dad_core::SecretRegistry;
use dad_run::{SecretError, SecretSource};
use dad_runner::{NodeContext, NodeError, RunSetup};
use dad_template::{Part, Template};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const BEGIN: &str = "$secret{";

/// A piece of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretPiece {
    /// Text, rendered like any other.
    Text(String),
    /// The name of a secret.
    Secret(String),
}

/// The pieces of a text of a definition, as templates; `None` if no secret is named in it.
pub(crate) fn pieces(text: &str) -> Option<Result<Value, String>> {
    if !text.contains(BEGIN) {
        return None;
    }
    let template = Template::parse(text).ok()?;
    let mut pieces: Vec<Value> = Vec::new();
    let mut found = false;
    for part in template.parts() {
        match part {
            Part::Placeholder(placeholder) => pieces.push(json!({ "text": placeholder.source() })),
            Part::Text { text, .. } => match split(text, &mut pieces) {
                Ok(named) => found |= named,
                Err(message) => return Some(Err(message)),
            },
        }
    }
    found.then_some(Ok(pieces.into()))
}

/// The pieces of the environment variables in unrendered settings of a command, for those with secrets in them.
pub(crate) fn pieces_of_variables(unrendered: &Value) -> Map<String, Value> {
    let variables = unrendered.get("env_vars").and_then(Value::as_object);
    let variables = variables.into_iter().flatten();
    variables
        .filter_map(|(name, value)| Some((name.clone(), pieces(value.as_str()?)?.ok()?)))
        .collect()
}

fn split(text: &str, pieces: &mut Vec<Value>) -> Result<bool, String> {
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find(BEGIN) {
        let name = &rest[at + BEGIN.len()..];
        let end = name
            .find('}')
            .ok_or_else(|| format!("`{BEGIN}` has no end in `{text}`"))?;
        let (name, behind) = (&name[..end], &name[end + 1..]);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(format!(
                "`{BEGIN}{name}}}` names no secret: names are made of letters, digits, `_`, `-` and `.`"
            ));
        }
        pieces.push(json!({ "text": dad_template::escape(&rest[..at]) }));
        pieces.push(json!({ "secret": name }));
        found = true;
        rest = behind;
    }
    pieces.push(json!({ "text": dad_template::escape(rest) }));
    Ok(found)
}

/// The form in which rendered pieces are shown: with the names of secrets.
pub(crate) fn shown(pieces: &[SecretPiece]) -> String {
    let shown = pieces.iter().map(|piece| match piece {
        SecretPiece::Text(text) => text.clone(),
        SecretPiece::Secret(name) => format!("{BEGIN}{name}}}"),
    });
    shown.collect()
}

/// The secrets that a recorded text names, each as it is written there.
pub(crate) fn named(text: &str) -> impl Iterator<Item = String> {
    let behind = text.split(BEGIN).skip(1);
    behind.filter_map(|rest| Some(format!("{BEGIN}{}}}", rest.split_once('}')?.0)))
}

/// Refuses to start a run that lacks a secret which the environment of its commands names.
pub(crate) fn check_start<'a>(
    values: impl Iterator<Item = &'a String>,
    setup: &RunSetup<'_>,
) -> Result<(), NodeError> {
    let Some(source) = setup.resources.get::<SecretSource>().filter(|_| !setup.has_input) else {
        return Ok(());
    };
    for value in values {
        let Some(Ok(pieces)) = pieces(value) else { continue };
        let pieces = pieces.as_array().into_iter().flatten();
        for name in pieces.filter_map(|piece| piece["secret"].as_str()) {
            source.get(name).map_err(|error| missing(&error))?;
        }
    }
    Ok(())
}

fn missing(error: &SecretError) -> NodeError {
    let failed = NodeError::from_error("secret", error).permanent();
    match error.hint() {
        Some(hint) => failed.with_hint(hint),
        None => failed,
    }
}

/// The value, which from now on is masked.
pub(crate) fn resolve(pieces: &[SecretPiece], cx: &NodeContext) -> Result<String, NodeError> {
    let mut value = String::new();
    for piece in pieces {
        match piece {
            SecretPiece::Text(text) => value.push_str(text),
            SecretPiece::Secret(name) => value.push_str(cx.secret(name)?.expose_secret()),
        }
    }
    Ok(value)
}

/// Masks values that are passed on from the environment. One that is too short is no secret worth the name.
pub(crate) fn mask(values: impl Iterator<Item = String>, secrets: &SecretRegistry) {
    for value in values {
        secrets.add(&value);
    }
}
