//! The origin of a run: the user's own, or another.

use serde::Serialize;

/// Whose run it is, as far as a reader can tell from its journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// A driver with this key wrote it, or its user trusted what was written before.
    Mine,
    /// It was signed with another key, or changed since.
    Foreign,
    /// It was not signed: by a driver without a key, or by a version that did not sign.
    Unsigned,
    /// It was signed, and the reader has no key to check that with.
    #[default]
    Unchecked,
}
