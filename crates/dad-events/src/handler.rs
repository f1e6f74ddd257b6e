use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::ask::NodeInputRequiredEvent;
use crate::event::{Event, EventType};

/// Why a handler gave up; any error converts into it.
pub type HandlerError = Box<dyn Error + Send + Sync>;

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
pub(crate) type AskFn = Box<dyn Fn(NodeInputRequiredEvent) -> HandlerFuture + Send + Sync>;

pub(crate) enum HandlerKind {
    /// Called with every event; makes a future for those it is meant for.
    Notify(NotifyFn),
    /// Asked until one answers.
    AskNodeInput(AskFn),
}

impl Handler {
    /// The name used in messages: the path of the function.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn ask(
        name: String,
        ask: impl Fn(NodeInputRequiredEvent) -> HandlerFuture + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            kind: HandlerKind::AskNodeInput(Box::new(ask)),
        }
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handler").field(&self.name).finish()
    }
}

/// What can be the argument of a handler: an event to listen to, or a question to answer.
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

impl HandlerArgument for NodeInputRequiredEvent {
    fn handler<F, Fut>(name: String, f: F) -> Handler
    where
        F: Fn(Self) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Handler::ask(name, move |event| Box::pin(f(event)))
    }
}

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
