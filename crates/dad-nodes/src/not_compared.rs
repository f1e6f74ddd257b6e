//! The settings of a command or a request that a re-run does not compare.

use crate::command::InheritedVariable;
use crate::command::settings::env_texts;
use crate::http;
use crate::secret_text::{self};
use serde::Deserialize;
use serde_json::Value;

/// The parts of a command's or request's recorded settings that a re-run does not compare, as the settings name them.
#[must_use]
pub fn not_compared(settings: &Value) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, text) in env_texts(settings) {
        found.extend(secret_text::named(text));
    }
    found.extend(http::named_secrets(settings));
    let inherited = settings
        .get("inherit_env")
        .map(Vec::<InheritedVariable>::deserialize);
    let inherited = inherited.and_then(Result::ok).unwrap_or_default();
    let inherited = inherited.iter().filter(|variable| !variable.is_compared());
    found.extend(inherited.map(|variable| variable.name().to_owned()));
    found.sort();
    found.dedup();
    found
}
