//! Comparison of values: equality, order and membership.

use crate::ast::CompareOp;
use crate::error::{EvalError, Result};
use crate::int::Int;
use crate::limits::Meter;
use crate::number::{Number, number};
use crate::value::{Key, Map, Value};
use std::cmp::Ordering;
use std::sync::Arc;

/// The error of an operator that two values do not have.
pub(crate) fn unsupported(op: &str, a: &Value, b: &Value) -> EvalError {
    let error = EvalError::type_(format!(
        "`{op}` does not work for {} and {}",
        a.type_name(),
        b.type_name()
    ));
    if op == "+" && (matches!(a, Value::Str(_)) || matches!(b, Value::Str(_))) {
        error.hint("make text of the other side with `str(…)`")
    } else {
        error
    }
}

/// Equality, paid for by element.
pub(crate) fn equals(meter: &mut Meter, a: &Value, b: &Value) -> Result<bool> {
    if let (Value::Str(x), Value::Str(y)) = (a, b) {
        if x.len() == y.len() && x.len() > 128 {
            meter.scan(x.len())?;
        }
        return Ok(x == y);
    }
    if let Some(equal) = a.equals_plain(b) {
        return Ok(equal);
    }
    meter.steps(1)?;
    match (a, b) {
        (Value::List(x), Value::List(y)) | (Value::Tuple(x), Value::Tuple(y)) => {
            if x.len() != y.len() {
                return Ok(false);
            }
            for (x, y) in x.iter().zip(y.iter()) {
                meter.steps(1)?;
                if !equals(meter, x, y)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Object(x), Value::Object(y)) => {
            if x.len() != y.len() {
                return Ok(false);
            }
            for (key, value) in &x.0 {
                meter.steps(1)?;
                match y.0.get(key) {
                    Some(other) if equals(meter, value, other)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Value::Set(x), Value::Set(y)) => {
            meter.steps(x.len() as u64)?;
            Ok(a.equals(b) && x.len() == y.len())
        }
        _ => Ok(false),
    }
}

/// The order of two values; `None` for floats that have none.
pub(crate) fn order(meter: &mut Meter, op: &str, a: &Value, b: &Value) -> Result<Option<Ordering>> {
    meter.steps(1)?;
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => {
            meter.steps(x.len().min(y.len()) as u64 / 128)?;
            Ok(Some(x.cmp(y)))
        }
        (Value::List(x), Value::List(y)) | (Value::Tuple(x), Value::Tuple(y)) => {
            for (x, y) in x.iter().zip(y.iter()) {
                meter.steps(1)?;
                if !equals(meter, x, y)? {
                    return order(meter, op, x, y);
                }
            }
            Ok(Some(x.len().cmp(&y.len())))
        }
        (Value::Set(x), Value::Set(y)) => {
            meter.steps((x.len() + y.len()) as u64)?;
            // Subsets are less; of others neither is.
            Ok(match (x.0.is_subset(&y.0), x.len() == y.len()) {
                (true, true) => Some(Ordering::Equal),
                (true, false) => Some(Ordering::Less),
                (false, _) => y.0.is_subset(&x.0).then_some(Ordering::Greater),
            })
        }
        _ => match (number(a), number(b)) {
            (Some(Number::Int(x)), Some(Number::Int(y))) => Ok(Some(x.cmp(&y))),
            (Some(Number::Float(x)), Some(Number::Float(y))) => Ok(x.partial_cmp(&y)),
            (Some(Number::Int(x)), Some(Number::Float(y))) => Ok(x.cmp_f64(y)),
            (Some(Number::Float(x)), Some(Number::Int(y))) => Ok(y.cmp_f64(x).map(Ordering::reverse)),
            _ => Err(unsupported(op, a, b)),
        },
    }
}

pub(crate) fn compare(meter: &mut Meter, op: CompareOp, a: &Value, b: &Value) -> Result<bool> {
    Ok(match op {
        CompareOp::Eq => equals(meter, a, b)?,
        CompareOp::Ne => !equals(meter, a, b)?,
        CompareOp::In => contains(meter, b, a)?,
        CompareOp::NotIn => !contains(meter, b, a)?,
        CompareOp::Is => identical(a, b),
        CompareOp::IsNot => !identical(a, b),
        CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => {
            let order = order(meter, op.symbol(), a, b)?;
            match op {
                CompareOp::Lt => order == Some(Ordering::Less),
                CompareOp::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                CompareOp::Gt => order == Some(Ordering::Greater),
                _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            }
        }
    })
}

/// `is`: the same type and equal, for values that have no identity; the same object for lists and objects.
fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(x), Value::List(y)) | (Value::Tuple(x), Value::Tuple(y)) => Arc::ptr_eq(x, y),
        (Value::Object(x), Value::Object(y)) => Arc::ptr_eq(x, y),
        (Value::Set(x), Value::Set(y)) => Arc::ptr_eq(x, y),
        (Value::Null, Value::Null) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Int(x), Value::Int(y)) => x == y,
        (Value::Float(x), Value::Float(y)) => x == y,
        (Value::Str(x), Value::Str(y)) => x == y,
        (Value::Range(x), Value::Range(y)) => x == y,
        (Value::Function(x), Value::Function(y)) => x.same(y),
        _ => false,
    }
}

/// `needle in haystack`, for everything but iterators.
pub(crate) fn contains(meter: &mut Meter, haystack: &Value, needle: &Value) -> Result<bool> {
    match haystack {
        Value::Str(text) => match needle {
            Value::Str(part) => {
                meter.scan(text.len() + part.len())?;
                Ok(text.contains(&**part))
            }
            other => Err(EvalError::type_(format!(
                "text contains text, not {}",
                other.type_name()
            ))),
        },
        Value::List(items) | Value::Tuple(items) => {
            for item in items.iter() {
                meter.steps(1)?;
                if equals(meter, item, needle)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Object(object) => Ok(object.0.contains_key(&key(meter, needle.clone())?)),
        // A set holds no set; Python looks for a frozen one.
        Value::Set(_) if matches!(needle, Value::Set(_)) => Ok(false),
        Value::Set(set) => Ok(set.0.contains(&key(meter, needle.clone())?)),
        Value::Range(range) => {
            let found = match number(needle) {
                Some(Number::Int(int)) => int.as_i64(),
                Some(Number::Float(float)) if float.fract() == 0.0 => {
                    Int::from_f64(float).and_then(|int| int.as_i64())
                }
                _ => None,
            };
            Ok(found.is_some_and(|n| {
                let offset = i128::from(n) - i128::from(range.start);
                let step = i128::from(range.step);
                offset % step == 0 && offset / step >= 0 && offset / step < i128::from(range.len())
            }))
        }
        other => Err(EvalError::type_(format!("nothing is `in` {}", other.type_name()))),
    }
}

/// Makes a key, if the value can be one.
pub(crate) fn key(meter: &mut Meter, value: Value) -> Result<Key> {
    match &value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Range(_) => {}
        Value::Str(text) => meter.steps(text.len() as u64 / 128)?,
        Value::Tuple(items) => {
            for item in items.iter() {
                meter.steps(1)?;
                key(meter, item.clone())?;
            }
        }
        other => return Err(EvalError::type_(format!("{} cannot be a key", other.type_name()))),
    }
    Ok(Key(value))
}

/// Puts an entry into an object that is being made, and pays for it.
pub(crate) fn insert(meter: &mut Meter, map: &mut Map, key: Value, value: Value) -> Result<()> {
    meter.steps(1)?;
    meter.entries(1)?;
    map.insert(self::key(meter, key)?, value);
    Ok(())
}
