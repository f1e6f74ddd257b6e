use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dad_core::{Redactor, SecretRegistry};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::error::ModelError;

/// Where credentials stand in a project.
const FILE: &str = ".dhenara/.secrets/.credentials.yaml";

/// API keys by provider: from the project's credentials file, else from the environment. Nothing is read before a key
/// is asked for, so that runs without model calls need none.
#[derive(Clone, Debug)]
pub struct Credentials {
    file: PathBuf,
    secrets: SecretRegistry,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(alias = "credentials")]
    api_key: Option<String>,
}

impl Credentials {
    /// The credentials of a project; `file` replaces the usual one. Keys that are given out are masked by `secrets`.
    #[must_use]
    pub fn new(project_root: &Path, file: Option<&Path>, secrets: SecretRegistry) -> Self {
        Self {
            file: project_root.join(file.unwrap_or(Path::new(FILE))),
            secrets,
        }
    }

    /// The key of a provider.
    ///
    /// # Errors
    /// [`ModelError::NoCredentials`] with the lines to write, or why the file cannot be read.
    pub fn api_key(&self, provider: &str) -> Result<SecretString, ModelError> {
        let variable = environment_variable(provider);
        let key = match self.read_file(provider)? {
            Some(key) => Some(key),
            None => std::env::var(&variable).ok(),
        };
        let key = key
            .filter(|key| !key.trim().is_empty())
            .ok_or_else(|| ModelError::NoCredentials {
                provider: provider.to_owned(),
                hint: format!(
                    "set {variable}, or write into {}:\n{provider}:\n  api_key: …",
                    self.file.display()
                ),
            })?;
        let key = SecretString::from(key.trim().to_owned());
        self.secrets.add(key.expose_secret());
        Ok(key)
    }

    /// What masks the keys that were given out.
    pub(crate) fn redactor(&self) -> Redactor {
        self.secrets.redactor()
    }

    fn read_file(&self, provider: &str) -> Result<Option<String>, ModelError> {
        if !self.file.is_file() {
            return Ok(None);
        }
        let unreadable = |reason: String| ModelError::Unreadable {
            path: self.file.clone(),
            reason,
        };
        let value =
            dad_definition::load_data(&self.file).map_err(|problems| unreadable(problems.to_string()))?;
        let mut entries: BTreeMap<String, Entry> =
            serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))?;
        // The original system has names of its own for two providers.
        let aliases: &[&str] = match provider {
            "google" | "gemini" => &["google_gemini_api", "google_vertex_ai"],
            _ => &[],
        };
        let found = std::iter::once(provider)
            .chain(aliases.iter().copied())
            .find_map(|name| entries.remove(name));
        Ok(found.and_then(|entry| entry.api_key))
    }
}

fn environment_variable(provider: &str) -> String {
    let upper = provider
        .to_uppercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("{upper}_API_KEY")
}
