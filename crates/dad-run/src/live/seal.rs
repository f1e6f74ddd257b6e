//! Sealing a run: the last record, then its projections, then the lease.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dad_core::{ErrorInfo, RunStatus, StepStatus, Timestamp};
use dad_events::{Event, EventBody, RunEnded};

use crate::error::RunError;
use crate::journal::record::RecordBody;
use crate::live::end::RunEnd;
use crate::live::masking::mask_left_files;
use crate::live::projections::{Metadata, Summary};
use crate::live::sealed_run::SealedRun;
use crate::live::shared::RunShared;
use crate::store::view::RunView;

impl RunShared {
    /// Why the run cannot be called completed, and what it is instead.
    pub(crate) fn is_not_completed(&self) -> Result<Option<(RunEnd, RunError)>, RunError> {
        let (asks, root_ended) = {
            let state = self.state();
            (
                state.open_questions > 0,
                state.journal.progress().tally.root_ended,
            )
        };
        if asks && let Some(open) = RunView::open(self.dir.path())?.open_questions().next() {
            let error = RunError::QuestionOpen {
                run: self.identity.run_id.clone(),
                path: open.path.clone(),
                question: open.id.clone(),
            };
            return Ok(Some((RunEnd::Waiting, error)));
        }
        let end = match root_ended {
            None | Some(StepStatus::Completed) => return Ok(None),
            Some(StepStatus::Cancelled) => RunEnd::Cancelled,
            Some(StepStatus::Waiting) => RunEnd::Waiting,
            Some(_) => RunEnd::Failed,
        };
        let error = RunError::RootNotCompleted {
            path: self.identity.root_path(),
            status: root_ended.unwrap_or(StepStatus::Unknown),
        };
        Ok(Some((end, error)))
    }

    pub(crate) fn seal(&self, end: RunEnd, error: Option<ErrorInfo>) -> Result<SealedRun, RunError> {
        let status = RunStatus::from(end);
        let root_id = self.identity.root_id.as_str();
        // Before the last record: once the run is sealed, another process may read or copy its files.
        let masked = mask_left_files(&self.dir, root_id, &self.secrets.redactor());
        let unmasked = |error| format!("secrets may stand in files beside the records: {error}");
        let warnings = masked.err().map(unmasked).into_iter().collect();
        let mut state = self.state();
        let totals = state.journal.progress().tally.totals;
        let duration = self.started.elapsed();
        let body = RecordBody::RunSealed {
            status,
            error: error.as_ref().map(Into::into),
            totals,
            open_questions: match status {
                RunStatus::Waiting => state.open_questions,
                _ => 0,
            },
            output: state.output.filter(|_| status == RunStatus::Completed),
        };
        // Without its event, which is published behind the projections.
        let recorded = self.record_in(&mut state, &body, None, false);
        // Also after a failed record: nothing may follow what was meant to be the last.
        self.ended.store(true, Ordering::Release);
        let sealed = SealedRun {
            status,
            error,
            totals,
            first_failures: state.first_failures.clone(),
            duration,
            warnings,
        };
        // The files before the event, so that a handler finds them, and before the lease is given back, because the
        // next driver writes its own.
        let written = match &recorded {
            Ok(_) => self.write_projections(&sealed),
            Err(_) => Ok(()),
        };
        self.publish_end(recorded.as_ref().ok().copied(), &sealed);
        state.lease = None;
        recorded?;
        written.map(|()| sealed)
    }

    fn publish_end(&self, seq: Option<u64>, sealed: &SealedRun) {
        let body = EventBody::RunEnded(
            RunEnded::new(sealed.status)
                .error(sealed.error.clone())
                .counts(sealed.totals.counts)
                .usage(sealed.totals.usage)
                .duration(sealed.duration),
        );
        let run = Arc::clone(&self.identity);
        self.bus.publish(Event::new(seq, self.clock.now(), run, body));
    }

    fn write_projections(&self, sealed: &SealedRun) -> Result<(), RunError> {
        let completed_at = Some(self.clock.now());
        Summary::new(self, sealed, completed_at).write(&self.dir, &self.dot_run, self.durability)?;
        self.metadata(sealed.status, completed_at, Some(sealed))
            .write(&self.trace, self.durability)
    }

    pub(crate) fn metadata(
        &self,
        status: RunStatus,
        completed_at: Option<Timestamp>,
        sealed: Option<&SealedRun>,
    ) -> Metadata {
        Metadata::new(self, self.driver(), status, completed_at, sealed)
    }
}
