//! Stops: their sources, their reach, and the elements that absorb them.

use std::sync::Arc;
use std::time::Duration;

use dad_core::{HierarchyPath, OnError, StepStatus};
use tokio_util::sync::CancellationToken;

use crate::concurrency::room::Branch;
use crate::step::executor::RunExecutor;

/// The time limit of an element of `finally` that has none of its own.
const FINALLY_LIMIT: Duration = Duration::from_mins(10);

/// The phase of a component, which decides the reach of a stop: the elements of a `finally` execute to their end, unless the run
/// is stopped at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase<'a> {
    Body,
    /// The `finally` of the component at this path.
    Finally(&'a HierarchyPath),
}

impl<'a> Phase<'a> {
    /// The time limit of an element at a path. Elements of `finally` always have one, because the stop of the run does not reach
    /// them.
    pub(crate) fn limit(self, own: Option<Duration>, path: &HierarchyPath) -> Option<Duration> {
        match self {
            Self::Finally(component) if path.parent().as_ref() == Some(component) => {
                own.or(Some(FINALLY_LIMIT))
            }
            _ => own,
        }
    }

    /// Whether a stop of `stopped` reaches an element.
    fn is_reached(self, element: &HierarchyPath, stopped: &HierarchyPath) -> bool {
        let is_inside = |shield: &HierarchyPath| stopped != shield && stopped.is_within(shield);
        element.is_within(stopped) && self.shield().is_none_or(is_inside)
    }

    /// The component whose `finally` executes: only a cancel of something inside it stops anything here.
    pub(crate) const fn shield(self) -> Option<&'a HierarchyPath> {
        match self {
            Self::Body => None,
            Self::Finally(component) => Some(component),
        }
    }
}

/// The sources of a stop for a component, and the branch whose place it uses.
#[derive(Clone, Copy)]
pub(crate) struct Stops<'a> {
    pub(crate) phase: Phase<'a>,
    pub(crate) branch: Option<&'a Arc<Branch>>,
    /// Fires when the component around it is to stop.
    pub(crate) around: &'a CancellationToken,
    /// Fires when the component itself is to stop.
    pub(crate) own: &'a CancellationToken,
}

/// Whether the component around an element continues although the element did not complete. The element's `on_error` absorbs a
/// failure. It absorbs a cancel only if the cancel was meant for the element or a part of it, so that the component around it is
/// not to stop.
pub(crate) fn absorbs(on_error: OnError, status: StepStatus, around: &CancellationToken) -> bool {
    let absorbs_cancel = || on_error == OnError::Continue && !around.is_cancelled();
    on_error.absorbs(status) || (status == StepStatus::Cancelled && absorbs_cancel())
}

impl RunExecutor {
    /// Stops every element at a place because its time ran out.
    pub(crate) fn stop_out_of_time(&self, path: &HierarchyPath, stop: &CancellationToken, reason: String) {
        self.out_of_time.lock().push((path.clone(), reason));
        stop.cancel();
    }

    /// The reason for which a step is stopped, if the time of a component around it ran out.
    pub(crate) fn out_of_time(&self, step: &HierarchyPath, phase: Phase<'_>) -> Option<String> {
        let out_of_time = self.out_of_time.lock();
        let found = out_of_time.iter().find(|(path, _)| phase.is_reached(step, path));
        found.map(|(_, reason)| reason.clone())
    }

    /// Whether a step or component ends because it is stopped before it has begun, so that its question is closed: it was
    /// cancelled, or the time of a component around it ran out. When the whole run stops, the question stays open for the next
    /// session.
    pub(crate) fn ends_unbegun(&self, path: &HierarchyPath, phase: Phase<'_>) -> bool {
        let root = &self.run().program().root.path;
        let out_of_time = self.out_of_time.lock();
        let mut timed_out = out_of_time.iter().filter(|(around, _)| around != root);
        timed_out.any(|(around, _)| phase.is_reached(path, around))
            || self.driver().is_cancelled_at(path, phase.shield())
    }

    /// Whether no further element begins.
    pub(crate) fn is_stopped(&self, stop: &CancellationToken, phase: Phase<'_>) -> bool {
        // Asked in any case, because the driver records a stop that the application requested when it is asked.
        let is_stopped = self.driver().is_stopped();
        stop.is_cancelled() || (phase == Phase::Body && is_stopped)
    }
}
