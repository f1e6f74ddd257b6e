//! Requests in Google's form.

use serde_json::{Value, json};

use super::super::asked::{Asked, Outgoing};
use super::super::capabilities::{Capabilities, Thinking};
use super::super::json::{set, set_present};
use super::super::parts::{Part, Turn};
use super::super::wanted::{ANSWER_TOOL, AnswerForm, Reasoning};
use crate::error::ModelError;
use crate::options::CallOptions;
use crate::request::{Message, ToolChoice, ToolSpec};

/// The tokens of reasoning for an effort, for models that know no levels.
const EFFORT_BUDGETS: [(&str, u32); 6] = [
    ("minimal", 512),
    ("low", 1024),
    ("medium", 8192),
    ("high", 24_576),
    ("xhigh", 24_576),
    ("max", 24_576),
];

/// The signature for a call that another model made. Without one Gemini 3 refuses the call; the page on thought signatures of the
/// Gemini API names this text for it.
const FOREIGN_CALL: &str = "skip_thought_signature_validator";

pub(in crate::protocol) fn outgoing(asked: &Asked<'_>) -> Result<Outgoing, ModelError> {
    let options = asked.options(&["verbosity", "parallel_tool_calls", "reasoning_summary", "store"])?;
    let known = asked.capabilities();
    asked.check_sampling(&options, &known)?;
    if !asked.request.options.metadata.is_empty() {
        return Err(asked.unfit("this provider takes no `metadata`"));
    }
    let mut body = json!({ "contents": contents(asked)? });
    if let Some(system) = asked.instructions() {
        set(
            &mut body,
            "systemInstruction",
            json!({ "parts": [{ "text": system }] }),
        );
    }
    let mut config = config(asked, &options, &known)?;
    let form = answer_form(asked, &options, &known)?;
    if let AnswerForm::Format(fitted) = &form {
        set(&mut config, "responseMimeType", "application/json");
        set(&mut config, "responseJsonSchema", fitted.schema.clone());
    }
    if config.as_object().is_some_and(|fields| !fields.is_empty()) {
        set(&mut body, "generationConfig", config);
    }
    let tools = asked.tools(form.tool()).into_iter();
    let tools: Vec<Value> = tools
        .map(|spec| tool(asked, spec, &options))
        .collect::<Result<_, _>>()?;
    if !tools.is_empty() {
        set(&mut body, "tools", json!([{ "functionDeclarations": tools }]));
    }
    if let Some(choice) = asked.tool_choice(&known, form.tool().is_some())? {
        set(
            &mut body,
            "toolConfig",
            json!({ "functionCallingConfig": choice_of(&choice, asked) }),
        );
    }
    if let Some(tier) = &options.service_tier {
        set(&mut body, "serviceTier", tier.as_str());
    }
    let model = &asked.target.model;
    let model = if model.contains('/') {
        model.clone()
    } else {
        format!("models/{model}")
    };
    let call = if asked.streams {
        "streamGenerateContent?alt=sse"
    } else {
        "generateContent"
    };
    Outgoing::new(format!("{model}:{call}"), body, &options, asked)
}

fn config(asked: &Asked<'_>, options: &CallOptions, known: &Capabilities) -> Result<Value, ModelError> {
    let mut config = json!({});
    let fields = [
        ("temperature", options.temperature.map(Value::from)),
        ("topP", options.top_p.map(Value::from)),
        ("topK", options.top_k.map(Value::from)),
        ("seed", options.seed.map(Value::from)),
        ("stopSequences", options.stop.clone().map(Value::from)),
        ("presencePenalty", options.presence_penalty.map(Value::from)),
        ("frequencyPenalty", options.frequency_penalty.map(Value::from)),
        ("maxOutputTokens", asked.max_output_tokens.map(Value::from)),
    ];
    set_present(&mut config, fields);
    let thinking = match (asked.reasoning(known)?, known.thinking) {
        (Reasoning::Unsaid, _) | (Reasoning::Off, Thinking::Never) => return Ok(config),
        (_, Thinking::Never) => {
            return Err(asked.unfit(format!("`{}` does not reason", asked.target.model)));
        }
        (Reasoning::Off, _) if always_reasons(&asked.target.model) => {
            return Err(asked.unfit(format!("`{}` always reasons", asked.target.model)));
        }
        (Reasoning::Off, _) => json!({ "thinkingBudget": 0 }),
        (Reasoning::Budget(tokens), _) => {
            json!({ "thinkingBudget": tokens.min(most_reasoning(asked)), "includeThoughts": true })
        }
        (Reasoning::Effort(effort), Thinking::Effort) => {
            json!({ "thinkingLevel": effort.to_uppercase(), "includeThoughts": true })
        }
        (Reasoning::Effort(effort), _) => {
            let budget = EFFORT_BUDGETS.iter().find(|(name, _)| *name == effort);
            let budget = budget.map_or(1024, |(_, tokens)| *tokens);
            json!({ "thinkingBudget": budget.min(most_reasoning(asked)), "includeThoughts": true })
        }
    };
    set(&mut config, "thinkingConfig", thinking);
    Ok(config)
}

/// The most tokens of reasoning, which is a part of the longest answer: a quarter of that is left to the text.
fn most_reasoning(asked: &Asked<'_>) -> u32 {
    asked.max_output_tokens.map_or(u32::MAX, |most| most - most / 4)
}

/// The form of the answer: models before Gemini 3 refuse a format beside tools, and all a schema that they cannot enforce.
fn answer_form<'a>(
    asked: &Asked<'a>,
    options: &CallOptions,
    known: &Capabilities,
) -> Result<AnswerForm<'a>, ModelError> {
    let beside_tools = !asked.request.options.tools.is_empty();
    let takes_format = !beside_tools || takes_format_beside_tools(&asked.target.model);
    asked.answer_form(options, takes_format && known.structured_output)
}

/// Source: github.com/googleapis/python-genai, issue 867, for Gemini 2.5; the page on structured output of the Gemini API for 3.
fn takes_format_beside_tools(model: &str) -> bool {
    is_of_third_generation(model)
}

fn takes_files_in_results(model: &str) -> bool {
    is_of_third_generation(model)
}

fn is_of_third_generation(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let version = name.strip_prefix("gemini-").and_then(|rest| rest.chars().next());
    version.is_some_and(|digit| ('3'..='9').contains(&digit))
}

/// Source: github.com/vercel/ai, issue 8027, for 2.5 Pro; of later models the efforts say it.
fn always_reasons(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gemini-2.5-pro")
}

fn tool(asked: &Asked<'_>, tool: ToolSpec, options: &CallOptions) -> Result<Value, ModelError> {
    // A function without parameters has no schema.
    let properties = tool.schema.get("properties").and_then(Value::as_object);
    let has_parameters = properties.is_none_or(|properties| !properties.is_empty());
    let fitted = asked.tool_schema(&tool, options)?;
    let mut spec = json!({ "name": tool.name });
    if let Some(description) = tool.description {
        set(&mut spec, "description", description);
    }
    if has_parameters {
        set(&mut spec, "parametersJsonSchema", fitted.schema);
    }
    Ok(spec)
}

fn choice_of(choice: &ToolChoice, asked: &Asked<'_>) -> Value {
    match choice {
        ToolChoice::Auto => json!({ "mode": "AUTO" }),
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required if asked.request.options.tools.is_empty() => {
            json!({ "mode": "ANY", "allowedFunctionNames": [ANSWER_TOOL] })
        }
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Tool { name } => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
    }
}

fn contents(asked: &Asked<'_>) -> Result<Vec<Value>, ModelError> {
    let mut contents = Vec::new();
    for turn in asked.turns() {
        let (role, parts) = match turn {
            Turn::System(_) => continue,
            Turn::User(message) => ("user", user(asked, message)?),
            Turn::Assistant(message) => ("model", assistant(asked, message)),
            Turn::Tools(results) => {
                let mut parts = Vec::new();
                for result in results {
                    parts.extend(response(asked, result)?);
                }
                ("user", parts)
            }
        };
        if !parts.is_empty() {
            contents.push(json!({ "role": role, "parts": parts }));
        }
    }
    if contents.last().is_some_and(|last| last["role"] == "model") {
        return Err(asked.unfit("the last message of a conversation must be the user's"));
    }
    Ok(contents)
}

fn user(asked: &Asked<'_>, message: &Message) -> Result<Vec<Value>, ModelError> {
    let parts = asked.parts(message)?.into_iter();
    let parts = parts.map(|part| match part {
        Part::Text(text) => json!({ "text": text }),
        Part::Media(media) => json!({ "inlineData": { "mimeType": media.media_type, "data": media.base64 } }),
    });
    Ok(parts.collect())
}

fn assistant(asked: &Asked<'_>, message: &Message) -> Vec<Value> {
    if let Some(native) = asked.native(message) {
        return native.content.clone();
    }
    let text = Some(message.text.as_str()).filter(|text| !text.trim().is_empty());
    let text = text.map(|text| json!({ "text": text }));
    let calls = message.tool_calls.iter().enumerate().map(|(index, call)| {
        let args = if call.arguments.is_object() {
            call.arguments.clone()
        } else {
            json!({})
        };
        let mut part = json!({ "functionCall": { "name": call.name, "args": args } });
        // Runs that were recorded without whole turns have the signature beside the call.
        let recorded = call.signatures.first().filter(|_| message.native.is_none());
        // Of parallel calls only the first has one.
        let foreign = (index == 0 && takes_format_beside_tools(&asked.target.model)).then_some(FOREIGN_CALL);
        if let Some(signature) = recorded.map(String::as_str).or(foreign) {
            set(&mut part, "thoughtSignature", signature);
        }
        part
    });
    text.into_iter().chain(calls).collect()
}

/// The result of a call. Models from Gemini 3 on take its files within it, older ones beside it (the page on function calling of the
/// Gemini API).
fn response(asked: &Asked<'_>, message: &Message) -> Result<Vec<Value>, ModelError> {
    let name = Asked::tool_name(message);
    let field = if message.is_error { "error" } else { "output" };
    let mut response = json!({ "name": name, "response": { field: message.text } });
    // The id is the provider's only where its model gave one.
    if let Some(id) = message
        .tool_call_id
        .as_deref()
        .filter(|id| is_own_id(asked, message, id))
    {
        set(&mut response, "id", id);
    }
    let files = Message {
        text: String::new(),
        ..message.clone()
    };
    let mut beside = user(asked, &files)?;
    if takes_files_in_results(&asked.target.model) {
        let within = |part: &mut Value| part.get("inlineData").is_some();
        let within: Vec<Value> = beside.extract_if(.., within).collect();
        if !within.is_empty() {
            set(&mut response, "parts", within);
        }
    }
    beside.insert(0, json!({ "functionResponse": response }));
    Ok(beside)
}

fn is_own_id(asked: &Asked<'_>, result: &Message, id: &str) -> bool {
    let mut turns = asked
        .request
        .messages
        .iter()
        .filter_map(|message| asked.native(message));
    let has_id = |part: &Value| part.pointer("/functionCall/id").and_then(Value::as_str) == Some(id);
    result.tool_call_id.is_some() && turns.any(|native| native.content.iter().any(has_id))
}
