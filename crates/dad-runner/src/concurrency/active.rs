//! The steps of a run that are active: they execute, or wait for anything but an answer from outside. While one is, a step
//! that waits for an answer waits on; when none is left the run suspends as `waiting`.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dad_core::StepStatus;
use dad_events::StepRoom;
use dad_run::Answer;
use dad_run::driver::RunDriver;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::concurrency::room::Room;

/// The number of active steps.
#[derive(Debug, Default)]
pub(crate) struct ActiveSteps {
    count: AtomicUsize,
    changed: Notify,
}

/// A step that counts as active unless it waits for an answer, with its room.
#[derive(Debug)]
pub(crate) struct ActiveStep<'a> {
    steps: &'a ActiveSteps,
    room: Arc<Room>,
    /// Whether dropping it leaves the count as it is.
    is_uncounted: bool,
}

/// The end of a wait for an answer.
#[derive(Debug)]
pub(crate) enum Waited {
    Answered(Answer),
    /// The step suspends with this status: as waiting, because nothing else in the run is active, or as cancelled.
    Suspended(StepStatus),
}

/// A step that waits for an answer: it is not counted, and its room is free.
#[derive(Debug)]
struct Away<'a> {
    steps: &'a ActiveSteps,
    room: &'a Room,
    /// Whether dropping this counts the step again.
    counts_again: bool,
}

impl<'a> Away<'a> {
    fn new(steps: &'a ActiveSteps, room: &'a Room, counts_again: bool) -> Self {
        room.leave();
        steps.decrement();
        Self {
            steps,
            room,
            counts_again,
        }
    }

    /// Counts the step again, and waits for room.
    async fn end(mut self) {
        self.counts_again = false;
        self.steps.increment();
        self.room.back().await;
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.room.back_now();
        if self.counts_again {
            self.steps.increment();
        }
    }
}

/// An element that is about to begin, counted as active until this is dropped.
#[derive(Debug)]
pub(crate) struct Begins<'a>(&'a ActiveSteps);

impl Drop for Begins<'_> {
    fn drop(&mut self) {
        self.0.decrement();
    }
}

impl ActiveSteps {
    pub(crate) fn step(&self, room: &Arc<Room>) -> ActiveStep<'_> {
        self.increment();
        ActiveStep {
            steps: self,
            room: Arc::clone(room),
            is_uncounted: false,
        }
    }

    /// A question that a step asks while it executes: the step is counted already.
    pub(crate) fn nested(&self, room: &Arc<Room>) -> ActiveStep<'_> {
        ActiveStep {
            steps: self,
            room: Arc::clone(room),
            is_uncounted: true,
        }
    }

    /// Counts an element until it has begun, so that the run does not suspend before.
    pub(crate) fn begins(&self) -> Begins<'_> {
        self.increment();
        Begins(self)
    }

    fn increment(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn decrement(&self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }
}

impl ActiveStep<'_> {
    /// Waits for the answer to a question.
    pub(crate) async fn wait(
        &mut self,
        driver: &RunDriver,
        question: &str,
        stop: &CancellationToken,
    ) -> Waited {
        let is_nested = self.is_uncounted;
        driver.question_opened();
        self.is_uncounted = true;
        let away = Away::new(self.steps, &self.room, is_nested);
        let waited = self.wait_uncounted(driver, question, stop).await;
        let continues = !matches!(waited, Waited::Suspended(StepStatus::Waiting));
        if continues {
            driver.question_closed();
        }
        // A step that asked while it executes ends by itself, with or without an answer.
        if continues || is_nested {
            self.is_uncounted = is_nested;
            away.end().await;
        }
        waited
    }

    async fn wait_uncounted(&self, driver: &RunDriver, question: &str, stop: &CancellationToken) -> Waited {
        loop {
            // Registered before the state is read, so that no change between the two is missed.
            let mut changed = pin!(self.steps.changed.notified());
            let came = driver.answer_came();
            changed.as_mut().enable();
            if let Some(answer) = driver.take_answer(question) {
                return Waited::Answered(answer);
            }
            if stop.is_cancelled() {
                return Waited::Suspended(StepStatus::Cancelled);
            }
            // Sibling steps count themselves when they are polled for the first time.
            tokio::task::yield_now().await;
            if self.steps.count.load(Ordering::Acquire) == 0 {
                // An answer or a cancel that was accepted already counts.
                driver.read_inbox();
                if let Some(answer) = driver.take_answer(question) {
                    return Waited::Answered(answer);
                }
                let is_cancelled = stop.is_cancelled();
                return Waited::Suspended(if is_cancelled {
                    StepStatus::Cancelled
                } else {
                    StepStatus::Waiting
                });
            }
            tokio::select! {
                () = changed => {}
                () = came => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

impl Drop for ActiveStep<'_> {
    fn drop(&mut self) {
        if !self.is_uncounted {
            self.steps.decrement();
        }
    }
}
