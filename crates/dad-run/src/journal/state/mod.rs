//! The state that a sequence of records leads to: the only interpreter of the journal.
//!
//! A [`RunState`] has three parts. [`Tally`] has a constant size; [`Open`] holds what has not ended, and grows with depth and
//! concurrency; [`Entries`] hold everything else, for readers. The driver of a run keeps the first two as a [`Progress`]
//! and applies each record that it appends; views, resume and missed events apply each record that they read. So a run that
//! is resumed is in the state in which its driver left it.
//!
//! Which record may follow which is the table of [`Progress::check`]. A driver refuses to append a record that may not
//! follow, and a reader takes it for damage.

pub use self::entries::ViewEntry;
pub(crate) use self::entries::{Entries, Left};
pub(crate) use self::open::Open;
pub use self::open::OpenQuestion;
pub(crate) use self::progress::Progress;
pub(crate) use self::tally::between;
use crate::journal::record::Record;
use crate::journal::record::RecordBody;
use dad_core::HierarchyPath;

mod entries;
mod legal;
mod open;
mod progress;
mod tally;

/// The state of a run that a reader keeps.
#[derive(Debug, Default)]
pub(crate) struct RunState {
    pub(crate) progress: Progress,
    pub(crate) entries: Entries,
}

impl RunState {
    /// Takes a record of a journal in. The first format did not say which record may follow which.
    ///
    /// # Errors
    /// Why it may not follow those before it.
    pub(crate) fn apply_read(&mut self, record: Record) -> Result<(), String> {
        if self.progress.tally.format >= 2 {
            self.progress.check(&record.body)?;
            self.entries.check(&record.body, &self.progress.open)?;
        }
        self.apply(record);
        Ok(())
    }

    /// Takes a record in.
    pub(crate) fn apply(&mut self, record: Record) {
        let Record { seq, at, body } = record;
        let voided = voided_by(&body, &self.progress.open).and_then(|path| self.entries.step(path));
        let voided = voided.map(|step| step.totals().counts);
        self.progress.apply(seq, at, &body, voided);
        self.entries.apply(seq, at, body, &self.progress);
    }
}

/// The step whose earlier end no longer counts once a record is there.
pub(crate) fn voided_by<'r>(body: &'r RecordBody, open: &Open) -> Option<&'r HierarchyPath> {
    match body {
        RecordBody::StepStarted { path, .. } => Some(path),
        // What is settled by hand, or taken over, was not begun again.
        RecordBody::StepCommitted(step) => Some(&step.path),
        // A step that asks while it executes has been begun again already.
        RecordBody::Question { path, .. } => Some(path).filter(|path| !open.executes(path)),
        _ => None,
    }
}
