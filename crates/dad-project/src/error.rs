//! The errors of projects.

use std::path::PathBuf;

use dad_core::{DefinitionKind, ErrorInfo, HierarchyPath, IdError, RunStatus, StepStatus};
use dad_definition::Problems;
use dad_models::ModelError;
use dad_run::{NextStep, RunError, RunErrorKind, SetupError};

/// Why a project cannot be used, or a run of it not be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// The project, a run or a definition of it.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Its models or their recorded exchanges.
    #[error(transparent)]
    Model(ModelError),
    /// The user's own configuration.
    #[error("{}{reason}", in_file(path))]
    UserConfig {
        /// The file; `None` if there is no directory for it.
        path: Option<PathBuf>,
        /// The problem.
        reason: String,
        /// The remedy.
        hint: Option<String>,
    },
    /// A setting of observability that cannot be used.
    #[error("{place}: {reason}")]
    Observability {
        /// The variable or file that gives it.
        place: String,
        /// The problem, without values that may be secrets.
        reason: String,
        /// The remedy.
        hint: Option<String>,
    },
    /// Signals are to be sent, and no receiver is configured.
    #[error("there is no receiver to send traces to")]
    NoReceiver,
    /// An environment that the project does not declare.
    #[error("there is no environment `{name}` in `{}`", path.display())]
    UnknownEnvironment {
        /// The requested name.
        name: String,
        /// The configuration of the project.
        path: PathBuf,
        /// The environments it declares.
        known: Vec<String>,
    },
    /// A directory that cannot be trusted, because it is none.
    #[error("`{}`: {reason}", path.display())]
    Directory {
        /// The given name.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A name that no agent and no flow can have.
    #[error("the name of the definition: {0}")]
    AgentName(IdError),
    /// An agent that is neither built in nor a file of the project.
    #[error("there is no agent `{name}` in `{}`", root.display())]
    UnknownAgent {
        /// The requested name.
        name: String,
        /// The project.
        root: PathBuf,
        /// The agents there are.
        known: Vec<String>,
    },
    /// A name without a definition.
    #[error("there is no {} `{name}` in `{}`", kind.map_or("agent or flow", DefinitionKind::as_str), root.display())]
    UnknownDefinition {
        /// The requested kind; `None` if either would do.
        kind: Option<DefinitionKind>,
        /// The requested name.
        name: String,
        /// The project.
        root: PathBuf,
        /// The definitions there are.
        known: Vec<String>,
    },
    /// A name of an agent and of a flow.
    #[error("`{name}` is an agent and a flow")]
    AmbiguousName {
        /// The requested name.
        name: String,
    },
    /// A definition of the other kind.
    #[error("`{}` is {}", file.display(), a(*kind))]
    WrongKind {
        /// Its file.
        file: PathBuf,
        /// The kind it is of.
        kind: DefinitionKind,
    },
    /// A name that an agent, flow or program has already.
    #[error("`{}` cannot be made: the name is taken", file.display())]
    NameTaken {
        /// The file that was to be made.
        file: PathBuf,
    },
    /// A directory that a package of Cargo cannot be called after.
    #[error(
        "no package can be called `{0}`: a name begins with a small letter, and has small letters, digits, `-` and `_`"
    )]
    ProgramName(String),
    /// A file that cannot be made.
    #[error("`{}` cannot be made: {reason}", path.display())]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The recorded exchanges of an environment cannot be read.
    #[error("the cassette of the environment `{environment}`: {reason}")]
    Cassette {
        /// The environment.
        environment: String,
        /// Why, with the file.
        reason: String,
    },
    /// The definition of a run is not what it was when the run was started, and it is not said which is meant.
    #[error("the definition changed since the run was started: {0}")]
    DefinitionChanged(String),
    /// The definition of a run as it is now was asked for, and the run does not say where it comes from.
    #[error("it is not known where the definition of this run comes from")]
    NoDefinition,
    /// The source of recorded answers for a run no longer exists.
    #[error("the run takes answers of models from `{from}`, which is not there any more: {reason}")]
    ReplayGone {
        /// A run, or a directory of recorded exchanges.
        from: String,
        /// The thing found instead.
        reason: String,
    },
    /// The source of recorded answers for a run has changed.
    #[error("the run takes answers of models from `{from}`, whose exchanges are not those of before")]
    ReplayChanged {
        /// A run, or a directory of recorded exchanges.
        from: String,
    },
    /// A question that has its answer.
    #[error("the question `{question}` of `{run}` has been answered already")]
    AlreadyAnswered {
        /// The run.
        run: String,
        /// The id of the question.
        question: String,
        /// Whether a process drives the run, which uses that answer.
        driven: bool,
    },
    /// Rows of a batch that are none.
    #[error("{}", .0.join("\n"))]
    Rows(Vec<String>),
    /// A batch that is not there, or whose file cannot be used.
    #[error("the batch `{}` cannot be used: {reason}", path.display())]
    NoBatch {
        /// Its file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A row of a batch that was run with other variables or inputs.
    #[error(
        "row `{row}` was run with other variables or inputs: start another batch, or give the row another id"
    )]
    RowChanged {
        /// Its id.
        row: String,
    },
    /// A run of a batch that was stopped before the run began.
    #[error("the batch was stopped before the run began")]
    BatchStopped,
    /// A run that was to be stopped, and that no process drives.
    #[error("`{run}` {}: no process drives it{}", in_words(*status), if *status == RunStatus::Waiting { " until then" } else { "" })]
    NotDriven {
        /// The run.
        run: String,
        /// Its status.
        status: RunStatus,
    },
    /// A step or component that was to be stopped, and that does not execute.
    #[error("`{path}` {}", status.map_or_else(|| "is not reached yet".to_owned(), |status| format!("has ended already: it is {status}")))]
    NotExecuting {
        /// The step or component.
        path: HierarchyPath,
        /// The status it ended with; `None` if the run has not reached it.
        status: Option<StepStatus>,
    },
}

fn in_words(status: RunStatus) -> String {
    match status {
        RunStatus::Waiting => "waits for an answer".to_owned(),
        status => format!("is {status}"),
    }
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

impl From<SetupError> for ProjectError {
    fn from(error: SetupError) -> Self {
        Self::Run(error.into())
    }
}

impl From<Problems> for ProjectError {
    fn from(problems: Problems) -> Self {
        Self::Run(problems.into())
    }
}

impl From<ModelError> for ProjectError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Catalog(problems) => problems.into(),
            error => Self::Model(error),
        }
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
            Self::Observability { .. } => "observability",
            Self::NoReceiver => "no_receiver",
            Self::UnknownEnvironment { .. } => "unknown_environment",
            Self::Directory { .. } => "project",
            Self::AgentName(_) => "agent_name",
            Self::UnknownAgent { .. } => "unknown_agent",
            Self::UnknownDefinition { .. } => "unknown_definition",
            Self::AmbiguousName { .. } => "ambiguous_name",
            Self::WrongKind { .. } => "wrong_kind",
            Self::NameTaken { .. } => "name_taken",
            Self::ProgramName(_) => "program_name",
            Self::Unwritable { .. } => "unwritable",
            Self::Unreadable { .. } | Self::Cassette { .. } => "unreadable",
            Self::DefinitionChanged(_) => "definition_changed",
            Self::NoDefinition => "no_definition",
            Self::ReplayGone { .. } => "replay_gone",
            Self::ReplayChanged { .. } => "replay_changed",
            Self::AlreadyAnswered { .. } => "already_answered",
            Self::Rows(_) => "rows",
            Self::NoBatch { .. } => "no_batch",
            Self::RowChanged { .. } => "row_changed",
            Self::BatchStopped => "cancelled",
            Self::NotDriven { .. } | Self::NotExecuting { .. } => "not_running",
        }
    }

    /// The next step of the user, if one is known.
    #[must_use]
    pub fn next_step(&self) -> Option<NextStep> {
        match self {
            Self::Run(error) => error.next_step(),
            Self::Model(error) => error.hint().map(NextStep::other),
            Self::UserConfig { hint, .. } | Self::Observability { hint, .. } => {
                hint.clone().map(NextStep::other)
            }
            Self::NoReceiver => Some(NextStep::other(
                "give `--endpoint URL`, set OTEL_EXPORTER_OTLP_ENDPOINT, or write `observability: { endpoint: URL }` into an \
                 environment of `.dhenara/config.yaml`",
            )),
            Self::UnknownEnvironment { name, known, .. } => Some(match did_you_mean(name, known) {
                Some(near) => NextStep::other(near),
                None => NextStep::UseNoEnvironment { known: known.clone() },
            }),
            Self::UnknownAgent { name, known, .. } => {
                let none = || format!("write it to `agents/{name}/agent.yaml`");
                Some(NextStep::other(did_you_mean(name, known).unwrap_or_else(none)))
            }
            Self::UnknownDefinition {
                kind, name, known, ..
            } => {
                let none = || match kind {
                    Some(DefinitionKind::Flow) => format!("write it to `flows/{name}.yaml`"),
                    _ => format!("write it to `agents/{name}/agent.yaml` or `flows/{name}.yaml`"),
                };
                Some(NextStep::other(did_you_mean(name, known).unwrap_or_else(none)))
            }
            Self::AmbiguousName { .. } => Some(NextStep::other("say which of them you mean")),
            Self::WrongKind { kind, .. } => Some(match kind {
                DefinitionKind::Agent => NextStep::RunAgent,
                DefinitionKind::Flow => NextStep::RunFlow,
            }),
            Self::NameTaken { .. } => Some(NextStep::other("choose another name, or change what is there")),
            Self::DefinitionChanged(_) => Some(NextStep::ChooseDefinition),
            Self::ReplayGone { .. } => Some(NextStep::NameReplaySource),
            Self::Cassette { environment, .. } => Some(NextStep::other(format!(
                "`cassette` of `{environment}` in `.dhenara/config.yaml` names a directory of recorded exchanges, relative to the project"
            ))),
            Self::ReplayChanged { .. } => Some(NextStep::AcceptReplaySource),
            Self::AlreadyAnswered {
                run, driven: false, ..
            } => Some(NextStep::ResumeAnswered { run: run.clone() }),
            Self::NotDriven {
                run,
                status: RunStatus::Waiting,
            } => Some(NextStep::AnswerOrRemove { run: run.clone() }),
            Self::NoBatch { .. } => Some(NextStep::other("`run NAME --each FILE` makes a batch")),
            Self::NotDriven { .. } => Some(NextStep::CancelAnother),
            _ => None,
        }
    }

    /// The party that has to act.
    #[must_use]
    pub const fn kind(&self) -> RunErrorKind {
        match self {
            Self::Run(error) => error.kind(),
            Self::DefinitionChanged(_)
            | Self::ReplayGone { .. }
            | Self::ReplayChanged { .. }
            | Self::AlreadyAnswered { .. }
            | Self::NotDriven { .. }
            | Self::NotExecuting { .. } => RunErrorKind::Refused,
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
        info.hint = self.next_step().map(|step| step.to_string());
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
