//! Interventions while a run is driven: cancels, events of the application, and stops.

use std::sync::atomic::Ordering;

use dad_core::{Clean, HierarchyPath};
use dad_events::{Custom, EventBody};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::RunError;
use crate::journal::record::{ControlKind, RecordBody};
use crate::journal::text::RecordText;
use crate::journal::values::store_value;
use crate::live::inputs::check_external;
use crate::live::shared::{RunShared, State};
use crate::live::stop::{Asked, reaches};

/// The recorded length of a reason given from outside, in bytes.
const CONTROL_TEXT: usize = 4 * 1024;

impl RunShared {
    /// Records that a person outside intervenes.
    pub(crate) fn control(
        &self,
        state: &mut State,
        kind: ControlKind,
        path: Option<&HierarchyPath>,
        source: &str,
        value: Option<Value>,
    ) -> Result<(), RunError> {
        let value = value.map(|value| match value {
            // A message that was longer lies whole in the inbox.
            Value::String(text) => {
                let text = Clean::redact(text, &self.secrets.redactor()).into_inner();
                RecordText::<CONTROL_TEXT>::from(&*text).into_inner().into()
            }
            value => value,
        });
        let body = RecordBody::Control {
            kind,
            path: path.cloned(),
            source: source.into(),
            value,
        };
        self.record_in(state, &body, None, false).map(drop)
    }

    /// Whether the run is to stop: what the application asked for is done now, if it was not yet.
    pub(crate) fn is_stopped(&self) -> bool {
        // Asked at every step, and nothing is at most of them.
        if self.stop.stopping().is_asked() {
            self.obey(self.stop.stopping(), &self.cancelled, None);
            self.obey(self.stop.ending(), &self.ended_at_once, Some("at once"));
        }
        self.cancelled.is_cancelled()
    }

    /// Records what the application asked for, and has the token of that cancelled.
    fn obey(&self, asked: &Asked, token: &CancellationToken, how: Option<&str>) {
        if !asked.is_asked() || token.is_cancelled() {
            return;
        }
        let mut state = self.state();
        // Another thread may have looked as well.
        if token.is_cancelled() {
            return;
        }
        let how = how.map(Value::from);
        let recorded = self.control(&mut state, ControlKind::Cancel, None, asked.source(), how);
        token.cancel();
        if let Err(error) = recorded {
            tracing::warn!(%error, "the run is stopped, and that cannot be recorded");
        }
    }

    /// Stops the run, or one step or component of it, because a person outside wants it: also if that cannot be recorded.
    pub(crate) fn cancel(&self, path: Option<&HierarchyPath>, source: &str) -> Result<(), RunError> {
        // One critical section for the record and the tokens: what asks for its token in another one begins before the
        // record, or not at all.
        let mut state = self.state();
        let recorded = self.control(&mut state, ControlKind::Cancel, path, source, None);
        let Some(path) = path else {
            self.cancelled.cancel();
            return recorded;
        };
        if !state.cancelled.contains(path) {
            state.cancelled.push(path.clone());
        }
        for (stoppable, stop) in &state.stoppable {
            if reaches(path, stoppable, stop.shield.as_ref()) {
                stop.token.cancel();
            }
        }
        self.any_cancelled.store(true, Ordering::Release);
        recorded
    }

    /// Publishes an event of the application and records it.
    pub(crate) fn custom(
        &self,
        name: &str,
        path: Option<&HierarchyPath>,
        mut payload: Value,
    ) -> Result<u64, RunError> {
        check_external(&format!("the payload of `{name}`"), &payload)?;
        self.secrets.redactor().redact_json(&mut payload);
        let stored = store_value(&self.dot_run, payload.clone(), self.durability)?;
        let body = RecordBody::Custom {
            name: name.into(),
            path: path.cloned(),
            payload: stored,
        };
        let event = Custom::new(name.to_owned(), payload).path(path.cloned());
        self.record(&body, Some(EventBody::Custom(event)))
    }
}
