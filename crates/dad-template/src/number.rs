//! Numbers as operators and functions take them: integers, floats, and booleans as integers.

use crate::error::{EvalError, Result};
use crate::int::Int;
use crate::value::Value;

/// A number for arithmetic; a boolean is 0 or 1.
pub(crate) enum Number {
    Int(Int),
    Float(f64),
}

pub(crate) fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Int(int) => Some(Number::Int(int.clone())),
        Value::Bool(b) => Some(Number::Int(Int::from(i64::from(*b)))),
        Value::Float(float) => Some(Number::Float(*float)),
        _ => None,
    }
}

impl Number {
    pub(crate) fn float(&self) -> Result<f64> {
        match self {
            Number::Float(float) => Ok(*float),
            Number::Int(int) => {
                let float = int.to_f64();
                if float.is_infinite() {
                    Err(EvalError::value("the integer is too large for a float"))
                } else {
                    Ok(float)
                }
            }
        }
    }
}

pub(crate) fn integer(value: &Value) -> Option<Int> {
    match number(value) {
        Some(Number::Int(int)) => Some(int),
        _ => None,
    }
}

/// An integer that must fit 64 bits, for indices and counts.
pub(crate) fn small(value: &Value, what: &str) -> Result<i64> {
    let int = integer(value)
        .ok_or_else(|| EvalError::type_(format!("{what} must be an integer, not {}", value.type_name())))?;
    int.as_i64()
        .ok_or_else(|| EvalError::value(format!("{what} is too large")))
}
