//! The events of a run, made again from its journal.

use std::path::Path;
use std::time::Duration;

use dad_core::{HierarchyPath, NodeType, RetryPolicy, Timestamp};
use dad_events::{
    AttemptFailed, ComponentEnded, ComponentStarted, Custom, EventBody, QuestionAnswered, QuestionAsked,
    RunEnded, RunStarted, StepEnded, StepStarted,
};

use crate::error::RunError;
use crate::files::RunFiles;
use crate::journal::record::{Record, RecordBody};
use crate::journal::state::{Progress, between};
use crate::journal::step_committed::StepCommitted;
use crate::journal::text::{RecordText, RecordedError};
use crate::journal::values::load_value;

/// The facts about a run that stand in events and not in the records of its journal.
pub(crate) trait Replayed {
    /// The files of the run.
    fn files(&self) -> &dyn RunFiles;

    /// The number of steps in its definition, loops not unrolled.
    fn steps(&self) -> usize;

    /// The plan of a re-run in one line.
    fn plan(&self) -> Option<String>;

    /// The type of a step's node; an empty one for a step that the definition no longer has, since the run was resumed with another
    /// one.
    fn node_type(&self, path: &HierarchyPath) -> NodeType;

    /// Whether the definition of a step allows another attempt after one that fails.
    fn may_retry(&self, path: &HierarchyPath) -> bool;
}

/// The state before an event, parts of which the event reports.
#[derive(Debug, Default)]
pub(crate) struct EventReplay {
    pub(crate) progress: Progress,
}

impl EventReplay {
    /// Takes a record in, and gives the event that was published with it, if one was.
    pub(crate) fn event(
        &mut self,
        record: Record,
        run: &impl Replayed,
    ) -> Result<Option<EventBody>, RunError> {
        let at = record.at;
        let Progress { tally, open } = &self.progress;
        let driven_since = tally.driven_since;
        let entered = record.body.path().and_then(|path| open.components.get(path));
        let entered = entered.map(|component| (component.kind, component.entered_at));
        self.progress.apply(record.seq, at, &record.body, None);
        Ok(Some(match record.body {
            RecordBody::RunStarted(_) => run_started(run, false),
            RecordBody::RunResumed(_) => run_started(run, true),
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
                let Some((kind, entered_at)) = entered else {
                    return Ok(None);
                };
                EventBody::ComponentEnded(
                    ComponentEnded::new(path, kind, status)
                        .counts(totals.counts)
                        .usage(totals.usage)
                        .duration(time_from(Some(entered_at), at))
                        .error(error.map(RecordedError::into_inner)),
                )
            }
            RecordBody::Question { id, path, kind, .. } => {
                EventBody::QuestionAsked(QuestionAsked::new(id, path, kind))
            }
            RecordBody::Answered {
                path,
                kind,
                id,
                source,
                ..
            } => {
                let mut answered = QuestionAnswered::new(path, kind, source.into_inner());
                answered.id = id;
                EventBody::QuestionAnswered(answered)
            }
            RecordBody::StepStarted { path, attempt, .. } => {
                let (node_type, may_retry) = (run.node_type(&path), run.may_retry(&path));
                EventBody::StepStarted(StepStarted::new(path, node_type, attempt).may_retry(may_retry))
            }
            RecordBody::AttemptFailed {
                path,
                attempt,
                error,
                retry_at,
                ..
            } => EventBody::AttemptFailed(AttemptFailed::new(path, attempt, error.into_inner(), retry_at)),
            RecordBody::StepCommitted(step) => EventBody::StepEnded(step_ended(run, *step)),
            RecordBody::Custom { name, path, payload } => EventBody::Custom(
                Custom::new(name.into_inner(), load_value(run.files(), &payload)?).path(path),
            ),
            _ => return Ok(None),
        }))
    }
}

fn run_started(run: &impl Replayed, resumed: bool) -> EventBody {
    EventBody::RunStarted(RunStarted::new(run.steps()).resumed(resumed).plan(run.plan()))
}

fn step_ended(run: &impl Replayed, step: StepCommitted) -> StepEnded {
    let usage = step.full_usage();
    let node_type = run.node_type(&step.path);
    let run_dir: &Path = run.files().run_dir();
    let dir = run_dir.join(step.path.to_relative_dir());
    StepEnded::new(step.path, node_type, step.status, dir)
        .duration(Duration::from_millis(step.duration_ms))
        .usage(usage)
        .attempt(step.attempt)
        .reused_from(step.reused_from)
        .edited_from(step.edited_from)
        .summary(step.summary.map(RecordText::into_inner))
        .error(step.error.map(RecordedError::into_inner))
}

fn time_from(since: Option<Timestamp>, at: Timestamp) -> Duration {
    since.map_or(Duration::ZERO, |since| between(since, at))
}

/// Whether a policy allows a second attempt.
pub(crate) fn may_retry(policy: Option<&RetryPolicy>) -> bool {
    policy.is_some_and(|policy| policy.max_attempts > 1)
}
