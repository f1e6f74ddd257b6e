//! The settings that hold in a project, each with its origin.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dad_events::EventBusConfig;
use dad_run::{Durability, Share, credentials_file};
use serde_json::{Value, json};

use crate::config::{Environment, FILE};
use crate::error::ProjectError;
use crate::project::Project;

/// A setting of a project, as it holds for a new run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Setting {
    /// Its key in the file that may set it.
    pub key: String,
    /// Its value; null if there is none. Secrets are masked.
    pub value: Value,
    /// Its origin.
    pub origin: SettingOrigin,
}

/// The origin of a setting: the strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingOrigin {
    /// The caller: a flag of the command, or a function of [`Project`].
    Given,
    /// An environment variable.
    Variable(&'static str),
    /// The configuration of the project.
    Project(PathBuf),
    /// The configuration of the user.
    User(PathBuf),
    /// No setting.
    Default,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("given"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Project(file) | Self::User(file) => write!(f, "{}", file.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Project {
    /// The settings that hold for a new run, and their origins: those of the environment, then those of the user alone.
    ///
    /// # Errors
    /// If the run root cannot be one.
    pub fn effective_settings(&self) -> Result<Vec<Setting>, ProjectError> {
        let mut settings = self.of_environment()?;
        settings.extend(self.of_user());
        let redactor = self.secrets().redactor();
        for setting in &mut settings {
            redactor.redact_json(&mut setting.value);
        }
        Ok(settings)
    }

    fn of_environment(&self) -> Result<Vec<Setting>, ProjectError> {
        let now = self.settings();
        let declared = self.config.declared(&now.name).cloned().unwrap_or_default();
        let user = self.user().defaults();
        let project = |is_set: bool| self.origin(is_set, false);
        let either = |is_set: fn(&Environment) -> bool| self.origin(is_set(&declared), is_set(&user));
        let given =
            |is_given: bool, other: SettingOrigin| if is_given { SettingOrigin::Given } else { other };
        let mut settings = Vec::new();
        let mut add = |key: &str, value: Value, origin: SettingOrigin| {
            settings.push(Setting {
                key: key.to_owned(),
                value,
                origin,
            });
        };
        if let Some(about) = &self.config.project {
            add("project", about.clone(), project(true));
        }
        add(
            "environment",
            json!(now.name),
            given(self.names_environment(), SettingOrigin::Default),
        );
        let run_root = given(self.run_root.is_some(), project(declared.run_root.is_some()));
        add("run_root", json!(self.dirs()?.run_root), run_root);
        let credentials = credentials_file(Path::new(""), now.credentials.as_deref());
        add(
            "credentials",
            json!(credentials),
            project(declared.credentials.is_some()),
        );
        add(
            "cassette",
            json!(now.cassette),
            project(declared.cassette.is_some()),
        );
        for (name, value) in &now.variables {
            add(&format!("variables.{name}"), value.clone(), project(true));
        }
        add(
            "budget",
            object(json!(now.budget)),
            project(!declared.budget.is_unlimited()),
        );
        add(
            "limits",
            object(json!(now.limits)),
            project(object(json!(declared.limits)) != Value::Null),
        );
        let limit = now
            .ask_timeout
            .unwrap_or_else(|| EventBusConfig::default().ask_timeout);
        add(
            "ask_timeout",
            in_seconds(limit),
            either(|of| of.ask_timeout.is_some()),
        );
        add(
            "durability",
            json!(durability(now.durability)),
            either(|of| of.durability.is_some()),
        );
        settings.extend(self.observability_settings()?);
        let mut add = |key: &str, value: Value, origin: SettingOrigin| {
            settings.push(Setting {
                key: key.to_owned(),
                value,
                origin,
            });
        };
        add(
            "on_waiting",
            json!(now.on_waiting),
            either(|of| !of.on_waiting.is_empty()),
        );
        add("on_end", json!(now.on_end), project(!declared.on_end.is_empty()));
        add("share", json!(share(now.share)), either(|of| of.share.is_some()));
        Ok(settings)
    }

    fn of_user(&self) -> Vec<Setting> {
        let user = self.user();
        let permissions = user.permissions().into_iter().map(|(key, value)| {
            let is_default = matches!(&value, Value::Null)
                || value.as_array().is_some_and(Vec::is_empty)
                || value == "auto";
            Setting {
                key: key.to_owned(),
                value,
                origin: self.origin(false, !is_default),
            }
        });
        let state = user.state_dir_and_variable().map(|(dir, variable)| Setting {
            key: "state_dir".to_owned(),
            value: json!(dir),
            origin: variable.map_or(SettingOrigin::Default, SettingOrigin::Variable),
        });
        permissions.chain(state).collect()
    }

    /// The origin of a setting that the project, the user or neither of them has.
    fn origin(&self, in_project: bool, in_user: bool) -> SettingOrigin {
        match self.user().config_dir() {
            _ if in_project => SettingOrigin::Project(FILE.into()),
            Some(dir) if in_user => SettingOrigin::User(dir.join("config.yaml")),
            _ => SettingOrigin::Default,
        }
    }
}

/// A time in seconds, as a file has it: whole seconds have no decimals.
fn in_seconds(time: Duration) -> Value {
    if time.subsec_nanos() == 0 {
        json!(time.as_secs())
    } else {
        json!(time.as_secs_f64())
    }
}

/// An object, or null if it has no fields.
fn object(value: Value) -> Value {
    if value.as_object().is_some_and(serde_json::Map::is_empty) {
        Value::Null
    } else {
        value
    }
}

const fn durability(value: Option<Durability>) -> &'static str {
    match value {
        Some(Durability::Disk) => "disk",
        Some(Durability::Process) | None => "process",
    }
}

const fn share(value: Option<Share>) -> &'static str {
    match value {
        Some(Share::Group) => "group",
        Some(Share::All) => "all",
        Some(Share::User) | None => "user",
    }
}
