//! Records that wait for the disk together, with `Durability::Disk`.
//!
//! Records gather until one comes that may not wait, or for a tenth of a second. Then the journal is synced once for all of
//! them, and only then are their events published.

use dad_events::Event;

use crate::journal::record::RecordBody;

/// Records that are written and not synced.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Their events, in the journal's order.
    pub(super) events: Vec<Event>,
    pub(super) is_open: bool,
    /// A task waits to close it.
    pub(super) closes_soon: bool,
}

impl Batch {
    pub(crate) fn add(&mut self, event: Option<Event>) {
        self.is_open = true;
        self.events.extend(event);
    }
}

/// Whether a record closes its batch: it reports a payment, an answer, an intervention or the end.
pub(crate) fn closes_batch(body: &RecordBody) -> bool {
    match body {
        RecordBody::Answered { .. } | RecordBody::Control { .. } | RecordBody::RunSealed { .. } => true,
        RecordBody::StepCommitted(committed) => !committed.full_usage().is_zero(),
        _ => false,
    }
}
