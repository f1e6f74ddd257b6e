//! The values of the language: JSON's, and the few that only `py:` expressions make.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap, IndexSet};

use crate::function::Function;
pub use crate::int::Int;

/// A value of the language. Cheap to clone: everything large is shared.
///
/// Made from JSON with `From<serde_json::Value>` and turned back with [`Value::to_json`]. Values never change.
///
/// ```
/// use dad_template::Value;
///
/// let value = Value::from(serde_json::json!({"name": "Ann", "tags": ["a", "b"], "score": 3.0}));
/// assert_eq!(value.get("name").and_then(Value::as_str), Some("Ann"));
/// assert_eq!(value.to_text(), r#"{"name":"Ann","tags":["a","b"],"score":3.0}"#);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Value {
    /// Nothing; `null` and `None`.
    #[default]
    Null,
    /// `true` or `false`. Counts as 1 and 0 in arithmetic and equality, as in Python.
    Bool(bool),
    /// An exact integer.
    Int(Int),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// A list.
    List(Arc<Vec<Value>>),
    /// A tuple of a `py:` expression; a list everywhere else.
    Tuple(Arc<Vec<Value>>),
    /// An object, in the order of insertion.
    Object(Arc<Object>),
    /// A set of a `py:` expression, in the order of insertion; a list everywhere else.
    Set(Arc<Set>),
    /// A `range`, kept by its bounds; a list everywhere else.
    Range(Range),
    /// A function or an iterator inside an expression. No evaluation ends with one.
    Function(Function),
}

/// An object: keys of a `py:` dictionary need not be text.
pub(crate) type Map = IndexMap<Key, Value>;

/// The entries of [`Value::Object`], in the order of insertion.
#[derive(Clone, Debug, Default)]
pub struct Object(pub(crate) Map);

impl Object {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value under a key that is text.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }
}

impl<K: Into<Arc<str>>> FromIterator<(K, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        Object(
            entries
                .into_iter()
                .map(|(key, value)| (Key(Value::Str(key.into())), value))
                .collect(),
        )
    }
}

/// The members of [`Value::Set`], in the order of insertion.
#[derive(Clone, Debug, Default)]
pub struct Set(pub(crate) IndexSet<Key>);

impl Set {
    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members.
    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|key| &key.0)
    }
}

/// A key of an object or member of a set: equal and hashed as in Python, so `1`, `1.0` and `true` are one key.
///
/// Only made from values that can be keys: null, booleans, numbers, text, and tuples of those.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub(crate) Value);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&other.0)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_key(&self.0, state);
    }
}

/// The hash of a text key must be that of its text: look-ups by name allocate nothing.
impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(&key.0, Value::Str(text) if **text == *self)
    }
}

fn hash_key<H: Hasher>(value: &Value, state: &mut H) {
    match value {
        Value::Str(text) => {
            let text: &str = text.borrow();
            text.hash(state);
        }
        Value::Bool(b) => i64::from(*b).hash(state),
        Value::Int(int) => match int.as_i64() {
            Some(n) => n.hash(state),
            None => int.to_f64().to_bits().hash(state),
        },
        Value::Float(float) => match Int::from_f64(*float).and_then(|int| int.as_i64()) {
            Some(n) if float.fract() == 0.0 => n.hash(state),
            _ => float.to_bits().hash(state),
        },
        Value::Tuple(items) => {
            items.len().hash(state);
            for item in items.iter() {
                hash_key(item, state);
            }
        }
        _ => 0u8.hash(state),
    }
}

/// A `range(start, stop, step)`, kept by its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first number.
    pub start: i64,
    /// The bound that is not reached.
    pub stop: i64,
    /// The distance of two numbers; never zero.
    pub step: i64,
}

impl Range {
    /// The number of numbers.
    pub fn len(&self) -> u64 {
        let (low, high) = if self.step > 0 {
            (self.start, self.stop)
        } else {
            (self.stop, self.start)
        };
        if low >= high {
            0
        } else {
            (low.abs_diff(high) - 1) / self.step.unsigned_abs() + 1
        }
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at an index that is below [`Range::len`].
    pub fn get(&self, index: u64) -> Option<i64> {
        if index >= self.len() {
            return None;
        }
        let offset = i128::from(index) * i128::from(self.step);
        i64::try_from(i128::from(self.start) + offset).ok()
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = i64> + use<> {
        let range = *self;
        (0..range.len()).filter_map(move |index| range.get(index))
    }
}

/// A value that JSON cannot hold: a float that is not finite, an integer beyond 64 bits, a tuple as a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be written as JSON")]
pub struct ToJsonError {
    what: String,
}

impl ToJsonError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        ToJsonError { what: what.into() }
    }
}

impl Value {
    /// Makes a text value.
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Value::Str(text.into())
    }

    /// Makes a list.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Value::List(Arc::new(items.into_iter().collect()))
    }

    /// Makes an object from entries in order; of equal keys the last value counts.
    pub fn object<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Object(Arc::new(entries.into_iter().collect()))
    }

    pub(crate) fn tuple(items: Vec<Value>) -> Self {
        Value::Tuple(Arc::new(items))
    }

    pub(crate) fn int(n: impl Into<Int>) -> Self {
        Value::Int(n.into())
    }

    /// A length as a value.
    pub(crate) fn size(n: usize) -> Self {
        Value::int(u64::try_from(n).unwrap_or(u64::MAX))
    }

    pub(crate) fn map(map: Map) -> Self {
        Value::Object(Arc::new(Object(map)))
    }

    pub(crate) fn set(set: IndexSet<Key>) -> Self {
        Value::Set(Arc::new(Set(set)))
    }

    /// The text, if the value is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if the value is one. Conditions must be boolean; truthiness is not looked at.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The integer, if the value is one of 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(int) => int.as_i64(),
            _ => None,
        }
    }

    /// The number as a float, if the value is an integer or float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(int) => Some(int.to_f64()),
            Value::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// The elements, if the value is a list or tuple. A set or range has none to borrow: see [`Value::items`].
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if the value is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The elements of a list, tuple, set or range, without cloning what is large.
    pub fn items(&self) -> Option<Box<dyn Iterator<Item = Value> + '_>> {
        match self {
            Value::List(items) | Value::Tuple(items) => Some(Box::new(items.iter().cloned())),
            Value::Set(set) => Some(Box::new(set.iter().cloned())),
            Value::Range(range) => Some(Box::new(range.iter().map(Value::int))),
            _ => None,
        }
    }

    /// The number of elements [`Value::items`] or entries of an object; `None` for other values.
    pub fn len(&self) -> Option<u64> {
        let len = match self {
            Value::List(items) | Value::Tuple(items) => items.len(),
            Value::Set(set) => set.len(),
            Value::Object(object) => object.len(),
            Value::Range(range) => return Some(range.len()),
            _ => return None,
        };
        u64::try_from(len).ok()
    }

    /// Whether nothing is in the list, tuple, set, range or object; `None` for other values.
    pub fn is_empty(&self) -> Option<bool> {
        self.len().map(|len| len == 0)
    }

    /// The value under a key, if the value is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object().and_then(|object| object.get(key))
    }

    /// The element at an index, if the value is a list or tuple that has it.
    pub fn at(&self, index: usize) -> Option<&Value> {
        self.as_list().and_then(|items| items.get(index))
    }

    /// Whether the value is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether the value counts as true: not null, false, zero, nor empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(b) => *b,
            Value::Int(int) => !int.is_zero(),
            Value::Float(float) => *float != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::Function(_) => true,
            other => other.is_empty() == Some(false),
        }
    }

    /// The name of the type for messages, in the words of JSON.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Str(_) => "text",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Object(_) => "an object",
            Value::Set(_) => "a set",
            Value::Range(_) => "a range",
            Value::Function(function) => function.type_name(),
        }
    }

    /// Equality as in Python: numbers by value, lists and tuples are different, functions are never equal.
    ///
    /// Unbounded in time; the evaluator compares large values itself, step by step.
    pub(crate) fn equals(&self, other: &Value) -> bool {
        if let Some(equal) = self.equals_plain(other) {
            return equal;
        }
        match (self, other) {
            (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
                Arc::ptr_eq(a, b) || (a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b)))
            }
            (Value::Object(a), Value::Object(b)) => {
                Arc::ptr_eq(a, b)
                    || (a.len() == b.len()
                        && a.0
                            .iter()
                            .all(|(key, value)| b.0.get(key).is_some_and(|other| value.equals(other))))
            }
            (Value::Set(a), Value::Set(b)) => a.len() == b.len() && a.0.iter().all(|key| b.0.contains(key)),
            _ => false,
        }
    }

    /// Equality of everything but lists, tuples, objects and sets among themselves.
    pub(crate) fn equals_plain(&self, other: &Value) -> Option<bool> {
        Some(match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Bool(a), Value::Int(b)) | (Value::Int(b), Value::Bool(a)) => {
                b.as_i64() == Some(i64::from(*a))
            }
            (Value::Bool(a), Value::Float(b)) | (Value::Float(b), Value::Bool(a)) => {
                *b == f64::from(u8::from(*a))
            }
            (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => {
                a.cmp_f64(*b) == Some(std::cmp::Ordering::Equal)
            }
            (Value::Range(a), Value::Range(b)) => {
                a.len() == b.len() && a.get(0) == b.get(0) && (a.len() < 2 || a.step == b.step)
            }
            (Value::Function(a), Value::Function(b)) => a.same(b),
            (Value::List(_), Value::List(_))
            | (Value::Tuple(_), Value::Tuple(_))
            | (Value::Object(_), Value::Object(_))
            | (Value::Set(_), Value::Set(_)) => return None,
            _ => false,
        })
    }
}

/// Equality as in the language: `1 == 1.0 == true`, objects without regard to order.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other)
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(b),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(n), _) => Value::int(n),
                (None, Some(n)) => Value::int(n),
                (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::Str(text.into()),
            serde_json::Value::Array(items) => Value::list(items.into_iter().map(Value::from)),
            serde_json::Value::Object(map) => {
                Value::object(map.into_iter().map(|(key, value)| (key, Value::from(value))))
            }
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::String(text) => Value::str(text.as_str()),
            serde_json::Value::Array(items) => Value::list(items.iter().map(Value::from)),
            serde_json::Value::Object(map) => {
                Value::object(map.iter().map(|(key, value)| (key.as_str(), Value::from(value))))
            }
            scalar => Value::from(scalar.clone()),
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Self {
        Value::int(n)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Value::int(n)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Value::int(n)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Value::Float(float)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::str(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::List(Arc::new(items))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
