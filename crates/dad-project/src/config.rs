//! `.dhenara/config.yaml`: how runs differ from one environment to another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dad_core::{Budget, Digest, SecretRegistry};
use dad_definition::Problem;
use dad_models::Limits;
use dad_run::{Durability, Share};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::error::ProjectError;
use crate::observability::Observability;

/// The configuration file of a project.
pub(crate) const FILE: &str = ".dhenara/config.yaml";

/// The environment that holds where none is named.
const DEFAULT: &str = "default";

/// A project's configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A key of the original system, which wrote about the project; nothing depends on it.
    #[serde(default)]
    pub(crate) project: Option<Value>,
    #[serde(default)]
    environments: BTreeMap<String, Environment>,
}

/// The settings of runs in one environment: an entry of `environments` in `.dhenara/config.yaml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Environment {
    /// Its name, as templates see it.
    #[serde(skip)]
    pub name: String,
    /// The run root.
    #[serde(default)]
    pub run_root: Option<PathBuf>,
    /// The budget of runs, which replaces that of their definition.
    #[serde(default)]
    pub budget: Budget,
    /// Variables of the root component; what is given otherwise comes before them.
    #[serde(default)]
    pub variables: Map<String, Value>,
    /// The file with API keys.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    /// A directory of recorded exchanges; models answer from it and no network is used.
    #[serde(default)]
    pub cassette: Option<PathBuf>,
    /// The traces, metrics and logs of runs, and their receivers.
    #[serde(default)]
    pub observability: Option<Observability>,
    /// A program and its arguments, which the command calls for each question of a run that waits.
    #[serde(default)]
    pub on_waiting: Vec<String>,
    /// A program and its arguments, which the command calls when a run has completed, failed or was cancelled.
    #[serde(default)]
    pub on_end: Vec<String>,
    /// The limits of concurrent calls to models, and of calls in a minute.
    #[serde(default)]
    pub limits: Limits,
    /// The time limit of a handler of the project for one question, in seconds in the file; 60 by default. The time in
    /// which a person is at a prompt is not counted.
    #[serde(default, deserialize_with = "seconds")]
    pub ask_timeout: Option<Duration>,
    /// The durability of runs: by default they survive the end of the process.
    #[serde(default, deserialize_with = "durability")]
    pub durability: Option<Durability>,
    /// Which users of the machine may read the runs: only this one by default.
    #[serde(default, deserialize_with = "share")]
    pub share: Option<Share>,
}

pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    let duration = seconds.map(|seconds| {
        Duration::try_from_secs_f64(seconds).map_err(|error| format!("`ask_timeout` is {seconds}: {error}"))
    });
    duration.transpose().map_err(serde::de::Error::custom)
}

pub(crate) fn durability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Durability>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        Process,
        Disk,
    }
    let name = Option::<Name>::deserialize(deserializer)?;
    Ok(name.map(|name| match name {
        Name::Process => Durability::Process,
        Name::Disk => Durability::Disk,
    }))
}

pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Share>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        User,
        Group,
        All,
    }
    let name = Option::<Name>::deserialize(deserializer)?;
    Ok(name.map(|name| match name {
        Name::User => Share::User,
        Name::Group => Share::Group,
        Name::All => Share::All,
    }))
}

/// The hint about a key that stands beside `environments` and belongs into one of them.
fn of_an_environment(problem: &Problem) -> Option<String> {
    let key = problem
        .path
        .as_deref()
        .filter(|_| problem.code == "unknown_key")?;
    // The type of its values knows the keys, and says so about one that is none.
    let read = Environment::deserialize(json!({ key: null }));
    let is_one = read
        .err()
        .is_none_or(|error| !error.to_string().starts_with("unknown field"));
    is_one.then(|| format!("it belongs to an environment: `environments: {{ {DEFAULT}: {{ {key}: … }} }}`"))
}

impl Config {
    /// Reads the configuration of a project; one without has no environments of its own.
    pub(crate) fn read(project_root: &Path) -> Result<Self, ProjectError> {
        let path = project_root.join(FILE);
        if path.symlink_metadata().is_err() {
            return Ok(Self::default());
        }
        let read = dad_definition::load_data_as(&path);
        let read = read.map_err(|problems| problems.with_hints(of_an_environment));
        Ok(read?.unwrap_or_default())
    }

    /// The environment of a name, or the default one, above what the user says for all projects.
    pub(crate) fn environment(
        &self,
        project_root: &Path,
        name: Option<&str>,
        user: &Environment,
    ) -> Result<Environment, ProjectError> {
        let wanted = name.unwrap_or(DEFAULT);
        let environment = match self.environments.get(wanted) {
            Some(environment) => environment.clone(),
            None if wanted == DEFAULT => Environment::default(),
            None => {
                return Err(ProjectError::UnknownEnvironment {
                    name: wanted.to_owned(),
                    path: project_root.join(FILE),
                    known: self.environments.keys().cloned().collect(),
                });
            }
        };
        let environment = environment.above(user);
        Ok(Environment {
            name: wanted.to_owned(),
            ..environment
        })
    }

    /// The environment of a name as the file declares it, if it does.
    pub(crate) fn declared(&self, name: &str) -> Option<&Environment> {
        self.environments.get(name)
    }

    /// All environments.
    pub(crate) fn environments(&self) -> impl Iterator<Item = &Environment> {
        self.environments.values()
    }
}

impl Environment {
    /// The same, with what a user says for all projects where it says nothing.
    fn above(self, user: &Self) -> Self {
        Self {
            observability: self.observability.or_else(|| user.observability.clone()),
            on_waiting: if self.on_waiting.is_empty() {
                user.on_waiting.clone()
            } else {
                self.on_waiting
            },
            ask_timeout: self.ask_timeout.or(user.ask_timeout),
            durability: self.durability.or(user.durability),
            share: self.share.or(user.share),
            ..self
        }
    }

    /// Digests of what it says of things that are recorded with a run, by their names. Secrets in them do not count.
    pub(crate) fn digests(&self, secrets: &SecretRegistry) -> BTreeMap<String, Digest> {
        let redactor = secrets.redactor();
        let said = [
            ("budget", json!(self.budget)),
            ("cassette", json!(self.cassette)),
            ("limits", json!(self.limits)),
            ("variables", json!(self.variables)),
        ];
        let digests = said.map(|(name, mut value)| {
            redactor.redact_json(&mut value);
            (name.to_owned(), Digest::of_json(&value))
        });
        digests.into_iter().collect()
    }
}
