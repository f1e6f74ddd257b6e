//! The outcome of a folder analysis as a type.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::{FolderAnalysisOperation, FolderOperationType};
use crate::serde_forms::OneOrMany;

/// The outcome of a `folder_analyzer` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FolderAnalyzerNodeOutcome {
    /// The directory that paths are relative to.
    pub base_directory: String,
    /// The result of each operation, in their order.
    pub results: Vec<FolderAnalysisResult>,
}

/// The result of one operation of a `folder_analyzer` step. What an operation of its type does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FolderAnalysisResult {
    /// The kind of the operation.
    pub operation_type: FolderOperationType,
    /// The path or paths, as the operation has them.
    pub path: OneOrMany<String>,
    /// Whether every path could be looked at.
    pub success: bool,
    /// The errors, at most a hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The tree below the directory; of several paths a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Value>,
    /// The file with its content; of several paths a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_info: Option<Value>,
    /// The names of the files that were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_found: Option<Vec<String>>,
    /// The number of entries that were left out, if `why_ignored` does not list all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored_count: Option<u64>,
    /// The entries that were left out, each with the rule or setting that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_ignored: Option<Vec<Value>>,
    /// The drawing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_diagram: Option<String>,
    /// The number of words that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_read: Option<u64>,
    /// The number of bytes that were read, if the operation limits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_read: Option<u64>,
    /// The number of tokens that were read, estimated, if the operation limits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_read: Option<u64>,
}

impl FolderAnalysisResult {
    pub(crate) fn new(operation: &FolderAnalysisOperation, success: bool) -> Self {
        Self {
            operation_type: operation.operation_type,
            path: operation.path.clone().unwrap_or_else(|| ".".into()),
            success,
            errors: Vec::new(),
            analysis: None,
            file_info: None,
            files_found: None,
            ignored_count: None,
            why_ignored: None,
            tree_diagram: None,
            words_read: None,
            bytes_read: None,
            tokens_read: None,
        }
    }
}
