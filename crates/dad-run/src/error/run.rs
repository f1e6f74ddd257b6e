//! Errors that happen while a run is set up, driven or read.

use std::path::{Path, PathBuf};

use dad_core::internal::in_words;
use dad_core::{ErrorInfo, HierarchyPath, PathError, RunId, RunIdError, RunStatus, StepStatus};
use dad_definition::Problems;
use dad_fs::FsError;

use crate::error::{NextStep, RunErrorKind, SetupError};

/// The reason why a run could not be set up, driven or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A choice of the caller cannot be followed.
    #[error(transparent)]
    Setup(Box<SetupError>),
    /// A record that is longer than a line of the journal may be.
    #[error("a record of {bytes} bytes cannot be written: at most {most} stand in one line of the journal")]
    RecordTooLong {
        /// Its length.
        bytes: usize,
        /// The longest there may be.
        most: usize,
    },
    /// The key that tells the user's own runs from those of others.
    #[error("the origin key{} cannot be used: {reason}", in_file(path.as_deref()))]
    OriginKey {
        /// Its file; `None` if it was given otherwise.
        path: Option<PathBuf>,
        /// The problem with it.
        reason: String,
    },
    /// A run that was driven by a newer version, with records that this one does not know.
    #[error("`{run}` has records of dad-run {version}, which this version does not know")]
    NewerRecords {
        /// The run.
        run: String,
        /// The version that knows them.
        version: String,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
    /// A record that may not follow those before it.
    #[error("a record of the run contradicts those before it: {0}")]
    Contradiction(String),
    /// A file of a run that cannot be read as what it should be.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The problem, with its place in the file.
        reason: String,
    },
    /// A journal that is damaged before its end.
    #[error("`{}` is damaged at line {line}: {reason}", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// The problem.
        reason: String,
    },
    /// A file of a newer version.
    #[error("`{}` has schema version {found}; this program reads up to {supported}", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// A file that is not what the journal says.
    #[error("`{}` is not the file that was recorded: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// A definition that is not the one that the run was set up with.
    #[error("`{0}` was set up with another definition than the one that is to be executed in it")]
    OtherDefinition(RunId),
    /// A run that is to be driven a second time at once.
    #[error("the run is driven already: there is one driver at a time")]
    AlreadyDriven,
    /// A node that was asked to stop and did not.
    #[error("`{path}` did not stop within {grace} of being asked to", grace = dad_core::format_duration(*grace))]
    Unresponsive {
        /// The step.
        path: HierarchyPath,
        /// The time that the driver waited.
        grace: std::time::Duration,
    },
    /// Another process drives the run.
    #[error("the run is driven by {holder}")]
    LeaseHeld {
        /// The run.
        run: String,
        /// The driver, in words.
        holder: String,
        /// Whether the lease was to be stolen.
        steal: bool,
    },
    /// A process on another machine was the last to drive the run, and its lock cannot be seen from here.
    #[error("the run was driven by {0}, and on this file system whether it still is cannot be determined")]
    LeaseOfAnotherHost(String),
    /// A run that is to be removed is driven.
    #[error("`{run}` is not removed: it is driven by {holder}")]
    RunInUse {
        /// The run.
        run: String,
        /// The driver, in words.
        holder: String,
    },
    /// Another process is removing runs.
    #[error("another process is removing runs in `{}`", .0.display())]
    CatalogLocked(PathBuf),
    /// The run that a re-run takes results from was removed.
    #[error("`{run}` still takes results from `{parent}`, which is not there any more")]
    ParentGone {
        /// The re-run.
        run: String,
        /// The run it was started from.
        parent: String,
    },
    /// A call after the end of the run.
    #[error("the run has ended")]
    Ended,
    /// A step was cancelled before what it was about to do began.
    #[error("`{0}` was cancelled")]
    Stopped(HierarchyPath),
    /// A step was recorded as something that cannot end it.
    #[error("`{0}` cannot end as {1}")]
    NotAnEnd(HierarchyPath, StepStatus),
    /// A status that no run ends with.
    #[error("a run cannot end as {0}; it ends as completed, failed, cancelled or waiting")]
    NotARunEnd(RunStatus),
    /// A run that was called completed while a question of it is open. It was sealed as waiting.
    #[error("`{run}` is not completed: the question `{question}` of `{path}` is open")]
    QuestionOpen {
        /// The run.
        run: RunId,
        /// The step or component that asks.
        path: HierarchyPath,
        /// The id of its question.
        question: String,
    },
    /// A run that was called completed although its root component did not complete. It was sealed as what it came to.
    #[error("the run is not completed: `{path}` is {status}")]
    RootNotCompleted {
        /// The root component.
        path: HierarchyPath,
        /// Its status.
        status: StepStatus,
    },
    /// No tokio runtime to deliver events with.
    #[error("a run must be set up inside a tokio runtime")]
    NoRuntime,
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
}

fn in_file(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" in `{}`", path.display()))
}

impl From<SetupError> for RunError {
    fn from(error: SetupError) -> Self {
        Self::Setup(Box::new(error))
    }
}

impl From<Problems> for RunError {
    fn from(problems: Problems) -> Self {
        SetupError::from(problems).into()
    }
}

impl From<RunIdError> for RunError {
    fn from(error: RunIdError) -> Self {
        SetupError::from(error).into()
    }
}

impl From<PathError> for RunError {
    fn from(error: PathError) -> Self {
        SetupError::from(error).into()
    }
}

impl RunError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Setup(error) => error.code(),
            Self::RecordTooLong { .. } => "record_too_long",
            Self::OriginKey { .. } => "origin_key",
            Self::NewerRecords { .. } => "newer_records",
            Self::Contradiction(_) => "contradiction",
            Self::Random(_) => "random",
            Self::Stopped(_) => "cancelled",
            Self::Unreadable { .. } => "unreadable",
            Self::Journal { .. } => "journal_damaged",
            Self::NewerVersion { .. } => "newer_version",
            Self::Corrupt { .. } => "corrupt",
            Self::OtherDefinition(_) => "other_definition",
            Self::AlreadyDriven => "already_driven",
            Self::Unresponsive { .. } => "unresponsive",
            Self::LeaseHeld { .. } | Self::LeaseOfAnotherHost(_) | Self::RunInUse { .. } => "lease_held",
            Self::CatalogLocked(_) => "catalog_locked",
            Self::ParentGone { .. } => "parent_gone",
            Self::Ended => "run_ended",
            Self::NotAnEnd(..) => "not_an_end",
            Self::NotARunEnd(_) => "not_a_run_end",
            Self::QuestionOpen { .. } => "question_open",
            Self::RootNotCompleted { .. } => "root_not_completed",
            Self::NoRuntime => "no_runtime",
            Self::Fs(_) => "file_operation",
        }
    }

    /// The next step of the caller, if one is known.
    #[must_use]
    pub fn next_step(&self) -> Option<NextStep> {
        Some(match self {
            Self::Setup(error) => return error.next_step(),
            Self::Unresponsive { .. } => NextStep::ResumeUnresponsive,
            Self::LeaseOfAnotherHost(_) => NextStep::StealLease,
            Self::OriginKey { path: Some(_), .. } => NextStep::ChooseStateDirectory,
            Self::OriginKey { path: None, .. } => NextStep::CheckOriginKey,
            Self::NewerVersion { found, .. } => NextStep::other(format!(
                "install a version of dhenara that reads schema version {found}"
            )),
            Self::Corrupt { .. } => NextStep::other(
                "restore the file, or start a re-run whose entry point is its step or one before it",
            ),
            Self::LeaseHeld { run, steal, .. } => NextStep::WaitForDriver {
                run: run.clone(),
                steal: *steal,
            },
            Self::RunInUse { run, .. } => NextStep::WaitOrCancel { run: run.clone() },
            Self::CatalogLocked(_) => NextStep::other("try again when it is done"),
            Self::ParentGone { .. } => {
                NextStep::other("bring the run back to where it was, or start from the beginning")
            }
            Self::QuestionOpen { run, .. } => NextStep::AnswerQuestion { run: run.to_string() },
            Self::RootNotCompleted { .. } => {
                NextStep::other("end a run as its report says, by `report.status`")
            }
            Self::OtherDefinition(_) => {
                NextStep::other("give the runner the definition that the run was set up with")
            }
            Self::Contradiction(_) => NextStep::other("this is a bug of dhenara; please report it"),
            Self::NewerRecords { version, .. } => {
                NextStep::other(format!("install version {version} or newer"))
            }
            Self::Journal { path, .. } => {
                let run = path.parent().and_then(Path::parent).and_then(Path::file_name);
                NextStep::RepairRun {
                    run: run.unwrap_or_default().to_string_lossy().into_owned(),
                }
            }
            _ => return None,
        })
    }

    /// The party that has to act.
    #[must_use]
    pub const fn kind(&self) -> RunErrorKind {
        // Exhaustive, so that a new error has to name its kind.
        match self {
            Self::Setup(error) => error.kind(),
            Self::ParentGone { .. } => RunErrorKind::Usage,
            Self::NewerRecords { .. }
            | Self::LeaseHeld { .. }
            | Self::LeaseOfAnotherHost(_)
            | Self::RunInUse { .. }
            | Self::CatalogLocked(_) => RunErrorKind::Refused,
            Self::Unreadable { .. }
            | Self::Journal { .. }
            | Self::NewerVersion { .. }
            | Self::Corrupt { .. } => RunErrorKind::Damage,
            Self::Contradiction(_) => RunErrorKind::Bug,
            Self::OriginKey { .. }
            | Self::Random(_)
            | Self::RecordTooLong { .. }
            | Self::Unresponsive { .. }
            | Self::OtherDefinition(_)
            | Self::AlreadyDriven
            | Self::Ended
            | Self::Stopped(_)
            | Self::NotAnEnd(..)
            | Self::NotARunEnd(_)
            | Self::QuestionOpen { .. }
            | Self::RootNotCompleted { .. }
            | Self::NoRuntime
            | Self::Fs(_) => RunErrorKind::Failure,
        }
    }

    /// The choice of the caller, if one was the cause.
    #[must_use]
    pub fn setup(&self) -> Option<&SetupError> {
        match self {
            Self::Setup(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the process or the machine has no file descriptor left: that may pass.
    #[must_use]
    pub fn is_out_of_descriptors(&self) -> bool {
        matches!(self, Self::Fs(error) if error.is_out_of_descriptors())
    }

    /// Whether a result of the previous run cannot be reused, which is no fault of the run's own directory.
    #[must_use]
    pub fn is_of_parent(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::ParentGone { .. } => true,
            Self::Setup(error) => {
                matches!(
                    **error,
                    SetupError::NothingToReuse { .. } | SetupError::Edit { .. }
                )
            }
            _ => false,
        }
    }

    /// The error as it is recorded.
    #[must_use]
    pub fn to_info(&self) -> ErrorInfo {
        let info = ErrorInfo::from_error(self.code(), self);
        match self.next_step() {
            Some(step) => info.with_hint(step.to_string()),
            None => info,
        }
    }

    /// The error for a file or text that cannot be read or understood.
    pub fn unreadable(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::Unreadable {
            path: path.into(),
            reason: in_words(&reason),
        }
    }
}
