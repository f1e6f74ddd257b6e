//! Members, elements and slices of values.

use std::borrow::Cow;
use std::sync::Arc;

use crate::compare;
use crate::error::{EvalError, LateHint, Result, shortened};
use crate::limits::Meter;
use crate::number;
use crate::value::{Range, Value};

/// Whether a name belongs to the inside of an interpreter: no such member exists here, whatever a value holds.
pub(crate) fn is_internal(name: &str) -> bool {
    name.starts_with("__")
}

/// `value.name`: a key of an object, nothing else.
pub(crate) fn attribute(value: &Value, name: &str) -> Result<Value> {
    if is_internal(name) {
        return Err(EvalError::missing(format!("no member `{name}`")));
    }
    match value {
        Value::Object(object) => object.get(name).cloned().ok_or_else(|| missing_key(name, value)),
        other => {
            let error = EvalError::missing(format!("{} has no member `{name}`", other.type_name()));
            Err(match (name, other) {
                ("length" | "size" | "count", Value::List(_) | Value::Str(_)) => error.hint("write `len(…)`"),
                _ => error,
            })
        }
    }
}

/// `value[index]`
pub(crate) fn subscript(meter: &mut Meter, value: &Value, index: &Value) -> Result<Value> {
    match value {
        Value::Object(object) => match index {
            Value::Str(key) => object.get(key).cloned().ok_or_else(|| missing_key(key, value)),
            other => {
                let key = compare::key(meter, other.clone())?;
                let found = object.0.get(&key).cloned();
                found.ok_or_else(|| missing_key(&other.to_text(), value))
            }
        },
        Value::Null => Err(EvalError::missing("null has no elements")),
        Value::List(items) | Value::Tuple(items) => {
            let at = position(index, items.len() as u64, value)?;
            usize::try_from(at)
                .ok()
                .and_then(|at| items.get(at).cloned())
                .ok_or_else(|| outside(value))
        }
        Value::Range(range) => {
            let at = position(index, range.len(), value)?;
            range.get(at).map(Value::int).ok_or_else(|| outside(value))
        }
        Value::Str(text) => character(meter, text, index, value),
        other => Err(EvalError::type_(format!("{} has no elements", other.type_name()))),
    }
}

fn outside(value: &Value) -> EvalError {
    let error = EvalError::missing(format!("the index is outside {}", value.type_name()));
    let len = match value {
        Value::List(items) => u64::try_from(items.len()).unwrap_or(u64::MAX),
        Value::Range(range) => range.len(),
        _ => return error,
    };
    match len {
        0 => error.hint("it is empty"),
        1 => error.hint("it has one item, whose index is 0"),
        len => error.hint(format!("it has {len} items, 0 to {}", len - 1)),
    }
}

fn position(index: &Value, len: u64, value: &Value) -> Result<u64> {
    if let Value::Str(key) = index {
        return Err(EvalError::missing(format!(
            "{} has no key `{}`",
            value.type_name(),
            shortened(key)
        )));
    }
    let index = number::small(index, "an index")?;
    let at = if index < 0 {
        len.checked_sub(index.unsigned_abs())
    } else {
        Some(index.unsigned_abs())
    };
    at.filter(|at| *at < len).ok_or_else(|| outside(value))
}

fn character(meter: &mut Meter, text: &str, index: &Value, value: &Value) -> Result<Value> {
    if let Value::Str(_) = index {
        return Err(position(index, 0, value).err().unwrap_or_else(|| outside(value)));
    }
    let index = number::small(index, "an index")?;
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    meter.walk(distance.min(text.len()))?;
    let found = if index < 0 {
        text.chars().nth_back(distance - 1)
    } else {
        text.chars().nth(distance)
    };
    found
        .map(|c| Value::str(c.to_string()))
        .ok_or_else(|| outside(value))
}

/// `value[start:stop:step]`
pub(crate) fn slice(meter: &mut Meter, value: &Value, parts: [&Value; 3]) -> Result<Value> {
    let len = match value {
        Value::Str(text) => {
            meter.scan(text.len())?;
            text.chars().count() as u64
        }
        Value::List(items) | Value::Tuple(items) => items.len() as u64,
        Value::Range(range) => range.len(),
        Value::Null => return Err(EvalError::missing("null has no elements")),
        other => {
            return Err(EvalError::type_(format!(
                "{} cannot be sliced",
                other.type_name()
            )));
        }
    };
    let selection = Selection::new(len, parts)?;
    match value {
        Value::Str(text) => slice_text(meter, text, len, &selection),
        Value::List(items) | Value::Tuple(items) => {
            if selection.is_all() {
                return Ok(value.clone());
            }
            meter.elements(selection.0.len())?;
            meter.steps(selection.0.len() / 16)?;
            let chosen = selection
                .indices()
                .filter_map(|at| items.get(at).cloned())
                .collect();
            Ok(if matches!(value, Value::List(_)) {
                Value::List(Arc::new(chosen))
            } else {
                Value::tuple(chosen)
            })
        }
        Value::Range(range) => {
            let number = |index: i64| {
                i64::try_from(i128::from(range.start) + i128::from(index) * i128::from(range.step))
                    .map_err(|_| EvalError::value("the range is too large"))
            };
            let step = range.step.checked_mul(selection.0.step);
            Ok(Value::Range(Range {
                start: number(selection.0.start)?,
                stop: number(selection.0.stop)?,
                step: step.ok_or_else(|| EvalError::value("the range is too large"))?,
            }))
        }
        other => Err(EvalError::type_(format!(
            "{} cannot be sliced",
            other.type_name()
        ))),
    }
}

fn slice_text(meter: &mut Meter, text: &str, len: u64, selection: &Selection) -> Result<Value> {
    meter.walk(text.len())?;
    meter.text(text.len())?;
    let Range { start, stop, step } = selection.0;
    if step == 1 {
        let byte = |index: i64| {
            let index = usize::try_from(index).unwrap_or(0);
            if text.len() as u64 == len {
                index
            } else {
                text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
            }
        };
        return Ok(Value::str(
            text.get(byte(start)..byte(stop).max(byte(start)))
                .unwrap_or_default(),
        ));
    }
    meter.alloc(len * 4)?;
    let chars: Vec<char> = text.chars().collect();
    Ok(Value::str(
        selection
            .indices()
            .filter_map(|at| chars.get(at))
            .collect::<String>(),
    ))
}

/// The indices that a slice chooses, as a range within the length.
struct Selection(Range, u64);

impl Selection {
    /// The rules of Python: what is left out or too far is moved to the nearest end.
    fn new(len: u64, [start, stop, step]: [&Value; 3]) -> Result<Self> {
        let length = i64::try_from(len).unwrap_or(i64::MAX);
        let part = |value: &Value| -> Result<Option<i64>> {
            if value.is_null() {
                return Ok(None);
            }
            let int = number::integer(value).ok_or_else(|| {
                EvalError::type_(format!(
                    "a bound of a slice must be an integer, not {}",
                    value.type_name()
                ))
            })?;
            let far = if int.is_negative() { -i64::MAX } else { i64::MAX };
            Ok(Some(int.as_i64().unwrap_or(far).max(-i64::MAX)))
        };
        let step = part(step)?.unwrap_or(1);
        if step == 0 {
            return Err(EvalError::value("the step of a slice is zero"));
        }
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let clamp = |value: Option<i64>, default: i64| match value {
            None => default,
            Some(n) if n < 0 => n.saturating_add(length).max(low),
            Some(n) => n.min(high),
        };
        let (first, last) = if step > 0 { (low, high) } else { (high, low) };
        let (start, stop) = (clamp(part(start)?, first), clamp(part(stop)?, last));
        Ok(Selection(Range { start, stop, step }, len))
    }

    fn is_all(&self) -> bool {
        self.0.step == 1 && self.0.len() == self.1
    }

    fn indices(&self) -> impl Iterator<Item = usize> + use<> {
        self.0.iter().filter_map(|at| usize::try_from(at).ok())
    }
}

/// The number of keys of an object that a hint names.
const SHOWN_KEYS: usize = 8;

/// A key that an object lacks.
#[derive(Debug)]
struct MissingKey {
    name: String,
    object: Value,
}

impl LateHint for MissingKey {
    fn text(&self) -> Option<String> {
        keys_beside(&self.name, &self.object)
    }
}

fn missing_key(name: &str, object: &Value) -> EvalError {
    EvalError::missing(format!("no key `{}`", shortened(name))).late_hint(MissingKey {
        name: name.to_owned(),
        object: object.clone(),
    })
}

/// The key of an object that is most like one that it lacks, and those it has.
fn keys_beside(name: &str, object: &Value) -> Option<String> {
    let Value::Object(object) = object else {
        return None;
    };
    let keys: Vec<_> = object.iter().map(|(key, _)| key).collect();
    if keys.is_empty() {
        return Some("the object is empty".to_owned());
    }
    let lower = name.to_lowercase();
    let likeness = |key: &&Cow<'_, str>| strsim::jaro_winkler(&lower, &key.to_lowercase());
    let nearest = keys.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    // As near as a slip of the keyboard.
    let nearest = nearest.filter(|key| likeness(key) >= 0.8);
    let mut shown: Vec<String> = keys
        .iter()
        .take(SHOWN_KEYS)
        .map(|key| format!("`{}`", shortened(key)))
        .collect();
    if keys.len() > SHOWN_KEYS {
        shown.push("…".to_owned());
    }
    let has = format!("it has {}", shown.join(", "));
    Some(match nearest {
        Some(nearest) => format!("did you mean `{}`? {has}", shortened(nearest)),
        None => has,
    })
}
