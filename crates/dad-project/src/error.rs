use std::path::PathBuf;

use dad_core::{DefinitionKind, ErrorInfo, IdError};
use dad_definition::Problems;
use dad_models::ModelError;
use dad_run::{RunError, RunErrorKind};

/// Why a project cannot be used, or a run of it not be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// The project, a run or a definition of it.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Its models or their recorded exchanges.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The user's own configuration.
    #[error("{}{reason}", in_file(path))]
    UserConfig {
        /// The file; `None` if there is no directory for it.
        path: Option<PathBuf>,
        /// What is wrong.
        reason: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The configuration of the project.
    #[error("`{}`: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An environment that the project does not declare.
    #[error("there is no environment `{name}` in `{}`", path.display())]
    UnknownEnvironment {
        /// What was asked for.
        name: String,
        /// The configuration of the project.
        path: PathBuf,
        /// The environments it declares.
        known: Vec<String>,
    },
    /// A directory that cannot be trusted, because it is none.
    #[error("`{}`: {reason}", path.display())]
    Directory {
        /// What was named.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A name that no agent can have.
    #[error("the name of the agent: {0}")]
    AgentName(#[source] IdError),
    /// An agent that is neither built in nor a file of the project.
    #[error("there is no agent `{name}` in `{}`", root.display())]
    UnknownAgent {
        /// What was asked for.
        name: String,
        /// The project.
        root: PathBuf,
        /// The agents there are.
        known: Vec<String>,
    },
    /// A definition of the other kind.
    #[error("`{}` is {}", file.display(), a(*kind))]
    WrongKind {
        /// Its file.
        file: PathBuf,
        /// What it is.
        kind: DefinitionKind,
    },
    /// A file that cannot be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The definition of a run is not what it was when the run was started, and it is not said which is meant.
    #[error("the definition changed since the run was started: {0}")]
    DefinitionChanged(String),
    /// The definition of a run as it is now was asked for, and the run does not say where it comes from.
    #[error("it is not known where the definition of this run comes from")]
    NoDefinition,
    /// What a run takes the answers of models from is not there any more.
    #[error("the run takes answers of models from `{from}`, which is not there any more: {reason}")]
    ReplayGone {
        /// A run, or a directory of recorded exchanges.
        from: String,
        /// What was found instead.
        reason: String,
    },
    /// What a run takes the answers of models from is not what it was.
    #[error("the run takes answers of models from `{from}`, whose exchanges are not those of before")]
    ReplayChanged {
        /// A run, or a directory of recorded exchanges.
        from: String,
    },
}

fn in_file(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map(|path| format!("`{}`: ", path.display()))
        .unwrap_or_default()
}

fn a(kind: DefinitionKind) -> &'static str {
    match kind {
        DefinitionKind::Agent => "an agent",
        DefinitionKind::Flow => "a flow",
    }
}

impl From<Problems> for ProjectError {
    fn from(problems: Problems) -> Self {
        Self::Run(problems.into())
    }
}

impl ProjectError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Run(error) => error.code(),
            Self::Model(error) => error.code(),
            Self::UserConfig { .. } => "user_config",
            Self::Config { .. } => "config",
            Self::UnknownEnvironment { .. } => "unknown_environment",
            Self::Directory { .. } => "project",
            Self::AgentName(_) => "agent_name",
            Self::UnknownAgent { .. } => "unknown_agent",
            Self::WrongKind { .. } => "wrong_kind",
            Self::Unreadable { .. } => "unreadable",
            Self::DefinitionChanged(_) => "definition_changed",
            Self::NoDefinition => "no_definition",
            Self::ReplayGone { .. } => "replay_gone",
            Self::ReplayChanged { .. } => "replay_changed",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Run(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::UserConfig { hint, .. } => hint.clone(),
            Self::UnknownEnvironment { name, known, .. } => {
                let none = || match known.is_empty() {
                    true => "the file declares no environments; `--env default` uses none".to_owned(),
                    false => format!("the file declares {}; `--env default` uses none", known.join(", ")),
                };
                Some(did_you_mean(name, known).unwrap_or_else(none))
            }
            Self::UnknownAgent { name, known, .. } => {
                let none = || format!("write it to `agents/{name}/agent.yaml`");
                Some(did_you_mean(name, known).unwrap_or_else(none))
            }
            Self::WrongKind { kind, .. } => Some(match kind {
                DefinitionKind::Agent => "use `dhenara run agent NAME`".to_owned(),
                DefinitionKind::Flow => "use `dhenara run flow FILE`".to_owned(),
            }),
            Self::DefinitionChanged(_) => Some(
                "`--definition recorded` uses the one it was started with, \
                 `--definition current` with the one there is now"
                    .to_owned(),
            ),
            Self::ReplayGone { .. } => Some(
                "bring it back to where it was, name a run by `--replay RUN`, or choose an environment by `--env NAME`"
                    .to_owned(),
            ),
            Self::ReplayChanged { .. } => Some(
                "bring back what it was, or take what it is now by naming it again: a run by `--replay RUN`, the \
                 environment of a cassette by `--env NAME`"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Who has to do something about it.
    #[must_use]
    pub const fn kind(&self) -> RunErrorKind {
        match self {
            Self::Run(error) => error.kind(),
            Self::DefinitionChanged(_) | Self::ReplayGone { .. } | Self::ReplayChanged { .. } => {
                RunErrorKind::Refused
            }
            _ => RunErrorKind::Usage,
        }
    }

    /// The error as it is shown and recorded.
    #[must_use]
    pub fn to_info(&self) -> ErrorInfo {
        if let Self::Run(error) = self {
            return error.to_info();
        }
        let mut info = ErrorInfo::from_error(self.code(), self);
        info.hint = self.hint();
        info
    }
}

fn did_you_mean(name: &str, known: &[String]) -> Option<String> {
    match dad_core::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("there are: {}", known.join(", "))),
    }
}
