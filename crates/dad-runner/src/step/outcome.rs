//! The outcome of a step or component, as the component around it sees it.

use dad_core::{ErrorInfo, FirstFailure, HierarchyPath, StepStatus};
use dad_run::Totals;

/// The failures that a record names, so that its size does not grow with the number of steps.
const MAX_FAILURES: usize = 10;

/// The outcome of a step or component. `status` is its meaning for the component around it: an absorbed failure is completed.
#[derive(Debug)]
pub(crate) struct ElementOutcome {
    pub(crate) status: StepStatus,
    pub(crate) totals: Totals,
    /// The first failures in it, in document order.
    pub(crate) failures: Vec<FirstFailure>,
}

impl ElementOutcome {
    /// The outcome of no steps at all.
    pub(crate) fn empty() -> Self {
        Self {
            status: StepStatus::Completed,
            totals: Totals::default(),
            failures: Vec::new(),
        }
    }

    /// The outcome of an element that suspends, or is stopped, without having begun.
    pub(crate) fn pending(status: StepStatus) -> Self {
        Self {
            status,
            ..Self::empty()
        }
    }

    /// The outcome of steps whose results this run recorded before it was resumed.
    pub(crate) fn restored(totals: Totals) -> Self {
        Self {
            totals,
            ..Self::empty()
        }
    }

    pub(crate) fn failed(path: &HierarchyPath, error: ErrorInfo) -> Self {
        let mut outcome = Self::empty();
        outcome.fail(path, error);
        outcome
    }

    pub(crate) fn add(&mut self, part: Self) {
        self.totals.add(&part.totals);
        self.failures.extend(part.failures);
        self.failures.truncate(MAX_FAILURES);
        // A failure says more than a wait, and both say more than a success.
        let says_more = self.status == StepStatus::Completed
            || (self.status == StepStatus::Waiting && part.status.is_failure());
        if says_more {
            self.status = part.status;
        }
    }

    /// Marks it as stopped from outside.
    pub(crate) fn cancel(&mut self) {
        if !self.status.is_failure() {
            self.status = StepStatus::Cancelled;
        }
    }

    pub(crate) fn fail(&mut self, path: &HierarchyPath, error: ErrorInfo) {
        self.status = StepStatus::Failed;
        self.failures.push(FirstFailure::new(path.clone(), error));
    }

    /// Marks it as ended by a limit of time. The error of the limit comes before those of the steps that it stopped.
    pub(crate) fn end_by_limit(&mut self, status: StepStatus, path: &HierarchyPath, error: ErrorInfo) {
        self.status = status;
        let path = path.clone();
        self.failures.insert(0, FirstFailure::new(path, error));
    }
}
