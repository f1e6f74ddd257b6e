//! Fields of JSON documents that are what they should be, or absent.

use dad_core::json::parse_external;
use serde_json::{Map, Value};

/// The text at a pointer.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// The text at a pointer, unless it is empty.
pub(super) fn owned(value: &Value, pointer: &str) -> Option<String> {
    text(value, pointer)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// The list at a pointer; an absent one is empty.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The list at a pointer, taken out.
pub(super) fn take_list(value: &mut Value, pointer: &str) -> Vec<Value> {
    match value.pointer_mut(pointer).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// The count at a pointer. Some servers send floats or texts.
pub(super) fn count(value: &Value, pointer: &str) -> Option<u64> {
    /// Above it a float says no count exactly; no call has so many tokens.
    const MAX: u64 = 1 << 53;
    let count = match value.pointer(pointer)? {
        Value::Number(number) => number.as_u64().or_else(|| {
            let float = number
                .as_f64()
                .filter(|float| (0.0..=MAX as f64).contains(float))?;
            Some(float as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    count.filter(|count| *count <= MAX)
}

/// Puts a field into an object; other values have none.
pub(super) fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Puts the fields that have a value into an object.
pub(super) fn set_present<const N: usize>(object: &mut Value, fields: [(&str, Option<Value>); N]) {
    for (name, value) in fields {
        if let Some(value) = value {
            set(object, name, value);
        }
    }
}

/// The arguments of a call that were written as a text. A text that cannot be read without loss stays one, and the model gets the
/// reason.
pub(super) fn arguments_of_text(text: &str) -> Value {
    // So models call a tool that takes nothing.
    if text.trim().is_empty() {
        return Value::Object(Map::new());
    }
    parse_external(text).unwrap_or_else(|_| text.into())
}

/// The arguments of a call that came as JSON. Those in which reading may have rounded an integer become a text: how it was
/// written is not known any more.
pub(super) fn arguments_of_value(value: Value) -> Value {
    match value {
        Value::Null => Value::Object(Map::new()),
        Value::String(text) => arguments_of_text(&text),
        value if may_be_rounded(&value, 0) => value.to_string().into(),
        value => value,
    }
}

/// Whether a number in a value is a float that may have been an integer too large for one. What lies too deep counts as such: no
/// tool takes it.
fn may_be_rounded(value: &Value, depth: usize) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if depth > dad_core::json::MAX_JSON_DEPTH {
        return true;
    }
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(|float| float.abs() >= EXACT),
        Value::Array(items) => items.iter().any(|item| may_be_rounded(item, depth + 1)),
        Value::Object(fields) => fields.values().any(|item| may_be_rounded(item, depth + 1)),
        _ => false,
    }
}
