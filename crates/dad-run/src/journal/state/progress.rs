//! The part of a run's state that its driver keeps.

use dad_core::{StatusCounts, Timestamp};

use super::open::Open;
use super::tally::Tally;
use crate::journal::record::RecordBody;

/// The state of a run that its driver keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    pub(crate) tally: Tally,
    pub(crate) open: Open,
}

impl Progress {
    /// Takes a record in. `voided` is how its step counted before, if the record voids that.
    pub(crate) fn apply(&mut self, seq: u64, at: Timestamp, body: &RecordBody, voided: Option<StatusCounts>) {
        self.tally.apply(seq, at, body, voided);
        self.open.apply(at, body, &self.tally);
    }
}
