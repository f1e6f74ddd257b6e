//! The settings and the input of a model call.

use crate::serde_forms::OneOrMany;
use crate::settings_node::{setters, settings_node};
use dad_models::{Instruction, Message, PromptCache, Role};
use derive_setters::Setters;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

settings_node!(
    /// A call of a language model.
    AIModelNode,
    AIModelNodeSettings,
    AI_MODEL_CALL
);

/// The settings of a model call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct AIModelNodeSettings {
    /// The models to ask, `provider/model`; the first that answers is used.
    #[serde(default)]
    #[setters(skip)]
    pub models: Vec<String>,
    /// Instructions that stand before the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub system_instructions: Option<OneOrMany<SystemInstruction>>,
    /// Messages before the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub context: Vec<Prompt>,
    /// The prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub prompt: Option<Prompt>,
    /// Steps whose outcomes stand before the prompt, by the names that `$hier{}` has for them; `previous` is the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    #[setters(skip)]
    pub context_sources: Vec<Value>,
    /// Whether files and images in the answer are kept in the step's `custom-artifacts/`; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_generated_bytes: Option<bool>,
    /// A directory in `custom-artifacts/` for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub bytes_save_path: Option<String>,
    /// The beginning of their names; `generated_` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub bytes_save_filename_prefix: Option<String>,
    /// The options of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub model_call_config: Option<AIModelCallConfig>,
}

setters! {
    impl AIModelNodeSettings {
        list models: String;
        list context: Prompt;
        list context_sources: Value;
    }
}

impl AIModelNodeSettings {
    /// A call of the first of these models that answers.
    #[must_use]
    pub fn new(models: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::default().models(models)
    }
}

/// An instruction: its text alone, or with a mark for the provider's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SystemInstruction {
    /// The text.
    Text(String),
    /// The text and the mark.
    Marked(MarkedInstruction),
}

/// An instruction with a mark for the provider's cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct MarkedInstruction {
    /// The text.
    #[setters(into)]
    pub text: String,
    /// Whether the provider keeps what stands up to the end of this instruction in its cache, where it takes such marks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
}

impl MarkedInstruction {
    /// An instruction without a mark.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self::default().text(text)
    }
}

impl From<MarkedInstruction> for SystemInstruction {
    fn from(instruction: MarkedInstruction) -> Self {
        Self::Marked(instruction)
    }
}

impl SystemInstruction {
    pub(super) fn instruction(&self) -> Instruction {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Marked(MarkedInstruction { text, cache }) => {
                Instruction::default().text(text.clone()).cache(*cache)
            }
        }
    }
}

impl From<String> for SystemInstruction {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for SystemInstruction {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<T: Into<SystemInstruction>, const N: usize> From<[T; N]> for OneOrMany<SystemInstruction> {
    fn from(instructions: [T; N]) -> Self {
        Self::Many(instructions.into_iter().map(Into::into).collect())
    }
}

impl From<&str> for OneOrMany<SystemInstruction> {
    fn from(text: &str) -> Self {
        Self::One(text.into())
    }
}

/// A message: its text alone, or with its role and variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Prompt {
    /// The text of a user's message.
    Text(String),
    /// A message in full.
    Message(PromptMessage),
}

/// A message with its role and variables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct PromptMessage {
    /// Whose message it is: `user`, `assistant` or `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub role: Option<PromptRole>,
    /// The text.
    #[setters(into)]
    pub text: String,
    /// Variables the text may use, given by the step's input.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[setters(skip)]
    pub variables: IndexMap<String, PromptVariable>,
    /// Files and images that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub files: Vec<PromptFile>,
    /// Whether the provider keeps what stands up to the end of this message in its cache, where it takes such marks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
}

setters! {
    impl PromptMessage {
        map variables: PromptVariable;
        list files: PromptFile;
    }
}

impl PromptMessage {
    /// The message of a user.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self::default().text(text)
    }
}

/// The part of a prompt that a provider keeps in its cache, beside what is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PromptCaching {
    /// The whole conversation is kept as far as it has come.
    Auto,
    /// Instructions and tools are kept.
    Instructions,
    /// Nothing else is kept.
    Off,
}

impl From<PromptCaching> for PromptCache {
    fn from(cache: PromptCaching) -> Self {
        match cache {
            PromptCaching::Auto => Self::Auto,
            PromptCaching::Instructions => Self::Instructions,
            PromptCaching::Off => Self::Off,
        }
    }
}

/// Whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PromptRole {
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// Instructions.
    System,
}

/// A variable of a prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct PromptVariable {
    /// Its value if the input gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // `default` is the constructor's name.
    #[setters(into, rename = "default_value")]
    pub default: Option<Value>,
    /// The values it may have; any if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub allowed: Vec<Value>,
}

setters! {
    impl PromptVariable {
        list allowed: Value;
    }
}

impl Prompt {
    /// A user's message whose text uses variables that the step's input gives.
    pub fn with_dad_text(
        text: impl Into<String>,
        variables: impl IntoIterator<Item = (&'static str, PromptVariable)>,
    ) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, variable)| (name.to_owned(), variable))
            .collect();
        Self::Message(PromptMessage {
            role: None,
            text: text.into(),
            variables,
            files: Vec::new(),
            cache: false,
        })
    }

    pub(super) fn message(&self) -> Message {
        match self {
            Self::Text(text) => Message::new(Role::User, text.as_str()),
            Self::Message(message) => {
                let role = match message.role {
                    None | Some(PromptRole::User) => Role::User,
                    Some(PromptRole::Assistant) => Role::Assistant,
                    Some(PromptRole::System) => Role::System,
                };
                Message::new(role, message.text.as_str()).cache(message.cache)
            }
        }
    }
}

impl From<PromptMessage> for Prompt {
    fn from(message: PromptMessage) -> Self {
        Self::Message(message)
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The options of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct AIModelCallConfig {
    /// Longest answer in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Whether the answer is streamed while it arrives: to listeners, the terminal and `stream.txt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// Whether the model thinks before it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// The most tokens of thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_reasoning_tokens: Option<u32>,
    /// The effort of thinking: `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub reasoning_effort: Option<String>,
    /// Options by the provider's own names: `temperature`, `top_p`, `seed`, `stop`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[setters(skip)]
    pub options: Map<String, Value>,
    /// The tools that the model may call: names of callbacks and node types, or settings of a tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[setters(skip)]
    pub tools: Vec<Tool>,
    /// Whether it calls them: `auto`, `none`, `required`, or the one of a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub tool_choice: Option<ToolChoice>,
    /// The number of times that the model may be asked again with the results of tools; 10 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tool_rounds: Option<u32>,
    /// The shape of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub structured_output: Option<StructuredOutput>,
    /// The part of the prompt that the provider keeps in its cache, beside what is marked; `auto` by default where tools may be
    /// called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub cache: Option<PromptCaching>,
    /// Metadata for the provider about the call, by names of its own.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[setters(skip)]
    pub metadata: Map<String, Value>,
    /// The longest time of one call in seconds, not counting that it waits for its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// The number of repetitions of a call that failed for a while (429, 408, 5xx, a broken connection); 2 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The pause before the first of them in seconds, 1 by default; it doubles, and is as long as the provider asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<f64>,
    /// The longest pause in seconds, 60 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retry_delay: Option<f64>,
    /// Whether an answer is made up in the shape that is asked for, and no provider is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_mode: Option<bool>,
}

setters! {
    impl AIModelCallConfig {
        map options: Value;
        list tools: Tool;
        map metadata: Value;
    }
}

impl AIModelCallConfig {
    /// The effort of reasoning that is asked for.
    pub(super) fn effort(&self) -> Option<String> {
        match (self.reasoning, self.reasoning_effort.clone()) {
            (Some(false), _) => Some("none".to_owned()),
            (Some(true), None) if self.max_reasoning_tokens.is_none() => Some("medium".to_owned()),
            (_, effort) => effort,
        }
    }

    /// The most tokens of reasoning that are asked for.
    pub(super) fn reasoning_tokens(&self) -> Option<u32> {
        self.max_reasoning_tokens
            .filter(|_| self.reasoning != Some(false))
    }
}

/// The shape of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct StructuredOutput {
    /// JSON Schema the answer must obey, or `builtin:file_operations` for operations of a `file_operation` node.
    #[serde(alias = "output_schema")]
    #[setters(into)]
    pub schema: Value,
    /// The number of times that the model is asked again for an answer that does not obey it, with the problems; 2 by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<u32>,
}

impl StructuredOutput {
    /// The shape of a JSON Schema.
    #[must_use]
    pub fn new(schema: impl Into<Value>) -> Self {
        Self {
            schema: schema.into(),
            repairs: None,
        }
    }

    /// The shape of a Rust type.
    #[must_use]
    pub fn of<T: JsonSchema>() -> Self {
        Self::new(schemars::schema_for!(T))
    }
}

/// The input of a model call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct AIModelNodeInput {
    /// Values of the prompt's variables.
    #[serde(default)]
    #[setters(into)]
    pub prompt_variables: PromptVariables,
    /// A merge patch over the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub settings_override: Option<Value>,
}

/// Values of a prompt's variables by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PromptVariables(pub IndexMap<String, Value>);

impl PromptVariables {
    /// Gives a variable its value.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }
}

impl AIModelNodeSettings {
    /// The instructions in their order.
    pub(super) fn instructions(&self) -> impl Iterator<Item = &SystemInstruction> {
        self.system_instructions.iter().flat_map(OneOrMany::as_slice)
    }

    /// All messages that are written in the settings.
    pub(super) fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        self.context.iter().chain(&self.prompt)
    }
}

/// A file of a prompt: its path, or with its media type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum PromptFile {
    /// Its path, absolute: `$var{project_root}/diagram.png`. It must lie in the project, the run root or the run.
    Path(String),
    /// A path and what the file is.
    #[non_exhaustive]
    File {
        /// Its path, as above.
        path: String,
        /// Its media type, such as `image/png`; by default after the end of its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
        /// Whether the provider keeps what stands up to the end of this file in its cache, where it takes such marks.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cache: bool,
    },
}

impl PromptFile {
    /// The file of a path, which is of a media type such as `image/png`.
    pub fn of_type(path: impl Into<String>, media_type: impl Into<String>) -> Self {
        Self::File {
            path: path.into(),
            media_type: Some(media_type.into()),
            cache: false,
        }
    }
}

impl From<&str> for PromptFile {
    fn from(path: &str) -> Self {
        Self::Path(path.to_owned())
    }
}

/// Something that a model may call: the name of a callback or node type, or more about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Tool {
    /// A callback, else a node type, by its name.
    Name(String),
    /// A tool with a description for the model, and limits.
    Settings(Box<ToolSettings>),
}

/// A tool, its description for the model, and its limits. It is one of `callback`, `node` and `command`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct ToolSettings {
    /// Its name for the model.
    #[setters(into)]
    pub name: String,
    /// The description, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub description: Option<String>,
    /// A function of the application; the model gives its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub callback: Option<String>,
    /// A node type; the model gives its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub node: Option<String>,
    /// A program and its arguments; one that is exactly `{name}` is what the model gives for that parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(skip)]
    pub command: Option<Vec<String>>,
    /// Settings that the model does not give, of the node type or of the command: they are left out of the schema that it sees, and
    /// refused if it gives them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[setters(skip)]
    pub settings: Map<String, Value>,
    /// JSON Schema of what the model gives; needed for a command, else taken from the function or node type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub parameters: Option<Value>,
    /// Whether a person must approve each call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requires_approval: bool,
    /// Whether a shell may read as code what the model gives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_generated: bool,
    /// Whether the provider keeps the tools up to this one in its cache, where it takes such marks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
    /// The largest number of its calls in one step; further calls are reported to the model as errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_calls: Option<u32>,
}

setters! {
    impl ToolSettings {
        optional_list command: String;
        map settings: Value;
    }
}

impl ToolSettings {
    /// A tool by its name; one of `callback`, `node` and `command` is to be set.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self::default().name(name)
    }
}

impl From<&str> for Tool {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<ToolSettings> for Tool {
    fn from(tool: ToolSettings) -> Self {
        Self::Settings(Box::new(tool))
    }
}

/// Whether a model calls tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// As it thinks.
    Auto,
    /// It calls none.
    None,
    /// It calls at least one.
    Required,
    /// It calls this one.
    #[serde(untagged)]
    Tool {
        /// Its name.
        name: String,
    },
}
