//! The settings that every node has, whatever its type.

use std::time::Duration;

use serde_json::Value;

/// The names of these settings, taken off before a node sees its own.
const NAMES: [&str; 3] = [SLEEP_BEFORE, SLEEP_AFTER, RECORD_SETTINGS];

const SLEEP_BEFORE: &str = "sleep_before";
const SLEEP_AFTER: &str = "sleep_after";
const RECORD_SETTINGS: &str = "record_settings";

/// Settings without those that every node may have; `None` if there are none of them.
pub(crate) fn without_common(settings: &Value) -> Option<Value> {
    let fields = settings.as_object()?;
    if !NAMES.iter().any(|name| fields.contains_key(*name)) {
        return None;
    }
    let own = fields.iter().filter(|(name, _)| !NAMES.contains(&name.as_str()));
    Some(Value::Object(
        own.map(|(name, value)| (name.clone(), value.clone())).collect(),
    ))
}

/// The pause before the execution.
pub(crate) fn pause_before(settings: &Value) -> Option<Duration> {
    seconds(settings, SLEEP_BEFORE)
}

/// The pause after the execution.
pub(crate) fn pause_after(settings: &Value) -> Option<Duration> {
    seconds(settings, SLEEP_AFTER)
}

fn seconds(settings: &Value, name: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(settings.get(name)?.as_f64()?).ok()
}

/// The text of `outcome.txt`, if the settings ask for one.
pub(crate) fn outcome_text(settings: &Value, outcome: &Value) -> Option<String> {
    let format = settings
        .get(RECORD_SETTINGS)?
        .get("outcome")?
        .get("file_format")?;
    (format == "text").then(|| match (outcome, outcome.get("text")) {
        (Value::String(text), _) | (_, Some(Value::String(text))) => text.clone(),
        (other, _) => serde_json::to_string_pretty(other).unwrap_or_default(),
    })
}
