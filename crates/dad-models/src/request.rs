//! Requests to models: messages, files, tools and options.

use std::sync::Arc;

use dad_core::Digest;
use derive_setters::Setters;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalog::Protocol;

/// A request to a model. Two requests are the same if their canonical JSON is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct ModelRequest {
    /// `provider/model`, or a name of `.dhenara/models.yaml`.
    #[setters(into)]
    pub model: String,
    /// Instructions that stand before the conversation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Instruction>,
    /// The conversation; the last message is the prompt.
    pub messages: Vec<Message>,
    /// The options of the answer.
    #[serde(default)]
    pub options: ModelOptions,
}

impl ModelRequest {
    /// A request to a model, by `provider/model` or a name of `.dhenara/models.yaml`; the last message is the prompt.
    pub fn new(model: impl Into<String>, messages: impl Into<Vec<Message>>) -> Self {
        Self {
            model: model.into(),
            system: Vec::new(),
            messages: messages.into(),
            options: ModelOptions::default(),
        }
    }
}

/// An instruction. Without a mark it is written as its text alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[serde(from = "WrittenInstruction", into = "WrittenInstruction")]
#[non_exhaustive]
pub struct Instruction {
    /// The text.
    #[setters(into)]
    pub text: String,
    /// Whether the provider keeps what stands up to the end of this instruction in its cache, where it takes such marks.
    pub cache: bool,
}

/// The two forms of an instruction.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenInstruction {
    Text(String),
    Marked { text: String, cache: bool },
}

impl From<WrittenInstruction> for Instruction {
    fn from(written: WrittenInstruction) -> Self {
        match written {
            WrittenInstruction::Text(text) => text.into(),
            WrittenInstruction::Marked { text, cache } => Self { text, cache },
        }
    }
}

impl From<Instruction> for WrittenInstruction {
    fn from(Instruction { text, cache }: Instruction) -> Self {
        if cache {
            Self::Marked { text, cache }
        } else {
            Self::Text(text)
        }
    }
}

impl From<String> for Instruction {
    fn from(text: String) -> Self {
        Self { text, cache: false }
    }
}

impl From<&str> for Instruction {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct Message {
    /// Whose message it is.
    pub role: Role,
    /// The text.
    #[setters(into)]
    pub text: String,
    /// Files and images that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<MessageFile>,
    /// Of an assistant: its calls of tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool: the call that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub tool_call_id: Option<String>,
    /// Of a tool: whether it failed. It follows from the text, so that it is no part of a request's identity.
    #[serde(skip)]
    pub is_error: bool,
    /// Whether the provider keeps what stands up to the end of this message in its cache, where it takes such marks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
    /// Of an assistant: the turn as its provider wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub native: Option<NativeTurn>,
}

/// A turn of a model in the form of its provider's protocol: thinking with its signatures, encrypted reasoning, thought
/// signatures. The provider needs it back unchanged; to a provider of another protocol the text and the calls are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct NativeTurn {
    /// The provider, by its name in the catalogue: another may offer a model of the same name, and cannot read its signatures.
    /// `None` in turns that were recorded without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub provider: Option<String>,
    /// The protocol.
    pub protocol: Protocol,
    /// The model that wrote it, as the provider names it. Another model may refuse its signatures.
    #[setters(into)]
    pub model: String,
    /// The parts of the turn in their order.
    pub content: Vec<Value>,
}

impl NativeTurn {
    /// A turn of a model, in the form of a protocol.
    pub fn new(protocol: Protocol, model: impl Into<String>, content: Vec<Value>) -> Self {
        Self {
            provider: None,
            protocol,
            model: model.into(),
            content,
        }
    }
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
            is_error: false,
            cache: false,
            native: None,
        }
    }
}

/// A file of a message. Its bytes are sent and not recorded: their digest stands for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct MessageFile {
    /// Its name.
    #[setters(into)]
    pub name: String,
    /// Its media type, such as `image/png`.
    #[setters(into)]
    pub media_type: String,
    /// Its length in bytes.
    pub len: u64,
    /// Digest of its bytes.
    pub blake3: Digest,
    /// Whether the provider keeps what stands up to the end of this file in its cache, where it takes such marks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
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
            cache: false,
            bytes,
        }
    }

    /// The media type that it is sent as: that of its content where this is an image, sound, video or PDF, whatever its name says.
    #[must_use]
    pub fn content_type(&self) -> &str {
        let found = infer::get(&self.bytes).map(|kind| kind.mime_type());
        found.filter(|found| is_media(found)).unwrap_or(&self.media_type)
    }
}

/// Whether a file is sent as it is: providers refuse most that is neither image, sound nor PDF, and read every text.
pub(crate) fn is_media(media_type: &str) -> bool {
    let as_it_is = ["image/", "audio/", "video/", "application/pdf"];
    as_it_is.iter().any(|kind| media_type.starts_with(kind)) && media_type != "image/svg+xml"
}

/// A tool that a model may want to be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct ToolSpec {
    /// Its name.
    #[setters(into)]
    pub name: String,
    /// The description, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub schema: Value,
    /// Whether the provider keeps the tools up to this one in its cache, where it takes such marks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
}

impl ToolSpec {
    /// A tool with the JSON Schema of its arguments.
    pub fn new(name: impl Into<String>, schema: Value) -> Self {
        Self {
            name: name.into(),
            description: None,
            schema,
            cache: false,
        }
    }
}

/// A call of a tool by a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct ToolCall {
    /// The id of the call, by which its result is matched to it.
    #[setters(into)]
    pub id: String,
    /// The tool.
    #[setters(into)]
    pub name: String,
    /// Its arguments, as the model wrote them.
    pub arguments: Value,
    /// The signatures that some providers want back with the call, unchanged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
}

impl ToolCall {
    /// A call, by its id, of a tool with arguments as the model wrote them.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: Value) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments,
            signatures: Vec::new(),
        }
    }
}

/// Whether tools are called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
#[non_exhaustive]
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

/// The part of a prompt that a provider keeps in its cache, beside what is marked. Providers that take no marks cache as they think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PromptCache {
    /// The whole conversation is kept as far as it has come. Without a setting this is so where tools may be called: each of their
    /// rounds sends all of it again.
    Auto,
    /// Instructions and tools are kept.
    Instructions,
    /// Nothing else is kept.
    Off,
}

/// The options of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct ModelOptions {
    /// Longest answer in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub max_output_tokens: Option<u32>,
    /// JSON Schema the answer must obey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub schema: Option<Value>,
    /// The effort of thinking before the answer: `none`, `minimal`, `low`, `medium`, `high`, `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub reasoning_effort: Option<String>,
    /// The most tokens of thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub max_reasoning_tokens: Option<u32>,
    /// The tools that the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// Whether tools are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub tool_choice: Option<ToolChoice>,
    /// The part of the prompt that the provider keeps in its cache, beside what is marked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub cache: Option<PromptCache>,
    /// Metadata for the provider about the call, by names of its own.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Options by the provider's own names: `temperature`, `top_p`, `seed`, `stop`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub other: Map<String, Value>,
}
