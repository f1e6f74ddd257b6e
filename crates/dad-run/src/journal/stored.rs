//! Fields of records that may be kept outside the journal, by digest.

use dad_core::{ArtifactRef, Digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field that is kept in the record, or by digest in `.run/values/` when it is large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StoredValue {
    /// The value itself.
    Value(Value),
    /// The file that holds the value.
    Stored(StoredRef),
}

/// A value in `.run/values/<blake3>.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredRef {
    /// Digest of the file.
    pub blake3: Digest,
    /// Its length in bytes.
    pub len: u64,
}

impl StoredRef {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            blake3: Digest::of(bytes),
            len: bytes.len() as u64,
        }
    }

    /// The name of the file.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.json", self.blake3)
    }

    /// The name of the file if it holds a text for people.
    pub(crate) fn text_file_name(&self) -> String {
        format!("{}.txt", self.blake3)
    }
}

/// The artifacts of a step, kept in the record or, when there are very many, in `.run/values/`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ArtifactList {
    /// The list itself.
    Inline(Vec<ArtifactRef>),
    /// The reference to the list.
    Stored {
        /// The file that holds it.
        stored: StoredRef,
    },
}

impl Default for ArtifactList {
    fn default() -> Self {
        Self::Inline(Vec::new())
    }
}

impl ArtifactList {
    /// Whether there are no artifacts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Inline(list) if list.is_empty())
    }
}
