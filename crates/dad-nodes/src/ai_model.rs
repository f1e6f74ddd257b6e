use async_trait::async_trait;
use dad_models::{CallContext, Message, ModelError, ModelOptions, ModelRequest, ModelResponse, Models, Role};
use dad_run::RunHandle;
use dad_runner::{Node, NodeContext, NodeError, NodeOutput, World};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::serde_forms::OneOrMany;
use crate::settings_node::settings_node;

/// The name of model calls among the memos of a step.
const MODEL_CALL: &str = "model_call";

settings_node!(
    /// A call of a language model.
    AIModelNode,
    AIModelNodeSettings,
    AI_MODEL_CALL
);

/// What a model is asked, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AIModelNodeSettings {
    /// The models to ask, `provider/model`; the first that answers is used.
    #[serde(default)]
    pub models: Vec<String>,
    /// Instructions that stand before the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_instructions: Option<OneOrMany<String>>,
    /// Messages before the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Prompt>,
    /// What is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// How the model is to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_call_config: Option<AIModelCallConfig>,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptMessage {
    /// Whose message it is: `user`, `assistant` or `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<PromptRole>,
    /// What it says.
    pub text: String,
    /// Variables the text may use, given by the step's input.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, PromptVariable>,
}

/// Whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptRole {
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// Instructions.
    System,
}

/// A variable of a prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptVariable {
    /// Its value if the input gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The values it may have; any if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Value>,
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
        })
    }

    fn message(&self) -> Message {
        match self {
            Self::Text(text) => Message::new(Role::User, text.as_str()),
            Self::Message(message) => {
                let role = match message.role {
                    None | Some(PromptRole::User) => Role::User,
                    Some(PromptRole::Assistant) => Role::Assistant,
                    Some(PromptRole::System) => Role::System,
                };
                Message::new(role, message.text.as_str())
            }
        }
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// How a model is to answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AIModelCallConfig {
    /// Longest answer in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Options by the provider's own names: `temperature`, `top_p`, `seed`, `stop`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    /// The shape of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured_output: Option<StructuredOutput>,
}

/// The shape of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StructuredOutput {
    /// JSON Schema the answer must obey.
    #[serde(alias = "output_schema")]
    pub schema: Value,
}

impl StructuredOutput {
    /// The shape of a Rust type.
    #[must_use]
    pub fn of<T: JsonSchema>() -> Self {
        Self {
            schema: schemars::schema_for!(T).into(),
        }
    }
}

/// What can be given to a model call from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AIModelNodeInput {
    /// Values of the prompt's variables.
    #[serde(default)]
    pub prompt_variables: PromptVariables,
    /// A merge patch over the rendered settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// Executes `ai_model_call`.
#[derive(Debug, Default)]
pub(crate) struct AIModelExecutor;

#[async_trait]
impl Node for AIModelExecutor {
    type Settings = AIModelNodeSettings;
    type Input = AIModelNodeInput;
    const TYPE: &'static str = "ai_model_call";
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        (
            "context_sources",
            "results of earlier steps are put into `prompt` by `$hier{}`",
        ),
        (
            "save_generated_bytes",
            "answers with files or images are not taken yet",
        ),
        (
            "bytes_save_path",
            "answers with files or images are not taken yet",
        ),
        (
            "bytes_save_filename_prefix",
            "answers with files or images are not taken yet",
        ),
        ("prompt.files", "prompts are text only in this version"),
        (
            "model_call_config.streaming",
            "answers are taken whole in this version",
        ),
        (
            "model_call_config.reasoning",
            "reasoning cannot be switched in this version",
        ),
        (
            "model_call_config.max_reasoning_tokens",
            "reasoning cannot be switched in this version",
        ),
        (
            "model_call_config.reasoning_effort",
            "reasoning cannot be switched in this version",
        ),
        (
            "model_call_config.tools",
            "models cannot call tools in this version",
        ),
        (
            "model_call_config.tool_choice",
            "models cannot call tools in this version",
        ),
        (
            "model_call_config.metadata",
            "nothing is sent to the provider beside the prompt",
        ),
        ("model_call_config.timeout", "use `timeout` of the element"),
        ("model_call_config.retries", "use `retry` of the element"),
        ("model_call_config.retry_delay", "use `retry` of the element"),
        ("model_call_config.max_retry_delay", "use `retry` of the element"),
        ("model_call_config.test_mode", "use a cassette in this version"),
    ];

    async fn world(&self, _: &AIModelNodeSettings) -> Result<World, NodeError> {
        Ok(World::Pure)
    }

    fn prompt_variables(unrendered: &Value) -> Map<String, Value> {
        let variables = unrendered.pointer("/prompt/variables").and_then(Value::as_object);
        let default = |variable: &Value| variable.get("default").cloned().unwrap_or(Value::Null);
        variables
            .into_iter()
            .flatten()
            .map(|(name, variable)| (name.clone(), default(variable)))
            .collect()
    }

    async fn preview(
        &self,
        settings: &AIModelNodeSettings,
        input: Option<&AIModelNodeInput>,
        _: &RunHandle,
    ) -> Result<String, NodeError> {
        check_allowed(settings, input)?;
        let model = settings.models.first().ok_or_else(no_models)?;
        let request = request(settings, model)?;
        let system = request.system.iter().map(|text| format!("system: {text}"));
        let messages = request.messages.iter();
        let messages = messages.map(|message| format!("{}: {}", message.role.as_str(), message.text));
        let lines: Vec<String> = system.chain(messages).collect();
        Ok(format!(
            "to {}\n{}",
            settings.models.join(", else "),
            lines.join("\n")
        ))
    }

    fn state(
        &self,
        settings: &AIModelNodeSettings,
        input: Option<&AIModelNodeInput>,
        _: &NodeContext,
    ) -> Result<Option<Value>, NodeError> {
        check_allowed(settings, input)?;
        let model = settings.models.first().ok_or_else(no_models)?;
        let request = request(settings, model)?;
        let prompt = request
            .messages
            .last()
            .map(|message| json!({ "role": message.role, "text": message.text }));
        let before = request.messages.len().saturating_sub(1);
        Ok(Some(json!({
            "ai_model": model,
            "models": settings.models,
            "model_call_config": settings.model_call_config,
            "prompt": prompt,
            "context": request.messages[..before],
            "instructions": request.system,
        })))
    }

    async fn execute(
        &self,
        settings: AIModelNodeSettings,
        input: Option<AIModelNodeInput>,
        cx: &NodeContext,
    ) -> Result<NodeOutput, NodeError> {
        check_allowed(&settings, input.as_ref())?;
        let models = cx.resource::<Models>().ok_or_else(|| {
            NodeError::new("no_model_client", "the run was given no model client").permanent()
        })?;
        let response = ask(&settings, &models, cx).await?;
        output(&settings, &response)
    }
}

fn no_models() -> NodeError {
    NodeError::new("no_models", "`models` names no model")
        .with_hint("write `models: [provider/model]`")
        .permanent()
}

/// Asks the models in their order until one answers.
async fn ask(
    settings: &AIModelNodeSettings,
    models: &Models,
    cx: &NodeContext,
) -> Result<ModelResponse, NodeError> {
    let mut last = no_models();
    for model in &settings.models {
        let request = request(settings, model)?;
        let call = |number| {
            let (models, request) = (models.clone(), &request);
            let idempotency_key = cx.idempotency_key(&format!("{MODEL_CALL}.{number}"));
            let call = CallContext {
                number,
                idempotency_key,
                places: cx.run().places().into(),
                ..CallContext::new(cx.path().clone())
            };
            async move {
                models
                    .0
                    .complete(request, &call)
                    .await
                    .map_err(|error| node_error(&error))
            }
        };
        tokio::select! {
            answered = cx.memo(MODEL_CALL, &request, call) => match answered {
                Ok(response) => return Ok(response),
                Err(error) => last = error,
            },
            () = cx.cancelled() => return Err(NodeError::new("cancelled", "the call was given up")),
        }
    }
    Err(last)
}

fn node_error(error: &ModelError) -> NodeError {
    let mut failed = NodeError::from_error(error.code(), error);
    if let Some(hint) = error.hint() {
        failed = failed.with_hint(hint);
    }
    if error.is_retryable() {
        failed
    } else {
        failed.permanent()
    }
}

fn request(settings: &AIModelNodeSettings, model: &str) -> Result<ModelRequest, NodeError> {
    let prompt = settings.prompt.as_ref().ok_or_else(|| {
        NodeError::new("no_prompt", "`prompt` is missing")
            .with_hint("write what the model is asked")
            .permanent()
    })?;
    let config = settings.model_call_config.clone().unwrap_or_default();
    let system = settings
        .system_instructions
        .as_ref()
        .map(|all| all.as_slice().to_vec())
        .unwrap_or_default();
    Ok(ModelRequest {
        model: model.to_owned(),
        system,
        messages: settings
            .context
            .iter()
            .chain([prompt])
            .map(Prompt::message)
            .collect(),
        options: ModelOptions {
            max_output_tokens: config.max_output_tokens,
            schema: config.structured_output.map(|output| output.schema),
            other: config.options,
            ..ModelOptions::default()
        },
    })
}

/// Refuses values of prompt variables that are not among the allowed ones.
fn check_allowed(settings: &AIModelNodeSettings, input: Option<&AIModelNodeInput>) -> Result<(), NodeError> {
    let (Some(Prompt::Message(message)), Some(input)) = (&settings.prompt, input) else {
        return Ok(());
    };
    for (name, value) in &input.prompt_variables.0 {
        let Some(variable) = message.variables.get(name) else {
            let known: Vec<&str> = message.variables.keys().map(String::as_str).collect();
            let near = dad_core::nearest(name, known.iter().copied());
            let hint = near.map_or_else(
                || format!("declared are: {}", known.join(", ")),
                |n| format!("did you mean `{n}`?"),
            );
            return Err(NodeError::new(
                "unknown_prompt_variable",
                format!("the prompt has no variable `{name}`"),
            )
            .with_hint(hint)
            .permanent());
        };
        if !variable.allowed.is_empty() && !variable.allowed.contains(value) {
            let allowed = Value::from(variable.allowed.clone());
            let message = format!("the prompt variable `{name}` is {value}; allowed are {allowed}");
            return Err(NodeError::new("prompt_variable_not_allowed", message).permanent());
        }
    }
    Ok(())
}

fn output(settings: &AIModelNodeSettings, response: &ModelResponse) -> Result<NodeOutput, NodeError> {
    let usage = response.usage;
    let summary = format!("{}, {} tokens", response.model, usage.total_tokens);
    let schema = settings
        .model_call_config
        .as_ref()
        .and_then(|config| config.structured_output.as_ref());
    let whole = |outcome: Value| {
        NodeOutput::new(outcome)
            .with_output(json!({ "data": { "response": response } }))
            .with_usage(usage)
            .with_summary(summary.clone())
    };
    let Some(StructuredOutput { schema }) = schema else {
        return Ok(whole(json!({ "text": &response.text, "files": [] })));
    };
    match structured(&response.text, schema) {
        Ok(structured) => Ok(whole(json!({ "structured": structured, "files": [] }))),
        Err(reason) => {
            let partial = whole(json!({ "text": &response.text, "structured": null, "files": [] }));
            Err(NodeError::new("invalid_structured_output", reason).with_partial(partial))
        }
    }
}

/// Reads an answer as JSON, also out of a code fence, and checks it against its schema.
fn structured(text: &str, schema: &Value) -> Result<Value, String> {
    let value: Value = serde_json::from_str(unfenced(text))
        .map_err(|error| format!("the answer is not the JSON that was asked for: {error}"))?;
    let validator = jsonschema::validator_for(schema)
        .map_err(|error| format!("the schema of `structured_output` is wrong: {error}"))?;
    let problems: Vec<String> = validator
        .iter_errors(&value)
        .take(5)
        .map(|error| format!("at `{}`: {error}", error.instance_path()))
        .collect();
    match problems.is_empty() {
        true => Ok(value),
        false => Err(format!(
            "the answer does not obey its schema: {}",
            problems.join("; ")
        )),
    }
}

fn unfenced(text: &str) -> &str {
    let trimmed = text.trim();
    let inner = trimmed
        .strip_prefix("```json")
        .or_else(|| trimmed.strip_prefix("```"));
    inner
        .and_then(|inner| inner.strip_suffix("```"))
        .unwrap_or(trimmed)
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_out_of_a_fence_and_checked() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        assert_eq!(
            structured("```json\n{\"n\": 1}\n```", &schema),
            Ok(json!({"n": 1}))
        );
        assert!(
            structured("{\"n\": \"x\"}", &schema)
                .unwrap_err()
                .contains("`/n`")
        );
        assert!(
            structured("no", &schema)
                .unwrap_err()
                .starts_with("the answer is not the JSON")
        );
    }
}
