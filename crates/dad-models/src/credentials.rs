use std::path::Path;

use dad_core::{Redactor, SecretRegistry};
use dad_run::{SecretError, SecretSource};
use secrecy::{ExposeSecret, SecretString};

use crate::error::ModelError;

/// API keys by provider: from the project's credentials file, else from the environment. Nothing is read before a key
/// is asked for, so that runs without model calls need none.
#[derive(Clone, Debug)]
pub struct Credentials {
    source: SecretSource,
    secrets: SecretRegistry,
}

impl Credentials {
    /// The credentials of a project; `file` replaces the usual one. Keys that are given out are masked by `secrets`.
    #[must_use]
    pub fn new(project_root: &Path, file: Option<&Path>, secrets: SecretRegistry) -> Self {
        Self {
            source: SecretSource::new(project_root, file),
            secrets,
        }
    }

    /// The key of a provider.
    ///
    /// # Errors
    /// [`ModelError::NoCredentials`] with the lines to write, or why the file cannot be read.
    pub fn api_key(&self, provider: &str) -> Result<SecretString, ModelError> {
        let variable = environment_variable(provider);
        let key = match self.stored(provider)? {
            Some(key) => Some(key),
            None => std::env::var(&variable).ok(),
        };
        let key = key
            .filter(|key| !key.trim().is_empty())
            .ok_or_else(|| ModelError::NoCredentials {
                provider: provider.to_owned(),
                hint: format!(
                    "set {variable}, or write into {}:\n{provider}:\n  api_key: …",
                    self.source.file().display()
                ),
            })?;
        let key = SecretString::from(key.trim().to_owned());
        self.secrets.add(key.expose_secret());
        Ok(key)
    }

    /// The key of a provider that can do without; `None` if nobody has configured one.
    ///
    /// # Errors
    /// Why the credentials file cannot be read.
    pub(crate) fn optional_api_key(&self, provider: &str) -> Result<Option<SecretString>, ModelError> {
        match self.api_key(provider) {
            Ok(key) => Ok(Some(key)),
            Err(ModelError::NoCredentials { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What masks the keys that were given out.
    pub(crate) fn redactor(&self) -> Redactor {
        self.secrets.redactor()
    }

    fn stored(&self, provider: &str) -> Result<Option<String>, ModelError> {
        // The original system has names of its own for two providers.
        let aliases: &[&str] = match provider {
            "google" | "gemini" => &["google_gemini_api", "google_vertex_ai"],
            _ => &[],
        };
        for name in [provider].iter().chain(aliases) {
            let stored = self.source.stored(name).map_err(unreadable)?;
            if stored.is_some() {
                return Ok(stored);
            }
        }
        Ok(None)
    }
}

fn unreadable(error: SecretError) -> ModelError {
    match error {
        SecretError::Unreadable { path, reason } => ModelError::Unreadable { path, reason },
        SecretError::Missing { ref file, .. } => ModelError::Unreadable {
            path: file.clone(),
            reason: error.to_string(),
        },
    }
}

fn environment_variable(provider: &str) -> String {
    let upper = provider
        .to_uppercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("{upper}_API_KEY")
}
