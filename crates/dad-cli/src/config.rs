use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dad_core::Budget;
use dad_models::Limits;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::args::DurabilityChoice;
use crate::error::CommandError;

/// Where a project is configured.
const FILE: &str = ".dhenara/config.yaml";

/// The environment that holds where none is named.
const DEFAULT: &str = "default";

/// A project's configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    environments: BTreeMap<String, Environment>,
}

/// How a run differs in one environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Environment {
    /// Its name, as templates see it.
    #[serde(skip)]
    pub(crate) name: String,
    /// Where runs are kept.
    #[serde(default)]
    pub(crate) run_root: Option<PathBuf>,
    /// What runs may consume, in the place of what their definition says.
    #[serde(default)]
    pub(crate) budget: Budget,
    /// Variables that `--var` may override.
    #[serde(default)]
    pub(crate) variables: Map<String, Value>,
    /// The file with API keys.
    #[serde(default)]
    pub(crate) credentials: Option<PathBuf>,
    /// A directory of recorded exchanges; models answer from it and no network is used.
    #[serde(default)]
    pub(crate) cassette: Option<PathBuf>,
    /// Whether traces, metrics and logs are written; true by default.
    #[serde(default)]
    pub(crate) observability: Option<bool>,
    /// A program and its arguments, called for each question of a run that waits.
    #[serde(default)]
    pub(crate) on_waiting: Vec<String>,
    /// How many calls are made to models at a time, and in a minute.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// How many seconds a handler of the project may think about a question; 60 by default. The time in which a person is
    /// at a prompt is not counted.
    #[serde(default)]
    pub(crate) ask_timeout: Option<f64>,
    /// What runs promise to survive: the end of the process by default.
    #[serde(default)]
    pub(crate) durability: Option<DurabilityChoice>,
}

/// The environment of a name, or the default one.
pub(crate) fn environment(project_root: &Path, name: Option<&str>) -> Result<Environment, CommandError> {
    let path = project_root.join(FILE);
    let config = if path.is_file() {
        read(&path)?
    } else {
        Config::default()
    };
    let wanted = name.unwrap_or(DEFAULT);
    let found = config.environments.get(wanted).cloned();
    let environment = match (found, name) {
        (Some(environment), _) => environment,
        (None, None | Some(DEFAULT)) => Environment::default(),
        (None, Some(name)) => return Err(unknown(name, &path, &config)),
    };
    Ok(Environment {
        name: wanted.to_owned(),
        ..environment
    })
}

fn read(path: &Path) -> Result<Config, CommandError> {
    let value = dad_definition::load_data(path)?;
    if value.is_null() {
        return Ok(Config::default());
    }
    serde_json::from_value(value)
        .map_err(|error| CommandError::usage("config", format!("`{}`: {error}", path.display())))
}

fn unknown(name: &str, path: &Path, config: &Config) -> CommandError {
    let names: Vec<&str> = config.environments.keys().map(String::as_str).collect();
    let error = CommandError::usage(
        "unknown_environment",
        format!("there is no environment `{name}` in `{}`", path.display()),
    );
    match dad_core::nearest(name, names.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None if names.is_empty() => error.with_hint("the file declares no environments"),
        None => error.with_hint(format!("there are: {}", names.join(", "))),
    }
}
