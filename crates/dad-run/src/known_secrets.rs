//! The keys that a project and the environment hold.

use std::path::{Path, PathBuf};

use dad_core::SecretRegistry;
use serde_json::Value;

use crate::secrets::credentials_file;

/// How the names of environment variables with keys end.
const ENDS: [&str; 4] = ["_KEY", "_TOKEN", "_SECRET", "_PASSWORD"];

/// Where a project is configured.
const CONFIG: &str = ".dhenara/config.yaml";

/// All keys that a project and the environment of this process hold, to be masked before anything of a run executes: a
/// command or a file may show one long before a model is asked with it. They are what stands in the project's
/// credentials files, those of all its environments too, and variables whose names end in `_KEY`, `_TOKEN`,
/// `_SECRET` or `_PASSWORD`.
///
/// A run masks them by itself; an application that prints or stores text beside its runs masks with these.
#[must_use]
pub fn known_secrets(project_root: &Path) -> SecretRegistry {
    let secrets = SecretRegistry::new();
    add_known(project_root, &secrets);
    secrets
}

/// Adds all keys that a project and the environment hold.
pub(crate) fn add_known(project_root: &Path, secrets: &SecretRegistry) {
    let files = environment_files(project_root);
    for file in files.iter().map(|file| Some(file.as_path())).chain([None]) {
        // A file that cannot be read is an error for the step that needs a key of it, and a run without such needs none.
        if let Ok(all) = dad_definition::load_data(&credentials_file(project_root, file)) {
            add_all(&all, secrets);
        }
    }
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().to_uppercase();
        if ENDS.iter().any(|end| name.ends_with(end)) {
            // Of a value that is no text, the parts that are.
            let value = value.to_string_lossy();
            value
                .split(char::REPLACEMENT_CHARACTER)
                .for_each(|part| add(part, secrets));
        }
    }
}

/// The credentials files that the project's environments name.
fn environment_files(project_root: &Path) -> Vec<PathBuf> {
    let config = dad_definition::load_data(&project_root.join(CONFIG)).unwrap_or_default();
    let environments = config["environments"].as_object().into_iter().flatten();
    environments
        .filter_map(|(_, environment)| environment["credentials"].as_str())
        .map(PathBuf::from)
        .collect()
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
