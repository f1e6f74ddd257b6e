//! Events that a listener missed, rebuilt from the journal.

use std::sync::Arc;
use std::time::Duration;

use dad_core::{HierarchyPath, NodeType, Timestamp};
use dad_events::{
    AttemptFailed, ComponentEnded, ComponentStarted, Custom, Event, EventBody, QuestionAsked, RunEnded,
    RunStarted, StepEnded, StepStarted,
};

use crate::error::RunError;
use crate::journal::reader::read_journal;
use crate::journal::record::{Record, RecordBody};
use crate::journal::state::{Progress, between};
use crate::journal::step_committed::StepCommitted;
use crate::journal::text::{RecordText, RecordedError};
use crate::journal::values::load_value;
use crate::live::handle::RunHandle;
use crate::rerun::plan::RerunPlan;

impl RunHandle {
    /// The events whose journal records come after number `seq`, in the journal's order: those that a slow listener
    /// missed. Errors in them are as short as the journal has them. Events without a record are not among them.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn events_since(&self, seq: u64) -> Result<Vec<Event>, RunError> {
        let mut replay = Replay {
            run: self,
            progress: Progress::default(),
        };
        let mut events = Vec::new();
        let mut failed = None;
        read_journal(&self.inner().dir, None, |record| {
            let (number, at) = (record.seq, record.at);
            match replay.event(record) {
                Ok(Some(body)) if number > seq => {
                    events.push(Event::new(Some(number), at, Arc::clone(self.identity()), body));
                }
                Ok(_) => {}
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
            Ok(())
        })?;
        failed.map_or(Ok(events), Err)
    }
}

/// The state before an event, parts of which the event reports.
struct Replay<'a> {
    run: &'a RunHandle,
    progress: Progress,
}

impl Replay<'_> {
    /// The event that was published with a record, if one was.
    fn event(&mut self, record: Record) -> Result<Option<EventBody>, RunError> {
        let at = record.at;
        let Progress { tally, open } = &self.progress;
        let driven_since = tally.driven_since;
        let entered = record.body.path().and_then(|path| open.components.get(path));
        let entered_at = entered.map(|component| component.entered_at);
        self.progress.apply(record.seq, at, &record.body, None);
        Ok(Some(match record.body {
            RecordBody::RunStarted(_) => self.run_started(false),
            RecordBody::RunResumed(_) => self.run_started(true),
            RecordBody::RunSealed {
                status,
                error,
                totals,
                ..
            } => EventBody::RunEnded(
                RunEnded::new(status)
                    .error(error.map(RecordedError::into_inner))
                    .counts(totals.counts)
                    .usage(totals.usage)
                    .duration(time_from(driven_since, at)),
            ),
            RecordBody::ComponentStarted { path, kind, .. } => {
                EventBody::ComponentStarted(ComponentStarted::new(path, kind))
            }
            RecordBody::ComponentCompleted {
                path,
                status,
                totals,
                error,
                ..
            } => {
                let Some(component) = self.run.program().component(&path) else {
                    return Ok(None);
                };
                EventBody::ComponentEnded(
                    ComponentEnded::new(path, component.kind, status)
                        .counts(totals.counts)
                        .usage(totals.usage)
                        .duration(time_from(entered_at, at))
                        .error(error.map(RecordedError::into_inner)),
                )
            }
            RecordBody::Question { id, path, kind, .. } => {
                EventBody::QuestionAsked(QuestionAsked::new(id, path, kind))
            }
            RecordBody::StepStarted { path, attempt, .. } => {
                let node_type = self.node_type(&path);
                EventBody::StepStarted(StepStarted::new(path, node_type, attempt))
            }
            RecordBody::AttemptFailed {
                path,
                attempt,
                error,
                retry_at,
                ..
            } => EventBody::AttemptFailed(AttemptFailed::new(path, attempt, error.into_inner(), retry_at)),
            RecordBody::StepCommitted(step) => EventBody::StepEnded(self.step_ended(*step)),
            RecordBody::Custom { name, path, payload } => EventBody::Custom(
                Custom::new(name.into_inner(), load_value(&self.run.inner().dir, &payload)?).path(path),
            ),
            _ => return Ok(None),
        }))
    }

    fn run_started(&self, resumed: bool) -> EventBody {
        EventBody::RunStarted(
            RunStarted::new(self.run.program().steps().count())
                .resumed(resumed)
                .plan(self.run.inner().plan.as_ref().map(RerunPlan::summary)),
        )
    }

    fn step_ended(&self, step: StepCommitted) -> StepEnded {
        let usage = step.full_usage();
        let node_type = self.node_type(&step.path);
        let dir = self.run.inner().dir.path().join(step.path.to_relative_dir());
        StepEnded::new(step.path, node_type, step.status, dir)
            .duration(Duration::from_millis(step.duration_ms))
            .usage(usage)
            .attempt(step.attempt)
            .reused_from(step.reused_from)
            .edited_from(step.edited_from)
            .summary(step.summary.map(RecordText::into_inner))
            .error(step.error.map(RecordedError::into_inner))
    }

    /// The type of a step's node; a step that the definition no longer has, since the run was resumed with another one,
    /// has an empty one.
    fn node_type(&self, path: &HierarchyPath) -> NodeType {
        let node = self.run.program().step(path);
        node.map_or_else(|| NodeType::new(""), |node| node.node_type.clone())
    }
}

fn time_from(since: Option<Timestamp>, at: Timestamp) -> Duration {
    since.map_or(Duration::ZERO, |since| between(since, at))
}
