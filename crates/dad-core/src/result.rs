//! Results of steps and components, as they are recorded, and recorded errors.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::Digest;
use crate::definition::{ComponentKind, NodeType};
use crate::fingerprint::Fingerprint;
use crate::path::HierarchyPath;
use crate::status::StepStatus;
use crate::usage::Usage;

/// An error, as it is recorded in files and reported to handlers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorInfo {
    /// A stable word for programs, such as `command_failed`.
    pub code: String,
    /// The error in words: the event, its place and the expectation; never holds a secret.
    pub message: String,
    /// The next thing to do, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The step or component it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<HierarchyPath>,
}

impl ErrorInfo {
    /// An error without path or hint.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            hint: None,
            path: None,
        }
    }

    /// An error and its causes, joined to one line.
    pub fn from_error(code: impl Into<String>, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self::new(code, message)
    }

    /// The same error with what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error at `path`, unless it already says where it happened.
    #[must_use]
    pub fn at(mut self, path: &HierarchyPath) -> Self {
        self.path.get_or_insert_with(|| path.clone());
        self
    }
}

impl std::fmt::Display for ErrorInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ErrorInfo {}

/// A file of a step as its journal record names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArtifactRef {
    /// Path relative to the directory of the step, with `/` between segments.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
    /// blake3 of the content.
    pub blake3: Digest,
}

impl ArtifactRef {
    /// A file by its name in the directory of the step, its length in bytes and its digest.
    pub fn new(name: impl Into<String>, len: u64, blake3: Digest) -> Self {
        Self {
            name: name.into(),
            len,
            blake3,
        }
    }
}

/// The content of a step's `result.json`.
///
/// The field names are those of the original system, whose readers keep working; what it had no name for is added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepResult {
    /// Version of this format.
    pub schema_version: u32,
    /// The path of the step in the run.
    pub path: HierarchyPath,
    /// `flow_node` or `callback`.
    pub executable_type: String,
    /// The id of the node.
    pub node_identifier: String,
    /// The registered name of the node's type.
    pub node_type: String,
    /// The status that the step ended with.
    pub execution_status: StepStatus,
    /// The input that the node was given from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The settings it was executed with, templates rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// Everything the node returned, in the node type's own shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The part of the output that other steps use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// Number of the attempt that ended the step, from 1.
    pub attempt: u32,
    /// All that decides what the step does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// When the step was reached.
    pub created_at: Timestamp,
    /// When its last attempt began to execute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// US dollars the provider charges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_cost: Option<f64>,
    /// Tokens sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_prompt_tokens: Option<u64>,
    /// Tokens received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_completion_tokens: Option<u64>,
    /// Tokens sent and received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_total_tokens: Option<u64>,
}

impl StepResult {
    /// The version of the format of `result.json`.
    pub const FORMAT: u32 = 2;

    /// The result of the first attempt of a node at `path`, without values, times and consumption.
    ///
    /// Its identifier is the last segment of the path.
    #[must_use]
    pub fn new(
        path: HierarchyPath,
        node_type: &NodeType,
        execution_status: StepStatus,
        created_at: Timestamp,
    ) -> Self {
        Self {
            schema_version: Self::FORMAT,
            executable_type: "flow_node".to_owned(),
            node_identifier: path.leaf().to_owned(),
            node_type: node_type.to_string(),
            path,
            execution_status,
            input: None,
            settings: None,
            output: None,
            outcome: None,
            error: None,
            attempt: 1,
            fingerprint: None,
            created_at,
            started_at: None,
            completed_at: None,
            usage_cost: None,
            usage_prompt_tokens: None,
            usage_completion_tokens: None,
            usage_total_tokens: None,
        }
    }

    /// Sets the usage fields; left out when nothing was consumed.
    pub fn set_usage(&mut self, usage: &Usage) {
        if usage.is_zero() {
            return;
        }
        self.usage_cost = usage.cost;
        self.usage_prompt_tokens = Some(usage.prompt_tokens);
        self.usage_completion_tokens = Some(usage.completion_tokens);
        self.usage_total_tokens = Some(usage.total_tokens);
    }

    /// The result as templates see it: every field of a step is defined, null where it was left out.
    ///
    /// # Errors
    /// Never for results read from a file; those made by hand may hold numbers JSON has no text for.
    pub fn to_scope_value(&self) -> Result<Value, serde_json::Error> {
        const OPTIONAL: &[&str] = &[
            "input",
            "settings",
            "output",
            "outcome",
            "error",
            "fingerprint",
            "started_at",
            "completed_at",
            "usage_cost",
            "usage_prompt_tokens",
            "usage_completion_tokens",
            "usage_total_tokens",
        ];
        let mut value = serde_json::to_value(self)?;
        if let Some(fields) = value.as_object_mut() {
            for name in OPTIONAL {
                if !fields.contains_key(*name) {
                    fields.insert((*name).to_owned(), Value::Null);
                }
            }
        }
        Ok(value)
    }
}

/// The numbers of steps by the status that they ended with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatusCounts {
    /// Ended well, reused ones included.
    pub completed: u64,
    /// Taken from a previous run without executing; counted under `completed` too.
    pub reused: u64,
    /// Ended with an error, by a time limit or by cancellation.
    pub failed: u64,
    /// Passed over for a recorded reason.
    pub skipped: u64,
}

impl StatusCounts {
    /// Counts one more step.
    pub fn add(&mut self, status: StepStatus, reused: bool) {
        match status {
            StepStatus::Completed => {
                self.completed += 1;
                self.reused += u64::from(reused);
            }
            StepStatus::Skipped => self.skipped += 1,
            status if status.is_failure() => self.failed += 1,
            _ => {}
        }
    }

    /// Adds the steps of a part.
    pub fn add_all(&mut self, other: &Self) {
        self.completed += other.completed;
        self.reused += other.reused;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Takes steps away that count no longer.
    pub fn remove(&mut self, other: &Self) {
        self.completed = self.completed.saturating_sub(other.completed);
        self.reused = self.reused.saturating_sub(other.reused);
        self.failed = self.failed.saturating_sub(other.failed);
        self.skipped = self.skipped.saturating_sub(other.skipped);
    }

    /// All steps that ended.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.completed + self.failed + self.skipped
    }
}

/// One of the first steps of a component that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FirstFailure {
    /// The step.
    pub path: HierarchyPath,
    /// Why it failed.
    pub error: ErrorInfo,
}

impl FirstFailure {
    /// A step that failed, and why.
    #[must_use]
    pub fn new(path: HierarchyPath, error: ErrorInfo) -> Self {
        Self { path, error }
    }
}

/// The content of `component_result.json`: a projection of the journal whose size does not grow with the number of
/// children.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ComponentResult {
    /// Version of this format.
    pub schema_version: u32,
    /// The path of the component in the run.
    pub path: HierarchyPath,
    /// The kind of the component.
    pub executable_type: ComponentKind,
    /// The id of the component.
    pub component_id: String,
    /// Whether the run started from a previous one.
    pub is_rerun: bool,
    /// The entry point of the re-run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_hierarchy_path: Option<HierarchyPath>,
    /// The status that the component ended with.
    pub execution_status: StepStatus,
    /// Of a loop: how many iterations were begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u64>,
    /// Of a conditional: which branch was taken, `None` if it was not decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<bool>,
    /// The numbers of its steps, at any depth, by the status that they ended with.
    pub counts: StatusCounts,
    /// The first failures, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_failures: Vec<FirstFailure>,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// US dollars of its executed steps.
    pub agg_usage_cost: Option<f64>,
    /// Tokens sent by its executed steps.
    pub agg_usage_prompt_tokens: u64,
    /// Tokens received by its executed steps.
    pub agg_usage_completion_tokens: u64,
    /// Tokens sent and received by its executed steps.
    pub agg_usage_total_tokens: u64,
}

impl ComponentResult {
    /// The version of the format of `component_result.json`.
    pub const FORMAT: u32 = 1;

    /// The result of a component at `path`, without steps.
    #[must_use]
    pub fn new(
        path: HierarchyPath,
        executable_type: ComponentKind,
        execution_status: StepStatus,
        created_at: Timestamp,
    ) -> Self {
        Self {
            schema_version: Self::FORMAT,
            component_id: path.leaf().to_owned(),
            path,
            executable_type,
            is_rerun: false,
            start_hierarchy_path: None,
            execution_status,
            iterations: None,
            branch: None,
            counts: StatusCounts::default(),
            first_failures: Vec::new(),
            created_at,
            completed_at: None,
            agg_usage_cost: None,
            agg_usage_prompt_tokens: 0,
            agg_usage_completion_tokens: 0,
            agg_usage_total_tokens: 0,
        }
    }
}
