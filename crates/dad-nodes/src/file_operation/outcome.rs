//! The outcome of file operations as a type.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The outcome of a `file_operation` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileOperationNodeOutcome {
    /// The directory that paths are relative to.
    pub base_directory: String,
    /// The result of each operation, in their order.
    pub results: Vec<Value>,
    /// The part of git, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Value>,
}
