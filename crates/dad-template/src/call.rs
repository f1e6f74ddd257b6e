//! Arguments of a call.

use std::sync::Arc;

use crate::error::{EvalError, Result};
use crate::value::Value;

/// The values of a call, in order and by name.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) positional: Vec<Value>,
    pub(crate) keywords: Vec<(Arc<str>, Value)>,
}

impl Args {
    pub(crate) fn one(value: Value) -> Self {
        Args {
            positional: vec![value],
            keywords: Vec::new(),
        }
    }

    /// Puts the values into the places of the parameters, of which the first `required` must be given.
    ///
    /// A parameter without a name has only a position, one that begins with `*` only a name.
    pub(crate) fn bind<const N: usize>(
        self,
        function: &str,
        parameters: [&str; N],
        required: usize,
    ) -> Result<[Option<Value>; N]> {
        let places = parameters
            .iter()
            .take_while(|name| !name.starts_with('*'))
            .count();
        if self.positional.len() > places {
            let given = self.positional.len();
            return Err(EvalError::type_(format!(
                "`{function}` takes at most {places} values, not {given}"
            )));
        }
        let mut bound: [Option<Value>; N] = std::array::from_fn(|_| None);
        for (slot, value) in bound.iter_mut().zip(self.positional) {
            *slot = Some(value);
        }
        for (name, value) in self.keywords {
            let place = parameters
                .iter()
                .position(|parameter| !parameter.is_empty() && parameter.trim_start_matches('*') == &*name);
            match place.and_then(|place| bound.get_mut(place)) {
                Some(slot @ None) => *slot = Some(value),
                Some(Some(_)) => {
                    return Err(EvalError::type_(format!("`{function}` got `{name}` twice")));
                }
                None => return Err(EvalError::type_(format!("`{function}` has no argument `{name}`"))),
            }
        }
        if bound.iter().take(required).any(Option::is_none) {
            return Err(EvalError::type_(format!(
                "`{function}` needs {required} values or more"
            )));
        }
        Ok(bound)
    }

    /// No arguments at all.
    pub(crate) fn none(self, function: &str) -> Result<()> {
        self.bind::<0>(function, [], 0).map(|_| ())
    }

    /// Exactly one value, without a name.
    pub(crate) fn single(self, function: &str) -> Result<Value> {
        let [value] = self.bind(function, [""], 1)?;
        value.ok_or_else(|| EvalError::type_(format!("`{function}` needs a value")))
    }

    /// Exactly two values, without names.
    pub(crate) fn pair(self, function: &str) -> Result<(Value, Value)> {
        match self.bind(function, ["", ""], 2)? {
            [Some(a), Some(b)] => Ok((a, b)),
            _ => Err(EvalError::type_(format!("`{function}` needs two values"))),
        }
    }
}

/// The text of a value inside a message or a join.
pub(crate) fn expect_str<'v>(value: &'v Value, what: &str) -> Result<&'v Arc<str>> {
    match value {
        Value::Str(text) => Ok(text),
        other => Err(EvalError::type_(format!(
            "{what} must be text, not {}",
            other.type_name()
        ))),
    }
}
