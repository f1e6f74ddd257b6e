//! Texts of records, each of which has a bound: a record is shorter than 64 KiB whatever it is about.

use std::fmt;
use std::ops::Deref;

use dad_core::ErrorInfo;
use serde::{Deserialize, Serialize};

/// A text that takes at most about `MOST` bytes in a record. Of a longer one there is its beginning and its length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordText<const MOST: usize>(String);

/// The author of something, for people.
pub type RecordSource = RecordText<256>;

impl<const MOST: usize> RecordText<MOST> {
    /// The text, and what stands for the rest of it.
    #[must_use]
    pub fn into_inner(self) -> String {
        self.0
    }
}

impl<const MOST: usize> From<&str> for RecordText<MOST> {
    fn from(text: &str) -> Self {
        let mut taken = 0;
        for (at, c) in text.char_indices() {
            taken += match c {
                '"' | '\\' => 2,
                // As `\u0000`.
                c if c.is_ascii_control() => 6,
                c => c.len_utf8(),
            };
            if taken > MOST {
                return Self(format!("{}… ({} bytes)", &text[..at], text.len()));
            }
        }
        Self(text.to_owned())
    }
}

impl<const MOST: usize> Deref for RecordText<MOST> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> fmt::Display for RecordText<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error with bounded texts. The whole one stands in the file of what it is the error of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordedError(ErrorInfo);

impl RecordedError {
    /// The error as it stands in the record.
    #[must_use]
    pub fn into_inner(self) -> ErrorInfo {
        self.0
    }
}

impl From<&ErrorInfo> for RecordedError {
    fn from(error: &ErrorInfo) -> Self {
        // A code is a word, also where it was cut.
        let code: String = error.code.chars().take(200).collect();
        let message = RecordText::<{ 16 * 1024 }>::from(&*error.message);
        let mut recorded = ErrorInfo::new(code, message.into_inner());
        let hint = error.hint.as_deref().map(RecordText::<{ 4 * 1024 }>::from);
        recorded.hint = hint.map(RecordText::into_inner);
        recorded.path.clone_from(&error.path);
        Self(recorded)
    }
}

impl fmt::Display for RecordedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Deref for RecordedError {
    type Target = ErrorInfo;

    fn deref(&self) -> &ErrorInfo {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_no_more_room_than_it_may() {
        let of = |text: &str| RecordText::<10>::from(text);
        assert_eq!(&*of("ten bytes!"), "ten bytes!");
        assert_eq!(of("eleven byte").to_string(), "eleven byt… (11 bytes)");
        assert_eq!(
            &*of("\"\"\"\"\"\""),
            "\"\"\"\"\"… (6 bytes)",
            "each quote takes two"
        );
        assert_eq!(&*of("\u{1}\u{1}"), "\u{1}… (2 bytes)");
        assert_eq!(&*of("äöüäöü"), "äöüäö… (12 bytes)", "no character is cut");
    }
}
