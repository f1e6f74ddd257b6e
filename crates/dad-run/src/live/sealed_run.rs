//! The report of a run that was sealed.

use std::time::Duration;

use dad_core::{ErrorInfo, FirstFailure, RunStatus};

use crate::journal::step_committed::Totals;

/// The number of failures that a component or run names.
pub(crate) const FIRST_FAILURES: usize = 10;

/// The report of a run that was sealed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SealedRun {
    /// The status it was sealed with.
    pub status: RunStatus,
    /// Why, if not well.
    pub error: Option<ErrorInfo>,
    /// The totals of its steps.
    pub totals: Totals,
    /// The first steps that failed, at most ten.
    pub first_failures: Vec<FirstFailure>,
    /// Since this process began to drive it.
    pub duration: Duration,
    /// Problems beside the run itself, of observers and handlers.
    pub warnings: Vec<String>,
}

impl SealedRun {
    /// The report of a run without steps.
    #[must_use]
    pub fn new(status: RunStatus) -> Self {
        Self {
            status,
            error: None,
            totals: Totals::default(),
            first_failures: Vec::new(),
            duration: Duration::ZERO,
            warnings: Vec::new(),
        }
    }
}
