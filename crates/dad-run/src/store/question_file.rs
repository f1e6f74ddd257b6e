//! The files of questions: the question, and the full text for an approval.

use std::path::PathBuf;

use dad_core::{Digest, HierarchyPath, NodeType, Timestamp};
use dad_events::QuestionKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::RunError;
use crate::files::in_dot_run;
use crate::journal::stored::StoredRef;
use crate::layout::VALUES;
use crate::store::view::RunView;

/// The content of `.run/questions/<id>.json`: written before its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// Version of the format.
    pub schema_version: u32,
    /// Its id: the same until it is answered or settled otherwise.
    pub id: String,
    /// The step or component.
    pub path: HierarchyPath,
    /// The kind of the requested answer.
    pub kind: QuestionKind,
    /// When it was asked first.
    pub asked_at: Timestamp,
    /// The type of the node that will use the answer; `None` for a component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_type: Option<NodeType>,
    /// JSON Schema of the answer.
    pub schema: Value,
    /// The settings of a node or the variables of a component that would execute; not rendered for an input,
    /// rendered for an approval.
    pub settings: Value,
    /// Of an approval: what it would do, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preview: String,
    /// Of an approval: digest of what was shown, which it holds for.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "fingerprint")]
    pub facts: Option<Digest>,
    /// Of an approval: the file with all of what is shown, where `preview` is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_file: Option<FactsFile>,
    /// Of an input: stands for what is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Digest>,
    /// Of an input: what the previous run was given to a question about the same item; offered to the person who answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_input: Option<Value>,
}

/// The file with all of what a question shows, where that is long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FactsFile {
    /// Its path, relative to the run directory.
    pub path: String,
    /// Its digest and length.
    #[serde(flatten)]
    pub stored: StoredRef,
}

impl RunView {
    /// The file with all of what a question shows, if it names one.
    ///
    /// # Errors
    /// If the file is missing, or is not the one that was recorded.
    pub fn facts_file(&self, question: &Question) -> Result<Option<PathBuf>, RunError> {
        let Some(file) = &question.facts_file else {
            return Ok(None);
        };
        let name = in_dot_run(VALUES).join(file.stored.text_file_name());
        self.files().read_recorded(&name, file.stored.blake3)?;
        Ok(Some(self.files().path_of(&name)))
    }
}
