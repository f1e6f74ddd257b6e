//! Methods of values. Values never change, so there is none that would change one.

mod collections;
mod str;
mod str_format;

use std::sync::Arc;

use crate::builtins::Builtin;
use crate::call::Args;
use crate::error::{EvalError, Result};
use crate::machine::Machine;
use crate::value::Value;

pub(crate) use self::str::decimal;

const LIST: [&str; 3] = ["copy", "count", "index"];
const TUPLE: [&str; 2] = ["count", "index"];
const OBJECT: [&str; 5] = ["copy", "get", "items", "keys", "values"];
const SET: [&str; 8] = [
    "copy",
    "difference",
    "intersection",
    "isdisjoint",
    "issubset",
    "issuperset",
    "symmetric_difference",
    "union",
];
const INT: [&str; 2] = ["bit_count", "bit_length"];
const FLOAT: [&str; 1] = ["is_integer"];

/// Whether a value has a method.
pub(crate) fn exists(value: &Value, name: &str) -> bool {
    match value {
        Value::Str(_) => str::NAMES.contains(&name),
        Value::List(_) => LIST.contains(&name),
        Value::Tuple(_) | Value::Range(_) => TUPLE.contains(&name),
        Value::Object(_) => OBJECT.contains(&name),
        Value::Set(_) => SET.contains(&name),
        Value::Int(_) | Value::Bool(_) => INT.contains(&name),
        Value::Float(_) => FLOAT.contains(&name),
        Value::Null | Value::Function(_) => false,
    }
}

/// Whether the values of a type have a method: `str.upper`.
pub(crate) fn of_type(type_: Builtin, name: &str) -> bool {
    match type_ {
        Builtin::Str => str::NAMES.contains(&name),
        Builtin::List => LIST.contains(&name),
        Builtin::Tuple => TUPLE.contains(&name),
        Builtin::Dict => OBJECT.contains(&name),
        Builtin::Set => SET.contains(&name),
        Builtin::Int => INT.contains(&name),
        Builtin::Float => FLOAT.contains(&name),
        _ => false,
    }
}

pub(crate) fn call(ev: &mut dyn Machine, value: &Value, name: &Arc<str>, args: Args) -> Result<Value> {
    ev.meter().steps(1)?;
    if let Value::Function(function) = value
        && let crate::function::Callable::Builtin(type_) = function.callable()
        && of_type(*type_, name)
    {
        return call_unbound(ev, *type_, name, args);
    }
    if !exists(value, name) {
        let message = format!("{} has no method `{name}`", value.type_name());
        return Err(match value {
            // What is null is as good as missing: `||` catches it.
            Value::Null => EvalError::missing(message),
            Value::Object(object) if object.get(name).is_some() => {
                EvalError::type_(format!("`{name}` is a key of the object, not a method"))
            }
            _ => EvalError::type_(message),
        });
    }
    match value {
        Value::Str(text) => str::call(ev, text, name, args),
        other => collections::call(ev, other, name, args),
    }
}

/// `str.upper(text)`
pub(crate) fn call_unbound(
    ev: &mut dyn Machine,
    type_: Builtin,
    name: &Arc<str>,
    args: Args,
) -> Result<Value> {
    let Args { positional, keywords } = args;
    let mut positional = positional.into_iter();
    let fits = |value: &Value| {
        matches!(
            (type_, value),
            (Builtin::Str, Value::Str(_))
                | (Builtin::List, Value::List(_))
                | (Builtin::Tuple, Value::Tuple(_))
                | (Builtin::Dict, Value::Object(_))
                | (Builtin::Set, Value::Set(_))
                | (Builtin::Int, Value::Int(_) | Value::Bool(_))
                | (Builtin::Float, Value::Float(_))
        )
    };
    match positional.next() {
        Some(value) if fits(&value) => call(
            ev,
            &value,
            name,
            Args {
                positional: positional.collect(),
                keywords,
            },
        ),
        Some(value) => Err(EvalError::type_(format!(
            "`{}.{name}` is not for {}",
            type_.name(),
            value.type_name()
        ))),
        None => Err(EvalError::type_(format!(
            "`{}.{name}` needs a value",
            type_.name()
        ))),
    }
}
