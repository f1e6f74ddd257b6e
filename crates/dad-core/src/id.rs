//! Ids of elements, valid by construction: each may become the name of a directory.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest id in bytes. A path of ids becomes a path of directories, whose names end at 255 bytes on every
/// supported file system; the rest is left for suffixes of temporary names.
pub const MAX_ID_LENGTH: usize = 150;

/// Ids that mean something else in a path, a template or a run directory.
pub const RESERVED_IDS: &[&str] = &["is_true", "is_false", "previous", "last", "static_inputs"];

/// Names that Windows reserves for devices; a directory of that name cannot be made there.
const DEVICE_NAMES: &[&str] = &["con", "prn", "aux", "nul"];

/// The id of one element of a definition.
///
/// - made of ASCII letters, digits and `_`, 1 to [`MAX_ID_LENGTH`] bytes long;
/// - never one of [`RESERVED_IDS`], never `iter_N`, never the name of a Windows device;
/// - compared with case, but siblings must differ without it, because an id becomes a directory name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ElementId(Arc<str>);

/// Why a text is not an [`ElementId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    #[error("an id must not be empty")]
    Empty,
    /// The text is longer than [`MAX_ID_LENGTH`] bytes.
    #[error("an id must not be longer than {MAX_ID_LENGTH} bytes, this one has {0}")]
    TooLong(usize),
    /// A character outside the alphabet.
    #[error("`{id}` contains {character:?}; an id is made of letters, digits and `_`")]
    Character {
        /// The refused id.
        id: String,
        /// Its first refused character.
        character: char,
    },
    /// The id has a meaning of its own in paths.
    #[error("`{0}` is reserved; choose another id")]
    Reserved(String),
}

impl ElementId {
    /// Parses an id.
    ///
    /// # Errors
    /// [`IdError`] names the first rule that `text` breaks.
    pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
        let text = text.as_ref();
        check_alphabet(text)?;
        if is_reserved(text) {
            return Err(IdError::Reserved(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks length and alphabet, which hold for every segment of a path, reserved or not.
pub(crate) fn check_alphabet(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if let Some(character) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '_')) {
        return Err(IdError::Character {
            id: shorten(text),
            character,
        });
    }
    if text.len() > MAX_ID_LENGTH {
        return Err(IdError::TooLong(text.len()));
    }
    if is_device(text) {
        return Err(IdError::Reserved(text.to_owned()));
    }
    Ok(())
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        text.to_owned()
    } else {
        text.chars().take(57).chain("...".chars()).collect()
    }
}

fn is_reserved(text: &str) -> bool {
    RESERVED_IDS
        .iter()
        .any(|reserved| text.eq_ignore_ascii_case(reserved))
        || is_iteration(text)
}

fn is_iteration(text: &str) -> bool {
    text.get(..5)
        .is_some_and(|head| head.eq_ignore_ascii_case("iter_"))
        && text.len() > 5
        && text[5..].bytes().all(|b| b.is_ascii_digit())
}

fn is_device(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    DEVICE_NAMES.contains(&lower.as_str())
        || (lower.len() == 4
            && (lower.starts_with("com") || lower.starts_with("lpt"))
            && lower.as_bytes()[3].is_ascii_digit())
}

impl fmt::Display for ElementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ElementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for ElementId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ElementId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ElementId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for ElementId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for ElementId {
    type Error = IdError;

    fn try_from(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<ElementId> for String {
    fn from(id: ElementId) -> Self {
        id.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_alphabet_and_refuses_the_rest() {
        for good in [
            "a",
            "A_1",
            "iter",
            "iter_",
            "iter_x",
            "lasting",
            &"x".repeat(MAX_ID_LENGTH),
        ] {
            assert!(ElementId::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a/b",
            "..",
            "a.b",
            "a-b",
            "é",
            "iter_0",
            "ITER_12",
            "last",
            "Previous",
            "is_true",
            "IS_FALSE",
            "static_inputs",
            "con",
            "COM1",
            "nul",
            &"x".repeat(MAX_ID_LENGTH + 1),
        ] {
            assert!(ElementId::new(bad).is_err(), "{bad}");
        }
    }
}
