//! What stops elements, what a stop does not reach, and who absorbs it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dad_core::{HierarchyPath, OnError, StepStatus};
use tokio_util::sync::CancellationToken;

use crate::concurrency::room::Branch;
use crate::flow::component::{Inside, Walk};

/// The time limit of an element of `finally` that has none of its own.
const FINALLY_LIMIT: Duration = Duration::from_mins(10);

/// Whether the stop of a run or component still counts: the elements of a `finally` execute to their end, unless the run is stopped
/// at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase<'a> {
    Body,
    /// The `finally` of the component at this path.
    Finally(&'a HierarchyPath),
}

impl<'a> Phase<'a> {
    /// The time limit of an element at a path: elements of `finally`, which the stop of the run does not reach, have one in any case.
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

/// What stops a component, and the branch whose place it uses.
#[derive(Clone, Copy)]
pub(crate) struct Stops<'a> {
    pub(crate) phase: Phase<'a>,
    pub(crate) branch: Option<&'a Arc<Branch>>,
    /// Fires when what is around it is to stop.
    pub(crate) around: &'a CancellationToken,
    /// Fires when it is to stop itself.
    pub(crate) own: &'a CancellationToken,
}

/// Whether what is around an element continues however it ended. A failure is absorbed by the element's own word, a cancel
/// only if it was meant for the element or something in it: then what is around it is not to stop.
pub(crate) fn absorbs(on_error: OnError, status: StepStatus, around: &CancellationToken) -> bool {
    let absorbs_cancel = || on_error == OnError::Continue && !around.is_cancelled();
    on_error.absorbs(status) || (status == StepStatus::Cancelled && absorbs_cancel())
}

impl Walk {
    /// Asks everything at a place to stop because there is no time left.
    pub(crate) fn stop_at(&self, path: &HierarchyPath, stop: &CancellationToken, why: String) {
        let mut out_of_time = self.out_of_time.lock().unwrap_or_else(PoisonError::into_inner);
        out_of_time.push((path.clone(), why));
        drop(out_of_time);
        stop.cancel();
    }

    /// Why a step is stopped for want of time, if it is.
    pub(crate) fn out_of_time(&self, step: &HierarchyPath, phase: Phase<'_>) -> Option<String> {
        let out_of_time = self.out_of_time.lock().unwrap_or_else(PoisonError::into_inner);
        let found = out_of_time.iter().find(|(path, _)| phase.is_reached(step, path));
        found.map(|(_, why)| why.clone())
    }

    /// Whether a step or component that is stopped before it has begun ends by that, so that its question is closed: it was
    /// cancelled, or the time of a component around it is over. When the whole run stops it stays open, for the next session.
    pub(crate) fn ends_unbegun(&self, path: &HierarchyPath, phase: Phase<'_>) -> bool {
        let root = &self.run.program().root.path;
        let out_of_time = self.out_of_time.lock().unwrap_or_else(PoisonError::into_inner);
        let mut timed_out = out_of_time.iter().filter(|(around, _)| around != root);
        timed_out.any(|(around, _)| phase.is_reached(path, around))
            || self.driver.is_cancelled_at(path, phase.shield())
    }

    /// Whether nothing more is begun.
    pub(crate) fn is_stopped(&self, inside: Inside<'_>) -> bool {
        // Always asked, because it has what was asked for done.
        let is_stopped = self.driver.is_stopped();
        inside.stop.is_cancelled() || (inside.phase == Phase::Body && is_stopped)
    }
}
