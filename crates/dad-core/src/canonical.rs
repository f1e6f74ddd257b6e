//! Canonical JSON, so that equal values have equal digests, and the digests themselves.

use std::fmt::{self, Write};
use std::str::FromStr;

use serde_json::Value;

/// A blake3 digest, written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) blake3::Hash);

/// Why a text is not a [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest of 64 hexadecimal digits")]
pub struct ParseDigestError(String);

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }

    /// The digest of a value's canonical JSON, the same for values that differ only in the order of their keys.
    #[must_use]
    pub fn of_json(value: &Value) -> Self {
        Self::of(canonical_json(value).as_bytes())
    }

    /// The first twelve digits, enough to tell digests apart by eye.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.to_hex()[..12].to_owned()
    }
}

/// The bytes of a blake3 hash that was made elsewhere.
impl From<[u8; 32]> for Digest {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash.into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        blake3::Hash::from_hex(text)
            .map(Self)
            .map_err(|_| ParseDigestError(text.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, ParseDigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// A value as JSON without white space and with the keys of every object sorted by their bytes.
///
/// Numbers keep the text that `serde_json` gives them, so `1` and `1.0` stay different.
///
/// ```
/// use dad_core::canonical_json;
/// use serde_json::json;
///
/// assert_eq!(canonical_json(&json!({ "b": 1, "a": [true, null] })), r#"{"a":[true,null],"b":1}"#);
/// ```
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

/// Canonical JSON of an object whose fields are given in the order of their keys, so that it needs no map.
#[derive(Clone, Debug, Default)]
pub struct CanonicalObject {
    text: String,
    #[cfg(debug_assertions)]
    last: String,
}

impl CanonicalObject {
    /// An object without fields.
    #[must_use]
    pub fn new() -> Self {
        Self {
            text: String::with_capacity(512),
            #[cfg(debug_assertions)]
            last: String::new(),
        }
    }

    /// Adds a field. Its key comes after those before it.
    pub fn field(&mut self, key: &str, value: &Value) -> &mut Self {
        self.key(key);
        write_canonical(value, &mut self.text);
        self
    }

    /// Adds a field that is a text. Its key comes after those before it.
    pub fn text(&mut self, key: &str, text: &str) -> &mut Self {
        self.key(key);
        write_text(text, &mut self.text);
        self
    }

    fn key(&mut self, key: &str) {
        #[cfg(debug_assertions)]
        {
            assert!(*self.last < *key, "`{key}` comes before `{}`", self.last);
            key.clone_into(&mut self.last);
        }
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        write_text(key, &mut self.text);
        self.text.push(':');
    }

    /// The digest of the object, as [`Digest::of_json`] gives it.
    #[must_use]
    pub fn digest(mut self) -> Digest {
        self.text.push_str(if self.text.is_empty() { "{}" } else { "}" });
        Digest::of(self.text.as_bytes())
    }
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_canonical(item, out);
            }
            out.push('}');
        }
        Value::String(text) => write_text(text, out),
        // Writing to a string does not fail.
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    let must_escape = |byte| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().any(must_escape) {
        out.push_str(&Value::from(text).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let one = json!({"b": 1, "a": {"y": [1, 2.0], "x": null}});
        let other = json!({"a": {"x": null, "y": [1, 2.0]}, "b": 1});
        assert_eq!(canonical_json(&one), r#"{"a":{"x":null,"y":[1,2.0]},"b":1}"#);
        assert_eq!(Digest::of_json(&one), Digest::of_json(&other));
    }

    #[test]
    fn an_object_can_be_written_without_a_map() {
        let whole = json!({"a": "x", "b": {"d": [1, null], "c": 2.0}});
        let mut object = CanonicalObject::new();
        object.text("a", "x").field("b", &whole["b"]);
        assert_eq!(object.digest(), Digest::of_json(&whole));
        assert_eq!(CanonicalObject::new().digest(), Digest::of_json(&json!({})));
    }

    #[test]
    fn texts_and_numbers_are_written_as_serde_json_writes_them() {
        let every_ascii: String = (0..=0x7f_u8).map(char::from).collect();
        for text in [every_ascii.as_str(), "", "ü \u{2028} \u{1f600}", "\"", "\\", "\n"] {
            let value = json!([text, { text: text }]);
            assert_eq!(canonical_json(&value), value.to_string());
        }
        let numbers = json!([0, -1, u64::MAX, 1.0, 1e300, 0.1, true, null]);
        assert_eq!(canonical_json(&numbers), numbers.to_string());
    }
}
