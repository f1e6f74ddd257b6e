//! The user of a process: what they allow, and the key by which their runs are recognised.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dad_core::ApprovalRule;
use dad_definition::ReadyRule;
use dad_fs::{Dir, Durability, FsError};
use dad_nodes::{SandboxMode, SandboxPolicy};
use dad_run::{OriginKey, ProjectTrust, RunError, SetupError, Share, Variables, foreign_owner};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::{self, Environment};
use crate::error::ProjectError;
use crate::observability::Observability;
use crate::project::Project;

/// The variable that holds the origin key itself.
const KEY_VARIABLE: &str = "DHENARA_ORIGIN_KEY";

/// The file of the projects that the user said to be trusted, a path a line.
const TRUSTED: &str = "trusted_projects";

/// The user of a process, as their environment and their own configuration say: read once.
///
/// ```
/// use dad_project::User;
///
/// let user = User::from_variables([("HOME", "/nowhere")].into_iter().collect())?;
/// assert!(user.origin_key()?.is_none(), "it is made when the first run is");
/// # Ok::<(), dad_project::ProjectError>(())
/// ```
#[derive(Clone, Debug)]
pub struct User(Arc<Read>);

/// The value that was read.
#[derive(Debug)]
struct Read {
    variables: Variables,
    config: Config,
    key: OnceLock<OriginKey>,
}

/// The file of the user, and of no project.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Projects of other users that are obeyed.
    #[serde(default)]
    trusted_projects: Vec<PathBuf>,
    /// Environment variables whose keys may be sent where a project says, and servers that any may be sent to.
    #[serde(default)]
    allow_key: Vec<String>,
    /// Which runs beside the user's own are resumed without being asked about.
    #[serde(default)]
    trust: Option<RunTrust>,
    /// Which commands execute in a sandbox.
    #[serde(default)]
    sandbox: SandboxMode,
    /// Rules that decide about steps and calls of tools in all runs of the user, or have them asked.
    #[serde(default)]
    approvals: Vec<ApprovalRule>,
    /// The same, ready to be compared.
    #[serde(skip)]
    rules: Vec<ReadyRule>,
    // The keys of environments that a user may say for all projects: none of them decides what executes or what a run costs.
    #[serde(default)]
    observability: Option<Observability>,
    #[serde(default)]
    on_waiting: Vec<String>,
    #[serde(default, deserialize_with = "config::seconds")]
    ask_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "config::durability")]
    durability: Option<Durability>,
    #[serde(default, deserialize_with = "config::share")]
    share: Option<Share>,
}

/// Which runs a user trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RunTrust {
    /// Unsigned ones.
    Unsigned,
}

impl User {
    /// The user of this process.
    ///
    /// # Errors
    /// [`ProjectError::UserConfig`] if their configuration cannot be used.
    pub fn from_environment() -> Result<Self, ProjectError> {
        Self::from_variables(std::env::vars_os().collect())
    }

    /// The user that environment variables describe.
    ///
    /// # Errors
    /// As [`from_environment`](Self::from_environment).
    pub fn from_variables(variables: Variables) -> Result<Self, ProjectError> {
        let config = match configuration(&variables) {
            Some(dir) => Config::read(&dir)?,
            None => Config::default(),
        };
        Ok(Self(Arc::new(Read {
            variables,
            config,
            key: OnceLock::new(),
        })))
    }

    /// The file `models.yaml` beside the user's configuration, if there is one.
    ///
    /// # Errors
    /// [`ProjectError::UserConfig`] if it belongs to another user.
    pub fn models_file(&self) -> Result<Option<PathBuf>, ProjectError> {
        let dir = configuration(&self.0.variables);
        let file = dir
            .map(|dir| dir.join("models.yaml"))
            .filter(|file| file.is_file());
        if let Some(file) = &file {
            check_owner(file)?;
        }
        Ok(file)
    }

    /// Opens a project of this user or one that they trust.
    ///
    /// # Errors
    /// As [`Project::open`].
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Project, ProjectError> {
        self.trust().check(dir.as_ref())?;
        Project::read(self.clone(), dir.as_ref())
    }

    /// Opens the project that a directory lies in: the nearest that holds `.dhenara`, upward.
    ///
    /// # Errors
    /// If there is none, or it cannot be opened.
    pub fn find(&self, start: impl AsRef<Path>) -> Result<Project, ProjectError> {
        Project::read(
            self.clone(),
            &self.trust().find_project_root_from(start.as_ref())?,
        )
    }

    /// Opens the project that a directory lies in, or where there is none the directory itself, which has the runs of the flows
    /// in it. A project that is there and cannot be used stays an error.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn find_or_here(&self, start: impl AsRef<Path>) -> Result<Project, ProjectError> {
        let start = start.as_ref();
        match self.find(start) {
            Err(ProjectError::Run(error)) if matches!(error.setup(), Some(SetupError::Project { .. })) => {
                Project::read(self.clone(), start)
            }
            found => found,
        }
    }

    /// Obeys a project of another user from now on; what it is called, with its links resolved.
    ///
    /// # Errors
    /// If it is no directory, or the user's configuration cannot be written.
    pub fn trust_project(&self, project: &Path) -> Result<PathBuf, ProjectError> {
        let wrong = |path: &Path, reason: String| ProjectError::Directory {
            path: path.to_path_buf(),
            reason,
        };
        let project = project
            .canonicalize()
            .map_err(|error| wrong(project, error.to_string()))?;
        let line = project
            .to_str()
            .filter(|path| !path.contains('\n') && project.is_dir());
        let Some(line) = line else {
            let reason = "it is no directory whose path is one line of text".to_owned();
            return Err(wrong(&project, reason));
        };
        let Some(dir) = configuration(&self.0.variables) else {
            return Err(ProjectError::UserConfig {
                path: None,
                reason: "there is no directory for your configuration".to_owned(),
                hint: Some("set HOME or XDG_CONFIG_HOME".to_owned()),
            });
        };
        let unwritable = |error: FsError| user_config(None, error.to_string());
        let mut trusted = read_trusted(&dir)?;
        if !trusted.lines().any(|known| known == line) {
            trusted.push_str(&format!("{line}\n"));
            let dir = Dir::create_private(&dir).map_err(unwritable)?;
            let written = dir.replace(TRUSTED, trusted.as_bytes(), Durability::Disk);
            written.map_err(unwritable)?;
        }
        Ok(project)
    }

    /// Whose projects are obeyed.
    #[must_use]
    pub fn trust(&self) -> ProjectTrust {
        ProjectTrust::new(self.0.config.trusted_projects.clone())
    }

    /// The settings of environments that the user's configuration gives for all projects.
    #[must_use]
    pub fn defaults(&self) -> Environment {
        let config = &self.0.config;
        Environment {
            observability: config.observability.clone(),
            on_waiting: config.on_waiting.clone(),
            ask_timeout: config.ask_timeout,
            durability: config.durability,
            share: config.share,
            ..Environment::default()
        }
    }

    /// Whether runs that are not signed count as the user's own.
    #[must_use]
    pub fn trusts_unsigned(&self) -> bool {
        self.0.config.trust == Some(RunTrust::Unsigned)
    }

    /// Their rules for approvals.
    #[must_use]
    pub fn approval_rules(&self) -> &[ReadyRule] {
        &self.0.config.rules
    }

    /// The sandbox of their commands. No sandbox shows the user's configuration, and the key that their runs are
    /// signed with.
    #[must_use]
    pub fn sandbox(&self) -> SandboxPolicy {
        let hidden = [self.state_dir(), configuration(&self.0.variables)];
        SandboxPolicy::new(self.0.config.sandbox, hidden.into_iter().flatten())
    }

    /// Environment variables whose keys may be sent where a project says, and servers that any may be sent to.
    #[must_use]
    pub fn allowed_keys(&self) -> &[String] {
        &self.0.config.allow_key
    }

    /// The key that the user's runs are signed with, to read runs with: the one in `DHENARA_ORIGIN_KEY`, else the one in the
    /// directory of the user's state. `None` if there is none yet: then it cannot be checked whose a run is.
    ///
    /// # Errors
    /// [`RunError::OriginKey`] if there is one that cannot be used.
    pub fn origin_key(&self) -> Result<Option<OriginKey>, ProjectError> {
        match self.state_dir() {
            Some(dir) => self.key(|| OriginKey::load(&dir)),
            None => self.key(|| Ok(None)),
        }
    }

    /// The key that a run is signed with, to drive it: made in the directory of the user's state if there is none yet. `None`
    /// if there is no such directory.
    ///
    /// # Errors
    /// [`RunError::OriginKey`] if there is one that cannot be used, or none can be made.
    pub fn origin_key_to_drive(&self) -> Result<Option<OriginKey>, ProjectError> {
        match self.state_dir() {
            Some(dir) => self.key(|| OriginKey::load_or_create(&dir).map(Some)),
            None => self.key(|| Ok(None)),
        }
    }

    /// The key to tell the user's own runs from others by, where one of them is to be chosen: a user who has no key yet has no
    /// run that is signed.
    pub(crate) fn origin_key_to_choose(&self) -> Result<Option<OriginKey>, ProjectError> {
        match self.origin_key()? {
            None if self.state_dir().is_some() => Ok(Some(OriginKey::unused()?)),
            found => Ok(found),
        }
    }

    fn key(
        &self,
        in_state_dir: impl FnOnce() -> Result<Option<OriginKey>, RunError>,
    ) -> Result<Option<OriginKey>, ProjectError> {
        if let Some(key) = self.0.key.get() {
            return Ok(Some(key.clone()));
        }
        let key = match self.0.variables.get(KEY_VARIABLE) {
            Some(text) => Some(OriginKey::from_hex(&text.to_string_lossy())?),
            None => in_state_dir()?,
        };
        Ok(key.map(|key| self.0.key.get_or_init(|| key).clone()))
    }

    /// The directory of the user's own configuration, if the environment names one.
    #[must_use]
    pub fn config_dir(&self) -> Option<PathBuf> {
        configuration(&self.0.variables)
    }

    /// The permissions of the user's configuration, by their keys there.
    pub(crate) fn permissions(&self) -> [(&'static str, Value); 5] {
        let config = &self.0.config;
        let trust = config.trust.map(|RunTrust::Unsigned| "unsigned");
        let sandbox = match config.sandbox {
            SandboxMode::Required => "required",
            SandboxMode::Off => "off",
            _ => "auto",
        };
        [
            ("allow_key", json!(config.allow_key)),
            ("approvals", json!(config.approvals)),
            ("sandbox", json!(sandbox)),
            ("trust", json!(trust)),
            ("trusted_projects", json!(config.trusted_projects)),
        ]
    }

    /// The directory of the user's state, with the key that signs runs, and the variable that it comes from.
    pub(crate) fn state_dir_and_variable(&self) -> Option<(PathBuf, Option<&'static str>)> {
        let variables = &self.0.variables;
        let named = ["DHENARA_STATE_DIR", "XDG_STATE_HOME"];
        let variable = named
            .into_iter()
            .find(|name| directory(variables, name).is_some());
        Some((self.state_dir()?, variable))
    }

    /// The directory of the user's state, which only they enter: `DHENARA_STATE_DIR`, else `dhenara` in `XDG_STATE_HOME` or
    /// `~/.local/state`; `None` if the environment names none of them.
    #[must_use]
    pub fn state_dir(&self) -> Option<PathBuf> {
        let variables = &self.0.variables;
        let state = directory(variables, "XDG_STATE_HOME")
            .or_else(|| Some(directory(variables, "HOME")?.join(".local/state")));
        directory(variables, "DHENARA_STATE_DIR").or_else(|| Some(state?.join("dhenara")))
    }

    /// All variables, of which the values of some are secrets.
    pub(crate) fn all_variables(&self) -> &Variables {
        &self.0.variables
    }

    /// The variables that steps and clients of models may have secrets from: no run is given the origin key.
    pub(crate) fn variables(&self) -> Variables {
        let all = self.0.variables.iter();
        all.filter(|(name, _)| *name != KEY_VARIABLE).collect()
    }
}

impl Config {
    /// Reads the user's configuration; a user without any allows nothing.
    fn read(dir: &Path) -> Result<Self, ProjectError> {
        let mut config = Self::in_file(&dir.join("config.yaml"))?;
        let trusted = dir.join(TRUSTED);
        if trusted.is_file() {
            check_owner(&trusted)?;
            let text = read_trusted(dir)?;
            config.trusted_projects.extend(text.lines().map(PathBuf::from));
        }
        Ok(config)
    }

    fn in_file(path: &Path) -> Result<Self, ProjectError> {
        if !path.is_file() {
            return Ok(Self::default());
        }
        check_owner(path)?;
        let mut config: Self = dad_definition::load_data_as(path)?.unwrap_or_default();
        for (index, rule) in config.approvals.iter().enumerate() {
            let rule = ReadyRule::new(rule.clone())
                .map_err(|reason| user_config(Some(path), format!("`approvals[{index}]`: {reason}")))?;
            config.rules.push(rule);
        }
        match config.trusted_projects.iter().find(|dir| !dir.is_absolute()) {
            Some(dir) => Err(ProjectError::UserConfig {
                path: Some(path.to_path_buf()),
                reason: format!(
                    "`trusted_projects` has `{}`, which is not absolute",
                    dir.display()
                ),
                hint: Some("name the whole path of the project".to_owned()),
            }),
            None => Ok(config),
        }
    }
}

fn user_config(path: Option<&Path>, reason: String) -> ProjectError {
    ProjectError::UserConfig {
        path: path.map(Path::to_path_buf),
        reason,
        hint: None,
    }
}

fn read_trusted(dir: &Path) -> Result<String, ProjectError> {
    let wrong = |reason: String| user_config(Some(&dir.join(TRUSTED)), reason);
    if !dir.is_dir() {
        return Ok(String::new());
    }
    let read = Dir::open(dir).and_then(|dir| dir.read_optional(TRUSTED));
    let bytes = read.map_err(|error| wrong(error.source.to_string()))?;
    String::from_utf8(bytes.unwrap_or_default()).map_err(|error| wrong(error.to_string()))
}

fn check_owner(path: &Path) -> Result<(), ProjectError> {
    let Some((other, owner)) = foreign_owner(path) else {
        return Ok(());
    };
    let other = other.display();
    Err(ProjectError::UserConfig {
        path: Some(path.to_path_buf()),
        reason: format!(
            "`{other}` belongs to another user (number {owner}), and your own configuration must be yours"
        ),
        hint: Some("set HOME or XDG_CONFIG_HOME to a directory of yours".to_owned()),
    })
}

/// The directory of the user's configuration.
fn configuration(variables: &Variables) -> Option<PathBuf> {
    let configuration = directory(variables, "XDG_CONFIG_HOME")
        .or_else(|| Some(directory(variables, "HOME")?.join(".config")));
    Some(configuration?.join("dhenara"))
}

/// A directory that the environment names. As the XDG specification has it, a path that is not absolute does not count.
fn directory(variables: &Variables, name: &str) -> Option<PathBuf> {
    let dir = variables.get(name).map(PathBuf::from);
    dir.filter(|dir| dir.is_absolute())
}
