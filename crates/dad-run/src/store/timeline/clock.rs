//! The clock of a row: which part of its time it worked, and which part it waited.

use std::time::Duration;

use dad_core::Timestamp;
use serde::{Serialize, Serializer};

use crate::journal::state::between;

/// The most stretches that a row keeps: far more than a screen has columns.
const MOST: usize = 512;

/// The activity of a row for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activity {
    /// It executes.
    Working,
    /// It waits for the answer of a person or of another process, and nothing in it executes.
    Asking,
    /// It waits for the next attempt of a step, and nothing in it executes.
    Retrying,
    /// No process drives the run.
    Idle,
}

/// A time in which a row does one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stretch {
    /// The activity.
    pub activity: Activity,
    /// When it begins to.
    pub from: Timestamp,
    /// When it ceases to.
    pub to: Timestamp,
}

/// A time, by what happened in it. It serialises in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimeSpent {
    /// Something executed.
    #[serde(rename = "working_ms", serialize_with = "millis")]
    pub working: Duration,
    /// A question waited for its answer, and nothing executed.
    #[serde(rename = "asking_ms", serialize_with = "millis")]
    pub asking: Duration,
    /// A step waited for its next attempt, and nothing executed.
    #[serde(rename = "retrying_ms", serialize_with = "millis")]
    pub retrying: Duration,
    /// No process drove the run, and no question waited.
    #[serde(rename = "idle_ms", serialize_with = "millis")]
    pub idle: Duration,
}

pub(super) fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

impl TimeSpent {
    /// The time from the beginning to the end.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.taken() + self.waited()
    }

    /// The time that the run itself took: it worked, or waited for its next attempt.
    #[must_use]
    pub fn taken(&self) -> Duration {
        self.working + self.retrying
    }

    /// The time in which the run waited for others: for an answer, or for a process that drives it.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.asking + self.idle
    }

    fn add(&mut self, activity: Activity, time: Duration) {
        let part = match activity {
            Activity::Working => &mut self.working,
            Activity::Asking => &mut self.asking,
            Activity::Retrying => &mut self.retrying,
            Activity::Idle => &mut self.idle,
        };
        *part += time;
    }
}

/// The phase of a step that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Executing,
    Asking,
    Retrying,
    /// Its process ended, or its question was answered: it has yet to begin again.
    Stopped,
}

/// The time of a row, as it is measured.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Up to when its time is accounted for; `None` while it does not run.
    since: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    /// When it ended; `None` while it runs.
    pub(super) ended_at: Option<Timestamp>,
    executing: u32,
    asking: u32,
    retrying: u32,
    pub(super) spent: TimeSpent,
    pub(super) stretches: Vec<Stretch>,
}

impl Clock {
    /// Begins, or begins again after an end; in the time between it did as `gap` says, unless a question in it waited.
    pub(super) fn begin(&mut self, at: Timestamp, gap: Activity) {
        if let Some(ended_at) = self.ended_at.take() {
            self.add(if self.asking > 0 { Activity::Asking } else { gap }, ended_at, at);
        }
        self.started_at.get_or_insert(at);
        self.since.get_or_insert(at);
    }

    /// Accounts for the time up to now.
    pub(super) fn settle(&mut self, at: Timestamp, is_driven: bool) {
        if let Some(since) = self.since {
            self.add(self.activity(is_driven), since, at);
            self.since = Some(at.max(since));
        }
    }

    pub(super) fn end(&mut self, at: Timestamp, is_driven: bool) {
        self.settle(at, is_driven);
        self.stop();
    }

    /// Ends with what is accounted for.
    pub(super) fn stop(&mut self) {
        if let Some(since) = self.since.take() {
            self.ended_at = Some(since);
        }
    }

    /// Whether no step in it has begun and not ended.
    pub(super) const fn is_quiet(&self) -> bool {
        self.executing == 0 && self.asking == 0 && self.retrying == 0
    }

    /// Whether a question in it waits for its answer.
    pub(super) const fn is_asking(&self) -> bool {
        self.asking > 0
    }

    pub(super) fn change(&mut self, before: Option<Phase>, now: Option<Phase>) {
        if let Some(count) = before.and_then(|phase| self.count(phase)) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = now.and_then(|phase| self.count(phase)) {
            *count += 1;
        }
    }

    fn count(&mut self, phase: Phase) -> Option<&mut u32> {
        match phase {
            Phase::Executing => Some(&mut self.executing),
            Phase::Asking => Some(&mut self.asking),
            Phase::Retrying => Some(&mut self.retrying),
            Phase::Stopped => None,
        }
    }

    fn activity(&self, is_driven: bool) -> Activity {
        match (is_driven, self.executing, self.asking, self.retrying) {
            (true, 0, 1.., _) | (false, _, 1.., _) => Activity::Asking,
            (false, ..) => Activity::Idle,
            (true, 0, 0, 1..) => Activity::Retrying,
            (true, ..) => Activity::Working,
        }
    }

    fn add(&mut self, activity: Activity, from: Timestamp, to: Timestamp) {
        let time = between(from, to);
        if time.is_zero() {
            return;
        }
        self.spent.add(activity, time);
        match self.stretches.last_mut() {
            Some(last) if last.activity == activity && last.to == from => last.to = to,
            _ => self.stretches.push(Stretch { activity, from, to }),
        }
        if self.stretches.len() > MOST {
            self.coarsen();
        }
    }

    /// Joins stretches by two, each pair as the longer of them; the sums stay exact.
    fn coarsen(&mut self) {
        let joined = self.stretches.chunks(2).map(|pair| match pair {
            [first, second] => {
                let is_first = between(first.from, first.to) >= between(second.from, second.to);
                Stretch {
                    activity: if is_first { first.activity } else { second.activity },
                    from: first.from,
                    to: second.to,
                }
            }
            // Of one that has no partner.
            alone => alone[0],
        });
        self.stretches = joined.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn very_many_waits_keep_their_sums_and_few_stretches() {
        let mut clock = Clock::default();
        clock.begin(at(0), Activity::Idle);
        for second in 0..5_000 {
            let (before, now) = match second % 2 {
                0 => (Some(Phase::Executing), Some(Phase::Retrying)),
                _ => (Some(Phase::Retrying), Some(Phase::Executing)),
            };
            clock.settle(at(second), true);
            clock.change(before, now);
        }
        clock.end(at(5_000), true);
        assert_eq!(clock.spent.total(), Duration::from_secs(5_000));
        assert_eq!(clock.spent.retrying, Duration::from_secs(2_500));
        assert!(clock.stretches.len() <= MOST, "{}", clock.stretches.len());
        assert_eq!(clock.stretches.first().map(|stretch| stretch.from), Some(at(0)));
        assert_eq!(clock.stretches.last().map(|stretch| stretch.to), Some(at(5_000)));
    }
}
