//! Documents with the version of their format.

use serde::Serialize;

/// The version of the documents that the page reads.
pub(crate) const FORMAT: u32 = 1;

/// A document with its version.
#[derive(Serialize)]
pub(crate) struct Versioned<T: Serialize> {
    schema_version: u32,
    #[serde(flatten)]
    document: T,
}

pub(crate) fn versioned<T: Serialize>(document: T) -> Versioned<T> {
    Versioned {
        schema_version: FORMAT,
        document,
    }
}
