//! Limits of rate and concurrency of a client, for all runs that share it.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use derive_setters::Setters;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

/// The longest pause that is waited for here: as long as a step waits by default before it calls
/// again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Limits of a client, for all runs that are given it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// The largest number of calls at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub max_concurrency: Option<usize>,
    /// The largest number of calls that begin within a minute; they are spread over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub requests_per_minute: Option<u32>,
    /// Seconds that a server may take to be connected; 10 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub connect_timeout: Option<NonZeroU64>,
    /// Seconds that a server may send nothing, before its answer and within it; 600 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub idle_timeout: Option<NonZeroU64>,
    /// The largest size of an answer, in MiB; 128 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub answer_mib: Option<NonZeroU64>,
}

/// Lets calls pass one after the other as the limits allow, and none to a provider that is rate limited.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    permits: Option<Arc<Semaphore>>,
    interval: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next call may begin.
    next: Option<Instant>,
    /// The end of each provider's rate limit.
    closed: HashMap<String, Instant>,
}

/// A call that was let pass; others are let pass when it is dropped.
#[must_use = "others are let pass when this is dropped"]
pub(crate) struct Passed(
    #[expect(dead_code, reason = "held until the call has ended")] Option<OwnedSemaphorePermit>,
);

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        let Limits {
            max_concurrency,
            requests_per_minute,
            ..
        } = limits;
        Self {
            permits: max_concurrency.map(|count| Arc::new(Semaphore::new(count.max(1)))),
            interval: requests_per_minute.map(|count| Duration::from_secs(60) / count.max(1)),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Waits until a provider may be asked. The time limit of the step that waits stands still. A call that waits for the end
    /// of a rate limit keeps no other from passing.
    ///
    /// # Errors
    /// The rest of the rate limit, if it is longer than a call waits here.
    pub(crate) async fn pass(&self, provider: &str) -> Result<Passed, Duration> {
        let waiting = dad_events::pause_time_limit();
        loop {
            self.opened(provider).await?;
            let permit = match &self.permits {
                // It is never closed.
                Some(permits) => Arc::clone(permits).acquire_owned().await.ok(),
                None => None,
            };
            if let Some(turn) = self.turn() {
                sleep_until(turn).await;
            }
            // An answer to another call may have closed it meanwhile.
            if self.closed(provider).is_zero() {
                waiting.end().await;
                return Ok(Passed(permit));
            }
        }
    }

    /// Waits for the end of a provider's rate limit.
    async fn opened(&self, provider: &str) -> Result<(), Duration> {
        loop {
            match self.closed(provider) {
                Duration::ZERO => return Ok(()),
                left if left > LONGEST_WAIT => return Err(left),
                left => sleep(left).await,
            }
        }
    }

    /// The rest of a provider's rate limit.
    fn closed(&self, provider: &str) -> Duration {
        let closed = self.state().closed.get(provider).copied();
        closed
            .map(|until| until.saturating_duration_since(Instant::now()))
            .unwrap_or_default()
    }

    /// When this call may begin, if calls are spread.
    fn turn(&self) -> Option<Instant> {
        let interval = self.interval?;
        let mut state = self.state();
        let now = Instant::now();
        let turn = state.next.map_or(now, |next| next.max(now));
        state.next = Some(turn + interval);
        Some(turn)
    }

    /// Leaves a provider alone for a while, because it asked for that.
    pub(crate) fn close(&self, provider: &str, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state();
        let closed = state.closed.entry(provider.to_owned()).or_insert(until);
        *closed = until.max(*closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_is_closed_holds_up_no_other() {
        let gate = Arc::new(Gate::new(Limits {
            max_concurrency: Some(1),
            ..Limits::default()
        }));
        gate.close("busy", Duration::from_secs(50));
        let began = Instant::now();
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.pass("busy").await.map(drop) }
        });
        tokio::task::yield_now().await;
        for _ in 0..3 {
            let _ = gate.pass("other").await.unwrap();
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        waiting.await.unwrap().unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_closes_while_a_call_waits_for_its_turn_is_not_called() {
        let gate = Arc::new(Gate::new(Limits {
            max_concurrency: Some(1),
            ..Limits::default()
        }));
        let first = gate.pass("busy").await.unwrap();
        let began = Instant::now();
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.pass("busy").await.map(drop) }
        });
        tokio::task::yield_now().await;
        gate.close("busy", Duration::from_secs(20));
        drop(first);
        tokio::task::yield_now().await;
        // The permit that came free is not kept by the call that has to wait.
        let _ = gate.pass("other").await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        waiting.await.unwrap().unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(20));
    }
}
