//! Cancelling single steps and components.

use std::sync::atomic::Ordering;

use dad_core::HierarchyPath;
use tokio_util::sync::CancellationToken;

use crate::live::driver::RunDriver;
use crate::live::handle::RunHandle;
use crate::live::stop::{Stop, reaches};

/// A step or component that a cancel of it reaches; dropped when it has ended.
#[derive(Debug)]
#[must_use = "a cancel does not reach what is dropped"]
pub struct Stoppable {
    pub(crate) run: RunHandle,
    pub(crate) path: HierarchyPath,
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        self.run.inner().state().stoppable.remove(&self.path);
    }
}

impl RunDriver {
    /// Whether a step or component was cancelled by itself or with a component around it, beside the whole run. `shield` is
    /// the component in whose `finally` it stands, if it does.
    #[must_use]
    pub fn is_cancelled_at(&self, path: &HierarchyPath, shield: Option<&HierarchyPath>) -> bool {
        let reached = |cancelled: &HierarchyPath| reaches(cancelled, path, shield);
        self.inner().any_cancelled.load(Ordering::Acquire)
            && self.inner().state().cancelled.iter().any(reached)
    }

    /// Has `token` cancelled when a step or component is cancelled, until the guard is dropped; at once if it was cancelled
    /// before. `shield` as in [`is_cancelled_at`](Self::is_cancelled_at).
    pub fn stoppable(
        &self,
        path: &HierarchyPath,
        token: &CancellationToken,
        shield: Option<&HierarchyPath>,
    ) -> Stoppable {
        let stop = Stop {
            token: token.clone(),
            shield: shield.cloned(),
        };
        let mut state = self.inner().state();
        if state
            .cancelled
            .iter()
            .any(|cancelled| reaches(cancelled, path, shield))
        {
            token.cancel();
        }
        state.stoppable.insert(path.clone(), stop);
        drop(state);
        Stoppable {
            run: self.run.clone(),
            path: path.clone(),
        }
    }
}
