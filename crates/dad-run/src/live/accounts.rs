//! The accounts of a run: budgets, reservations and spending, without a driver.

use std::collections::{BTreeMap, HashMap};

use dad_core::{Budget, HierarchyPath, Usage, format_dollars};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// The number of spenders that an error names.
const NAMED: usize = 5;

/// The amounts that are still available; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Estimate {
    /// Tokens sent and received.
    pub tokens: u64,
    /// US dollars.
    pub cost: f64,
}

impl Estimate {
    /// The most that a call will consume: tokens sent and received, and US dollars.
    #[must_use]
    pub fn new(tokens: u64, cost: f64) -> Self {
        Self { tokens, cost }
    }
}

/// A call that would exceed a budget.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the next call {needs}, and of the budget of {} ({budget}) {spent}", whose(step.as_ref()))]
#[non_exhaustive]
pub struct BudgetExceeded {
    /// The requirement of the call, in words.
    pub needs: String,
    /// The step whose own budget it is; `None` for the budget of the run.
    pub step: Option<HierarchyPath>,
    /// The budget.
    pub budget: Budget,
    /// The spending so far, with the largest spenders.
    pub spent: String,
}

fn whose(step: Option<&HierarchyPath>) -> String {
    step.map_or_else(|| "the run".to_owned(), |step| format!("`{step}`"))
}

/// The accounts of a run and of those of its steps that have budgets of their own.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    state: Mutex<Ledger>,
    /// Told when something was given back or spent.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) run: Account,
    pub(super) steps: HashMap<HierarchyPath, Account>,
    /// The spending of each step of the definition, iterations taken together.
    pub(super) by: BTreeMap<HierarchyPath, Usage>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) budget: Budget,
    pub(super) spent: Usage,
    pub(super) reserved: Estimate,
    /// Calls that were reserved and not spent yet.
    pub(super) outstanding: u64,
}

impl Account {
    pub(super) fn available(&self) -> Available {
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

    pub(super) fn reserve(&mut self, estimate: &Estimate) {
        self.outstanding += 1;
        self.reserved.tokens += estimate.tokens;
        self.reserved.cost += estimate.cost;
    }

    pub(super) fn release(&mut self, estimate: &Estimate, spent: Usage) {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.reserved.tokens = self.reserved.tokens.saturating_sub(estimate.tokens);
        // Rounding must not leave a rest that no call has reserved.
        self.reserved.cost = match self.outstanding {
            0 => 0.0,
            _ => (self.reserved.cost - estimate.cost).max(0.0),
        };
        self.spent += spent;
    }
}

impl Ledger {
    pub(super) fn accounts<'s>(&'s mut self, path: &HierarchyPath) -> impl Iterator<Item = &'s mut Account> {
        std::iter::once(&mut self.run).chain(self.steps.get_mut(path))
    }

    pub(super) fn available(&self, path: &HierarchyPath) -> Available {
        let run = self.run.available();
        match self.steps.get(path) {
            Some(step) => run.and(step.available()),
            None => run,
        }
    }

    /// The budget that a call exceeds.
    pub(super) fn exceeded(&self, path: &HierarchyPath, estimate: &Estimate) -> BudgetExceeded {
        let step = self
            .steps
            .get(path)
            .filter(|step| !step.available().fits(estimate));
        let account = step.unwrap_or(&self.run);
        let needs = match (account.available().calls, account.budget.cost) {
            (Some(0), _) => "is one more than fits".to_owned(),
            (_, Some(_)) => {
                let cost = format_dollars(estimate.cost);
                format!("may take {cost}, {} tokens", estimate.tokens)
            }
            (_, None) => format!("may take {} tokens", estimate.tokens),
        };
        BudgetExceeded {
            needs,
            step: step.map(|_| path.clone()),
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
        if named.is_empty() {
            String::new()
        } else {
            format!(" ({})", named.join("; "))
        }
    }
}

fn amount(usage: &Usage) -> String {
    let calls = dad_core::internal::count(usage.calls, "call");
    let paid = usage.cost.filter(|cost| *cost > 0.0);
    let cost = paid.map(|cost| format!(", {}", format_dollars(cost)));
    let cost = cost.unwrap_or_default();
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
            state: Mutex::new(Ledger {
                run,
                ..Ledger::default()
            }),
            changed: Notify::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Ledger> {
        self.state.lock()
    }
}
