//! Permits for file descriptors, shared by the steps of a process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The descriptors that a step may have open at the same time: its directory, memos and logs, and the pipes of a child.
const OF_STEP: u64 = 8;

/// The descriptors that are left for everything else: the run's own files, observers, and files that are open for a moment.
const OF_OTHERS: u64 = 64;

/// More steps than ever execute at the same time, where the system sets no limit.
const MOST: u64 = 1 << 20;

/// The file descriptors of this process, as permits: a step takes one before its first file. A process that drives several
/// runs gives them the same as a [resource](crate::RunContextBuilder::resource); otherwise each run counts for itself. A run that is
/// started in a step of another one gets its own: that step holds a permit until it has ended.
#[derive(Clone, Debug)]
pub struct Descriptors {
    permits: Arc<Semaphore>,
    steps: usize,
}

/// The descriptors of one step; given back when this is dropped.
#[derive(Debug)]
#[must_use = "the descriptors are given back when this is dropped"]
pub struct DescriptorPermit(
    #[expect(dead_code, reason = "held until the step lets go")] OwnedSemaphorePermit,
);

impl Descriptors {
    /// As many as the limit of this process allows now.
    #[must_use]
    pub fn of_process() -> Self {
        let steps = soft_limit().unwrap_or(MOST).saturating_sub(OF_OTHERS) / OF_STEP;
        Self::for_steps(usize::try_from(steps.min(MOST)).unwrap_or(usize::MAX))
    }

    /// Enough for so many steps at the same time; for one at least.
    #[must_use]
    pub fn for_steps(steps: usize) -> Self {
        let steps = steps.max(1);
        Self {
            permits: Arc::new(Semaphore::new(steps)),
            steps,
        }
    }

    /// For how many steps at the same time there are enough.
    #[must_use]
    pub const fn steps(&self) -> usize {
        self.steps
    }

    /// Descriptors for one more step, if there are some now.
    #[must_use]
    pub fn try_acquire(&self) -> Option<DescriptorPermit> {
        Arc::clone(&self.permits)
            .try_acquire_owned()
            .ok()
            .map(DescriptorPermit)
    }

    /// Waits until there are descriptors for one more step.
    pub async fn acquire(&self) -> Option<DescriptorPermit> {
        // It is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.ok().map(DescriptorPermit)
    }
}

impl Default for Descriptors {
    fn default() -> Self {
        Self::of_process()
    }
}

/// The limit of open descriptors of this process; `None` where there is no limit, or the system does not say.
#[cfg(unix)]
fn soft_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
const fn soft_limit() -> Option<u64> {
    None
}
