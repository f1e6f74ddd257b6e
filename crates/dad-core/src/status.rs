//! Statuses of runs and steps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::word::UnknownWord;

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

/// Reads the word of a status that this version knows.
impl FromStr for RunStatus {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        const ALL: &[RunStatus] = &[
            RunStatus::Initialized,
            RunStatus::Running,
            RunStatus::Interrupted,
            RunStatus::Waiting,
            RunStatus::Completed,
            RunStatus::Failed,
            RunStatus::Cancelled,
        ];
        UnknownWord::find(word, "status of a run", ALL)
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

/// Reads the word of a status that this version knows.
impl FromStr for StepStatus {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        const ALL: &[StepStatus] = &[
            StepStatus::Pending,
            StepStatus::Running,
            StepStatus::Waiting,
            StepStatus::Completed,
            StepStatus::Failed,
            StepStatus::TimedOut,
            StepStatus::Cancelled,
            StepStatus::Skipped,
        ];
        UnknownWord::find(word, "status of a step", ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_its_word() {
        for word in [
            "initialized",
            "running",
            "interrupted",
            "waiting",
            "completed",
            "failed",
            "cancelled",
        ] {
            assert_eq!(word.parse::<RunStatus>().unwrap().as_str(), word);
        }
        for word in [
            "pending",
            "running",
            "waiting",
            "completed",
            "failed",
            "timed_out",
            "cancelled",
            "skipped",
        ] {
            assert_eq!(word.parse::<StepStatus>().unwrap().as_str(), word);
        }
        let error = "TimedOut".parse::<StepStatus>().unwrap_err().to_string();
        assert!(
            error.contains("`TimedOut`") && error.contains("timed_out"),
            "{error}"
        );
        assert!(
            "unknown".parse::<RunStatus>().is_err(),
            "a newer version's word is not known"
        );
    }
}
