//! Functions and iterators: values that live only inside an expression.

use std::fmt;
use std::sync::Arc;

use crate::ast::{Comprehension, Lambda};
use crate::builtins::Builtin;
use crate::int::Int;
use crate::value::Value;

/// A function or an iterator inside an expression; nothing outside can make or call one.
#[derive(Clone)]
pub struct Function(Arc<Callable>);

#[derive(Debug)]
pub(crate) enum Callable {
    Builtin(Builtin),
    /// `str.upper`: the first argument is the value.
    Unbound(Builtin, Arc<str>),
    /// `counts.get` without a call.
    Bound(Value, Arc<str>),
    Lambda(Closure<Lambda>),
    Lazy(Lazy),
}

/// A piece of the tree with the local names it was made with.
#[derive(Debug)]
pub(crate) struct Closure<T> {
    pub(crate) code: Arc<T>,
    pub(crate) locals: Vec<Local>,
}

/// A parameter of a lambda or a variable of a comprehension.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) name: Arc<str>,
    pub(crate) value: Value,
}

/// An iterator, computed element by element when it is read; unlike in Python, from the start each time.
#[derive(Debug)]
pub(crate) enum Lazy {
    /// The value of the first `for` is known already, as in Python.
    Generator(Closure<Comprehension>, Value),
    Map(Value, Vec<Value>),
    Filter(Value, Value),
    Enumerate(Value, Int),
    Zip(Vec<Value>, bool),
}

impl Function {
    pub(crate) fn new(callable: Callable) -> Self {
        Function(Arc::new(callable))
    }

    pub(crate) fn callable(&self) -> &Callable {
        &self.0
    }

    pub(crate) fn lazy(&self) -> Option<&Lazy> {
        match &*self.0 {
            Callable::Lazy(lazy) => Some(lazy),
            _ => None,
        }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        if self.lazy().is_some() {
            "an iterator"
        } else {
            "a function"
        }
    }

    pub(crate) fn same(&self, other: &Function) -> bool {
        match (&*self.0, &*other.0) {
            (Callable::Builtin(a), Callable::Builtin(b)) => a == b,
            _ => Arc::ptr_eq(&self.0, &other.0),
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

pub(crate) fn is_lazy(value: &Value) -> bool {
    matches!(value, Value::Function(function) if function.lazy().is_some())
}
