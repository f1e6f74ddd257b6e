use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::Value;

/// Where credentials stand in a project.
const FILE: &str = ".dhenara/.secrets/.credentials.yaml";

/// The credentials file of a project; `file` replaces the usual one.
#[must_use]
pub fn credentials_file(project_root: &Path, file: Option<&Path>) -> PathBuf {
    project_root.join(file.unwrap_or(Path::new(FILE)))
}

/// Where secrets of a run come from: the project's credentials file, else the environment. Nothing is read before a
/// secret is asked for, so that runs that need none need no file.
///
/// A run has it as a resource; without one it is that of its project, with the whole environment.
#[derive(Clone, Debug)]
pub struct SecretSource {
    file: PathBuf,
    /// The variables that may be asked for; `None` for all.
    variables: Option<BTreeSet<String>>,
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Neither the file nor the environment has it.
    #[error("there is no secret `{name}`: neither in `{}` nor in the environment", file.display())]
    Missing {
        /// What was asked for.
        name: String,
        /// The credentials file.
        file: PathBuf,
    },
    /// The environment has it, but not as text.
    #[error("the environment variable `{name}` is no UTF-8 text")]
    NotText {
        /// What was asked for.
        name: String,
    },
    /// The file is not what it should be. What stands in it is not told.
    #[error("the credentials in `{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
}

impl SecretError {
    /// What to do.
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
    /// The secrets of a project; `file` replaces its usual credentials file.
    #[must_use]
    pub fn new(project_root: &Path, file: Option<&Path>) -> Self {
        Self {
            file: credentials_file(project_root, file),
            variables: None,
        }
    }

    /// The same, but of the environment only these variables.
    #[must_use]
    pub fn only_variables(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.variables = Some(names.into_iter().map(Into::into).collect());
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

    /// The environment variable of a name, if the source may ask for it.
    ///
    /// # Errors
    /// [`SecretError::NotText`] if its value is no UTF-8 text.
    pub fn in_environment(&self, name: &str) -> Result<Option<String>, SecretError> {
        let is_allowed = self
            .variables
            .as_ref()
            .is_none_or(|allowed| allowed.contains(name));
        let value = is_allowed.then(|| std::env::var_os(name)).flatten();
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

    /// What the credentials file has under a name: below `secrets`, else as the key of a provider called so.
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
        match found {
            None => Ok(None),
            Some(Value::String(secret)) => Ok(Some(secret.trim().to_owned())),
            Some(Value::Number(secret)) => Ok(Some(secret.to_string())),
            Some(_) => Err(unreadable(format!("`{name}` is no text"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_found_by_its_name_and_nothing_of_a_broken_file_is_told() {
        let dir = dad_tests::TestProject::new();
        let file = dir.path().join("credentials.yaml");
        let write = |text: &str| {
            let dir = dad_fs::Dir::open(dir.path()).unwrap();
            dir.replace("credentials.yaml", text.as_bytes(), dad_fs::Durability::Process)
                .unwrap();
        };
        write("secrets: { DEPLOY: deploy-me }\nopenai: { api_key: sk-1 }\nplain: text\n");
        let source = SecretSource::new(dir.path(), Some(&file)).only_variables(["PATH"]);
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
