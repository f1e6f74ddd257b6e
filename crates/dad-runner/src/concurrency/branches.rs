//! The branches of a concurrent component: begun in order, as there are places and descriptors for them.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;

use crate::concurrency::active::ActiveSteps;
use crate::concurrency::room::Branch;

/// The elements of `parallel` that may execute at the same time.
pub(crate) const MAX_PARALLEL: usize = 64;

/// The branches of a concurrent component, of which so many may execute at the same time.
pub(crate) struct Branches<'a> {
    pub(crate) limit: usize,
    /// For how many steps there are descriptors.
    pub(crate) steps: usize,
    pub(crate) around: Option<&'a Arc<Branch>>,
    pub(crate) active: &'a ActiveSteps,
}

impl Branches<'_> {
    /// Executes branches, begun in order as others end or wait. `each` makes one, `ended` is called for each that has ended. Of those
    /// that wait no more are begun than there may be descriptors for.
    pub(crate) async fn execute<I, F: Future<Output = T>, T>(
        &self,
        branches: impl Iterator<Item = I>,
        each: impl Fn(I, Arc<Branch>) -> F,
        mut ended: impl FnMut(T),
    ) {
        let places = Arc::new(Semaphore::new(self.limit));
        let most_begun = self.limit.max(2 * self.steps);
        let mut branches = branches.fuse();
        let mut executing = FuturesUnordered::new();
        let mut begins_more = true;
        let mut has_left = false;
        // The run does not suspend while a branch is left to begin.
        let mut begins = None;
        loop {
            let may_begin = begins_more && executing.len() < most_begun;
            begins = may_begin.then(|| begins.take().unwrap_or_else(|| self.active.begins()));
            tokio::select! {
                // A branch that comes back goes before one that has not begun: the order is decided anew each time.
                biased;
                Some(result) = executing.next(), if !executing.is_empty() => {
                    ended(result);
                    // The place around goes from branch to branch, and with the last one back to this.
                    if has_left && executing.is_empty() {
                        has_left = false;
                    } else {
                        self.around.iter().for_each(|around| around.leave());
                    }
                }
                place = Arc::clone(&places).acquire_owned(), if may_begin => match (place, branches.next()) {
                    (Ok(place), Some(item)) => {
                        let branch = Branch::begin(place, self.around);
                        let begins = self.active.begins();
                        let execution = each(item, Arc::clone(&branch));
                        executing.push(async move {
                            drop(begins);
                            let result = execution.await;
                            branch.end();
                            result
                        });
                    }
                    _ => {
                        begins_more = false;
                        if !executing.is_empty() {
                            self.around.iter().for_each(|around| around.leave());
                            has_left = true;
                        }
                    }
                },
                else => break,
            }
        }
    }
}
