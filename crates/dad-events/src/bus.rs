//! The bus: every event once, in the journal's order, to handlers, subscribers and observers, none of which can delay or
//! fail a run.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use derive_setters::Setters;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::ask::Question;
use crate::event::{Event, RunInfo};
use crate::handler::{Asks, Handler, HandlerFuture, HandlerKind, NotifyFn};
use crate::observer::{IntoObserver, RunObserver};
use crate::subscription::{Delivery, Feed, Subscription};
use crate::time_limit::TimeLimit;

/// Limits of a bus.
#[derive(Clone, Copy, Debug, Setters)]
#[non_exhaustive]
pub struct EventBusConfig {
    /// The time that one handler has to answer a question, not counted while it waits for a person
    /// ([`pause_time_limit`](crate::pause_time_limit)).
    pub ask_timeout: Duration,
    /// The number of events that may wait for one listening handler before some are dropped for it.
    pub handler_queue: usize,
    /// The number of events that may wait for the observers before the run waits for them.
    pub observer_backlog: usize,
    /// The time that listening handlers have after the end of the run.
    pub drain_timeout: Duration,
}

impl Default for EventBusConfig {
    fn default() -> Self {
        Self {
            ask_timeout: Duration::from_secs(60),
            handler_queue: 1024,
            observer_backlog: 1024,
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Gathers handlers and observers before a run.
#[derive(Default)]
pub struct EventBusBuilder {
    config: EventBusConfig,
    notify: Vec<(String, NotifyFn)>,
    asks: Asks,
    observers: Vec<Arc<dyn RunObserver>>,
    feeds: Vec<Feed>,
}

impl EventBusBuilder {
    /// Sets the limits.
    pub fn config(&mut self, config: EventBusConfig) {
        self.config = config;
    }

    /// Adds handlers, in the order in which questions are put to them.
    pub fn register_event_handlers(&mut self, handlers: impl IntoIterator<Item = Handler>) {
        for handler in handlers {
            match handler.kind {
                HandlerKind::Notify(f) => self.notify.push((handler.name, f)),
                HandlerKind::Ask(add) => add(handler.name, &mut self.asks),
            }
        }
    }

    /// Adds an observer.
    pub fn observe(&mut self, observer: impl IntoObserver) {
        self.observers.extend(observer.into_observer());
    }

    /// A queue of all events of the run that holds at most `capacity` of them.
    pub fn subscribe(&mut self, capacity: usize) -> Subscription {
        let (feed, subscription) = Subscription::channel(capacity);
        self.feeds.push(feed);
        subscription
    }

    /// Starts the tasks that deliver events. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(self, run: &Arc<RunInfo>) -> EventBus {
        let mut bus = EventBus {
            config: self.config,
            feeds: Mutex::new(self.feeds),
            observers: None,
            asks: self.asks,
            tasks: Mutex::default(),
            asked: Mutex::default(),
        };
        for (name, handler) in self.notify {
            let (feed, subscription) = Subscription::channel(self.config.handler_queue);
            bus.feeds.get_mut().push(feed);
            let task = tokio::spawn(drive_handler(name.clone(), handler, subscription));
            bus.tasks.get_mut().push((name, task));
        }
        if !self.observers.is_empty() {
            bus.observers = Some(ObserverQueue::start(self.observers, Arc::clone(run)));
        }
        bus
    }
}

impl std::fmt::Debug for EventBusBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBusBuilder")
            .field("handlers", &(self.notify.len() + self.asks.len()))
            .field("observers", &self.observers.len())
            .finish_non_exhaustive()
    }
}

/// Delivers the events of one run.
pub struct EventBus {
    config: EventBusConfig,
    feeds: Mutex<Vec<Feed>>,
    observers: Option<ObserverQueue>,
    asks: Asks,
    tasks: Mutex<Vec<(String, JoinHandle<HandlerWarnings>)>>,
    /// Of the handlers that were asked.
    asked: Mutex<Vec<HandlerWarnings>>,
}

/// The troubles of one handler: the first in words, and their number.
#[derive(Debug)]
struct HandlerWarnings {
    handler: String,
    first: Option<String>,
    count: u64,
}

impl HandlerWarnings {
    fn new(handler: &str) -> Self {
        Self {
            handler: handler.to_owned(),
            first: None,
            count: 0,
        }
    }

    fn add(&mut self, what: String) {
        tracing::warn!(handler = %self.handler, "{what}");
        self.count += 1;
        self.first.get_or_insert(what);
    }

    fn into_warning(self) -> Option<String> {
        let Self {
            handler,
            first,
            count,
        } = self;
        let more = if count > 1 {
            format!(" ({} more times something like it)", count - 1)
        } else {
            String::new()
        };
        first.map(|first| format!("the event handler `{handler}` {first}{more}"))
    }
}

impl EventBus {
    /// Begins to gather handlers and observers.
    #[must_use]
    pub fn builder() -> EventBusBuilder {
        EventBusBuilder::default()
    }

    /// Publishes an event. Never waits; the caller must hold the journal's critical section, so that events come in the
    /// journal's order.
    pub fn publish(&self, event: Event) {
        let mut feeds = self.feeds.lock();
        if feeds.is_empty() && self.observers.is_none() {
            return;
        }
        let event = Arc::new(event);
        if let Some(observers) = &self.observers {
            observers.push(Arc::clone(&event));
        }
        feeds.retain(|feed| feed.push(&event));
    }

    /// Whether an observer uses the content of calls.
    #[must_use]
    pub fn wants_content(&self) -> bool {
        self.observers
            .as_ref()
            .is_some_and(|observers| observers.wants_content)
    }

    /// Whether anything listens, so that an event which is not recorded is of use.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.observers.is_some() || !self.feeds.lock().is_empty()
    }

    /// Waits until the observers have caught up to their backlog. Called between steps, so that a run never runs away
    /// from those who may miss nothing.
    pub async fn caught_up(&self) {
        if let Some(observers) = &self.observers {
            observers
                .wait_until_backlog_at_most(self.config.observer_backlog)
                .await;
        }
    }

    /// A queue of all events from now on that holds at most `capacity` of them.
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        let (feed, subscription) = Subscription::channel(capacity);
        self.feeds.lock().push(feed);
        subscription
    }

    /// Puts a question to the handlers in the order of their registration until one answers. A handler that fails,
    /// panics or thinks too long is named in the log and the next one is asked.
    pub async fn ask<Q: Question>(&self, question: &Q) {
        self.ask_telling(question, &|| {}).await;
    }

    /// As [`ask`](Self::ask), and calls `person_asked` once a handler asks a person, as
    /// [`pause_time_limit`](crate::pause_time_limit) says.
    pub async fn ask_telling<Q: Question>(&self, question: &Q, person_asked: &(dyn Fn() + Sync)) {
        if let (Some(observers), false) = (&self.observers, Q::handlers(&self.asks).is_empty()) {
            // The handler that asks has seen everything before.
            observers.wait_until_backlog_at_most(0).await;
        }
        for (name, handler) in Q::handlers(&self.asks) {
            if question.answer().is_some() {
                return;
            }
            let limit = self.config.ask_timeout;
            let asked = async {
                // Making the future runs the handler's own code as well, so that is guarded too.
                match std::panic::catch_unwind(AssertUnwindSafe(|| handler(question.clone()))) {
                    Ok(future) => guarded(future).await,
                    Err(panic) => Some(panicked(&*panic)),
                }
            };
            let trouble = match within(limit, asked, person_asked).await {
                Some(trouble) => trouble,
                None => Some(format!(
                    "gave no answer within {}",
                    dad_core::format_duration(limit)
                )),
            };
            if let Some(trouble) = trouble {
                let mut troubles = HandlerWarnings::new(name);
                troubles.add(format!(
                    "{trouble}, asked for {} of `{}`",
                    Q::WANTED,
                    question.asker()
                ));
                self.asked.lock().push(troubles);
            }
        }
    }

    /// Delivers what is still queued and ends the tasks. Returns what went wrong with observers and handlers.
    pub async fn close(&self) -> Vec<String> {
        self.feeds.lock().clear();
        let mut warnings = Vec::new();
        if let Some(observers) = &self.observers {
            warnings.extend(observers.close().await);
        }
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let deadline = tokio::time::Instant::now() + self.config.drain_timeout;
        for (name, mut task) in tasks {
            match tokio::time::timeout_at(deadline, &mut task).await {
                Ok(Ok(troubles)) => warnings.extend(troubles.into_warning()),
                Ok(Err(error)) => warnings.push(format!("the event handler `{name}` ended early: {error}")),
                Err(_) => {
                    task.abort();
                    warnings.push(format!(
                        "the event handler `{name}` did not return and was stopped"
                    ));
                }
            }
        }
        let asked = std::mem::take(&mut *self.asked.lock());
        warnings.extend(asked.into_iter().filter_map(HandlerWarnings::into_warning));
        warnings
    }
}

impl std::fmt::Debug for EventBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBus")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Waits for a handler, but no longer than `limit`; `None` if it has not returned by then.
async fn within<F: Future>(
    limit: Duration,
    handler: F,
    person_asked: &(dyn Fn() + Sync),
) -> Option<F::Output> {
    let limit = TimeLimit::new(limit);
    // A handler lets its limit stand still when it asks a person.
    let telling = async {
        limit.paused().await;
        person_asked();
        std::future::pending::<std::convert::Infallible>().await
    };
    let (handler, run_out) = (pin!(limit.scope(handler)), pin!(limit.run_out()));
    match select(select(handler, run_out), pin!(telling)).await {
        Either::Left((Either::Left((returned, _)), _)) => Some(returned),
        Either::Left((Either::Right(((), _)), _)) => None,
        Either::Right((never, _)) => match never {},
    }
}

/// Runs a handler's future; an error or panic goes no further and is returned in words.
async fn guarded(future: HandlerFuture) -> Option<String> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("failed: {error}")),
        Err(panic) => Some(panicked(&*panic)),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    format!("panicked: {}", dad_core::internal::panic_message(panic))
}

async fn drive_handler(name: String, handler: NotifyFn, mut events: Subscription) -> HandlerWarnings {
    let mut troubles = HandlerWarnings::new(&name);
    while let Some(delivery) = events.next().await {
        let trouble = match delivery {
            // Making the future runs the handler's own code as well, so that is guarded too.
            Delivery::Event(event) => match std::panic::catch_unwind(AssertUnwindSafe(|| handler(&event))) {
                Ok(Some(future)) => guarded(future).await,
                Ok(None) => None,
                Err(panic) => Some(panicked(&*panic)),
            },
            Delivery::Missed { events, records } => {
                let numbers = records.map(|r| format!(", journal records {} to {}", r.start(), r.end()));
                Some(format!(
                    "is too slow and missed {events} events{}",
                    numbers.unwrap_or_default()
                ))
            }
        };
        if let Some(trouble) = trouble {
            troubles.add(trouble);
        }
    }
    troubles
}

/// The queue in front of the observers, which lose nothing.
struct ObserverQueue {
    sender: Mutex<Option<mpsc::UnboundedSender<Arc<Event>>>>,
    backlog: Arc<Backlog>,
    task: Mutex<Option<JoinHandle<Vec<String>>>>,
    wants_content: bool,
}

#[derive(Default)]
struct Backlog {
    /// Every observer knows the run, so that none misses what happens beside the events, such as logs.
    started: AtomicBool,
    waiting: AtomicUsize,
    taken: Notify,
    /// Ends the time in which events gather.
    flush_now: Notify,
}

/// The number of events that observers are given at a time.
const BATCH: usize = 256;

/// The time for which events gather before the observers are woken for them. Waking a task for every event costs more than
/// the step that the event tells of.
const GATHER: Duration = Duration::from_millis(5);

impl ObserverQueue {
    fn start(observers: Vec<Arc<dyn RunObserver>>, run: Arc<RunInfo>) -> Self {
        let (sender, queue) = mpsc::unbounded_channel();
        let backlog = Arc::new(Backlog::default());
        let wants_content = observers.iter().any(|observer| observer.wants_content());
        let mut driving = Box::pin(drive_observers(observers, run, queue, Arc::clone(&backlog)));
        // Observers that wait for nothing at their start have started when this returns, and the first step need not
        // wait until a thread has woken up for them.
        let task = match driving.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => tokio::spawn(driving),
            Poll::Ready(warnings) => tokio::spawn(std::future::ready(warnings)),
        };
        Self {
            sender: Mutex::new(Some(sender)),
            backlog,
            task: Mutex::new(Some(task)),
            wants_content,
        }
    }

    fn push(&self, event: Arc<Event>) {
        let sender = self.sender.lock();
        if let Some(sender) = &*sender {
            if self.backlog.waiting.fetch_add(1, Ordering::AcqRel) == BATCH {
                self.backlog.flush_now.notify_one();
            }
            // The other end lives as long as this one; should its task have died, the event has no reader.
            if sender.send(event).is_err() {
                self.backlog.waiting.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    async fn wait_until_backlog_at_most(&self, limit: usize) {
        let reached = || {
            let Backlog { started, waiting, .. } = &*self.backlog;
            started.load(Ordering::Acquire) && waiting.load(Ordering::Acquire) <= limit
        };
        while !reached() {
            let taken = self.backlog.taken.notified();
            if reached() {
                return;
            }
            self.backlog.flush_now.notify_one();
            taken.await;
        }
    }

    async fn close(&self) -> Vec<String> {
        self.sender.lock().take();
        self.backlog.flush_now.notify_one();
        let task = self.task.lock().take();
        match task {
            None => Vec::new(),
            Some(task) => task
                .await
                .unwrap_or_else(|error| vec![format!("the observers ended early: {error}")]),
        }
    }
}

async fn drive_observers(
    observers: Vec<Arc<dyn RunObserver>>,
    run: Arc<RunInfo>,
    mut queue: mpsc::UnboundedReceiver<Arc<Event>>,
    backlog: Arc<Backlog>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut alive = Vec::new();
    for observer in observers {
        match AssertUnwindSafe(observer.start(&run)).catch_unwind().await {
            Ok(()) => alive.push(observer),
            Err(_) => warnings.push(format!(
                "the observer `{}` panicked at the start",
                observer.name()
            )),
        }
    }
    backlog.started.store(true, Ordering::Release);
    backlog.taken.notify_waiters();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let taken = queue.recv_many(&mut batch, BATCH).await;
        if taken == 0 {
            break;
        }
        let mut index = 0;
        while index < alive.len() {
            match AssertUnwindSafe(alive[index].observe(&batch))
                .catch_unwind()
                .await
            {
                Ok(()) => index += 1,
                Err(_) => {
                    warnings.push(format!(
                        "the observer `{}` panicked and was stopped",
                        alive[index].name()
                    ));
                    alive.remove(index);
                }
            }
        }
        batch.clear();
        let left = backlog.waiting.fetch_sub(taken, Ordering::AcqRel) - taken;
        backlog.taken.notify_waiters();
        if left < BATCH && !queue.is_closed() {
            // Either way the batch is given out now.
            let _ = tokio::time::timeout(GATHER, backlog.flush_now.notified()).await;
        }
    }
    for observer in alive {
        match AssertUnwindSafe(observer.finish()).catch_unwind().await {
            Ok(reported) => warnings.extend(reported),
            Err(_) => warnings.push(format!("the observer `{}` panicked at the end", observer.name())),
        }
    }
    warnings
}
