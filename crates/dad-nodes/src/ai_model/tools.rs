//! Tools of a model: functions of the application, nodes and commands.

use std::sync::Arc;

use dad_core::json::{JsonError, check, parse_external};
use dad_core::{NodeType, Usage};
use dad_definition::{NestedSettings, Prepared};
use dad_models::{MessageFile, ToolCall, ToolSpec};
use dad_runner::{
    Agreement, BoundStep, ExchangeId, MAX_APPROVALS, Node as _, NodeContext, NodeError, NodeOutput, Preview,
    WantedCall,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::ai_model::answer::misfits;
use crate::ai_model::parameters::{Inserted, Misplaced, Word};
use crate::ai_model::results;
use crate::ai_model::settings::{Tool, ToolChoice, ToolSettings};
use crate::ai_model::traced;
use crate::command::{CommandExecutor, CommandLine, CommandNodeSettings, CommandStep};
use crate::sandbox::Sandbox;
use crate::secret_text;
use crate::written::Written;

/// The node type that runs commands.
const COMMAND: &str = "command";

/// The number of problems of arguments that are reported to the model.
const MAX_REPORTED_ERRORS: usize = 3;

impl From<ToolChoice> for dad_models::ToolChoice {
    fn from(choice: ToolChoice) -> Self {
        match choice {
            ToolChoice::Auto => Self::Auto,
            ToolChoice::None => Self::None,
            ToolChoice::Required => Self::Required,
            ToolChoice::Tool { name } => Self::Tool { name },
        }
    }
}

/// The tools of one conversation.
pub(super) struct Tools {
    ready: Arc<[ReadyTool]>,
    /// The number of calls of each.
    calls: Vec<u32>,
}

/// A tool that can be called.
pub(crate) struct ReadyTool {
    spec: ToolSpec,
    /// Checks arguments; a schema that is none checks nothing.
    validator: Option<jsonschema::Validator>,
    target: Target,
    /// The settings that the definition fixed.
    fixed: Map<String, Value>,
    /// Of those, the environment variables with secrets in them, taken apart.
    secrets: Value,
    requires_approval: bool,
    allow_generated: bool,
    max_calls: Option<u32>,
}

enum Target {
    /// A callback or node type.
    Registered(String),
    Command(Vec<Word>),
}

impl Tools {
    pub(super) fn new(ready: Arc<[ReadyTool]>) -> Self {
        let calls = vec![0; ready.len()];
        Self { ready, calls }
    }

    pub(super) fn specs(&self) -> Vec<ToolSpec> {
        self.ready.iter().map(|tool| tool.spec.clone()).collect()
    }

    /// Calls a tool, or takes the result from the memo of an interrupted attempt. Errors are reported to the model,
    /// which may know better; only what stops the step is an error.
    pub(super) async fn call(&mut self, call: &ToolCall, cx: &NodeContext) -> Result<Called, NodeError> {
        let Some(index) = self.ready.iter().position(|tool| tool.spec.name == call.name) else {
            let names: Vec<&str> = self.ready.iter().map(|tool| tool.spec.name.as_str()).collect();
            let there_are = Some(names.join(", ")).filter(|names| !names.is_empty());
            return Ok(Called::unfit(&format!(
                "there is no tool `{}`; there are {}",
                call.name,
                there_are.as_deref().unwrap_or("none")
            )));
        };
        let (tool, calls) = (&self.ready[index], &mut self.calls[index]);
        *calls += 1;
        if let Some(most) = tool.max_calls.filter(|most| *calls > *most) {
            return Ok(Called::refused(&format!(
                "`{}` may be called {most} times and no more",
                call.name
            )));
        }
        if let Some(refused) = unreadable(&call.arguments) {
            return Ok(Called::unfit(&refused));
        }
        if let Some(refused) = tool.gives_fixed(&call.arguments) {
            return Ok(Called::unfit(&refused));
        }
        let validator = tool.validator.as_ref();
        if let Some(misfits) =
            validator.and_then(|validator| misfits(validator, &call.arguments, MAX_REPORTED_ERRORS))
        {
            return Ok(Called::unfit(&format!("the arguments do not fit: {misfits}")));
        }
        let request = json!({ "tool": call.name, "arguments": call.arguments });
        let name = format!("tool_{}", call.name);
        let make = |exchange: ExchangeId| tool.make(call, exchange.number, &request, cx);
        cx.exchange(&name, &request, make, Called::usage).await
    }
}

/// The result of a call of a tool, as its memo has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Called {
    /// With what was paid for within the call.
    Counted(Counted),
    /// The result alone, as memos had it at first.
    Plain(Value),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    result: Value,
    usage: Usage,
    /// Whether the tool failed, or was not called.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
    /// Whether it was not called because the model wrote no call that can be made; such a result is in no memo.
    #[serde(skip)]
    is_unfit: bool,
}

impl Called {
    fn new(result: Value, usage: Usage) -> Self {
        Self::Counted(Counted {
            result,
            usage,
            is_error: false,
            is_unfit: false,
        })
    }

    fn failed(result: Value, usage: Usage) -> Self {
        Self::Counted(Counted {
            result,
            usage,
            is_error: true,
            is_unfit: false,
        })
    }

    /// That the call cannot be made as the model wrote it, and why.
    fn unfit(reason: &str) -> Self {
        Self::Counted(Counted {
            result: json!({ "error": reason }),
            usage: Usage::default(),
            is_error: true,
            is_unfit: true,
        })
    }

    /// That the tool was not called, and why.
    fn refused(reason: &str) -> Self {
        Self::failed(json!({ "error": reason }), Usage::default())
    }

    /// The result, as the model is given it.
    pub(super) fn result(&self) -> &Value {
        let (Self::Counted(Counted { result, .. }) | Self::Plain(result)) = self;
        result
    }

    /// Why the tool failed.
    pub(super) fn failure(&self) -> Option<&str> {
        let reason = self.result().get("error").and_then(Value::as_str);
        self.is_error().then(|| reason.unwrap_or("it failed"))
    }

    pub(super) fn is_error(&self) -> bool {
        matches!(self, Self::Counted(Counted { is_error: true, .. }))
    }

    pub(super) fn is_unfit(&self) -> bool {
        matches!(self, Self::Counted(Counted { is_unfit: true, .. }))
    }

    /// That the tool was not called, because of its arguments only the beginning may have arrived.
    pub(super) fn cut(call: &ToolCall) -> Self {
        Self::unfit(&format!(
            "`{}` was not called: the answer was cut at its longest length, which `max_output_tokens` says; call it with \
             shorter arguments",
            call.name
        ))
    }

    pub(super) fn usage(&self) -> Usage {
        match self {
            Self::Counted(counted) => counted.usage,
            Self::Plain(_) => Usage::default(),
        }
    }

    /// The result for the model, with its images and sound.
    pub(super) fn for_model(self, tool: &str) -> (String, Vec<MessageFile>) {
        let (Self::Counted(Counted { result, .. }) | Self::Plain(result)) = self;
        results::for_model(tool, result)
    }
}

impl ReadyTool {
    /// Asks whether it may be called, again if what it would do has changed until the person had answered; the facts that the
    /// person agreed to. Each call is asked about, also one with the arguments of an earlier one.
    async fn agreed(
        &self,
        call: &ToolCall,
        number: u32,
        wanted: &WantedCall<'_>,
        request: &Value,
        cx: &NodeContext,
    ) -> Result<Option<Value>, NodeError> {
        for _ in 0..MAX_APPROVALS {
            let preview = self.preview(call, cx).await;
            let shown = format!("{} {}\n{}", call.name, call.arguments, preview.shown);
            let facts = json!({ "request": request, "call": number, "facts": preview.compared() });
            let shown = shown.trim_end().to_owned();
            let agreement = cx.approve_call(wanted, shown, &facts).await?;
            if self.preview(call, cx).await.compared() == preview.compared() {
                return Ok((agreement == Agreement::Shown).then_some(preview.facts));
            }
        }
        Err(NodeError::world_unstable(&format!("`{}`", call.name)))
    }

    /// The preview of a call; of functions nothing more is known than their arguments.
    async fn preview(&self, call: &ToolCall, cx: &NodeContext) -> Preview {
        match (self.permitted(&call.arguments), &self.target) {
            (Some(step), _) => preview_of(step, cx).await,
            (None, Target::Registered(name)) => cx.preview(name, &self.fixed, &call.arguments).await,
            (None, Target::Command(words)) => preview_of(self.filled(words, &call.arguments), cx).await,
        }
    }

    async fn make(
        &self,
        call: &ToolCall,
        number: u32,
        request: &Value,
        cx: &NodeContext,
    ) -> Result<Called, NodeError> {
        // What was agreed to of the step is not what the model does in it.
        let mut agreed = None;
        let (node, settings) = self.executed(&call.arguments);
        let wanted = WantedCall::new(&call.name, &call.arguments, &node, &settings);
        if self.requires_approval || cx.is_ruled(&wanted) {
            agreed = match self.agreed(call, number, &wanted, request, cx).await {
                Ok(facts) => facts,
                Err(denied) if denied.info.code == "denied" => {
                    return Ok(Called::refused(&denied.info.message));
                }
                Err(error) => return Err(error),
            };
        }
        let running = traced::begin_tool(cx, call, self.spec.description.as_deref());
        let called = self.execute(call, &cx.within(&running).agreed_to(agreed)).await;
        traced::end_tool(running, &called, cx);
        called
    }

    async fn execute(&self, call: &ToolCall, cx: &NodeContext) -> Result<Called, NodeError> {
        let called = match (self.permitted(&call.arguments), &self.target) {
            (Some(step), _) => execute(step, cx).await,
            (None, Target::Registered(name)) => cx.call_with(name, &self.fixed, &call.arguments).await,
            (None, Target::Command(words)) => execute(self.filled(words, &call.arguments), cx).await,
        };
        match called {
            Ok(output) => {
                let usage = output.usage;
                Ok(Called::new(result_of(output), usage))
            }
            Err(error) if error.info.code == "cancelled" || cx.is_cancelled() => Err(error),
            Err(error) => {
                let result = json!({ "error": error.info.message, "outcome": error.partial.outcome });
                Ok(Called::failed(result, error.partial.usage))
            }
        }
    }
}

impl ReadyTool {
    /// Why arguments are refused that the definition gives.
    fn gives_fixed(&self, arguments: &Value) -> Option<String> {
        if matches!(self.target, Target::Command(_)) {
            return None;
        }
        let is_command = matches!(&self.target, Target::Registered(target) if target == COMMAND);
        let is_permission = |name: &String, value: &Value| {
            // A model fills in what it does not mean to give.
            let is_meant = !value.is_null() && *value != false;
            is_command && is_meant && CommandExecutor::DEFINITION_ONLY.contains(&name.as_str())
        };
        let mut given = arguments.as_object().into_iter().flatten();
        let (name, _) =
            given.find(|(name, value)| self.fixed.contains_key(*name) || is_permission(name, value))?;
        Some(format!(
            "`{name}`: only the definition can give it; call the tool without"
        ))
    }

    /// The execution that a call leads to: the type of the node, or the name of the callback, and its settings.
    fn executed(&self, arguments: &Value) -> (NodeType, Value) {
        let (name, mut settings) = match &self.target {
            Target::Registered(name) => (&**name, arguments.as_object().cloned().unwrap_or_default()),
            Target::Command(words) => {
                let commands = json!([filled(words, arguments)]);
                (COMMAND, Map::from_iter([("commands".to_owned(), commands)]))
            }
        };
        settings.extend(self.fixed.clone());
        (NodeType::new(name.to_owned()), Value::Object(settings))
    }

    /// A command with what the model gave in the place of parameters.
    fn filled(&self, words: &[Word], arguments: &Value) -> Result<CommandStep, NodeError> {
        let filled = filled(words, arguments);
        let written = Written::of_tool(&as_written(words), &filled, self.allow_generated);
        let settings = CommandNodeSettings {
            commands: vec![CommandLine::Arguments(filled)],
            ..command_settings(&Value::Object(self.fixed.clone()))?
        };
        CommandStep::new(settings, None, Arc::new(written), self.secrets.clone())
    }

    /// Commands that a model gave, with what only the definition gives them; `None` of any other tool.
    fn permitted(&self, arguments: &Value) -> Option<Result<CommandStep, NodeError>> {
        let has_more = self.allow_generated || !self.secrets.is_null();
        let is_permitted = |name: &String| name == COMMAND && has_more;
        let is_permitted = matches!(&self.target, Target::Registered(name) if is_permitted(name));
        is_permitted.then(|| self.commands(arguments))
    }

    fn commands(&self, arguments: &Value) -> Result<CommandStep, NodeError> {
        let given = arguments.as_object().into_iter().flatten().chain(&self.fixed);
        let whole = given.map(|(name, value)| (name.clone(), value.clone()));
        let settings = command_settings(&Value::Object(whole.collect()))?;
        let written = Written::of_tool(&[], &[], self.allow_generated);
        CommandStep::new(settings, None, Arc::new(written), self.secrets.clone())
    }
}

fn command_settings(settings: &Value) -> Result<CommandNodeSettings, NodeError> {
    let wrong = |reason: String| NodeError::new("settings", format!("in settings, {reason}")).permanent();
    let settings = CommandNodeSettings::deserialize(settings).map_err(|error| wrong(error.to_string()))?;
    match CommandExecutor::check(&settings).into_iter().next() {
        Some(problem) => Err(wrong(format!("`{}`: {}", problem.place, problem.message))),
        None => Ok(settings),
    }
}

async fn execute(step: Result<CommandStep, NodeError>, cx: &NodeContext) -> Result<NodeOutput, NodeError> {
    Box::pin(step?.execute(cx)).await
}

/// The preview of commands; of those that will fail, the reason.
async fn preview_of(step: Result<CommandStep, NodeError>, cx: &NodeContext) -> Preview {
    let preview = match step {
        Ok(step) => step.preview(cx.run()).await,
        Err(error) => Err(error),
    };
    preview.unwrap_or_else(|error| Preview::failing(&error))
}

/// Why arguments cannot be taken as the model wrote them.
fn unreadable(arguments: &Value) -> Option<String> {
    let read = match arguments {
        Value::String(text) => parse_external(text),
        other => check(other).map(|()| Value::Null),
    };
    match read {
        Err(JsonError::Syntax(_)) => Some(format!("the arguments are not a JSON object: {arguments}")),
        Err(error) => Some(format!("the arguments cannot be used: {error}")),
        Ok(_) if !arguments.is_object() => Some(format!("the arguments are not a JSON object: {arguments}")),
        Ok(_) => rounded(arguments).map(|number| {
            format!(
                "the arguments hold the number {number}, which may be a rounded integer; write it as a text"
            )
        }),
    }
}

/// A number that may have been an integer beyond 64 bits: some protocols bring arguments whose text is not known.
pub(super) fn rounded(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .filter(|number| number.fract() == 0.0 && number.abs() >= 2_f64.powi(63)),
        Value::Array(items) => items.iter().find_map(rounded),
        Value::Object(fields) => fields.values().find_map(rounded),
        _ => None,
    }
}

/// The part of an output for the model: the value that a function returned, else the outcome.
fn result_of(output: NodeOutput) -> Value {
    match output.outcome {
        Value::Object(mut fields) if fields.len() == 1 && fields.contains_key("callable_result") => {
            fields.remove("callable_result").unwrap_or_default()
        }
        outcome => outcome,
    }
}

/// A command with what the model gave in the place of parameters, each a whole argument. An optional parameter that the model left
/// out has its default, else its argument is left out as well.
fn filled(words: &[Word], arguments: &Value) -> Vec<String> {
    let text = |value: &Value| dad_template::Value::from(value).to_text();
    let argument = |word: &Word| match word {
        Word::Text(text) => Some(text.clone()),
        Word::Parameter { name, default } => {
            let given = arguments.get(name).filter(|given| !given.is_null());
            given.or(default.as_ref()).map(text)
        }
    };
    words.iter().filter_map(argument).collect()
}

/// A command as the definition has it.
fn as_written(words: &[Word]) -> Vec<String> {
    let written = words.iter().map(|word| match word {
        Word::Text(text) => text.clone(),
        Word::Parameter { name, .. } => format!("{{{name}}}"),
    });
    written.collect()
}

/// The form of tools that is prepared with the definition: the places of inserted values in their commands, and their secrets.
pub(super) fn prepared(unrendered: &Value) -> Option<Prepared> {
    let inserted = Inserted::of(settings_of_tools(unrendered));
    let secrets = secrets(unrendered);
    (!inserted.is_empty() || !secrets.is_empty()).then(|| {
        Prepared::new(
            Arc::new(inserted),
            if secrets.is_empty() {
                Value::Null
            } else {
                secrets.into()
            },
        )
    })
}

/// The parts of a definition about the tools of a step, with the environment variables of each that have secrets in them,
/// taken apart, by its name.
fn secrets(unrendered: &Value) -> Map<String, Value> {
    let secrets = |tool: &Value| {
        let name = tool.get("name")?.as_str()?.to_owned();
        let pieces = secret_text::pieces_of_variables(tool.get("settings")?);
        (!pieces.is_empty()).then(|| (name, json!({ "commands": null, "env_vars": pieces })))
    };
    settings_of_tools(unrendered).filter_map(secrets).collect()
}

/// The tools in unrendered settings.
fn settings_of_tools(unrendered: &Value) -> impl Iterator<Item = &Value> {
    let tools = unrendered
        .pointer("/model_call_config/tools")
        .and_then(Value::as_array);
    tools.into_iter().flatten()
}

/// The settings of node types that the definition fixes for its tools.
pub(super) fn nested(unrendered: &Value) -> Vec<NestedSettings> {
    let nested = |(index, tool): (usize, &Value)| {
        tool.get("settings")?;
        let named = |key: &str| tool.get(key).and_then(Value::as_str);
        let node_type = match tool.get("command") {
            Some(_) => COMMAND,
            None => named("node")?,
        };
        Some(NestedSettings::new(
            format!("model_call_config.tools[{index}].settings"),
            NodeType::new(node_type),
        ))
    };
    settings_of_tools(unrendered)
        .enumerate()
        .filter_map(nested)
        .collect()
}

/// The sandbox of each tool that executes commands.
pub(super) fn sandboxes<'a>(tools: impl Iterator<Item = &'a Tool>) -> Vec<Option<Sandbox>> {
    let of_command = |tool: &Tool| match tool {
        Tool::Name(name) => (name == COMMAND).then_some(None),
        Tool::Settings(tool) => {
            let is_command = tool.command.is_some() || tool.node.as_deref() == Some(COMMAND);
            let wanted = || Sandbox::deserialize(tool.settings.get("sandbox")?).ok();
            is_command.then(wanted)
        }
    };
    tools.filter_map(of_command).collect()
}

/// The tools that settings name.
pub(super) fn ready(
    tools: &[Tool],
    (inserted, secrets): (&Inserted, &Value),
    cx: &NodeContext,
) -> Result<Arc<[ReadyTool]>, NodeError> {
    let ready = |tool: &Tool| ready_tool(tool, (inserted, secrets), cx);
    tools.iter().map(ready).collect()
}

fn ready_tool(
    tool: &Tool,
    (inserted, secrets): (&Inserted, &Value),
    cx: &NodeContext,
) -> Result<ReadyTool, NodeError> {
    let settings = match tool {
        Tool::Name(name) => ToolSettings {
            name: name.clone(),
            callback: Some(name.clone()),
            ..ToolSettings::default()
        },
        Tool::Settings(settings) => (**settings).clone(),
    };
    let registered = settings.callback.or(settings.node);
    let (target, schema) = match (registered, settings.command) {
        (Some(name), None) => {
            let schema = cx
                .call_schema(&name, &settings.settings)
                .ok_or_else(|| unknown(&name, cx))?;
            (Target::Registered(name), Some(schema))
        }
        (None, Some(command)) => {
            let schema = settings.parameters.as_ref().unwrap_or(&Value::Null);
            let words = inserted.words(&settings.name, command, schema);
            let words = words.map_err(|misplaced| wrong_word(&settings.name, misplaced))?;
            (Target::Command(words), None)
        }
        _ => {
            let message = format!(
                "the tool `{}` is exactly one of `callback`, `node` and `command`",
                settings.name
            );
            return Err(NodeError::new("wrong_tool", message).permanent());
        }
    };
    let described = |schema: &Value| schema.get("description")?.as_str().map(str::to_owned);
    let schema = settings
        .parameters
        .or(schema)
        .unwrap_or_else(|| Value::Object(Map::new()));
    let description = settings.description.or_else(|| described(&schema));
    Ok(ReadyTool {
        secrets: secrets[&settings.name].clone(),
        fixed: settings.settings,
        validator: jsonschema::validator_for(&schema).ok(),
        spec: ToolSpec::new(settings.name, schema)
            .description(description)
            .cache(settings.cache),
        target,
        requires_approval: settings.requires_approval,
        allow_generated: settings.allow_generated,
        max_calls: settings.max_calls,
    })
}

/// The error of a word that only the rendered schema of parameters shows to be wrong.
fn wrong_word(tool: &str, misplaced: Misplaced) -> NodeError {
    let message = format!("in the `command` of the tool `{tool}`, {}", misplaced.message);
    NodeError::new("wrong_tool", message)
        .with_hint(misplaced.hint)
        .permanent()
}

fn unknown(name: &str, cx: &NodeContext) -> NodeError {
    let names = cx.callable_names();
    let near = dad_core::nearest(name, names.iter().copied());
    let hint = near.map_or_else(
        || format!("there are: {}", names.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    let message = format!("`{name}` is neither a callback nor a node type, so that no model can call it");
    NodeError::new("unknown_tool", message)
        .with_hint(hint)
        .permanent()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(argv: &[&str], schema: &Value) -> Vec<Word> {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        Inserted::default().words("t", argv, schema).unwrap()
    }

    #[test]
    fn an_optional_parameter_that_is_left_out_has_its_default_or_no_argument() {
        let schema = json!({ "properties": { "dir": { "type": "string" }, "depth": { "default": 2 } } });
        let words = words(&["ls", "{dir}", "{depth}", "{}"], &schema);
        for (given, expected) in [
            (json!({}), vec!["ls", "2", "{}"]),
            (json!({ "dir": null, "depth": null }), vec!["ls", "2", "{}"]),
            (json!({ "dir": "", "depth": 0 }), vec!["ls", "", "0", "{}"]),
        ] {
            assert_eq!(filled(&words, &given), expected, "{given}");
        }
    }

    #[test]
    fn only_secrets_of_tools_count_in_fingerprints() {
        let tool = |settings: &Value| {
            let tool = json!({ "name": "t", "command": ["echo", "$var{x}"], "settings": settings });
            prepared(&json!({ "model_call_config": { "tools": [tool] } }))
                .unwrap()
                .values
        };
        assert_eq!(tool(&json!({})), Value::Null);
        assert!(tool(&json!({ "env_vars": { "A": "$secret{B}" } })).is_object());
    }

    #[test]
    fn what_a_model_gives_is_a_whole_argument() {
        let schema = json!({ "properties": { "pattern": {}, "file": {} } });
        let words = words(
            &["grep", "-c", "{pattern}", "{file}", "{{other}}", "a{{file}}"],
            &schema,
        );
        let given = json!({ "pattern": "a b; rm -rf /", "file": 3 });
        assert_eq!(
            filled(&words, &given),
            ["grep", "-c", "a b; rm -rf /", "3", "{other}", "a{file}"]
        );
    }
}
