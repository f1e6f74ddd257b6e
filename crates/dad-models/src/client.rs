use std::sync::Arc;

use async_trait::async_trait;
use dad_core::{HierarchyPath, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ModelError;

/// Answers requests to language models. Open for implementation.
#[async_trait]
pub trait ModelClient: Send + Sync {
    /// Asks a model once. Retries are the caller's.
    ///
    /// # Errors
    /// [`ModelError`], which says whether asking again may help.
    async fn complete(&self, request: &ModelRequest, call: &CallContext)
    -> Result<ModelResponse, ModelError>;
}

/// The model client of a run, as a resource of its context.
#[derive(Clone)]
pub struct Models(pub Arc<dyn ModelClient>);

impl Models {
    /// Wraps a client.
    pub fn new(client: impl ModelClient + 'static) -> Self {
        Self(Arc::new(client))
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Models(..)")
    }
}

/// What a model is asked. Its canonical JSON is what decides whether two requests are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// `provider/model`, or a name of `.dhenara/models.yaml`.
    pub model: String,
    /// Instructions that stand before the conversation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<String>,
    /// The conversation; the last message is the prompt.
    pub messages: Vec<Message>,
    /// How the model is to answer.
    #[serde(default)]
    pub options: ModelOptions,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Whose message it is.
    pub role: Role,
    /// What it says.
    pub text: String,
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
}

impl Role {
    /// The word in requests and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
        }
    }
}

/// How a model is to answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelOptions {
    /// Longest answer in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// JSON Schema the answer must obey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
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
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelResponse {
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The provider.
    pub provider: String,
    /// The answer.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What it consumed; the cost is left out where no price is known.
    pub usage: Usage,
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
