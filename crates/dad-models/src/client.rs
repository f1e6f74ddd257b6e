//! The interface of model clients: requests, messages, tools, answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dad_core::{Digest, HierarchyPath, SecretRegistry, Usage};
use dad_run::RunPlace;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalog::Price;
use crate::error::ModelError;

/// Is given the text of an answer while it arrives, piece by piece.
pub type OnText<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Answers requests to language models. Open for implementation; methods added later have default bodies.
#[async_trait]
pub trait ModelClient: Send + Sync {
    /// Asks a model once. Retries are the caller's.
    ///
    /// # Errors
    /// [`ModelError`], which says whether asking again may help.
    async fn complete(&self, request: &ModelRequest, call: &CallContext)
    -> Result<ModelResponse, ModelError>;

    /// As [`complete`](Self::complete), and gives the text to `on_text` while it arrives.
    ///
    /// # Errors
    /// As there; then some of the text may have been given already.
    async fn stream(
        &self,
        request: &ModelRequest,
        call: &CallContext,
        on_text: OnText<'_>,
    ) -> Result<ModelResponse, ModelError> {
        let response = self.complete(request, call).await?;
        on_text(&response.text);
        Ok(response)
    }

    /// The price of a model; `None` if it is not known.
    ///
    /// # Errors
    /// If the model is not known.
    fn price(&self, model: &str) -> Result<Option<Price>, ModelError> {
        let _ = model;
        Ok(None)
    }

    /// Says before anything of a run executes whether a model can be asked with what the client has.
    ///
    /// # Errors
    /// Why it cannot be asked, or [`ModelError::KeyNotAllowed`] if it must not be.
    fn check(&self, model: &str) -> Result<(), ModelError> {
        let _ = model;
        Ok(())
    }
}

/// A client that opens no connection: one that answers from records, or by itself. To implement it for a type is to promise
/// that; a run without network takes no other client.
pub trait OfflineClient: ModelClient {}

/// The model client of a run, as a resource of its context. It is given out to a run without network only if its type says
/// that it opens no connection.
#[derive(Clone)]
pub struct Models {
    client: Arc<dyn ModelClient>,
    is_offline: bool,
}

impl Models {
    /// A client that may open connections.
    pub fn new(client: impl ModelClient + 'static) -> Self {
        Self {
            client: Arc::new(client),
            is_offline: false,
        }
    }

    /// A client that opens no connection.
    pub fn offline(client: impl OfflineClient + 'static) -> Self {
        Self {
            client: Arc::new(client),
            is_offline: true,
        }
    }

    /// The client, for a run that is or is not without network.
    ///
    /// # Errors
    /// [`ModelError::Offline`] if the run is without network and the client may open connections.
    pub fn client(&self, run_is_offline: bool) -> Result<&dyn ModelClient, ModelError> {
        match run_is_offline && !self.is_offline {
            true => Err(ModelError::Offline),
            false => Ok(&*self.client),
        }
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Models(..)")
    }
}

/// A request to a model. Two requests are the same if their canonical JSON is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// `provider/model`, or a name of `.dhenara/models.yaml`.
    pub model: String,
    /// Instructions that stand before the conversation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<String>,
    /// The conversation; the last message is the prompt.
    pub messages: Vec<Message>,
    /// The options of the answer.
    #[serde(default)]
    pub options: ModelOptions,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Whose message it is.
    pub role: Role,
    /// The text.
    pub text: String,
    /// Files and images that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<MessageFile>,
    /// Of an assistant: its calls of tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool: the call that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message of text alone.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
            files: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }
}

/// A file of a message. Its bytes are sent and not recorded: their digest stands for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageFile {
    /// Its name.
    pub name: String,
    /// Its media type, such as `image/png`.
    pub media_type: String,
    /// Its length in bytes.
    pub len: u64,
    /// Digest of its bytes.
    pub blake3: Digest,
    /// Its bytes; empty in a request that was read back.
    #[serde(skip)]
    pub bytes: Arc<[u8]>,
}

impl MessageFile {
    /// A file of these bytes.
    pub fn new(name: impl Into<String>, media_type: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.into(),
            media_type: media_type.into(),
            len: bytes.len() as u64,
            blake3: Digest::of(&bytes),
            bytes,
        }
    }
}

/// A tool that a model may want to be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// The description, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub schema: Value,
}

/// A call of a tool by a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id of the call, by which its result is matched to it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, as the model wrote them.
    pub arguments: Value,
    /// The signatures that some providers want back with the call, unchanged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
}

/// Whether tools are called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As the model thinks.
    Auto,
    /// None is.
    None,
    /// At least one is.
    Required,
    /// This one is.
    #[serde(untagged)]
    Tool {
        /// Its name.
        name: String,
    },
}

/// Whose message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one who asks.
    #[default]
    User,
    /// The model.
    Assistant,
    /// Instructions.
    System,
    /// A tool that was called.
    Tool,
}

impl Role {
    /// The word in requests and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Tool => "tool",
        }
    }
}

/// The options of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelOptions {
    /// Longest answer in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// JSON Schema the answer must obey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The effort of thinking before the answer: `none`, `minimal`, `low`, `medium`, `high`, `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// The most tokens of thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_reasoning_tokens: Option<u32>,
    /// The tools that the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// Whether tools are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Metadata for the provider about the call, by names of its own.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Options by the provider's own names: `temperature`, `top_p`, `seed`, `stop`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub other: Map<String, Value>,
}

/// Which call of a run this is.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The step that asks.
    pub path: HierarchyPath,
    /// Its call, from 1.
    pub number: u32,
    /// By which a provider can recognise a repetition.
    pub idempotency_key: String,
    /// The longest answer that the budgets allow, in tokens.
    pub max_output_tokens: Option<u32>,
    /// The longest time that the call may take once it is made.
    pub timeout: Option<Duration>,
    /// The machines and directories in which the run and those before it were driven: the parts of a request that may
    /// differ.
    pub places: Arc<[RunPlace]>,
    /// The secrets of the run. A client adds the key that it asks with before it uses it.
    pub secrets: SecretRegistry,
}

impl CallContext {
    /// The first call of a step.
    #[must_use]
    pub fn new(path: HierarchyPath) -> Self {
        Self {
            path,
            number: 1,
            idempotency_key: String::new(),
            max_output_tokens: None,
            timeout: None,
            places: Arc::new([]),
            secrets: SecretRegistry::new(),
        }
    }
}

/// The answer of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelResponse {
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The provider.
    pub provider: String,
    /// The answer.
    pub text: String,
    /// The calls of tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Files and images in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ResponseFile>,
    /// The reasoning of the model, if it shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The consumption; the cost is left out where no price is known.
    pub usage: Usage,
}

impl ModelResponse {
    /// A complete answer of text alone that consumed nothing.
    #[must_use]
    pub fn of_text(model: impl Into<String>, provider: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            provider: provider.into(),
            text: text.into(),
            tool_calls: Vec::new(),
            files: Vec::new(),
            reasoning: None,
            finish_reason: FinishReason::Completed,
            usage: Usage::default(),
        }
    }
}

/// A file or image in an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseFile {
    /// Its media type, such as `image/png`.
    pub media_type: String,
    /// Its bytes in base64.
    pub base64: String,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done.
    Completed,
    /// It was cut at the longest length.
    Length,
    /// The provider held it back.
    ContentFilter,
    /// The model wants a tool to be called.
    ToolCall,
    /// Anything else.
    #[serde(other)]
    Other,
}
