//! The parts that the ready-made handlers share.

use std::path::Path;

use dad_core::internal::in_words;
use serde_json::{Map, Value};

use crate::conversation::Conversation;
use crate::error::TerminalError;
use crate::path::{self, PathKind, PathOptions};

/// A value as a person reads and types it: texts as they are, all else as JSON.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reads what was typed as JSON, and as a text where it is none.
pub(crate) fn json_or_text(typed: &str) -> Value {
    serde_json::from_str(typed).unwrap_or_else(|_| typed.into())
}

/// Reads what was typed as JSON.
pub(crate) fn json(typed: &str) -> Result<Value, String> {
    serde_json::from_str(typed).map_err(|error| format!("this is no JSON: {}", in_words(&error)))
}

/// Reads `NAME=VALUE`.
pub(crate) fn name_and_value(typed: &str) -> Result<(String, String), String> {
    match typed.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Reads a list whose parts stand between commas.
pub(crate) fn list(typed: &str) -> Vec<String> {
    let parts = typed.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Puts a field into a merge patch.
pub(crate) fn patch(patch: &mut Option<Value>, name: &str, value: impl Into<Value>) {
    let fields = patch.get_or_insert_with(|| Value::Object(Map::new()));
    if let Some(fields) = fields.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Whether a text holds something that is only known when the step is rendered.
fn is_template(text: &str) -> bool {
    ["$var{", "$expr{", "$hier{"]
        .iter()
        .any(|begin| text.contains(begin))
}

/// Asks for a directory that is there; what the definition says stays if the person wants it so, template or not.
pub(crate) async fn base_directory(
    conversation: &Conversation,
    current: &str,
) -> Result<Option<String>, TerminalError> {
    let options = PathOptions {
        kind: PathKind::Directory,
        ..PathOptions::default()
    };
    let kept = current.to_owned();
    let check = move |typed: &str| {
        if typed == kept {
            Ok(None)
        } else {
            path::check(typed, &options).map(|path| Some(path.display().to_string()))
        }
    };
    conversation.parsed("Base directory ", Some(current), check).await
}

/// The base directory if it is known before the step is rendered.
pub(crate) fn known(base: &str) -> Option<&Path> {
    let path = Path::new(base);
    (path.is_absolute() && !is_template(base)).then_some(path)
}

/// A path inside the base directory.
pub(crate) fn inside(typed: &str) -> Result<String, String> {
    let path = Path::new(typed.trim());
    let leads_out = path.components().any(|part| {
        !matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if leads_out && !is_template(typed) {
        Err("write a path inside the base directory, without `..`".to_owned())
    } else {
        Ok(typed.trim().to_owned())
    }
}
