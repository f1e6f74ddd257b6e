//! Subscriptions: bounded queues of events for readers of their own speed.

use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::event::Event;

/// A bounded queue of events. A slow reader gets the number of missed events, and can read those back from the journal.
#[derive(Debug)]
pub struct Subscription {
    queue: mpsc::Receiver<Item>,
    held: Option<Arc<Event>>,
}

/// An item of a subscription.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// The next event.
    Event(Arc<Event>),
    /// Events that did not fit into the queue: how many, and the numbers of the first and last with a journal record.
    Missed {
        /// The number of events.
        events: u64,
        /// First and last journal record among them.
        records: Option<RangeInclusive<u64>>,
    },
}

#[derive(Debug)]
struct Item {
    event: Arc<Event>,
    missed_before: Option<Missed>,
}

#[derive(Clone, Debug, Default)]
struct Missed {
    events: u64,
    records: Option<(u64, u64)>,
}

impl Subscription {
    pub(crate) fn channel(capacity: usize) -> (Feed, Self) {
        let (sender, queue) = mpsc::channel(capacity.max(1));
        (
            Feed {
                sender,
                missed: Arc::default(),
            },
            Self { queue, held: None },
        )
    }

    /// The next delivery; `None` after the end of the run.
    pub async fn next(&mut self) -> Option<Delivery> {
        if let Some(event) = self.held.take() {
            return Some(Delivery::Event(event));
        }
        let item = self.queue.recv().await?;
        match item.missed_before {
            None => Some(Delivery::Event(item.event)),
            Some(missed) => {
                self.held = Some(item.event);
                Some(missed.into_delivery())
            }
        }
    }
}

impl Missed {
    fn into_delivery(self) -> Delivery {
        Delivery::Missed {
            events: self.events,
            records: self.records.map(|(first, last)| first..=last),
        }
    }
}

/// The sending end of a subscription.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    sender: mpsc::Sender<Item>,
    missed: Arc<Mutex<Missed>>,
}

impl Feed {
    /// Puts an event into the queue or notes that it was missed; `false` once there is no reader any more.
    pub(crate) fn push(&self, event: &Arc<Event>) -> bool {
        let mut missed = self.missed.lock();
        match self.sender.try_reserve() {
            Ok(permit) => {
                let before = (missed.events > 0).then(|| std::mem::take(&mut *missed));
                permit.send(Item {
                    event: Arc::clone(event),
                    missed_before: before,
                });
                true
            }
            Err(mpsc::error::TrySendError::Full(())) => {
                missed.events += 1;
                if let Some(seq) = event.seq {
                    let first = missed.records.map_or(seq, |(first, _)| first);
                    missed.records = Some((first, seq));
                }
                true
            }
            Err(mpsc::error::TrySendError::Closed(())) => false,
        }
    }
}
