//! Statuses of runs and steps.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// The directory exists, nothing has been started.
    Initialized,
    /// A process drives the run.
    Running,
    /// Derived, never written: started, not sealed, and no process holds the lease.
    Interrupted,
    /// Sealed; open questions must be answered before the run can be resumed.
    Waiting,
    /// Sealed; everything was done.
    Completed,
    /// Sealed; a step or the run itself failed.
    Failed,
    /// Sealed; a user or a signal stopped it.
    Cancelled,
    /// A status written by a newer version.
    #[serde(other)]
    Unknown,
}

impl RunStatus {
    /// The word used in files and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialized => "initialized",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The status of a step or component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepStatus {
    /// Not reached yet.
    Pending,
    /// Being executed.
    Running,
    /// Has asked a question that is not answered yet.
    Waiting,
    /// Done.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended by its time limit.
    TimedOut,
    /// Ended by a cancellation.
    Cancelled,
    /// Not executed, for a recorded reason.
    Skipped,
    /// A status written by a newer version.
    #[serde(other)]
    Unknown,
}

impl StepStatus {
    /// The word used in files and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the step ended without what it was meant to do.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Cancelled)
    }

    /// Whether it is an end, good or bad.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        self.is_failure() || matches!(self, Self::Completed | Self::Skipped)
    }
}

impl fmt::Display for StepStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
