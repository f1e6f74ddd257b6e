//! The part of a run's state that its driver keeps.

use dad_core::Timestamp;

use super::open::Open;
use super::tally::Tally;
use crate::journal::record::RecordBody;
use crate::journal::step_committed::StepCommitted;

/// The state of a run that its driver keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    pub(crate) tally: Tally,
    pub(crate) open: Open,
}

impl Progress {
    /// Takes a record in. `before` is how its step ended before, if the record voids that.
    pub(crate) fn apply(
        &mut self,
        seq: u64,
        at: Timestamp,
        body: &RecordBody,
        before: Option<&StepCommitted>,
    ) {
        self.tally.apply(seq, at, body, before);
        self.open.apply(at, body, &self.tally);
    }
}
