//! The error of a run.

use std::fmt;

use dad_core::RunStatus;
use dad_definition::Problems;
use dad_run::{RunError, SetupError};

use crate::report::RunReport;

/// The reason for which a run did not complete. This is the error type of the facade.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The run could not be set up.
    Run(RunError),
    /// The run could not continue: its directory could not be written or read, or a step did not stop when it was asked to.
    Broken {
        /// The report of the run.
        report: Box<RunReport>,
        /// The cause.
        source: Box<RunError>,
    },
    /// A step, or the run itself, failed; everything up to there is recorded. The source is the recorded error, an
    /// [`ErrorInfo`](dad_core::ErrorInfo).
    Failed {
        /// The report of the run.
        report: Box<RunReport>,
    },
    /// The user or the application stopped the run. The source is the recorded error, if there is one.
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

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, report) = match self {
            Self::Run(error) => return error.fmt(f),
            Self::Broken { .. } => return f.write_str("the run could not continue"),
            Self::Failed { report } => ("the run failed", report),
            Self::Cancelled { report } => ("the run was cancelled", report),
        };
        f.write_str(words)?;
        match report.error.as_ref().and_then(|error| error.path.as_ref()) {
            Some(path) => write!(f, " at `{path}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Run(error) => error.source(),
            Self::Broken { source, .. } => Some(&**source),
            Self::Failed { report } | Self::Cancelled { report } => report
                .error
                .as_ref()
                .map(|error| error as &(dyn std::error::Error + 'static)),
        }
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

    /// The report of the run, if it was set up.
    ///
    /// # Errors
    /// Why it was not.
    pub fn into_report(self) -> Result<RunReport, RunError> {
        match self {
            Self::Run(error) => Err(error),
            Self::Broken { report, .. } | Self::Failed { report } | Self::Cancelled { report } => Ok(*report),
        }
    }

    /// The choice of the caller, if one was the cause: nothing was run.
    #[must_use]
    pub fn setup(&self) -> Option<&SetupError> {
        match self {
            Self::Run(error) => error.setup(),
            _ => None,
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
