//! Handlers: functions that listen to events or answer questions.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::ask::{ApprovalRequiredEvent, ComponentInputRequiredEvent, NodeInputRequiredEvent, Question};
use crate::event::{Event, EventType};

/// Why a handler gave up; any error converts into it.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// The work of a handler.
pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// An event as the argument of a handler; the type of the argument says which events the handler gets.
pub trait EventPayload: Sized + Send + 'static {
    /// The kind of event.
    const TYPE: EventType;

    /// The payload of `event`, if it is of this kind.
    fn from_event(event: &Arc<Event>) -> Option<Self>;
}

/// A function to be called for events, made by [`on`] or [`on_any`].
pub struct Handler {
    pub(crate) name: String,
    pub(crate) kind: HandlerKind,
}

pub(crate) type NotifyFn = Box<dyn Fn(&Arc<Event>) -> Option<HandlerFuture> + Send + Sync>;
/// Puts a question to a handler.
pub(crate) type AskFn<Q> = Box<dyn Fn(Q) -> HandlerFuture + Send + Sync>;

pub(crate) enum HandlerKind {
    /// Called with every event; makes a future for those it is meant for.
    Notify(NotifyFn),
    /// Asked until one answers.
    Ask(AddAsk),
}

/// Adds a handler that answers, under its name.
type AddAsk = Box<dyn FnOnce(String, &mut Asks) + Send + Sync>;

/// The handlers that answer, by what they are asked for, each in the order of their registration.
#[derive(Default)]
pub struct Asks {
    pub(crate) node_input: Vec<(String, AskFn<NodeInputRequiredEvent>)>,
    pub(crate) component_input: Vec<(String, AskFn<ComponentInputRequiredEvent>)>,
    pub(crate) approval: Vec<(String, AskFn<ApprovalRequiredEvent>)>,
}

impl Asks {
    pub(crate) fn len(&self) -> usize {
        self.node_input.len() + self.component_input.len() + self.approval.len()
    }
}

impl Handler {
    /// The name used in messages: the path of the function.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn ask<Q: Question>(name: String, ask: AskFn<Q>) -> Self {
        let add = |name, asks: &mut Asks| Q::handlers_mut(asks).push((name, ask));
        Self {
            name,
            kind: HandlerKind::Ask(Box::new(add)),
        }
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handler").field(&self.name).finish()
    }
}

/// The argument of a handler: an event to listen to, or a question to answer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event that a handler takes",
    label = "a handler takes one event",
    note = "to answer questions take `NodeInputRequiredEvent`, `ComponentInputRequiredEvent` or `ApprovalRequiredEvent`",
    note = "to listen take `NodeExecutionCompletedEvent`, `ComponentExecutionCompletedEvent` or another implementor of `EventPayload`"
)]
pub trait HandlerArgument: Sized + Send + 'static {
    #[doc(hidden)]
    fn handler<F, Fut>(name: String, f: F) -> Handler
    where
        F: Fn(Self) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static;
}

impl<E: EventPayload> HandlerArgument for E {
    fn handler<F, Fut>(name: String, f: F) -> Handler
    where
        F: Fn(Self) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let call = move |event: &Arc<Event>| E::from_event(event).map(|e| Box::pin(f(e)) as HandlerFuture);
        Handler {
            name,
            kind: HandlerKind::Notify(Box::new(call)),
        }
    }
}

macro_rules! asked {
    ($event:ident) => {
        impl HandlerArgument for $event {
            fn handler<F, Fut>(name: String, f: F) -> Handler
            where
                F: Fn(Self) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
            {
                Handler::ask::<Self>(name, Box::new(move |event| Box::pin(f(event))))
            }
        }
    };
}

asked!(NodeInputRequiredEvent);
asked!(ComponentInputRequiredEvent);
asked!(ApprovalRequiredEvent);

/// Makes a handler; the type of the function's argument says which events it gets.
pub fn on<A, F, Fut>(f: F) -> Handler
where
    A: HandlerArgument,
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    A::handler(std::any::type_name::<F>().to_owned(), f)
}

/// Makes a handler of every event.
pub fn on_any<F, Fut>(f: F) -> Handler
where
    F: Fn(Arc<Event>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let call = move |event: &Arc<Event>| Some(Box::pin(f(Arc::clone(event))) as HandlerFuture);
    Handler {
        name: std::any::type_name::<F>().to_owned(),
        kind: HandlerKind::Notify(Box::new(call)),
    }
}
