//! Methods of everything but text.

use indexmap::IndexSet;

use crate::call::Args;
use crate::compare;
use crate::error::{EvalError, Result};
use crate::machine::Machine;
use crate::number;
use crate::ops::{self, SetOperation};
use crate::value::{Key, Object, Value};

pub(super) fn call(ev: &mut dyn Machine, value: &Value, name: &str, args: Args) -> Result<Value> {
    match value {
        Value::List(_) | Value::Tuple(_) | Value::Range(_) => sequence(ev, value, name, args),
        Value::Object(object) => self::object(ev, value, object, name, args),
        Value::Set(set) => self::set(ev, value, &set.0, name, args),
        Value::Int(_) | Value::Bool(_) => {
            args.none(name)?;
            let int = number::integer(value).unwrap_or(crate::int::Int::from(0));
            match name {
                "bit_length" => Ok(Value::int(int.bits())),
                _ => {
                    ev.meter().alloc(int.bits() * 2)?;
                    Ok(Value::size(int.to_radix(2).matches('1').count()))
                }
            }
        }
        Value::Float(float) => {
            args.none(name)?;
            Ok(Value::Bool(float.is_finite() && float.fract() == 0.0))
        }
        other => Err(EvalError::type_(format!(
            "{} has no method `{name}`",
            other.type_name()
        ))),
    }
}

fn sequence(ev: &mut dyn Machine, value: &Value, name: &str, args: Args) -> Result<Value> {
    if name == "copy" {
        args.none(name)?;
        return Ok(value.clone());
    }
    let parameters: &[&str] = if name == "count" { &[""] } else { &["", "", ""] };
    let [wanted, start, stop] = args.bind(name, ["", "", ""], 1)?;
    if parameters.len() == 1 && start.is_some() {
        return Err(EvalError::type_("`count` takes one value"));
    }
    let wanted = wanted.unwrap_or_default();
    let items = ev.collect(value)?;
    let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let bound = |bound: Option<Value>, default: i64| -> Result<i64> {
        match bound {
            None => Ok(default),
            Some(bound) => {
                let n = number::small(&bound, "an index")?;
                Ok(if n < 0 { (n + len).max(0) } else { n.min(len) })
            }
        }
    };
    let (start, stop) = (bound(start, 0)?, bound(stop, len)?);
    let mut count: i64 = 0;
    for (index, item) in (0..).zip(items.iter()) {
        ev.meter().steps(1)?;
        let inside = name == "count" || (index >= start && index < stop);
        if inside && compare::equals(ev.meter(), item, &wanted)? {
            if name == "index" {
                return Ok(Value::int(index));
            }
            count += 1;
        }
    }
    if name == "index" {
        Err(EvalError::value("the value is not in the list"))
    } else {
        Ok(Value::int(count))
    }
}

fn object(ev: &mut dyn Machine, value: &Value, object: &Object, name: &str, args: Args) -> Result<Value> {
    match name {
        "get" => {
            let [key, default] = args.bind(name, ["", ""], 1)?;
            let key = compare::key(ev.meter(), key.unwrap_or_default())?;
            Ok(object.0.get(&key).cloned().or(default).unwrap_or_default())
        }
        "copy" => {
            args.none(name)?;
            Ok(value.clone())
        }
        _ => {
            args.none(name)?;
            let each = if name == "items" { 4 } else { 1 };
            ev.meter().elements(object.len() as u64 * each)?;
            ev.meter().steps(object.len() as u64 / 8)?;
            let entries = object.0.iter();
            Ok(Value::from(match name {
                "keys" => entries.map(|(key, _)| key.0.clone()).collect::<Vec<_>>(),
                "values" => entries.map(|(_, value)| value.clone()).collect(),
                _ => entries
                    .map(|(key, value)| Value::tuple(vec![key.0.clone(), value.clone()]))
                    .collect(),
            }))
        }
    }
}

fn set(ev: &mut dyn Machine, value: &Value, set: &IndexSet<Key>, name: &str, args: Args) -> Result<Value> {
    if !args.keywords.is_empty() {
        return Err(EvalError::type_(format!("`{name}` has no arguments with names")));
    }
    let operation = match name {
        "copy" => {
            args.none(name)?;
            return Ok(value.clone());
        }
        "union" => SetOperation::Union,
        "intersection" => SetOperation::Intersection,
        "difference" => SetOperation::Difference,
        "symmetric_difference" => SetOperation::SymmetricDifference,
        _ => {
            let other = args.single(name)?;
            let other = as_set(ev, &other)?;
            ev.meter().steps((set.len() + other.len()) as u64)?;
            return Ok(Value::Bool(match name {
                "issubset" => set.is_subset(&other),
                "issuperset" => set.is_superset(&other),
                _ => set.is_disjoint(&other),
            }));
        }
    };
    if operation == SetOperation::SymmetricDifference && args.positional.len() != 1 {
        return Err(EvalError::type_(format!("`{name}` takes one value")));
    }
    let mut result = value.clone();
    for given in &args.positional {
        let mut other = as_set(ev, given)?;
        if operation == SetOperation::Intersection
            && !matches!(given, Value::Set(_))
            && let Value::Set(set) = &result
        {
            // Members come from what is not a set, as in CPython.
            other.retain(|key| set.0.contains(key));
            result = Value::set(other);
            continue;
        }
        if let Value::Set(set) = &result {
            result = ops::sets(ev.meter(), operation, &set.0, &other)?;
        }
    }
    Ok(result)
}

fn as_set(ev: &mut dyn Machine, value: &Value) -> Result<IndexSet<Key>> {
    let items = ev.collect(value)?;
    ev.meter().entries(items.len() as u64)?;
    items
        .into_iter()
        .map(|item| compare::key(ev.meter(), item))
        .collect()
}
