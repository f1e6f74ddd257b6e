//! The settings of a command or a request that a re-run does not compare.

use serde_json::Value;

/// The parts of a command's or request's recorded settings that a re-run does not compare, as the settings name them; as far as
/// this build has the node.
#[must_use]
pub fn not_compared(settings: &Value) -> Vec<String> {
    let found: Vec<String> = Vec::new();
    #[cfg(feature = "command")]
    let found = [found, crate::command::settings::not_compared(settings)].concat();
    #[cfg(feature = "http")]
    let found = [found, crate::http::named_secrets(settings)].concat();
    let mut found = found;
    found.sort();
    found.dedup();
    found
}
