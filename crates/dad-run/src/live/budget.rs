//! What a run and its steps may still consume. It is reserved before it is consumed, so that calls that are made at the
//! same time never exceed a budget together.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dad_core::{Budget, HierarchyPath, Usage};
use tokio::sync::Notify;

use crate::driver::RunDriver;
use crate::run::RunHandle;

/// How many of those who spent are named.
const NAMED: usize = 5;

/// What may still be consumed; `None` is any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Available {
    /// US dollars.
    pub cost: Option<f64>,
    /// Tokens sent and received.
    pub tokens: Option<u64>,
    /// Calls.
    pub calls: Option<u64>,
}

impl Available {
    fn and(self, other: Self) -> Self {
        Self {
            cost: least(self.cost, other.cost, f64::min),
            tokens: least(self.tokens, other.tokens, u64::min),
            calls: least(self.calls, other.calls, u64::min),
        }
    }

    /// Whether anything is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// Whether one call of this size fits.
    #[must_use]
    pub fn fits(&self, estimate: &Estimate) -> bool {
        self.calls.is_none_or(|calls| calls >= 1)
            && self.tokens.is_none_or(|tokens| estimate.tokens <= tokens)
            && self.cost.is_none_or(|cost| estimate.cost <= cost)
    }
}

fn least<T>(one: Option<T>, other: Option<T>, min: fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(min(one, other)),
        (one, other) => one.or(other),
    }
}

/// The most that one call will consume.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Tokens sent and received.
    pub tokens: u64,
    /// US dollars.
    pub cost: f64,
}

/// A call that would exceed a budget.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the next call {needs}, and of the budget of {whose} ({budget}) {spent}")]
pub struct BudgetExceeded {
    /// What the call may take, or that it is one too many.
    pub needs: String,
    /// The step, or `the run`.
    pub whose: String,
    /// The budget.
    pub budget: Budget,
    /// What was spent, and by whom.
    pub spent: String,
}

/// The accounts of a run and of those of its steps that have budgets of their own.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    state: Mutex<State>,
    /// Told when something was given back or spent.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    run: Account,
    steps: HashMap<HierarchyPath, Account>,
    /// What was spent by each step of the definition, iterations taken together.
    by: BTreeMap<HierarchyPath, Usage>,
}

#[derive(Clone, Debug, Default)]
struct Account {
    budget: Budget,
    spent: Usage,
    reserved: Estimate,
    /// Calls that were reserved and not spent yet.
    outstanding: u64,
}

impl Account {
    fn available(&self) -> Available {
        let Budget {
            cost, tokens, calls, ..
        } = self.budget;
        let spent_cost = self.spent.cost.unwrap_or(0.0) + self.reserved.cost;
        Available {
            cost: cost.map(|cost| (cost - spent_cost).max(0.0)),
            tokens: tokens
                .map(|tokens| tokens.saturating_sub(self.spent.total_tokens + self.reserved.tokens)),
            calls: calls.map(|calls| calls.saturating_sub(self.spent.calls + self.outstanding)),
        }
    }

    fn reserve(&mut self, estimate: &Estimate) {
        self.outstanding += 1;
        self.reserved.tokens += estimate.tokens;
        self.reserved.cost += estimate.cost;
    }

    fn release(&mut self, estimate: &Estimate, spent: Usage) {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.reserved.tokens = self.reserved.tokens.saturating_sub(estimate.tokens);
        // Rounding must not leave a rest that nobody has reserved.
        self.reserved.cost = match self.outstanding {
            0 => 0.0,
            _ => (self.reserved.cost - estimate.cost).max(0.0),
        };
        self.spent += spent;
    }
}

impl State {
    fn accounts<'s>(&'s mut self, path: &HierarchyPath) -> impl Iterator<Item = &'s mut Account> {
        std::iter::once(&mut self.run).chain(self.steps.get_mut(path))
    }

    fn available(&self, path: &HierarchyPath) -> Available {
        let run = self.run.available();
        match self.steps.get(path) {
            Some(step) => run.and(step.available()),
            None => run,
        }
    }

    /// What a call does not fit into, in words.
    fn exceeded(&self, path: &HierarchyPath, estimate: &Estimate) -> BudgetExceeded {
        let step = self
            .steps
            .get(path)
            .filter(|step| !step.available().fits(estimate));
        let (whose, account) = match step {
            Some(step) => (format!("`{path}`"), step),
            None => ("the run".to_owned(), &self.run),
        };
        let needs = match (account.available().calls, account.budget.cost) {
            (Some(0), _) => "is one more than fits".to_owned(),
            (_, Some(_)) => format!("may take ${:.4}, {} tokens", estimate.cost, estimate.tokens),
            (_, None) => format!("may take {} tokens", estimate.tokens),
        };
        BudgetExceeded {
            needs,
            whose,
            budget: account.budget,
            spent: match step {
                Some(step) => format!("{} are spent", amount(&step.spent)),
                None => format!("{} are spent{}", amount(&self.run.spent), self.spenders()),
            },
        }
    }

    /// Those who spent most.
    fn spenders(&self) -> String {
        let mut by: Vec<_> = self.by.iter().filter(|(_, usage)| !usage.is_zero()).collect();
        by.sort_by_key(|(_, usage)| std::cmp::Reverse(usage.total_tokens));
        let more = by.len().saturating_sub(NAMED);
        let named = by.iter().take(NAMED);
        let mut named: Vec<String> = named
            .map(|(path, usage)| format!("{path}: {}", amount(usage)))
            .collect();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        match named.is_empty() {
            true => String::new(),
            false => format!(" ({})", named.join("; ")),
        }
    }
}

fn amount(usage: &Usage) -> String {
    let calls = dad_core::count(usage.calls, "call");
    let paid = usage.cost.filter(|cost| *cost > 0.0);
    let cost = paid.map(|cost| format!(", ${cost:.4}")).unwrap_or_default();
    format!("{} tokens in {calls}{cost}", usage.total_tokens)
}

impl Accounts {
    pub(crate) fn new(budget: Budget, spent: Usage) -> Self {
        let run = Account {
            budget,
            spent,
            ..Account::default()
        };
        Self {
            state: Mutex::new(State {
                run,
                ..State::default()
            }),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was reserved for one call. Dropped without [`spend`](Self::spend), the call took nothing.
#[derive(Debug)]
#[must_use = "what is reserved is given back when this is dropped"]
pub struct Reservation {
    run: RunHandle,
    path: HierarchyPath,
    estimate: Estimate,
    spent: Usage,
}

impl Reservation {
    /// What was reserved.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// What the call took.
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

    /// What the run may consume.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.accounts().state().run.budget
    }

    /// How long this process may still drive the run.
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
