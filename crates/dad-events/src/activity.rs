//! The work inside a step that shows on its own in a trace: calls of models and tools, commands, changes of files.

use std::sync::Arc;
use std::time::Duration;

use dad_core::{Digest, ErrorInfo, HierarchyPath, StepStatus, Usage};
use derive_setters::Setters;
use serde::Serialize;
use serde_json::Value;

use crate::seconds::{optional_seconds, seconds};

/// The number of an activity, counted in the process that drives the run.
pub type ActivityId = u64;

/// A piece of work inside a step. Texts in it hold no secrets.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "activity", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activity {
    /// One request to a model.
    ModelCall(Box<ModelCall>),
    /// A call of a tool that a model requested.
    ToolCall(ToolCall),
    /// A command and the processes that it starts.
    Command(Command),
    /// The file operations of a step, which are made as one.
    FileOperation(FileOperations),
}

impl Activity {
    /// The word for its kind in files.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ModelCall(_) => "model_call",
            Self::ToolCall(_) => "tool_call",
            Self::Command(_) => "command",
            Self::FileOperation(_) => "file_operation",
        }
    }
}

/// A request to a model.
#[derive(Clone, Debug, Serialize, Setters)]
#[setters(into, strip_option)]
#[non_exhaustive]
pub struct ModelCall {
    /// The provider, as the catalogue of models names it.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// The number of the call among those of its step, from 1; its line in `memo.jsonl` has it.
    #[setters(into = false)]
    pub number: u32,
    /// The digest of the request, which its line in `memo.jsonl` has as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<Digest>,
    /// The host that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_address: Option<String>,
    /// The port of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_port: Option<u16>,
    /// Whether the answer arrives in pieces.
    #[setters(into = false)]
    pub streaming: bool,
    /// Whether the answer is to be JSON.
    #[setters(into = false)]
    pub json: bool,
    /// The longest answer, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The sampling temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of probability that is sampled from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The number of tokens that are sampled from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The penalty for tokens by their frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// The penalty for tokens that have occurred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// The seed of the sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The texts at which the model stops.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    /// The requested effort of reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_level: Option<String>,
    /// The conversation, if an observer [wants it](crate::RunObserver::wants_content).
    #[serde(skip)]
    pub content: Option<Arc<RequestContent>>,
}

impl ModelCall {
    /// The first call of a step to a model, by the names of the catalogue and of the provider.
    #[must_use]
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            number: 1,
            request_digest: None,
            server_address: None,
            server_port: None,
            streaming: false,
            json: false,
            max_tokens: None,
            temperature: None,
            top_p: None,
            top_k: None,
            frequency_penalty: None,
            presence_penalty: None,
            seed: None,
            stop_sequences: Vec::new(),
            reasoning_level: None,
            content: None,
        }
    }
}

/// The content of a request to a model: JSON of the shapes of the GenAI conventions of OpenTelemetry.
#[derive(Clone, Debug, Default, Setters)]
#[non_exhaustive]
pub struct RequestContent {
    /// The instructions before the conversation, a list of parts.
    pub system: Value,
    /// The messages, a list.
    pub messages: Value,
    /// The tools that the model may request, a list.
    pub tools: Value,
}

/// A call of a tool.
#[derive(Clone, Debug, Serialize, Setters)]
#[setters(into, strip_option)]
#[non_exhaustive]
pub struct ToolCall {
    /// The name that the model knows it by.
    pub name: String,
    /// The id that the provider gave the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The description that the model was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The arguments, if an observer [wants content](crate::RunObserver::wants_content).
    #[serde(skip)]
    pub arguments: Option<Arc<Value>>,
}

impl ToolCall {
    /// A call of the tool of that name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            call_id: None,
            description: None,
            arguments: None,
        }
    }
}

/// A command.
#[derive(Clone, Debug, Serialize, Setters)]
#[setters(into, strip_option)]
#[non_exhaustive]
pub struct Command {
    /// The name of the program, without its directory.
    pub program: String,
    /// The position of the command among those of its step, from 1.
    #[setters(into = false)]
    pub number: u32,
    /// The command line, if an observer [wants content](crate::RunObserver::wants_content).
    #[serde(skip)]
    pub line: Option<Arc<str>>,
}

impl Command {
    /// The first command of a step.
    #[must_use]
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            number: 1,
            line: None,
        }
    }
}

/// The file operations of a step.
#[derive(Clone, Debug, Serialize, Setters)]
#[setters(into, strip_option)]
#[non_exhaustive]
pub struct FileOperations {
    /// The number of operations.
    #[setters(into = false)]
    pub count: usize,
    /// The type of a single operation, such as `create_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The file or directory of a single operation, as the operation names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl FileOperations {
    /// So many operations.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            count,
            operation: None,
            file: None,
        }
    }
}

/// An iteration of a loop or a branch of a conditional begins.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PartStarted {
    /// Its place.
    pub path: HierarchyPath,
}

impl PartStarted {
    /// The start of the iteration or branch at `path`.
    #[must_use]
    pub fn new(path: HierarchyPath) -> Self {
        Self { path }
    }
}

/// An iteration of a loop or a branch of a conditional ended.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PartEnded {
    /// Its place.
    pub path: HierarchyPath,
    /// The status that it ended with.
    pub status: StepStatus,
}

impl PartEnded {
    /// The end of the iteration or branch at `path`.
    #[must_use]
    pub fn new(path: HierarchyPath, status: StepStatus) -> Self {
        Self { path, status }
    }
}

/// Work inside a step begins.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ActivityStarted {
    /// The step.
    pub path: HierarchyPath,
    /// Its number.
    pub id: ActivityId,
    /// The activity that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ActivityId>,
    /// The work.
    #[serde(flatten)]
    pub activity: Arc<Activity>,
}

impl ActivityStarted {
    /// The start of an activity of the step at `path`.
    #[must_use]
    pub fn new(
        path: HierarchyPath,
        id: ActivityId,
        parent: Option<ActivityId>,
        activity: Arc<Activity>,
    ) -> Self {
        Self {
            path,
            id,
            parent,
            activity,
        }
    }
}

/// Work inside a step ended.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ActivityEnded {
    /// The step.
    pub path: HierarchyPath,
    /// Its number.
    pub id: ActivityId,
    /// The work.
    #[serde(flatten)]
    pub activity: Arc<Activity>,
    /// Since it began.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// The end.
    #[serde(flatten)]
    pub end: ActivityEnd,
}

impl ActivityEnded {
    /// The end of an activity of the step at `path`.
    #[must_use]
    pub fn new(
        path: HierarchyPath,
        id: ActivityId,
        activity: Arc<Activity>,
        duration: Duration,
        end: ActivityEnd,
    ) -> Self {
        Self {
            path,
            id,
            activity,
            duration,
            end,
        }
    }
}

/// The end of an activity: by default a good one.
#[derive(Clone, Debug, Default, Serialize, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct ActivityEnd {
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// The consumption of a call of a model; the cost is left out where no price is known.
    #[serde(skip_serializing_if = "Usage::is_zero")]
    pub usage: Usage,
    /// The answer to a call of a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub answer: Option<Box<ModelAnswer>>,
    /// The exit code of a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The result of a tool, if an observer [wants content](crate::RunObserver::wants_content).
    #[serde(skip)]
    pub result: Option<Arc<Value>>,
}

impl ActivityEnd {
    /// The end of an activity that failed.
    #[must_use]
    pub fn failed(error: ErrorInfo) -> Self {
        Self::default().error(error)
    }
}

/// The answer of a model.
#[derive(Clone, Debug, Default, Serialize, Setters)]
#[setters(into, strip_option)]
#[non_exhaustive]
pub struct ModelAnswer {
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The provider's id of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why the answer ended.
    pub finish_reason: String,
    /// From the request to the first piece of an answer that arrives in pieces.
    #[serde(
        rename = "time_to_first_chunk_seconds",
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_seconds"
    )]
    pub time_to_first_chunk: Option<Duration>,
    /// The answer as a list of messages, if an observer [wants content](crate::RunObserver::wants_content).
    #[serde(skip)]
    pub messages: Option<Arc<Value>>,
}

impl ModelAnswer {
    /// The answer of a model, and why it ended.
    #[must_use]
    pub fn new(model: impl Into<String>, finish_reason: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            finish_reason: finish_reason.into(),
            ..Self::default()
        }
    }
}
