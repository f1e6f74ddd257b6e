//! What a run asks that nobody in its process answers: the question survives the process, and so does the answer.

use std::path::Path;

use dad_core::{Digest, HierarchyPath, NodeType, SCHEMA_VERSION, Timestamp};
use dad_events::{EventBody, QuestionAsked};
use dad_fs::Durability;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::futures::Notified;

use crate::error::RunError;
use crate::inbox::{Message, MessageBody, send};
use crate::layout::QUESTIONS;
use crate::projection::to_file_text;
use crate::record::RecordBody;
use crate::run::RunHandle;
use crate::values::store_value;
use crate::view::OpenQuestion;

/// The content of `.run/questions/<id>.json`: written before its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Version of the format.
    pub schema_version: u32,
    /// Its id: the same until it is answered or settled otherwise.
    pub id: String,
    /// The step.
    pub path: HierarchyPath,
    /// What kind of answer is wanted.
    pub kind: QuestionKind,
    /// When it was asked first.
    pub asked_at: Timestamp,
    /// The type of the node that will use the answer.
    pub node_type: NodeType,
    /// JSON Schema of the answer.
    pub schema: Value,
    /// What the node is about to do: its settings, not rendered.
    pub settings: Value,
}

/// What kind of answer a question wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuestionKind {
    /// The input of a node.
    Input,
    /// A kind of a newer version.
    #[serde(other)]
    Unknown,
}

impl QuestionKind {
    /// The word in ids and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Unknown => "unknown",
        }
    }
}

/// What somebody said to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The answer.
    Given {
        /// Who gave it.
        source: String,
        /// What it is.
        value: Value,
    },
    /// There will be none; the step fails.
    Denied {
        /// Who said so.
        source: String,
        /// Why.
        reason: String,
    },
}

impl RunHandle {
    /// Asks a question that others may answer later, and gives its id. Asked again, it is the same question.
    ///
    /// # Errors
    /// If the run has ended, or the question cannot be written.
    pub fn ask(
        &self,
        path: &HierarchyPath,
        node_type: &NodeType,
        kind: QuestionKind,
        schema: Value,
        settings: Value,
    ) -> Result<String, RunError> {
        let inner = self.inner();
        let history = inner.history.as_ref();
        let is_same = |open: &&OpenQuestion| open.path == *path && open.kind == kind;
        if let Some(open) = history.and_then(|view| view.open_questions().find(is_same)) {
            return Ok(open.id.clone());
        }
        // One that was settled otherwise is asked anew: its answer may lie in the inbox and no longer counts.
        let before = history.map_or(0, |view| view.times_asked(path));
        let digest = Digest::of(format!("{path}\n{}\n{before}", kind.as_str()).as_bytes());
        let id = format!("{}_{}", kind.as_str(), &digest.to_string()[..12]);
        if !inner.state().asked.insert(id.clone()) {
            return Ok(id);
        }
        let mut question = Question {
            schema_version: SCHEMA_VERSION,
            id: id.clone(),
            path: path.clone(),
            kind,
            asked_at: self.now(),
            node_type: node_type.clone(),
            schema,
            settings,
        };
        inner.secrets.redactor().redact_json(&mut question.settings);
        let questions = inner.dot_run.create_dir_all(QUESTIONS)?;
        let name = format!("{id}.json");
        let text = to_file_text(&name, &question)?;
        questions.replace(&name, &text, inner.durability)?;
        if inner.durability == Durability::Disk {
            inner.dot_run.sync()?;
        }
        let body = RecordBody::Question {
            id: id.clone(),
            path: path.clone(),
            kind,
            schema: store_value(&inner.dot_run, question.schema, inner.durability)?,
        };
        let event = EventBody::QuestionAsked(QuestionAsked {
            id: id.clone(),
            path: path.clone(),
            node_type: node_type.clone(),
        });
        inner.record(&body, Some(event))?;
        Ok(id)
    }

    /// What somebody outside said to a question; given once.
    #[must_use]
    pub fn take_answer(&self, id: &str) -> Option<Answer> {
        self.inner().state().answers.remove(id)
    }

    /// Resolves when another answer has come.
    pub fn answer_came(&self) -> Notified<'_> {
        self.inner().answer_came.notified()
    }
}

impl Answer {
    /// The answer in a message, and the question it belongs to.
    pub(crate) fn of(message: Message) -> Option<(String, Self)> {
        let source = message.source;
        match message.body {
            MessageBody::Answer { question, input } => Some((question, Self::Given { source, value: input })),
            MessageBody::Deny { question, reason } => Some((question, Self::Denied { source, reason })),
            _ => None,
        }
    }
}

/// Answers a question of a run, whether a process drives it or not. Of several who try, one succeeds.
///
/// Returns whether this was the first answer.
///
/// # Errors
/// If the answer cannot be written.
pub fn answer_question(run_dir: &Path, question: &str, answer: Answer) -> Result<bool, RunError> {
    let question = question.to_owned();
    let name = format!("{question}.json");
    let (source, body) = match answer {
        Answer::Given { source, value } => (
            source,
            MessageBody::Answer {
                question,
                input: value,
            },
        ),
        Answer::Denied { source, reason } => (source, MessageBody::Deny { question, reason }),
    };
    send(run_dir, &name, &source, body)
}
