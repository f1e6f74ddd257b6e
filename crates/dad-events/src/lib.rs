//! Events of a run, their handlers, subscribers and observers.
//!
//! An [`Event`] is published once the journal holds it, and everybody sees events in the journal's order. Who listens
//! chooses one of three ways:
//!
//! - a **handler** ([`on`]) is a function of one kind of event. Handlers that listen never delay or fail a run; the
//!   ones that answer ([`NodeInputRequiredEvent`], [`ComponentInputRequiredEvent`], [`ApprovalRequiredEvent`]) are asked
//!   in the order of their registration;
//! - a **subscription** ([`EventBus::subscribe`]) is a bounded queue that says what it missed;
//! - an **observer** ([`RunObserver`]) misses nothing: the run waits for it. Telemetry and progress are observers.
//!
//! ```
//! use dad_events::{EventBus, HandlerError, NodeExecutionCompletedEvent, on};
//!
//! async fn print(event: NodeExecutionCompletedEvent) -> Result<(), HandlerError> {
//!     println!("{} {}", event.path, event.status);
//!     Ok(())
//! }
//! let mut bus = EventBus::builder();
//! bus.register_event_handlers([on(print)]);
//! ```

pub mod activity;
mod ask;
mod bus;
mod event;
mod handler;
mod observer;
mod reader;
mod seconds;
mod subscription;
mod time_limit;

pub use activity::{
    Activity, ActivityEnd, ActivityEnded, ActivityId, ActivityStarted, PartEnded, PartStarted,
};
pub use ask::{
    AnswerCheck, ApprovalRequired, ApprovalRequiredEvent, AskError, ComponentInputRequired,
    ComponentInputRequiredEvent, NodeInputRequired, NodeInputRequiredEvent, Question,
};
pub use bus::{EventBus, EventBusBuilder, EventBusConfig};
pub use event::{
    AttemptFailed, ComponentEnded, ComponentExecutionCompletedEvent, ComponentExecutionFailedEvent,
    ComponentExecutionStartedEvent, ComponentStarted, Custom, CustomEvent, Event, EventBody, EventType,
    NodeExecutionCompletedEvent, NodeExecutionFailedEvent, NodeExecutionStartedEvent, Origin,
    QuestionAnswered, QuestionAsked, QuestionKind, RunCompletedEvent, RunEnded, RunFailedEvent, RunInfo,
    RunStarted, RunStartedEvent, StepEnded, StepStarted, TextStreamed, TraceUpdateEvent,
};
pub use handler::{EventPayload, Handler, HandlerArgument, HandlerError, on, on_any};
pub use observer::{IntoObserver, RunObserver};
pub use reader::{ReadResults, ResultReader};
pub use subscription::{Delivery, Subscription};
pub use time_limit::{LimitPause, StepRoom, TimeLimit, pause_time_limit};
