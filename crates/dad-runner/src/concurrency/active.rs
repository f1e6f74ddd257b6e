//! Steps that wait for an answer from outside. They wait as long as anything else in the run goes on; when nothing can
//! advance any more the run comes to rest as `waiting`.

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

/// How many steps are on their way without waiting for an answer.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    count: AtomicUsize,
    changed: Notify,
}

/// A step on its way, with its room.
#[derive(Debug)]
pub(crate) struct BusyStep<'a> {
    busy: &'a Busy,
    room: Arc<Room>,
    waits: bool,
}

/// A step that waits: it does not count as on its way, and its room is free.
#[derive(Debug)]
struct Away<'a> {
    busy: &'a Busy,
    room: &'a Room,
    /// Whether it counts again when this is dropped.
    counts_again: bool,
}

impl<'a> Away<'a> {
    fn new(busy: &'a Busy, room: &'a Room, counts_again: bool) -> Self {
        room.leave();
        busy.one_less();
        Self {
            busy,
            room,
            counts_again,
        }
    }

    /// Counts it again, and waits for room.
    async fn ends(mut self) {
        self.counts_again = false;
        self.busy.count.fetch_add(1, Ordering::AcqRel);
        self.room.back().await;
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.room.back_now();
        if self.counts_again {
            self.busy.count.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Something that is about to begin.
#[derive(Debug)]
pub(crate) struct Begins<'a>(&'a Busy);

impl Drop for Begins<'_> {
    fn drop(&mut self) {
        self.0.one_less();
    }
}

impl Busy {
    pub(crate) fn step(&self, room: &Arc<Room>) -> BusyStep<'_> {
        self.count.fetch_add(1, Ordering::AcqRel);
        BusyStep {
            busy: self,
            room: Arc::clone(room),
            waits: false,
        }
    }

    /// A step that is counted already and asks in the midst of its execution.
    pub(crate) fn inside(&self, room: &Arc<Room>) -> BusyStep<'_> {
        BusyStep {
            busy: self,
            room: Arc::clone(room),
            // It is no other one: dropping this takes nothing away.
            waits: true,
        }
    }

    /// Counts something until it has begun, so that the run does not come to rest before.
    pub(crate) fn begins(&self) -> Begins<'_> {
        self.count.fetch_add(1, Ordering::AcqRel);
        Begins(self)
    }

    fn one_less(&self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }
}

impl BusyStep<'_> {
    /// Waits for the answer to a question. Without one it is told how the step comes to rest: as waiting, because nothing
    /// else goes on, or as cancelled, because it is to stop.
    pub(crate) async fn wait(
        &mut self,
        driver: &RunDriver,
        question: &str,
        stop: &CancellationToken,
    ) -> Result<Answer, StepStatus> {
        let is_inside = self.waits;
        driver.waits(true);
        self.waits = true;
        let away = Away::new(self.busy, &self.room, is_inside);
        let waited = self.wait_inside(driver, question, stop).await;
        let goes_on = !matches!(waited, Err(StepStatus::Waiting));
        if goes_on {
            driver.waits(false);
        }
        // A step that asked in the midst of its execution ends by itself, whatever came of it.
        if goes_on || is_inside {
            self.waits = is_inside;
            away.ends().await;
        }
        waited
    }

    async fn wait_inside(
        &self,
        driver: &RunDriver,
        question: &str,
        stop: &CancellationToken,
    ) -> Result<Answer, StepStatus> {
        loop {
            // Before it is looked, so that nothing that happens meanwhile is missed.
            let mut changed = pin!(self.busy.changed.notified());
            let mut came = pin!(driver.answer_came());
            changed.as_mut().enable();
            came.as_mut().enable();
            if let Some(answer) = driver.take_answer(question) {
                return Ok(answer);
            }
            if stop.is_cancelled() {
                return Err(StepStatus::Cancelled);
            }
            // Steps that stand beside this one begin when they are polled for the first time.
            tokio::task::yield_now().await;
            if self.busy.count.load(Ordering::Acquire) == 0 {
                // An answer or a cancel that was accepted already counts.
                driver.read_inbox();
                if let Some(answer) = driver.take_answer(question) {
                    return Ok(answer);
                }
                return Err(match stop.is_cancelled() {
                    true => StepStatus::Cancelled,
                    false => StepStatus::Waiting,
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

impl Drop for BusyStep<'_> {
    fn drop(&mut self) {
        if !self.waits {
            self.busy.one_less();
        }
    }
}
