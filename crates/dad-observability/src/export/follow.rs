//! The exporters of a run while it is driven: tasks that read what is written, and delay nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use dad_core::SecretRegistry;
use dad_events::RunInfo;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::console::lines_since;
use super::failure::{ExportError, Failure};
use super::push::{Pusher, SignalReport};
use crate::settings::{ExporterType, ObservabilitySettings, Signal};

/// The time between two messages of a signal: what is written within goes together.
const GATHER: Duration = Duration::from_secs(1);

/// The time that exporters have after the end of a run, so that its process ends within five seconds.
const AT_END: Duration = Duration::from_millis(4500);

/// The pause before the one attempt that is made again after the end of a run.
const PAUSE_AT_END: Duration = Duration::from_secs(1);

/// The longest pause between attempts while the run is driven.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The function that prints a line of the console exporter.
pub(crate) type Print = Arc<dyn Fn(&str) + Send + Sync>;

/// The exporters of a run.
pub(crate) struct Followers {
    /// Whether the run has ended; every change wakes the exporters.
    ended: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    pusher: Option<Arc<Pusher>>,
    trace_dir: PathBuf,
    run_id: String,
    /// The last outcome of each signal.
    outcomes: Arc<Mutex<BTreeMap<Signal, Outcome>>>,
}

/// The outcome of a signal up to now.
#[derive(Debug, Default)]
struct Outcome {
    /// Why the last attempt did not succeed.
    reason: Option<String>,
    warnings: Vec<String>,
}

impl Followers {
    /// Starts the exporters of a run; `None` if the settings have none.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub(crate) fn start(
        settings: &ObservabilitySettings,
        run: &RunInfo,
        print: &Print,
    ) -> Result<Option<Self>, ExportError> {
        let (ended, _) = watch::channel(false);
        let mut followers = Self {
            ended,
            tasks: Vec::new(),
            pusher: None,
            trace_dir: run.trace_dir.clone(),
            run_id: run.run_id.to_string(),
            outcomes: Arc::default(),
        };
        followers.start_console(settings, print);
        followers.start_receivers(settings, run.secrets.clone())?;
        Ok(Some(followers).filter(|followers| !followers.tasks.is_empty()))
    }

    fn start_console(&mut self, settings: &ObservabilitySettings, print: &Print) {
        let signals = Signal::ALL.into_iter();
        let signals: Vec<Signal> = signals
            .filter(|signal| settings.exporters(*signal).contains(&ExporterType::Console))
            .collect();
        if !signals.is_empty() {
            let task = show(
                self.trace_dir.clone(),
                signals,
                self.ended.subscribe(),
                Arc::clone(print),
            );
            self.tasks.push(tokio::spawn(task));
        }
    }

    fn start_receivers(
        &mut self,
        settings: &ObservabilitySettings,
        secrets: SecretRegistry,
    ) -> Result<(), ExportError> {
        let pusher = Arc::new(Pusher::new(settings, secrets)?.without_retries());
        for index in 0..pusher.routes().len() {
            let follower = Follower {
                pusher: Arc::clone(&pusher),
                index,
                trace_dir: self.trace_dir.clone(),
                ended: self.ended.subscribe(),
                outcomes: Arc::clone(&self.outcomes),
            };
            self.tasks.push(tokio::spawn(follower.follow()));
        }
        self.pusher = Some(pusher).filter(|pusher| !pusher.is_idle());
        Ok(())
    }

    /// Says that there are new lines.
    pub(crate) fn wake(&self) {
        self.ended.send_modify(|_| {});
    }

    /// Gives the exporters a last chance after all lines are written. Returns what went wrong, for people.
    pub(crate) async fn finish(mut self) -> Vec<String> {
        self.ended.send_replace(true);
        let until = Instant::now() + AT_END;
        let aborts: Vec<_> = self.tasks.iter().map(JoinHandle::abort_handle).collect();
        if timeout_at(until, join_all(self.tasks.drain(..))).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        let Some(pusher) = self.pusher.take() else {
            return Vec::new();
        };
        let mut outcomes = std::mem::take(&mut *self.outcomes.lock());
        let mut warnings = Vec::new();
        // By receiver: how much of which signals is left, and why.
        let mut left: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
        for route in pusher.routes() {
            let signal = route.signal();
            let outcome = outcomes.remove(&signal).unwrap_or_default();
            warnings.extend(outcome.warnings);
            let count = pusher.left(route, &self.trace_dir, true);
            if count > 0 {
                let reason = outcome.reason;
                let reason = reason.unwrap_or_else(|| "it does not answer in time".to_owned());
                let endpoint = route.destination.endpoint.to_string();
                let (counts, _) = left.entry(endpoint).or_insert_with(|| (Vec::new(), reason));
                counts.push(counted(count, signal));
            }
        }
        warnings.extend(left.into_iter().map(|(endpoint, (counts, reason))| {
            format!(
                "{} were not sent to `{endpoint}`: {reason}; `dhenara trace push {}` sends them",
                counts.join(", "),
                self.run_id
            )
        }));
        warnings
    }
}

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followers")
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

fn counted(count: u64, signal: Signal) -> String {
    let one = match signal {
        Signal::Traces => "span",
        Signal::Metrics => "metric",
        Signal::Logs => "log record",
    };
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// The task that sends one signal.
struct Follower {
    pusher: Arc<Pusher>,
    index: usize,
    trace_dir: PathBuf,
    ended: watch::Receiver<bool>,
    outcomes: Arc<Mutex<BTreeMap<Signal, Outcome>>>,
}

impl Follower {
    /// Sends what is written until the run has ended and everything is sent, or the receiver takes nothing.
    async fn follow(mut self) {
        let pauses = || {
            let pauses = ExponentialBuilder::default().with_jitter().without_max_times();
            pauses.with_max_delay(LONGEST_PAUSE).build()
        };
        let mut backoff = None;
        let mut failed_at_end = false;
        loop {
            // Lines that are written from here on are looked at in the next round.
            let ended = *self.ended.borrow_and_update();
            match self.send().await {
                None if ended => return,
                None => {
                    backoff = None;
                    self.pause(GATHER).await;
                    if !self.has_news().await {
                        return;
                    }
                }
                Some(Failure::Later { .. }) if ended && failed_at_end => return,
                Some(Failure::Later { after, .. }) if ended => {
                    failed_at_end = true;
                    // A receiver that was away for long will not be back in a second.
                    if backoff.is_some() {
                        return;
                    }
                    sleep(after.unwrap_or(PAUSE_AT_END)).await;
                }
                Some(Failure::Later { after, .. }) => {
                    let next = backoff.get_or_insert_with(pauses).next();
                    let pause = after.or(next).unwrap_or(LONGEST_PAUSE);
                    self.pause(pause.min(LONGEST_PAUSE)).await;
                }
                Some(_) => return,
            }
        }
    }

    /// Sends all there is, and keeps the outcome.
    async fn send(&self) -> Option<Failure> {
        let route = &self.pusher.routes()[self.index];
        let (report, failure) = self.pusher.pass(route, &self.trace_dir).await;
        let SignalReport {
            signal,
            reason,
            warnings,
            ..
        } = report;
        let mut outcomes = self.outcomes.lock();
        let outcome = outcomes.entry(signal).or_default();
        outcome.reason = reason;
        for warning in warnings {
            if outcome.warnings.len() < 10 && !outcome.warnings.contains(&warning) {
                outcome.warnings.push(warning);
            }
        }
        failure
    }

    /// Waits for a time, or until the run has ended.
    async fn pause(&mut self, pause: Duration) {
        let mut ended = self.ended.clone();
        tokio::select! {
            () = sleep(pause) => {}
            // An observer that was dropped has ended too.
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }

    /// Waits for new lines. Says whether there may be any: an observer that was dropped writes none.
    async fn has_news(&mut self) -> bool {
        self.ended.changed().await.is_ok()
    }
}

/// Prints what is written until the run has ended.
async fn show(trace_dir: PathBuf, signals: Vec<Signal>, mut ended: watch::Receiver<bool>, print: Print) {
    let mut places: Vec<(Signal, u64)> = signals
        .into_iter()
        .map(|signal| (signal, length(&trace_dir, signal)))
        .collect();
    loop {
        let is_last = *ended.borrow_and_update();
        for (signal, at) in &mut places {
            let (lines, end) = lines_since(&trace_dir, *signal, *at);
            *at = end;
            lines.iter().for_each(|line| print(line));
        }
        if is_last || ended.changed().await.is_err() {
            return;
        }
    }
}

/// The length of the file of a signal in bytes: what earlier sessions wrote is not shown again.
fn length(trace_dir: &Path, signal: Signal) -> u64 {
    let dir = dad_fs::Dir::open(trace_dir).ok();
    let length = dir.and_then(|dir| dir.len(super::lines::file_of(signal)).ok().flatten());
    length.unwrap_or(0)
}
