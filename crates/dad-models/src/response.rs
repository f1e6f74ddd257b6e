//! Answers of models.

use dad_core::Usage;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::request::{NativeTurn, ToolCall};

/// The answer of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct ModelResponse {
    /// The model that answered, as the provider names it.
    #[setters(into)]
    pub model: String,
    /// The provider.
    #[setters(into)]
    pub provider: String,
    /// The answer.
    #[setters(into)]
    pub text: String,
    /// The calls of tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Files and images in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ResponseFile>,
    /// The reasoning of the model, if it shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub reasoning: Option<String>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The reason in the provider's own word, such as `end_turn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub stop_reason: Option<String>,
    /// The words with which the model or its provider refused to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub refusal: Option<String>,
    /// The provider's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub id: Option<String>,
    /// The service tier that the provider reports, such as `priority`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub service_tier: Option<String>,
    /// The turn as the provider wrote it, where the provider needs it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub native: Option<NativeTurn>,
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
            stop_reason: None,
            refusal: None,
            id: None,
            service_tier: None,
            native: None,
            usage: Usage::default(),
        }
    }
}

/// A file or image in an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResponseFile {
    /// Its media type, such as `image/png`.
    pub media_type: String,
    /// Its bytes in base64.
    pub base64: String,
}

impl ResponseFile {
    /// A file of a media type, such as `image/png`, with its bytes in base64.
    pub fn new(media_type: impl Into<String>, base64: impl Into<String>) -> Self {
        Self {
            media_type: media_type.into(),
            base64: base64.into(),
        }
    }
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
    /// The model wrote a call that its provider could not read.
    Malformed,
    /// Anything else.
    #[serde(other)]
    Other,
}
