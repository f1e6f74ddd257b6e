//! The error of a run.

use dad_core::{ErrorInfo, RunStatus};
use dad_definition::Problems;
use dad_run::{RunError, SetupError};

use crate::report::RunReport;

/// The reason for which a run did not complete. This is the error type of the facade.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The run could not be set up.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run could not continue: its directory could not be written or read, or a step did not stop when it was asked to.
    #[error("{source}")]
    Broken {
        /// The report of the run.
        report: Box<RunReport>,
        /// The cause.
        source: Box<RunError>,
    },
    /// A step, or the run itself, failed; everything up to there is recorded.
    #[error("the run failed{}", place_and_cause(report))]
    Failed {
        /// The report of the run.
        report: Box<RunReport>,
    },
    /// The user or the application stopped the run.
    #[error("the run was cancelled{}", place_and_cause(report))]
    Cancelled {
        /// The report of the run.
        report: Box<RunReport>,
    },
}

impl From<SetupError> for Error {
    fn from(error: SetupError) -> Self {
        Self::Run(error.into())
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::Run(problems.into())
    }
}

fn place_and_cause(report: &RunReport) -> String {
    match &report.error {
        None => String::new(),
        Some(ErrorInfo {
            message, path: None, ..
        }) => format!(": {message}"),
        Some(ErrorInfo {
            message,
            path: Some(path),
            ..
        }) => format!(" at `{path}`: {message}"),
    }
}

impl Error {
    /// The report of the run, if it was set up.
    #[must_use]
    pub fn report(&self) -> Option<&RunReport> {
        match self {
            Self::Run(_) => None,
            Self::Broken { report, .. } | Self::Failed { report } | Self::Cancelled { report } => {
                Some(report)
            }
        }
    }

    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Run(error) => error.code(),
            Self::Broken { source, .. } => source.code(),
            Self::Failed { report } => report.error.as_ref().map_or("failed", |error| &error.code),
            Self::Cancelled { .. } => "cancelled",
        }
    }

    pub(crate) fn from_report(report: RunReport) -> Result<RunReport, Self> {
        match report.status {
            RunStatus::Completed | RunStatus::Waiting => Ok(report),
            RunStatus::Cancelled => Err(Self::Cancelled {
                report: Box::new(report),
            }),
            _ => Err(Self::Failed {
                report: Box::new(report),
            }),
        }
    }
}
