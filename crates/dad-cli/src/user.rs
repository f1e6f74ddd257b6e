use std::path::PathBuf;

use dad_run::{ProjectTrust, foreign_owner};
use serde::Deserialize;

use crate::error::CommandError;

/// What the user of this process allows projects: the file of the user, and of no project.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    /// Projects of other users that are obeyed.
    #[serde(default)]
    trusted_projects: Vec<PathBuf>,
    /// Environment variables whose keys may be sent where a project says, and servers that any may be sent to.
    #[serde(default)]
    pub(crate) allow_key: Vec<String>,
}

/// Reads `dhenara/config.yaml` of the user's configuration directory; a user without the file allows nothing.
pub(crate) fn user() -> Result<User, CommandError> {
    let Some(path) = file() else {
        return Ok(User::default());
    };
    if !path.is_file() {
        return Ok(User::default());
    }
    let wrong =
        |reason: String| CommandError::usage("user_config", format!("`{}`: {reason}", path.display()));
    if let Some((other, owner)) = foreign_owner(&path) {
        let error = wrong(format!(
            "`{}` belongs to another user (number {owner}), and your own configuration must be yours",
            other.display()
        ));
        return Err(error.with_hint("set HOME or XDG_CONFIG_HOME to a directory of yours"));
    }
    let value = dad_definition::load_data(&path)?;
    if value.is_null() {
        return Ok(User::default());
    }
    let user: User = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    match user.trusted_projects.iter().find(|dir| !dir.is_absolute()) {
        Some(dir) => {
            let reason = format!(
                "`trusted_projects` has `{}`, which is not absolute",
                dir.display()
            );
            Err(wrong(reason).with_hint("name the whole path of the project"))
        }
        None => Ok(user),
    }
}

impl User {
    /// Whose projects are obeyed.
    pub(crate) fn trust(&self) -> ProjectTrust {
        ProjectTrust::new(self.trusted_projects.clone())
    }
}

fn file() -> Option<PathBuf> {
    let dir = |name: &str| {
        let dir = std::env::var_os(name).map(PathBuf::from);
        // As the XDG specification has it, what is not absolute does not count.
        dir.filter(|dir| dir.is_absolute())
    };
    let configuration = dir("XDG_CONFIG_HOME").or_else(|| Some(dir("HOME")?.join(".config")));
    Some(configuration?.join("dhenara/config.yaml"))
}
