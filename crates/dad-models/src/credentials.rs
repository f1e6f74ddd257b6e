//! Credentials: keys by provider, masked before they are used.

use std::path::{Path, PathBuf};

use dad_core::{Redactor, SecretRegistry};
use dad_run::{SecretError, SecretSource, Variables};
use secrecy::{ExposeSecret, SecretString};

use crate::address::server;
use crate::catalog::{Auth, Target};
use crate::error::ModelError;

/// API keys by provider: from the project's credentials file, else from the environment variables that it is given. The file
/// is not read before a key is asked for, so that runs without model calls need none.
#[derive(Clone, Debug)]
pub struct Credentials {
    source: SecretSource,
    /// Whether the credentials file belongs to the project.
    is_of_project: bool,
    secrets: SecretRegistry,
}

impl Credentials {
    /// The credentials in the file of a project; `file` replaces the usual one. Keys that are given out are masked by `secrets`.
    #[must_use]
    pub fn new(project_root: &Path, file: Option<&Path>, secrets: SecretRegistry) -> Self {
        let source = SecretSource::new(project_root, file);
        Self {
            is_of_project: lies_in(project_root, source.file()),
            source,
            secrets,
        }
    }

    /// The same, with the keys of environment variables where the file has none.
    #[must_use]
    pub fn variables(mut self, variables: Variables) -> Self {
        self.source = self.source.variables(variables);
        self
    }

    /// The key of a provider.
    ///
    /// # Errors
    /// [`ModelError::NoCredentials`] with the lines to write, or why the file cannot be read.
    pub fn api_key(&self, provider: &str) -> Result<SecretString, ModelError> {
        let (key, _) = self.found(provider)?;
        self.secrets.add(key.expose_secret());
        Ok(key)
    }

    /// The place of a provider's key: the file, or the environment variable; `None` if there is no key.
    ///
    /// # Errors
    /// Why the file or the variable cannot be read.
    pub fn key_place(&self, provider: &str) -> Result<Option<KeyPlace>, ModelError> {
        let is_stored = self.stored(provider)?.is_some();
        match self.found(provider) {
            Err(ModelError::NoCredentials { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok(_) if is_stored => Ok(Some(KeyPlace::File(self.source.file().to_path_buf()))),
            Ok(_) => Ok(Some(KeyPlace::Variable(key_variable(provider)))),
        }
    }

    /// The key that a model is asked with, masked by `secrets` too; `None` where the provider wants none and there is
    /// none.
    ///
    /// # Errors
    /// Why there is no key, or [`ModelError::KeyNotAllowed`] if it must not be sent there.
    pub(crate) fn key_for(
        &self,
        model: &str,
        target: &Target,
        secrets: &SecretRegistry,
    ) -> Result<Option<SecretString>, ModelError> {
        let provider = &target.provider;
        if provider.auth == Auth::None {
            return Ok(None);
        }
        let (key, whose) = match self.found(&provider.name) {
            Err(ModelError::NoCredentials { .. }) if !provider.wants_key => return Ok(None),
            found => found?,
        };
        if let Whose::User(key) = whose
            && !target.takes_keys_of_user
        {
            return Err(ModelError::KeyNotAllowed {
                model: model.to_owned(),
                address: server(&provider.base_url),
                key,
                file: self.source.file().to_path_buf(),
                provider: provider.name.clone(),
                has_own_certificates: provider.ca_file.is_some(),
            });
        }
        self.secrets.add(key.expose_secret());
        secrets.add(key.expose_secret());
        Ok(Some(key))
    }

    /// The key of a provider, and whose it is.
    fn found(&self, provider: &str) -> Result<(SecretString, Whose), ModelError> {
        let variable = key_variable(provider);
        let (key, whose) = match self.stored(provider)? {
            Some(key) if self.is_of_project => (Some(key), Whose::Project),
            Some(key) => {
                let file = self.source.file().display();
                let named = format!("in `{file}`, which is no file of the project");
                (Some(key), Whose::User(named))
            }
            None => {
                let key = self.source.in_environment(&variable).map_err(unreadable)?;
                (
                    key,
                    Whose::User(format!("in the environment variable `{variable}`")),
                )
            }
        };
        let key = key.as_deref().map(str::trim).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| ModelError::NoCredentials {
            provider: provider.to_owned(),
            hint: format!(
                "set {variable}, or write into {}:\n{provider}:\n  api_key: …",
                self.source.file().display()
            ),
        })?;
        Ok((SecretString::from(key.to_owned()), whose))
    }

    /// A redactor of the keys that were given out.
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

/// The place of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPlace {
    /// A credentials file.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
}

fn unreadable(error: SecretError) -> ModelError {
    match error {
        SecretError::Unreadable { path, reason } => ModelError::Unreadable { path, reason },
        SecretError::NotText { name } => ModelError::Unreadable {
            path: name.into(),
            reason: "the value of this environment variable is no UTF-8 text".to_owned(),
        },
        SecretError::Missing { ref file, .. } => ModelError::Unreadable {
            path: file.clone(),
            reason: error.to_string(),
        },
        other => ModelError::Unreadable {
            path: "credentials".into(),
            reason: other.to_string(),
        },
    }
}

/// Whose word a key is.
enum Whose {
    /// It stands in a file of the project, which may send it where it wants.
    Project,
    /// It stands elsewhere; where, in words.
    User(String),
}

/// Whether a file lies in a directory, whatever links lead to it.
fn lies_in(dir: &Path, file: &Path) -> bool {
    match (dir.canonicalize(), file.canonicalize()) {
        (Ok(dir), Ok(file)) => file.starts_with(dir),
        // Of a file that is not there no key comes.
        _ => true,
    }
}

/// The environment variable with the key of a provider.
///
/// ```
/// assert_eq!(dad_models::key_variable("together_ai"), "TOGETHER_AI_API_KEY");
/// ```
#[must_use]
pub fn key_variable(provider: &str) -> String {
    let upper = provider
        .to_uppercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("{upper}_API_KEY")
}
