//! The scope of a template.

use std::collections::HashMap;

use crate::error::ScopeError;
use crate::value::Value;

/// The variables and step results that a template sees, and nothing else.
///
/// Open for implementation. During one evaluation each name is asked for at most once; answers are remembered,
/// so a scope may read from a store without a cache of its own.
pub trait Scope {
    /// Returns the variable, or `None` if nothing defines it.
    ///
    /// # Errors
    ///
    /// When the variable may exist but cannot be read. An undefined variable is not an error here.
    fn variable(&self, name: &str) -> Result<Option<Value>, ScopeError>;

    /// Returns the result of the step named as in `$hier{reference}`, or `None` if it is undefined, for example
    /// skipped.
    ///
    /// The value is an object with all fields of a step result (`outcome`, `error`, `input`, `execution_status` …), null
    /// where the step left one out.
    ///
    /// # Errors
    ///
    /// When the result exists but cannot be read.
    fn step(&self, reference: &str) -> Result<Option<Value>, ScopeError>;
}

/// The empty scope: every name is undefined.
impl Scope for () {
    fn variable(&self, _name: &str) -> Result<Option<Value>, ScopeError> {
        Ok(None)
    }

    fn step(&self, _reference: &str) -> Result<Option<Value>, ScopeError> {
        Ok(None)
    }
}

/// Variables only; every step is undefined.
impl<S: std::hash::BuildHasher> Scope for HashMap<String, Value, S> {
    fn variable(&self, name: &str) -> Result<Option<Value>, ScopeError> {
        Ok(self.get(name).cloned())
    }

    fn step(&self, _reference: &str) -> Result<Option<Value>, ScopeError> {
        Ok(None)
    }
}
