//! The ends of a run, as its owner states them.

use dad_core::RunStatus;

use crate::error::RunError;

/// The end of a run, as its owner states it. It ends as `Waiting` if a question of it is open: an answer continues it. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunEnd {
    /// Everything was done.
    Completed,
    /// A step or the run itself failed.
    Failed,
    /// Its owner stopped it.
    Cancelled,
    /// It continues when its open questions are answered.
    Waiting,
}

impl From<RunEnd> for RunStatus {
    fn from(end: RunEnd) -> Self {
        match end {
            RunEnd::Completed => Self::Completed,
            RunEnd::Failed => Self::Failed,
            RunEnd::Cancelled => Self::Cancelled,
            RunEnd::Waiting => Self::Waiting,
        }
    }
}

/// The end that a report tells; a status that no run ends with is an error.
impl TryFrom<RunStatus> for RunEnd {
    type Error = RunError;

    fn try_from(status: RunStatus) -> Result<Self, RunError> {
        match status {
            RunStatus::Completed => Ok(Self::Completed),
            RunStatus::Failed => Ok(Self::Failed),
            RunStatus::Cancelled => Ok(Self::Cancelled),
            RunStatus::Waiting => Ok(Self::Waiting),
            other => Err(RunError::NotARunEnd(other)),
        }
    }
}
