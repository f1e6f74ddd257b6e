//! Waiting for the disk: syncing batches, and blocking without starving other tasks.

use std::time::Duration;

use dad_fs::Durability;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::error::RunError;
use crate::live::driver::RunDriver;
use crate::live::handle::RunHandle;
use crate::live::shared::{RunShared, State};

impl RunShared {
    /// Syncs the journal and publishes what waits for it, in the journal's critical section.
    pub(crate) fn close_batch(&self, state: &mut State) -> Result<(), RunError> {
        if !state.batch.is_open {
            return Ok(());
        }
        // After a failure the journal takes no more records, so that no event overtakes those that stay here.
        state.journal.sync()?;
        state.batch.is_open = false;
        for event in state.batch.events.drain(..) {
            self.bus.publish(event);
        }
        Ok(())
    }

    /// Sees to it that the batch is closed even if no other record comes.
    pub(crate) fn close_soon(&self, state: &mut State) {
        if state.batch.closes_soon {
            return;
        }
        state.batch.closes_soon = true;
        // A run that is gone has been sealed, or its process is about to end: then no event was published.
        let run = self.this.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(GATHER).await;
            #[expect(clippy::disallowed_methods, reason = "it belongs to no step")]
            let closed = tokio::task::spawn_blocking(move || {
                let Some(run) = run.upgrade() else {
                    return;
                };
                let mut state = run.state();
                state.batch.closes_soon = false;
                // The next record, at the latest that of the end, fails for the same reason and tells it.
                if let Err(error) = run.close_batch(&mut state) {
                    tracing::error!(run_id = %run.identity.run_id, %error, "the journal cannot be synced");
                }
            });
            let _ = closed.await;
        });
    }

    /// Executes a function that may wait for the disk. On a runtime of several threads the others take over the tasks of
    /// this one meanwhile; on one thread there is no other. A function that needs no sync executes at once: handing tasks
    /// over costs more than a commit.
    pub(crate) fn may_block<T>(&self, act: impl FnOnce() -> T) -> T {
        let has_others = || {
            Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
        };
        match self.durability {
            Durability::Disk if has_others() => tokio::task::block_in_place(act),
            _ => act(),
        }
    }
}

impl RunHandle {
    /// The failures that the run promises to survive.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.inner().durability
    }
}

impl RunDriver {
    /// Does what waits for the disk, such as writing down an exchange that was paid for, and then, with
    /// [`Durability::Disk`], waits until every record so far is on the disk too.
    ///
    /// # Errors
    /// What `act` fails with, or that the journal cannot be synced.
    pub fn make_durable<T>(&self, act: impl FnOnce() -> Result<T, RunError>) -> Result<T, RunError> {
        let inner = self.inner();
        inner.may_block(|| {
            let done = act()?;
            if inner.durability == Durability::Disk {
                inner.close_batch(&mut inner.state())?;
            }
            Ok(done)
        })
    }
}

/// The longest time that records wait for the disk, and their events to be published.
const GATHER: Duration = Duration::from_millis(100);
