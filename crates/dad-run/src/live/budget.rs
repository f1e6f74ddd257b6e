//! Budgets: a call is reserved before it is made, so that concurrent calls never exceed a budget together.

use std::time::Duration;

use dad_core::{Budget, HierarchyPath, Usage};

use crate::live::accounts::{Account, Accounts, Available, BudgetExceeded, Estimate};
use crate::live::driver::RunDriver;
use crate::live::handle::RunHandle;

/// The reservation of one call. Dropped without [`spend`](Self::spend), the call took nothing.
#[derive(Debug)]
#[must_use = "what is reserved is given back when this is dropped"]
pub struct Reservation {
    run: RunHandle,
    path: HierarchyPath,
    estimate: Estimate,
    spent: Usage,
}

impl Reservation {
    /// The reserved amounts.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// Records the usage of the call.
    pub fn spend(mut self, usage: Usage) {
        self.spent = usage;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let accounts = &self.run.inner().accounts;
        let mut state = accounts.state();
        for account in state.accounts(&self.path) {
            account.release(&self.estimate, self.spent);
        }
        if !self.spent.is_zero() {
            *state.by.entry(self.path.without_iterations()).or_default() += self.spent;
        }
        drop(state);
        accounts.changed.notify_waiters();
    }
}

/// A step's own account; it is closed when this is dropped.
#[derive(Debug)]
#[must_use = "the account is closed when this is dropped"]
pub struct StepAccount {
    run: RunHandle,
    path: HierarchyPath,
}

impl Drop for StepAccount {
    fn drop(&mut self) {
        self.run.inner().accounts.state().steps.remove(&self.path);
    }
}

impl RunDriver {
    fn accounts(&self) -> &Accounts {
        &self.inner().accounts
    }

    /// The budget of the run.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.accounts().state().run.budget
    }

    /// The time that this process may still drive the run.
    #[must_use]
    pub fn wall_time_left(&self) -> Option<Duration> {
        let before = self
            .history()
            .map_or(Duration::ZERO, |view| view.progress().tally.driven);
        let limit = self.budget().wall_time?;
        Some(limit.saturating_sub(before))
    }

    /// Opens an account for a step that has a budget of its own.
    pub fn open_account(&self, path: &HierarchyPath, budget: Budget) -> StepAccount {
        let account = Account {
            budget,
            ..Account::default()
        };
        self.accounts().state().steps.insert(path.clone(), account);
        StepAccount {
            run: self.handle().clone(),
            path: path.clone(),
        }
    }

    /// Reserves what a call of a step may take. `estimate` says how much that is, given what is still there; while it
    /// does not fit and others have reserved something, it is waited until they have spent it or given it back.
    ///
    /// # Errors
    /// If it does not fit, with what was spent and by whom.
    pub async fn reserve(
        &self,
        path: &HierarchyPath,
        estimate: impl Fn(&Available) -> Estimate + Send,
    ) -> Result<Reservation, BudgetExceeded> {
        let accounts = self.accounts();
        loop {
            let changed = accounts.changed.notified();
            tokio::pin!(changed);
            // Before it is looked, so that nothing that happens meanwhile is missed.
            changed.as_mut().enable();
            {
                let mut state = accounts.state();
                let available = state.available(path);
                let wanted = estimate(&available);
                if available.fits(&wanted) {
                    state.accounts(path).for_each(|account| account.reserve(&wanted));
                    return Ok(Reservation {
                        run: self.handle().clone(),
                        path: path.clone(),
                        estimate: wanted,
                        spent: Usage::default(),
                    });
                }
                if state.accounts(path).all(|account| account.outstanding == 0) {
                    return Err(state.exceeded(path, &wanted));
                }
            }
            changed.await;
        }
    }

    /// Notes what a call took that was made before the run was resumed and is answered from its memo. The run knows of it
    /// already if it is in an earlier record of the step.
    pub fn spent_before(&self, path: &HierarchyPath, usage: Usage, is_counted: bool) {
        let mut state = self.accounts().state();
        state
            .accounts(path)
            .skip(usize::from(is_counted))
            .for_each(|account| account.spent += usage);
        *state.by.entry(path.without_iterations()).or_default() += usage;
    }
}
