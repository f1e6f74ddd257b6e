//! Retention: the rules by which runs are kept or removed.
//!
//! A run that is removed is first renamed to `.trash/` beside it, while its lease is taken: no process drives it then, and a
//! reader finds it whole or not at all. Only then its files are deleted. [`Catalog::prune`](crate::Catalog::prune) also deletes
//! the leftovers of an earlier crash in `.trash/`.

use std::collections::HashMap;
use std::time::Duration;

use dad_core::{RunId, RunStatus, Timestamp};
use derive_setters::Setters;
use serde::Serialize;

use crate::store::inventory::{Inventory, Leftover, ORPHAN_AGE, StoredRun, is_younger};
use crate::store::run_entry::Unreadable;

/// Which runs are kept. A run is kept if any of the rules keeps it; a rule that is not given keeps none.
///
/// ```no_run
/// use dad_core::Timestamp;
/// use dad_run::{Catalog, RetentionPolicy, plan_prune};
///
/// let root = std::path::Path::new("runs");
/// let catalog = Catalog::new(root, root);
/// let policy = RetentionPolicy::default().keep_last(20);
/// let plan = plan_prune(catalog.inventory()?, &policy, Timestamp::now());
/// let report = catalog.prune(&plan)?;
/// println!("{} runs removed", report.removed.len());
/// # Ok::<(), dad_run::RunError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct RetentionPolicy {
    /// The newest runs, this many, in the order of [`Catalog::list`](crate::Catalog::list).
    #[setters(into)]
    pub keep_last: Option<usize>,
    /// Runs whose last record is younger. One of the future, as a clock that was set back leaves it, counts as young.
    #[setters(into)]
    pub keep_age: Option<Duration>,
    /// The newest runs, as long as they take at most so many bytes together.
    #[setters(into)]
    pub max_size: Option<u64>,
}

impl RetentionPolicy {
    /// Whether no rule is given, so that every run that may be removed would be.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keep_last.is_none() && self.keep_age.is_none() && self.max_size.is_none()
    }
}

/// Why a run is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeepReason {
    /// A process drives it.
    Running,
    /// It waits for an answer.
    Waiting,
    /// A re-run that did not complete and is kept may still take results from it.
    Needed,
    /// It was made by the original system, which knew no rules: only a person removes it.
    Original,
    /// It is one of the newest.
    Last,
    /// It was used lately.
    Age,
    /// It and all newer ones are small enough.
    Size,
}

/// A run and what is to become of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedRun {
    /// The run.
    pub run: StoredRun,
    /// Why it is kept: every reason there is. Without one it is removed.
    pub kept: Vec<KeepReason>,
}

/// The plan of a removal.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PrunePlan {
    /// The runs, oldest first.
    pub runs: Vec<PlannedRun>,
    /// The directories that no run owns.
    pub leftovers: Vec<Leftover>,
    /// Runs that cannot be read: they are kept.
    pub unreadable: Vec<Unreadable>,
}

impl PrunePlan {
    /// The runs that are removed.
    pub fn removed(&self) -> impl Iterator<Item = &StoredRun> {
        let removed = self.runs.iter().filter(|planned| planned.kept.is_empty());
        removed.map(|planned| &planned.run)
    }
}

/// The fate of everything that was found, the same for showing as for doing.
///
/// Never removed are runs that are driven, that wait for an answer, those that such a run, or another that is kept and did
/// not complete, may still take results from, and those of the original system.
#[must_use]
pub fn plan_prune(found: Inventory, policy: &RetentionPolicy, now: Timestamp) -> PrunePlan {
    let mut newer_bytes = 0_u64;
    let mut newer_runs = 0;
    let mut runs = Vec::with_capacity(found.runs.len());
    for run in found.runs.into_iter().rev() {
        let mut kept = Vec::new();
        if run.entry.is_original {
            kept.push(KeepReason::Original);
            runs.push(PlannedRun { run, kept });
            continue;
        }
        newer_bytes = newer_bytes.saturating_add(run.bytes);
        newer_runs += 1;
        // The later of the two: a clock that was put back may have dated the last record before the first.
        let last_used = run.entry.created_at.max(run.entry.last_record_at);
        let is_young = |age: Duration| last_used.is_none_or(|at| is_younger(at, age, now));
        let reasons = [
            (
                run.held || run.entry.status == RunStatus::Running,
                KeepReason::Running,
            ),
            (run.entry.status == RunStatus::Waiting, KeepReason::Waiting),
            (
                policy.keep_last.is_some_and(|last| newer_runs <= last),
                KeepReason::Last,
            ),
            (policy.keep_age.is_some_and(is_young), KeepReason::Age),
            (
                policy.max_size.is_some_and(|most| newer_bytes <= most),
                KeepReason::Size,
            ),
        ];
        kept.extend(
            reasons
                .iter()
                .filter(|(holds, _)| *holds)
                .map(|(_, reason)| *reason),
        );
        runs.push(PlannedRun { run, kept });
    }
    runs.reverse();
    keep_needed(&mut runs);
    let is_garbage = |leftover: &Leftover| match leftover.changed_at {
        Some(at) => !is_younger(at, ORPHAN_AGE, now),
        None => true,
    };
    let mut leftovers = found.leftovers;
    leftovers.retain(is_garbage);
    PrunePlan {
        runs,
        leftovers,
        unreadable: found.unreadable,
    }
}

/// Keeps what kept runs need, and what that needs in turn.
fn keep_needed(runs: &mut [PlannedRun]) {
    let places: HashMap<RunId, usize> = runs
        .iter()
        .enumerate()
        .map(|(place, planned)| (planned.run.entry.run_id.clone(), place))
        .collect();
    let kept = runs.iter().filter(|planned| !planned.kept.is_empty());
    let mut needed: Vec<RunId> = kept.filter_map(|planned| planned.run.needs.clone()).collect();
    while let Some(id) = needed.pop() {
        let Some(planned) = places.get(&id).map(|place| &mut runs[*place]) else {
            continue;
        };
        if planned.kept.is_empty() {
            needed.extend(planned.run.needs.clone());
        }
        if !planned.kept.contains(&KeepReason::Needed) {
            planned.kept.push(KeepReason::Needed);
        }
    }
}
