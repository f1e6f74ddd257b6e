//! The items of a loop, as they are recorded and as they are used.

use dad_core::Clean;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::journal::stored::StoredValue;

/// The items of a loop, as they were evaluated once.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopStart {
    /// The items.
    pub items: Items,
    /// Their number.
    pub count: u64,
    /// The number of the first iteration, as its variable has it.
    pub start_index: i64,
}

/// The items of a loop. A closed set.
#[derive(Clone, Debug, PartialEq)]
pub enum Items {
    /// Numbers, kept by their bounds.
    Range(RangeBounds),
    /// A JSON list.
    List(Clean<Value>),
}

/// The items of a loop, as recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LoopItems {
    /// Numbers, kept by their bounds.
    Range(RangeBounds),
    /// A list.
    #[serde(untagged)]
    List(StoredValue),
}

/// The bounds of a range of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeBounds {
    /// The first number.
    pub start: i64,
    /// The exclusive end.
    pub stop: i64,
    /// From one number to the next.
    pub step: i64,
}
