//! The iterations of a loop, taken together while its journal is read.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use dad_core::Timestamp;
use serde::Serialize;

use super::clock::millis;
use crate::journal::state::between;

/// The most iterations without a step that executes that are remembered: concurrent ones are quiet between two of their steps.
const QUIET: usize = 1024;

/// The iterations of a loop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LoopSummary {
    /// The number of those that began.
    pub iterations: u64,
    /// The largest number of them, where the items of the loop say it.
    pub expected: Option<u64>,
    /// The number of those with a step that failed.
    pub failed: u64,
    /// The first of them that has a step that failed.
    pub first_failed: Option<u64>,
    /// The iteration that took the longest, waits for people and for a driver left out.
    pub slowest: Option<SlowIteration>,
}

/// An iteration and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SlowIteration {
    /// Its number, from 0.
    pub iteration: u64,
    /// The time that it took.
    #[serde(rename = "took_ms", serialize_with = "millis")]
    pub took: Duration,
}

/// The iterations of a loop, of which only those are remembered that have not ended.
#[derive(Debug, Default)]
pub(super) struct Iterations {
    pub(super) expected: Option<u64>,
    seen: u64,
    newest: Option<u64>,
    failed: BTreeSet<u64>,
    slowest: Option<SlowIteration>,
    active: HashMap<u64, Iteration>,
    /// The number of active ones at which the quiet ones among them are closed.
    room: usize,
}

#[derive(Debug)]
struct Iteration {
    from: Timestamp,
    to: Timestamp,
    /// The time that the loop had waited for others when it began.
    waited_before: Duration,
    waited: Duration,
    /// The steps in it that have begun and not ended.
    open: u32,
    is_failed: bool,
    /// Whether a step failed behind which the run continues.
    has_absorbed: bool,
}

/// The facts of a record about the iteration that it stands in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) at: Timestamp,
    /// The time that the loop has waited for others until now.
    pub(super) waited: Duration,
    /// By how many the steps that have begun and not ended grow.
    pub(super) opened: i8,
    pub(super) failure: Option<Failure>,
}

/// The failure of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The run ends by it.
    Fatal,
    /// The run continues behind it.
    Absorbed,
}

impl Iterations {
    pub(super) fn touch(&mut self, number: u64, touch: Touch) {
        if self.newest.is_none_or(|newest| number > newest) {
            self.newest = Some(number);
            self.seen += 1;
            self.close_quiet();
        }
        let iteration = self.active.entry(number).or_insert(Iteration {
            from: touch.at,
            to: touch.at,
            waited_before: touch.waited,
            waited: touch.waited,
            open: 0,
            is_failed: false,
            has_absorbed: false,
        });
        iteration.to = touch.at;
        iteration.waited = touch.waited;
        iteration.open = iteration.open.saturating_add_signed(touch.opened.into());
        match touch.failure {
            Some(Failure::Fatal) => iteration.is_failed = true,
            Some(Failure::Absorbed) => iteration.has_absorbed = true,
            None => {}
        }
    }

    /// Forgets what had failed: it is executed again.
    pub(super) fn resumed(&mut self) {
        self.active
            .values_mut()
            .for_each(|iteration| iteration.is_failed = false);
    }

    pub(super) fn close(&mut self, number: u64) {
        if let Some(iteration) = self.active.remove(&number) {
            self.closed(number, &iteration);
        }
    }

    pub(super) fn close_all(&mut self) {
        for (number, iteration) in std::mem::take(&mut self.active) {
            self.closed(number, &iteration);
        }
    }

    /// Whether a step of an iteration failed.
    pub(super) fn has_failed(&self, number: u64) -> bool {
        let is_failed = |iteration: &Iteration| iteration.is_failed || iteration.has_absorbed;
        let active = self.active.get(&number).map(is_failed);
        active.unwrap_or_else(|| self.failed.contains(&number))
    }

    /// The facts that are known now, iterations that have not ended included.
    pub(super) fn summary(mut self) -> LoopSummary {
        self.close_all();
        LoopSummary {
            iterations: self.seen,
            expected: self.expected,
            failed: self.failed.len() as u64,
            first_failed: self.failed.first().copied(),
            slowest: self.slowest,
        }
    }

    fn close_quiet(&mut self) {
        if self.active.len() < self.room.max(QUIET) {
            return;
        }
        let quiet = self.active.extract_if(|_, iteration| iteration.open == 0);
        for (number, iteration) in quiet.collect::<Vec<_>>() {
            self.closed(number, &iteration);
        }
        self.room = 2 * self.active.len();
    }

    fn closed(&mut self, number: u64, iteration: &Iteration) {
        let waited = iteration.waited.saturating_sub(iteration.waited_before);
        let took = between(iteration.from, iteration.to).saturating_sub(waited);
        // Of equal ones the first, in whatever order they are closed.
        let is_slower = |slowest: SlowIteration| {
            took > slowest.took || (took == slowest.took && number < slowest.iteration)
        };
        if self.slowest.is_none_or(is_slower) {
            self.slowest = Some(SlowIteration {
                iteration: number,
                took,
            });
        }
        if iteration.is_failed || iteration.has_absorbed {
            self.failed.insert(number);
        } else {
            self.failed.remove(&number);
        }
    }
}
