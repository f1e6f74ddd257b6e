use std::path::Path;

use dad_core::{Definition, SecretRegistry};
use dad_run::credentials_file;
use serde_json::Value;

use crate::config::Environment;
use crate::error::CommandError;

/// How the names of environment variables with keys end.
const ENDS: [&str; 4] = ["_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD"];

/// All keys that the project and the environment hold, to be masked before anything of the run executes: a command or a file
/// may show one long before a model is asked with it.
pub(crate) fn of(project_root: &Path, environment: &Environment) -> SecretRegistry {
    let secrets = SecretRegistry::new();
    let files = environment.all_credentials.iter();
    for file in files.map(|file| Some(file.as_path())).chain([None]) {
        // A file that cannot be read is an error for who needs a key of it, and a run without model calls needs none.
        if let Ok(all) = dad_definition::load_data(&credentials_file(project_root, file)) {
            add_all(&all, &secrets);
        }
    }
    for (name, value) in std::env::vars() {
        if ENDS.iter().any(|end| name.ends_with(end)) {
            add(&value, &secrets);
        }
    }
    secrets
}

/// A definition without the keys that stand in it, by `$file` or as they are, `None` if there are none: it is a file of the
/// run, and the run sees what stands there.
pub(crate) fn without_keys(
    definition: &Definition,
    secrets: &SecretRegistry,
) -> Result<Option<Definition>, CommandError> {
    let unreadable = |reason: String| CommandError::usage("definition", reason);
    let original = serde_json::to_value(definition).map_err(|error| unreadable(error.to_string()))?;
    let mut masked = original.clone();
    secrets.redactor().redact_json(&mut masked);
    if masked == original {
        return Ok(None);
    }
    anstream::eprintln!(
        "warning: a key stands in the definition; the run sees `[redacted]` in its place: leave keys to the credentials \
         file or the environment"
    );
    let loaded = dad_definition::load_str(&masked.to_string(), "definition", None, None);
    let masked = loaded.map_err(|problems| unreadable(problems.to_string()))?;
    Ok(Some(masked.definition))
}

fn add_all(value: &Value, secrets: &SecretRegistry) {
    match value {
        Value::String(text) => add(text, secrets),
        Value::Array(items) => items.iter().for_each(|item| add_all(item, secrets)),
        Value::Object(fields) => fields.values().for_each(|item| add_all(item, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn add(text: &str, secrets: &SecretRegistry) {
    // What is too short to be masked is too short to be a key.
    let _ = secrets.add(text.trim());
}
