//! The part of the evaluator that functions and methods use: its limits, iteration, and calls of functions that they were given.

use crate::call::Args;
use crate::error::Result;
use crate::limits::Meter;
use crate::value::Value;

/// Whether a walk over elements continues. Unlike `ControlFlow` it may be ignored: most walks only stop at errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    GoOn,
    Stop,
}

impl Walk {
    pub(crate) fn is_stopped(self) -> bool {
        self == Walk::Stop
    }
}

pub(crate) type Flow = Result<Walk>;

pub(crate) const GO_ON: Flow = Ok(Walk::GoOn);

pub(crate) const STOP: Flow = Ok(Walk::Stop);

/// A receiver of elements.
pub(crate) type Receiver<'f> = &'f mut dyn FnMut(&mut dyn Machine, Value) -> Flow;

/// An evaluator, as functions and methods see it.
pub(crate) trait Machine {
    /// The limits that everything is paid to.
    fn meter(&mut self) -> &mut Meter;

    /// Whether the template is written as the original system wrote them, with the text forms of Python.
    fn python(&self) -> bool;

    /// Hands out the elements of a value one by one.
    fn iterate(&mut self, value: &Value, each: Receiver<'_>) -> Flow;

    /// All elements of a value. A list is shared as far as possible, everything else is paid for.
    fn collect(&mut self, value: &Value) -> Result<Vec<Value>>;

    /// Calls a function that is a value.
    fn call(&mut self, function: &Value, args: Args) -> Result<Value>;
}
