use std::path::{Path, PathBuf};

use dad_fs::{Dir, Durability, FsError};
use dad_run::{OriginKey, ProjectTrust, foreign_owner};
use dad_terminal::{print_line, printable};
use serde::Deserialize;

use crate::error::CommandError;
use crate::exit_code;

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
    /// Unsigned ones.
    Unsigned,
}

/// The file of the projects that `dhenara trust` was told about, a path a line.
const TRUSTED: &str = "trusted_projects";

/// Reads the user's configuration; a user without any allows nothing.
pub(crate) fn user() -> Result<User, CommandError> {
    let Some(dir) = configuration() else {
        return Ok(User::default());
    };
    let mut user = configured(&dir.join("config.yaml"))?;
    let trusted = dir.join(TRUSTED);
    if trusted.is_file() {
        check_owner(&trusted)?;
        let text = read_trusted(&dir)?;
        user.trusted_projects.extend(text.lines().map(PathBuf::from));
    }
    Ok(user)
}

/// `dhenara trust DIR`: the user obeys a project of another user from now on.
pub(crate) fn trust(project: &Path) -> Result<u8, CommandError> {
    let wrong = |path: &Path, reason: String| {
        CommandError::usage("project", format!("`{}`: {reason}", path.display()))
    };
    let project = project
        .canonicalize()
        .map_err(|error| wrong(project, error.to_string()))?;
    let Some(path) = project
        .to_str()
        .filter(|path| !path.contains('\n') && project.is_dir())
    else {
        return Err(wrong(
            &project,
            "it is no directory whose path is one line of text".to_owned(),
        ));
    };
    let Some(dir) = configuration() else {
        let error = CommandError::usage("user_config", "there is no directory for your configuration");
        return Err(error.with_hint("set HOME or XDG_CONFIG_HOME"));
    };
    let unwritable = |error: FsError| CommandError::usage("user_config", error.to_string());
    let mut trusted = read_trusted(&dir)?;
    if !trusted.lines().any(|line| line == path) {
        trusted.push_str(&format!("{path}\n"));
        let dir = Dir::create_private(&dir).map_err(unwritable)?;
        let written = dir.replace(TRUSTED, trusted.as_bytes(), Durability::Disk);
        written.map_err(unwritable)?;
    }
    print_line(&format!(
        "the project `{}` is obeyed from now on",
        printable(path)
    ));
    Ok(exit_code::DONE)
}

fn read_trusted(dir: &Path) -> Result<String, CommandError> {
    let wrong = |reason: String| {
        CommandError::usage(
            "user_config",
            format!("`{}`: {reason}", dir.join(TRUSTED).display()),
        )
    };
    if !dir.is_dir() {
        return Ok(String::new());
    }
    let read = Dir::open(dir).and_then(|dir| dir.read_optional(TRUSTED));
    let bytes = read.map_err(|error| wrong(error.source.to_string()))?;
    String::from_utf8(bytes.unwrap_or_default()).map_err(|error| wrong(error.to_string()))
}

fn check_owner(path: &Path) -> Result<(), CommandError> {
    let Some((other, owner)) = foreign_owner(path) else {
        return Ok(());
    };
    let reason = format!(
        "`{}`: `{}` belongs to another user (number {owner}), and your own configuration must be yours",
        path.display(),
        other.display()
    );
    let error = CommandError::usage("user_config", reason);
    Err(error.with_hint("set HOME or XDG_CONFIG_HOME to a directory of yours"))
}

fn configured(path: &Path) -> Result<User, CommandError> {
    if !path.is_file() {
        return Ok(User::default());
    }
    check_owner(path)?;
    let wrong =
        |reason: String| CommandError::usage("user_config", format!("`{}`: {reason}", path.display()));
    let value = dad_definition::load_data(path)?;
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
    /// Whether unsigned runs count as the user's own.
    pub(crate) fn trusts_unsigned(&self) -> bool {
        self.trust == Some(RunTrust::Unsigned)
    }

    /// Whose projects are obeyed.
    pub(crate) fn trust(&self) -> ProjectTrust {
        ProjectTrust::new(self.trusted_projects.clone())
    }
}

/// The directory of the user's configuration.
fn configuration() -> Option<PathBuf> {
    let configuration = directory("XDG_CONFIG_HOME").or_else(|| Some(directory("HOME")?.join(".config")));
    Some(configuration?.join("dhenara"))
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
