//! The part of a run's state of constant size: sums, settings and the last session.

use std::sync::Arc;
use std::time::Duration;

use dad_core::{
    Budget, Digest, ElementId, ErrorInfo, HierarchyPath, RunId, RunStatus, StatusCounts, StepStatus,
    Timestamp,
};
use serde::Deserialize;

use crate::journal::record::{ControlKind, RecordBody, SessionStart};
use crate::journal::session::Session;
use crate::journal::settings::RunSettings;
use crate::journal::step_committed::Totals;
use crate::journal::text::RecordedError;

/// The sums, settings and session of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// The version of the journal's format; 0 before its first record.
    pub(crate) format: u32,
    /// The number of the last record.
    pub(crate) seq: u64,
    pub(crate) last_at: Option<Timestamp>,
    pub(crate) created: Option<Created>,
    /// The number of processes that have driven it.
    pub(crate) epoch: u32,
    /// The process that drove it last.
    pub(crate) session: Option<Arc<Session>>,
    /// Whether records of steps may follow: a process has begun to drive it and not sealed it.
    pub(crate) is_driven: bool,
    /// Whether the journal was repaired since: what its user decided about uncertain steps may follow.
    pub(crate) is_repaired: bool,
    /// The status of its last seal; `None` if it is driven or was interrupted.
    pub(crate) sealed: Option<RunStatus>,
    pub(crate) error: Option<ErrorInfo>,
    pub(crate) totals: Totals,
    /// The final status of the root component in this session.
    pub(crate) root_ended: Option<StepStatus>,
    /// The first step with an effect that was executed.
    pub(crate) effect: Option<HierarchyPath>,
    /// The budget that the run was given, beside that of the definition.
    pub(crate) budget: Budget,
    /// The settings of its last driver.
    pub(crate) settings: RunSettings,
    /// The time that processes have driven it, added up.
    pub(crate) driven: Duration,
    pub(crate) driven_since: Option<Timestamp>,
    /// Digest of the output, of a run that was sealed with one.
    pub(crate) output: Option<Digest>,
    /// The last record that vouches for those before it: what they are about may be of any origin.
    pub(crate) vouched_at: u64,
    /// Digest of the definition that the last driver executes.
    pub(crate) definition: Option<Digest>,
}

/// The content of the first record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Created {
    pub(crate) at: Timestamp,
    pub(crate) run_id: RunId,
    pub(crate) root_id: ElementId,
    pub(crate) definition: Digest,
    pub(crate) parent: Option<RunId>,
    pub(crate) plan_digest: Option<Digest>,
    pub(crate) static_inputs_digest: Option<Digest>,
    pub(crate) salt: Option<String>,
}

impl Tally {
    pub(super) fn apply(&mut self, seq: u64, at: Timestamp, body: &RecordBody, voided: Option<StatusCounts>) {
        let last_at = self.last_at.replace(at);
        self.seq = seq;
        // What executes again, or asks to, voids how it ended before; what that consumed stays consumed.
        if let Some(voided) = voided {
            self.totals.counts.remove(&voided);
        }
        match body {
            RecordBody::RunCreated { .. } => self.run_created(at, body),
            RecordBody::RunStarted(start) | RecordBody::RunResumed(start) => {
                if start.prev.is_some() {
                    self.vouched_at = seq;
                }
                self.session_started(start, last_at, at);
            }
            RecordBody::Trusted { .. } => {
                self.is_driven = false;
                self.vouched_at = seq;
            }
            RecordBody::Repaired { schema_version, .. } => {
                self.driven_until(last_at);
                self.format = schema_version.unwrap_or(self.format);
                self.is_driven = false;
                self.is_repaired = true;
                self.sealed = None;
                self.error = None;
            }
            RecordBody::Inputs {
                options,
                static_inputs_digest,
                ..
            } => {
                if let Some(created) = &mut self.created {
                    created.static_inputs_digest = *static_inputs_digest;
                }
                self.settings = RunSettings::deserialize(options).unwrap_or_default();
                self.budgeted(self.settings.budget);
            }
            RecordBody::Control {
                kind: ControlKind::Budget,
                value,
                ..
            } => self.budgeted(value.as_ref().and_then(|budget| Budget::deserialize(budget).ok())),
            RecordBody::ComponentCompleted { path, status, .. } if path.parent().is_none() => {
                self.root_ended = Some(*status);
            }
            RecordBody::StepStarted {
                path, effect: true, ..
            } if self.effect.is_none() => self.effect = Some(path.clone()),
            RecordBody::AttemptFailed { usage, .. } => self.totals.usage += *usage,
            RecordBody::StepCommitted(step) => self.totals.add(&step.totals()),
            RecordBody::RunSealed {
                status,
                error,
                output,
                ..
            } => {
                self.output = *output;
                self.driven_until(Some(at));
                self.is_driven = false;
                self.sealed = Some(*status);
                self.error = error.clone().map(RecordedError::into_inner);
            }
            _ => {}
        }
    }

    fn run_created(&mut self, at: Timestamp, body: &RecordBody) {
        if let RecordBody::RunCreated {
            run_id,
            root_id,
            parent,
            definition_digest,
            plan_digest,
            salt,
            schema_version,
            ..
        } = body
        {
            self.format = *schema_version;
            self.definition = Some(*definition_digest);
            self.created = Some(Created {
                at,
                run_id: run_id.clone(),
                root_id: root_id.clone(),
                definition: *definition_digest,
                parent: parent.clone(),
                plan_digest: *plan_digest,
                static_inputs_digest: None,
                salt: salt.clone(),
            });
        }
    }

    fn session_started(&mut self, start: &SessionStart, last_at: Option<Timestamp>, at: Timestamp) {
        self.driven_until(last_at);
        self.driven_since = Some(at);
        self.epoch = start.driver.epoch;
        self.format = start.schema_version.unwrap_or(self.format);
        self.session = Some(Arc::new(Session::from(start)));
        self.definition = start.definition.or(self.definition);
        // Older versions recorded the environment with the inputs alone.
        if start.settings.environment.is_some() {
            self.settings = start.settings.clone();
        }
        self.budgeted(start.settings.budget);
        self.is_driven = true;
        self.is_repaired = false;
        self.sealed = None;
        self.error = None;
        self.root_ended = None;
    }

    /// Adds the time in which a process drove the run: of one that died, up to its last record.
    fn driven_until(&mut self, end: Option<Timestamp>) {
        if let (Some(since), Some(end)) = (self.driven_since.take(), end) {
            self.driven += between(since, end);
        }
    }

    fn budgeted(&mut self, budget: Option<Budget>) {
        self.budget = self.budget.overridden_by(budget.unwrap_or_default());
    }
}

/// The time from one record to another. A clock that went backwards measured nothing.
pub(crate) fn between(since: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(since)).unwrap_or_default()
}
