//! The outcome of a model call as a type.

use dad_core::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The outcome of an `ai_model_call` step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AIModelNodeOutcome {
    /// The answer as a text; `None` if the step wants it in a structure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The answer in the structure that the step wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Images and other files of the answer.
    #[serde(default)]
    pub files: Vec<GeneratedFile>,
}

impl AIModelNodeOutcome {
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            text: Some(text.to_owned()),
            structured: None,
            files: Vec::new(),
        }
    }

    pub(crate) const fn of_structure(structured: Value) -> Self {
        Self {
            text: None,
            structured: Some(structured),
            files: Vec::new(),
        }
    }
}

/// A file that a model generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GeneratedFile {
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub len: u64,
    /// Digest of its bytes.
    pub blake3: Digest,
    /// Its place in the step's directory; `None` if it was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}
