//! Secrets of a project, by name.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value};

/// The path of the credentials file in a project.
const FILE: &str = ".dhenara/.secrets/.credentials.yaml";

/// The credentials file of a project; `file` replaces the usual one.
#[must_use]
pub fn credentials_file(project_root: &Path, file: Option<&Path>) -> PathBuf {
    project_root.join(file.unwrap_or(Path::new(FILE)))
}

/// Environment variables, as a program read them once and gives them on: libraries read none by themselves.
#[derive(Clone, Default)]
pub struct Variables(Arc<BTreeMap<OsString, OsString>>);

impl Variables {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// All variables with their values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(Arc::new(
            variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        ))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Their values may be keys.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The source of a run's secrets: the project's credentials file, else the environment variables that it is given. The
/// file is not read before a secret is asked for, so that runs that need none need no file.
///
/// A run has it as a resource; without one it is the credentials file of its project.
#[derive(Clone, Debug)]
pub struct SecretSource {
    file: PathBuf,
    variables: Variables,
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Neither the file nor the environment has it.
    #[error("there is no secret `{name}`: neither in `{}` nor in the environment", file.display())]
    Missing {
        /// The requested name.
        name: String,
        /// The credentials file.
        file: PathBuf,
    },
    /// The environment has it, but not as text.
    #[error("the environment variable `{name}` is no UTF-8 text")]
    NotText {
        /// The requested name.
        name: String,
    },
    /// The file is not what it should be. The message does not show its content.
    #[error("the credentials in `{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The problem, with its place.
        reason: String,
    },
}

impl SecretError {
    /// The remedy.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { name, file } => Some(format!(
                "set {name} in the environment, or write into {}:\nsecrets:\n  {name}: …",
                file.display()
            )),
            Self::NotText { .. } | Self::Unreadable { .. } => None,
        }
    }
}

impl SecretSource {
    /// The secrets in the credentials file of a project; `file` replaces the usual one.
    #[must_use]
    pub fn new(project_root: &Path, file: Option<&Path>) -> Self {
        Self {
            file: credentials_file(project_root, file),
            variables: Variables::default(),
        }
    }

    /// The same, with environment variables where the file has none of the name.
    #[must_use]
    pub fn variables(mut self, variables: Variables) -> Self {
        self.variables = variables;
        self
    }

    /// The secret of a name: what stands under it below `secrets` of the file, then the key of a provider called so,
    /// then the environment variable.
    ///
    /// # Errors
    /// If there is none, or the file cannot be read.
    pub fn get(&self, name: &str) -> Result<SecretString, SecretError> {
        let found = match self.stored(name)? {
            Some(found) => Some(found),
            None => self.in_environment(name)?,
        };
        let found = found.filter(|secret| !secret.is_empty());
        found.map(SecretString::from).ok_or_else(|| SecretError::Missing {
            name: name.to_owned(),
            file: self.file.clone(),
        })
    }

    /// The environment variable of a name, if the source was given it.
    ///
    /// # Errors
    /// [`SecretError::NotText`] if its value is no UTF-8 text.
    pub fn in_environment(&self, name: &str) -> Result<Option<String>, SecretError> {
        let value = self.variables.get(name).map(OsStr::to_owned);
        let text = value.map(OsString::into_string).transpose();
        text.map_err(|_| SecretError::NotText {
            name: name.to_owned(),
        })
    }

    /// The credentials file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The value of a name in the credentials file: below `secrets`, else as the key of a provider of that name.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn stored(&self, name: &str) -> Result<Option<String>, SecretError> {
        if !self.file.is_file() {
            return Ok(None);
        }
        let unreadable = |reason: String| SecretError::Unreadable {
            path: self.file.clone(),
            reason,
        };
        let value = dad_definition::load_data(&self.file).map_err(|problems| {
            // Only where, because a message may quote what stands there.
            let line = problems.first().and_then(|problem| problem.line);
            unreadable(line.map_or_else(
                || "it is no YAML".to_owned(),
                |line| format!("it is no YAML, line {line}"),
            ))
        })?;
        if !value.is_object() && !value.is_null() {
            return Err(unreadable("it is no mapping from names to keys".to_owned()));
        }
        let entry = &value[name];
        let places = [
            &value["secrets"][name],
            entry,
            &entry["api_key"],
            &entry["credentials"],
        ];
        let found = places
            .into_iter()
            .find(|place| !place.is_null() && !place.is_object());
        let is_empty = entry.as_object().is_none_or(Map::is_empty);
        match found {
            None if !is_empty => Err(unreadable(format!("`{name}` has no `api_key`"))),
            None => Ok(None),
            Some(Value::String(secret)) => Ok(Some(secret.trim().to_owned())),
            Some(Value::Number(secret)) => Ok(Some(secret.to_string())),
            Some(_) => Err(unreadable(format!("the key of `{name}` is no text"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_found_by_its_name_and_nothing_of_a_broken_file_is_reported() {
        let dir = dad_fs::ScratchDir::new().unwrap();
        let file = dir.path().join("credentials.yaml");
        let write = |text: &str| {
            let dir = dad_fs::Dir::open(dir.path()).unwrap();
            dir.replace("credentials.yaml", text.as_bytes(), dad_fs::Durability::Process)
                .unwrap();
        };
        write("secrets: { DEPLOY: deploy-me }\nopenai: { api_key: sk-1 }\nplain: text\n");
        let source =
            SecretSource::new(dir.path(), Some(&file)).variables([("PATH", "/bin")].into_iter().collect());
        for (name, wanted) in [("DEPLOY", "deploy-me"), ("openai", "sk-1"), ("plain", "text")] {
            assert_eq!(source.get(name).unwrap().expose_secret(), wanted);
        }
        assert!(source.get("PATH").is_ok());
        let missing = source.get("HOME").unwrap_err();
        assert!(missing.hint().unwrap().ends_with("secrets:\n  HOME: …"));
        write("secrets: { DEPLOY: [deploy-me\n");
        assert!(
            !source
                .get("DEPLOY")
                .unwrap_err()
                .to_string()
                .contains("deploy-me")
        );
    }
}
