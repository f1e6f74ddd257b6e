//! Calls of language models: what is asked, of whom, in which shape the answer is wanted, and what the model may call.

mod answer;
mod attachments;
mod call;
mod checks;
mod defaults;
mod fake;
mod outcome;
mod parameters;
mod results;
mod settings;
mod spending;
mod stream;
mod tools;
mod traced;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use dad_core::Digest;
use dad_definition::{Compiled, SettingsProblem};
use dad_models::{Message, ModelOptions, ModelRequest, Models, Role};
use dad_run::RunHandle;
use dad_runner::{
    BindContext, Bound, BoundStep, Node, NodeContext, NodeError, NodeOutput, Preview, ReadSet, RunSetup,
    Stop, World, look,
};
use serde_json::{Value, json};

pub use outcome::{AIModelNodeOutcome, GeneratedFile};
pub use settings::{
    AIModelCallConfig, AIModelNode, AIModelNodeInput, AIModelNodeSettings, MarkedInstruction, Prompt,
    PromptCaching, PromptFile, PromptMessage, PromptRole, PromptVariable, PromptVariables, StructuredOutput,
    SystemInstruction, Tool, ToolChoice, ToolSettings,
};

use crate::sandbox;
use answer::StructuredSchema;
use call::{Conversation, Pauses};
use defaults::REPAIRS;
use parameters::Inserted;
use tools::{ReadyTool, Tools};

/// Executes `ai_model_call`.
#[derive(Debug, Default)]
pub(crate) struct AIModelExecutor;

impl Node for AIModelExecutor {
    type Settings = AIModelNodeSettings;
    type Input = AIModelNodeInput;
    type Outcome = Value;
    const TYPE: &'static str = "ai_model_call";

    fn bind(
        &self,
        settings: AIModelNodeSettings,
        input: Option<AIModelNodeInput>,
        cx: &BindContext<'_>,
    ) -> Result<Bound, NodeError> {
        check_allowed(&settings, input.as_ref())?;
        let prepared = cx.prepared::<Inserted>();
        let (inserted, secrets) = prepared.map_or_else(Default::default, |(inserted, secrets)| {
            (inserted, secrets.clone())
        });
        Ok(Box::new(ModelCall::new(settings, inserted, secrets)?))
    }

    fn check(settings: &AIModelNodeSettings) -> Vec<SettingsProblem> {
        checks::problems(settings)
    }

    fn compile(unrendered: &Value) -> Compiled {
        let variables = unrendered.pointer("/prompt/variables").and_then(Value::as_object);
        let variables = variables.into_iter().flatten();
        let default = |variable: &Value| variable.get("default").cloned().unwrap_or(Value::Null);
        {
            let mut compiled = Compiled::default();
            compiled.problems = checks::problems_of_text(unrendered);
            compiled.prompt_variables = variables
                .map(|(name, variable)| (name.clone(), default(variable)))
                .collect();
            compiled.settings = with_references(unrendered);
            compiled.prepared = tools::prepared(unrendered);
            compiled.nested = tools::nested(unrendered);
            compiled
        }
    }

    fn check_requirements(settings: &AIModelNodeSettings, setup: &RunSetup<'_>) -> Result<(), NodeError> {
        let tools = settings.model_call_config.iter().flat_map(|config| &config.tools);
        let sandboxes = tools::sandboxes(tools);
        sandbox::check_start(sandboxes.iter().map(Option::as_ref), setup)?;
        spending::check_models(settings, setup)
    }
}

/// Settings whose sources are references, which are resolved with the definition, count in the fingerprint, and stand as
/// their values in the rendered settings.
fn with_references(unrendered: &Value) -> Option<Value> {
    let sources = unrendered.get("context_sources")?.as_array()?;
    let reference = |name: &Value| match name.as_str() {
        Some(name) if !name.contains('$') => format!("$expr{{ $hier{{{name}}}.outcome }}").into(),
        _ => name.clone(),
    };
    let mut settings = unrendered.clone();
    settings["context_sources"] = sources.iter().map(reference).collect();
    Some(settings)
}

/// A call that is about to be made.
pub(crate) struct ModelCall {
    settings: AIModelNodeSettings,
    config: AIModelCallConfig,
    schema: Option<StructuredSchema>,
    pauses: Pauses,
    /// Made when the first model is asked: only then the functions and node types are known that a model may call.
    tools: OnceLock<Arc<[ReadyTool]>>,
    /// The places of inserted values in the commands of tools.
    inserted: Arc<Inserted>,
    /// The secrets in what the definition fixed of tools, by their names.
    secrets_of_tools: Value,
}

impl ModelCall {
    fn new(
        mut settings: AIModelNodeSettings,
        inserted: Arc<Inserted>,
        secrets_of_tools: Value,
    ) -> Result<Self, NodeError> {
        let config = settings.model_call_config.take().unwrap_or_default();
        let schema = config.structured_output.as_ref();
        let schema = schema
            .map(|output| StructuredSchema::new(&output.schema, output.repairs.unwrap_or(REPAIRS)))
            .transpose()?;
        Ok(Self {
            schema,
            pauses: Pauses::of(&config),
            config,
            settings,
            tools: OnceLock::new(),
            inserted,
            secrets_of_tools,
        })
    }

    fn tools(&self, cx: &NodeContext) -> Result<Tools, NodeError> {
        let ready = match self.tools.get() {
            Some(ready) => Arc::clone(ready),
            None => {
                let ready = tools::ready(&self.config.tools, (&self.inserted, &self.secrets_of_tools), cx)?;
                Arc::clone(self.tools.get_or_init(|| ready))
            }
        };
        Ok(Tools::new(ready))
    }

    fn first_model(&self) -> Result<&String, NodeError> {
        self.settings.models.first().ok_or_else(no_models)
    }
}

#[async_trait]
impl BoundStep for ModelCall {
    async fn world(&self) -> Result<World, NodeError> {
        if !self.config.tools.is_empty() {
            // Nothing is known of what a tool changes.
            return Ok(World::Effect);
        }
        let files: Vec<&PromptFile> = self.settings.prompts().flat_map(Prompt::files).collect();
        if files.is_empty() {
            return Ok(World::Pure);
        }
        let reads = files.into_iter().map(PromptFile::stamp);
        Ok(World::Reads(reads.collect::<Result<ReadSet, NodeError>>()?))
    }

    async fn preview(&self, run: &RunHandle) -> Result<Preview, NodeError> {
        let request = self.request(self.first_model()?, Vec::new())?;
        let system = request.system.iter();
        let system = system.map(|instruction| format!("system: {}", instruction.text));
        let messages = request.messages.iter();
        let messages = messages.map(|message| format!("{}: {}", message.role.as_str(), message.text));
        let lines: Vec<String> = system.chain(messages).collect();
        let models = self.settings.models.join(", else ");
        let attached: Vec<PromptFile> = self.settings.prompts().flat_map(Prompt::files).cloned().collect();
        let run = run.clone();
        let facts = move |_: &Stop| attached.iter().map(|file| file.fact(&run)).collect();
        let files: Vec<(String, Digest)> = look(facts).await?;
        let named = files.iter().map(|(path, _)| format!("file: {path}"));
        Ok(Preview::new(
            [format!("to {models}")]
                .into_iter()
                .chain(lines.iter().cloned())
                .chain(named)
                .collect::<Vec<_>>()
                .join("\n"),
        )
        .facts(json!({
            "settings": self.settings,
            "model_call_config": self.config,
            "messages": lines,
            "files": files,
        })))
    }

    fn state(&self, _: &NodeContext) -> Result<Option<Value>, NodeError> {
        Ok(Some(self.state_of(self.first_model()?)?))
    }

    async fn execute(&self, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
        if self.config.test_mode == Some(true) {
            return Ok(fake::output(&self.settings, self.schema.as_ref()));
        }
        let models = cx.resource::<Models>().ok_or_else(|| {
            NodeError::new("no_model_client", "the run was given no model client").permanent()
        })?;
        let offline = cx.run().settings().is_offline();
        let client = models
            .client(offline)
            .map_err(|error| spending::refused(&error))?;
        let mut conversation = Conversation::begin(self, client, self.first_model()?, cx)?;
        let mut failed = no_models();
        let models = &self.settings.models;
        for (index, model) in models.iter().enumerate() {
            if index > 0 {
                // The model that is asked stands in the file, not the one that failed.
                cx.replace_state(self.state_of(model)?)?;
            }
            conversation.ask(model, index + 1 < models.len());
            match conversation.run().await {
                Ok(output) => return Ok(output),
                Err(error) if error.may_fall_back => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }
}

pub(super) fn no_models() -> NodeError {
    NodeError::new("no_models", "`models` names no model")
        .with_hint("write `models: [provider/model]`")
        .permanent()
}

impl ModelCall {
    /// The request that is about to be sent, for `state.json`.
    fn state_of(&self, model: &str) -> Result<Value, NodeError> {
        let request = self.request(model, Vec::new())?;
        let prompt = request
            .messages
            .last()
            .map(|message| json!({ "role": message.role, "text": message.text }));
        let before = request.messages.len().saturating_sub(1);
        Ok(json!({
            "ai_model": model,
            "models": self.settings.models,
            "model_call_config": defaults::effective(&self.config),
            "prompt": prompt,
            "context": request.messages[..before],
            "instructions": request.system,
        }))
    }

    /// The first request to a model, with the files of its messages by position.
    fn request(&self, model: &str, files: Vec<attachments::Attached>) -> Result<ModelRequest, NodeError> {
        let Self { settings, config, .. } = self;
        let prompt = settings.prompt.as_ref().ok_or_else(|| {
            NodeError::new("no_prompt", "`prompt` is missing")
                .with_hint("write what the model is asked")
                .permanent()
        })?;
        let system = settings
            .instructions()
            .map(SystemInstruction::instruction)
            .collect();
        let mut by_prompt: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for attached in files {
            by_prompt.entry(attached.prompt).or_default().push(attached.file);
        }
        let written = settings.context.iter().chain([prompt]).enumerate();
        let mut messages: Vec<Message> = written
            .map(|(index, prompt)| {
                prompt
                    .message()
                    .files(by_prompt.remove(&index).unwrap_or_default())
            })
            .collect();
        let at = messages.len() - 1;
        let sources = settings
            .context_sources
            .iter()
            .map(|outcome| Message::new(Role::User, text_of(outcome)));
        messages.splice(at..at, sources);
        let schema = self.schema.as_ref().map(|schema| schema.for_model().clone());
        Ok(ModelRequest::new(model.to_owned(), messages)
            .system(system)
            .options(
                ModelOptions::default()
                    .max_output_tokens(config.max_output_tokens)
                    .schema(schema)
                    .reasoning_effort(config.effort())
                    .max_reasoning_tokens(config.reasoning_tokens())
                    .tools(Vec::new())
                    .tool_choice(config.tool_choice.clone().map(Into::into))
                    .cache(config.cache.map(Into::into))
                    .metadata(config.metadata.clone())
                    .other(config.options.clone()),
            ))
    }
}

/// An outcome as a message: its text, else its structured form, else all of it.
fn text_of(outcome: &Value) -> String {
    let structured = outcome.get("structured").filter(|value| !value.is_null());
    match (structured, outcome.get("text").and_then(Value::as_str), outcome) {
        (Some(structured), ..) => structured.to_string(),
        (None, Some(text), _) => text.to_owned(),
        (None, None, Value::String(text)) => text.clone(),
        (None, None, other) => other.to_string(),
    }
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
