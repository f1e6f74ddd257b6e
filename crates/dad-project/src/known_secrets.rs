//! The keys that a project and its user's environment hold.

use std::path::Path;

use dad_core::SecretRegistry;
use dad_run::{Variables, credentials_file};
use serde_json::Value;

use crate::config::Config;
use crate::observability::header_secrets;

/// The endings of names of environment variables that hold keys.
const ENDS: [&str; 4] = ["_KEY", "_TOKEN", "_SECRET", "_PASSWORD"];

/// All keys that a project and its user's environment hold, to be masked before anything of a run executes: a command or a file
/// may show one long before a model is asked with it. They are what stands in the project's credentials files, those of all its
/// environments too, and variables whose names end in `_KEY`, `_TOKEN`, `_SECRET` or `_PASSWORD`, and the
/// headers for receivers of OTLP.
pub(crate) fn known_secrets(project_root: &Path, config: &Config, variables: &Variables) -> SecretRegistry {
    let secrets = SecretRegistry::new();
    let named = config
        .environments()
        .map(|environment| environment.credentials.as_deref());
    for file in named.chain([None]) {
        // A file that cannot be read is an error for the step that needs a key of it, and a run without such needs none.
        if let Ok(all) = dad_definition::load_data(&credentials_file(project_root, file)) {
            add_all(&all, &secrets);
        }
    }
    for (name, value) in variables.iter() {
        let name = name.to_string_lossy().to_uppercase();
        if ENDS.iter().any(|end| name.ends_with(end)) {
            // Of a value that is no text, the parts that are.
            let value = value.to_string_lossy();
            let parts = value.split(char::REPLACEMENT_CHARACTER);
            parts.for_each(|part| add(part, &secrets));
        }
    }
    header_secrets(variables)
        .iter()
        .for_each(|value| add(value, &secrets));
    secrets
}

fn add_all(value: &Value, secrets: &SecretRegistry) {
    match value {
        Value::String(text) => add(text, secrets),
        Value::Number(number) => add(&number.to_string(), secrets),
        Value::Array(items) => items.iter().for_each(|item| add_all(item, secrets)),
        Value::Object(fields) => fields.values().for_each(|item| add_all(item, secrets)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn add(text: &str, secrets: &SecretRegistry) {
    // What is too short to be masked is too short to be a key.
    let _ = secrets.add(text.trim());
}
