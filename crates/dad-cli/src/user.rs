use std::path::PathBuf;

use dad_run::{OriginKey, ProjectTrust, foreign_owner};
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
    /// Which runs beside the user's own are resumed without being asked about.
    #[serde(default)]
    trust: Option<RunTrust>,
}

/// Which runs a user trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RunTrust {
    /// Those that nobody signed.
    Unsigned,
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
    /// Whether runs that nobody signed count as the user's own.
    pub(crate) fn trusts_unsigned(&self) -> bool {
        self.trust == Some(RunTrust::Unsigned)
    }

    /// Whose projects are obeyed.
    pub(crate) fn trust(&self) -> ProjectTrust {
        ProjectTrust::new(self.trusted_projects.clone())
    }
}

fn file() -> Option<PathBuf> {
    let configuration = directory("XDG_CONFIG_HOME").or_else(|| Some(directory("HOME")?.join(".config")));
    Some(configuration?.join("dhenara/config.yaml"))
}

/// A directory that the environment names. As the XDG specification has it, a path that is not absolute does not count.
fn directory(name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os(name).map(PathBuf::from);
    dir.filter(|dir| dir.is_absolute())
}

/// The key that the runs of this user are signed with: the one in `DHENARA_ORIGIN_KEY`, else the one in the directory of the
/// user's state, which is made there when it is needed first. `None` if there is no such directory.
pub(crate) fn origin_key() -> Result<Option<OriginKey>, CommandError> {
    if let Some(text) = std::env::var_os("DHENARA_ORIGIN_KEY") {
        let key = OriginKey::from_hex(&text.to_string_lossy());
        let with_hint = |error| CommandError::from(error).with_hint("it comes from DHENARA_ORIGIN_KEY");
        return key.map(Some).map_err(with_hint);
    }
    let state = directory("XDG_STATE_HOME").or_else(|| Some(directory("HOME")?.join(".local/state")));
    let own = directory("DHENARA_STATE_DIR").or_else(|| Some(state?.join("dhenara")));
    let key = own.map(|dir| OriginKey::load_or_create(&dir)).transpose();
    key.map_err(|error| {
        CommandError::from(error)
            .with_hint("`DHENARA_STATE_DIR` names another directory for the state of this user")
    })
}
