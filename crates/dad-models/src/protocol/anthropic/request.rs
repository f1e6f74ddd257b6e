//! Requests in Anthropic's form.

use serde_json::{Value, json};

use super::super::asked::{Asked, Outgoing};
use super::super::calls::CallIds;
use super::super::capabilities::{Capabilities, Thinking};
use super::super::json::{set, set_present, take_list, text};
use super::super::marks::{Marks, has_room};
use super::super::parts::{MediaKind, Part, Turn};
use super::super::wanted::{ANSWER_TOOL, AnswerForm, Reasoning};
use crate::error::ModelError;
use crate::options::CallOptions;
use crate::request::{Message, PromptCache, Role, ToolCall, ToolChoice, ToolSpec};
use crate::schema::{self, Dialect, Fitted};

/// The version of the API, as the client anthropic 2.14 sends it.
const VERSION: &str = "2026-10-21";

/// The version before it, the last that knows `temperature`, `top_p` and `top_k`: the newer one refuses them for every model, also
/// at their defaults. Source: Anthropic's page of API versions; the client has no such parameters from 1.0 on.
const VERSION_WITH_SAMPLING: &str = "2023-06-01";

/// The longest answer where the settings say nothing: the API has no default. Longer ones are seldom, and the client of Anthropic
/// refuses what takes above ten minutes.
const MAX_TOKENS: u64 = 16_384;

/// The tokens of reasoning for an effort, for models that know no efforts.
const EFFORT_BUDGETS: [(&str, u32); 6] = [
    ("minimal", 1024),
    ("low", 2048),
    ("medium", 8000),
    ("high", 24_000),
    ("xhigh", 32_000),
    ("max", 32_000),
];

/// The smallest number of tokens of reasoning that the API takes.
const MIN_BUDGET: u32 = 1024;

pub(in crate::protocol) fn outgoing(asked: &Asked<'_>) -> Result<Outgoing, ModelError> {
    let options = asked.options(&[
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "verbosity",
        "store",
    ])?;
    let known = asked.capabilities();
    asked.check_sampling(&options, &known)?;
    let mut body = json!({ "model": asked.target.model });
    let form = asked.answer_form(&options, known.structured_output)?;
    if let AnswerForm::Format(fitted) = &form {
        let format = json!({ "type": "json_schema", "schema": fitted.schema });
        set(&mut body, "output_config", json!({ "format": format }));
    }
    set_prompt(asked, &mut body, &options, &form)?;
    if asked.streams {
        set(&mut body, "stream", true);
    }
    set_reasoning(asked, &mut body, &options, &known)?;
    check_sampling_beside_reasoning(asked, &body, &options)?;
    if body.get("tools").is_some() {
        set_tool_choice(asked, &mut body, &options, &known, form.tool().is_some())?;
    }
    let fields = [
        ("temperature", options.temperature.map(Value::from)),
        ("top_p", options.top_p.map(Value::from)),
        ("top_k", options.top_k.map(Value::from)),
        ("stop_sequences", options.stop.clone().map(Value::from)),
        ("service_tier", options.service_tier.clone().map(Value::from)),
    ];
    set_present(&mut body, fields);
    if !asked.request.options.metadata.is_empty() {
        set(&mut body, "metadata", asked.request.options.metadata.clone());
    }
    let mut outgoing = Outgoing::new("messages", body, &options, asked)?;
    let samples = options.first_set(&["temperature", "top_p", "top_k"]).is_some();
    let version = if samples { VERSION_WITH_SAMPLING } else { VERSION };
    outgoing.header("anthropic-version", version);
    Ok(outgoing)
}

/// Refuses options that the API does not take while the model reasons.
fn check_sampling_beside_reasoning(
    asked: &Asked<'_>,
    body: &Value,
    options: &CallOptions,
) -> Result<(), ModelError> {
    let reasons = matches!(text(body, "/thinking/type"), Some("enabled" | "adaptive"));
    match options.first_set(&["temperature", "top_k"]) {
        Some(name) if reasons => Err(asked.unfit(format!(
            "`{}` takes no `{name}` while it reasons: leave it out, or write `reasoning: false`",
            asked.target.model
        ))),
        _ => Ok(()),
    }
}

/// Sets tools, instructions and conversation, and the marks of what the provider keeps in its cache.
fn set_prompt(
    asked: &Asked<'_>,
    body: &mut Value,
    options: &CallOptions,
    form: &AnswerForm<'_>,
) -> Result<(), ModelError> {
    /// The items before the conversation, in the order in which the provider reads them.
    const BEFORE: usize = 2;
    let tools = tools(asked, form, options)?;
    let mut items = vec![json!({ "content": tools }), json!({ "content": [] })];
    Marks::Anthropic.instruct(&mut items, asked.instruction_parts());
    add_messages(asked, &mut items)?;
    let marks = Marks::Anthropic.finish(asked, &mut items, BEFORE)?;
    let messages = items.split_off(BEFORE);
    check_roles(asked, &messages)?;
    let mut before = items.into_iter().map(|mut item| take_list(&mut item, "/content"));
    if let Some(tools) = before.next().filter(|tools| !tools.is_empty()) {
        set(body, "tools", tools);
    }
    match before.next().as_deref() {
        None | Some([]) => {}
        Some([part]) if part.get("cache_control").is_none() => set(body, "system", part["text"].clone()),
        Some(parts) => set(body, "system", parts.to_vec()),
    }
    set(body, "messages", messages);
    let continues = !asked.request.options.tools.is_empty();
    let keeps_all = match asked.request.options.cache {
        None => continues,
        cache => cache == Some(PromptCache::Auto),
    };
    if keeps_all && has_room(marks) {
        set(body, "cache_control", Marks::Anthropic.mark());
    }
    Ok(())
}

/// Refuses conversations that the API does not take.
fn check_roles(asked: &Asked<'_>, messages: &[Value]) -> Result<(), ModelError> {
    let role_of =
        |message: Option<&Value>| message.and_then(|message| text(message, "/role").map(str::to_owned));
    if role_of(messages.first()).is_some_and(|role| role != "user") {
        return Err(asked.unfit("the first message of a conversation must be the user's"));
    }
    let is_adaptive = matches!(
        asked.capabilities().thinking,
        Thinking::Adaptive | Thinking::Always
    );
    if is_adaptive && role_of(messages.last()).is_some_and(|role| role == "assistant") {
        let model = &asked.target.model;
        return Err(asked.unfit(format!(
            "`{model}` continues no message of its own: the last message must be the user's"
        )));
    }
    Ok(())
}

fn set_reasoning(
    asked: &Asked<'_>,
    body: &mut Value,
    options: &CallOptions,
    known: &Capabilities,
) -> Result<(), ModelError> {
    let most = asked.max_output_tokens.map(u64::from);
    let usual = known.max_output.map_or(MAX_TOKENS, |most| most.min(MAX_TOKENS));
    let wanted = asked.reasoning(known)?;
    let model = &asked.target.model;
    let budget = match (wanted, known.thinking) {
        (Reasoning::Unsaid, _) => None,
        (Reasoning::Off, Thinking::Always) => {
            return Err(asked.unfit(format!("`{model}` always reasons")));
        }
        (Reasoning::Off, Thinking::Never) => None,
        (Reasoning::Off, _) => {
            set(body, "thinking", json!({ "type": "disabled" }));
            None
        }
        (_, Thinking::Never) => return Err(asked.unfit(format!("`{model}` does not reason"))),
        (Reasoning::Effort(effort), Thinking::Adaptive | Thinking::Always) => {
            set(body, "thinking", shown(json!({ "type": "adaptive" }), options));
            let mut output = body.get("output_config").cloned().unwrap_or_else(|| json!({}));
            set(&mut output, "effort", effort);
            set(body, "output_config", output);
            None
        }
        (Reasoning::Budget(_), Thinking::Adaptive | Thinking::Always) => {
            let reason = format!("`{model}` takes a `reasoning_effort`, and no `max_reasoning_tokens`");
            return Err(asked.unfit(reason));
        }
        (Reasoning::Budget(tokens), _) => Some(tokens),
        (Reasoning::Effort(effort), _) => {
            let budget = EFFORT_BUDGETS.iter().find(|(name, _)| *name == effort);
            Some(budget.map_or(MIN_BUDGET, |(_, tokens)| *tokens))
        }
    };
    // Calls of another model, or of this one when it did not reason, have no reasoning before them, and the API refuses to continue
    // them with reasoning.
    let budget = budget.filter(|_| !continues_without_reasoning(asked));
    let Some(budget) = budget else {
        set(body, "max_tokens", most.unwrap_or(usual));
        return Ok(());
    };
    let most = most.unwrap_or_else(|| {
        known
            .max_output
            .map_or(u64::MAX, |most| most)
            .min(usual + u64::from(budget))
    });
    let budget = fitting_budget(budget, most).ok_or_else(|| {
        asked.unfit(format!(
            "an answer of {most} tokens has no room for reasoning, which takes {MIN_BUDGET} at least: raise \
             `max_output_tokens` or the budget, or ask without `reasoning`"
        ))
    })?;
    set(body, "max_tokens", most);
    let thinking = json!({ "type": "enabled", "budget_tokens": budget });
    set(body, "thinking", shown(thinking, options));
    Ok(())
}

/// The reasoning with its summary, where the settings ask for one: newer models give none by themselves.
fn shown(mut thinking: Value, options: &CallOptions) -> Value {
    if options.reasoning_summary.is_some() {
        set(&mut thinking, "display", "summarized");
    }
    thinking
}

/// The tokens of reasoning that leave a quarter of the longest answer to its text.
fn fitting_budget(wanted: u32, most: u64) -> Option<u64> {
    let least = u64::from(MIN_BUDGET);
    let room = (most - most / 4).max(least);
    let budget = u64::from(wanted).clamp(least, room);
    (budget < most).then_some(budget)
}

/// Whether the conversation continues a turn with calls that does not begin with this model's own reasoning. A turn goes from the
/// user's last message on, with all rounds of tools: the model may reason in the first alone, and reasoning stays as it is until
/// the turn ends.
fn continues_without_reasoning(asked: &Asked<'_>) -> bool {
    let messages = &asked.request.messages;
    let last_of_user = messages.iter().rposition(|message| message.role == Role::User);
    let turn = last_of_user.map_or(&messages[..], |at| &messages[at + 1..]);
    let first = turn.iter().find(|message| message.role == Role::Assistant);
    first.is_some_and(|message| {
        let first = asked.native(message).and_then(|native| native.content.first());
        let kind = first.and_then(|block| text(block, "/type"));
        !message.tool_calls.is_empty() && !matches!(kind, Some("thinking" | "redacted_thinking"))
    })
}

fn tools(asked: &Asked<'_>, form: &AnswerForm<'_>, options: &CallOptions) -> Result<Vec<Value>, ModelError> {
    let specs = asked.tools(form.tool());
    let fitted = specs.iter().map(|tool| asked.tool_schema(tool, options));
    let fitted: Vec<Fitted> = fitted.collect::<Result<_, _>>()?;
    let together = fitted.iter().chain(form.enforced());
    schema::fit_together(together, Dialect::Anthropic).map_err(|unfit| asked.unfit(unfit.reason))?;
    Ok(specs
        .into_iter()
        .zip(fitted)
        .map(|(tool, fitted)| tool_of(tool, fitted))
        .collect())
}

fn tool_of(tool: ToolSpec, Fitted { schema, strict }: Fitted) -> Value {
    let mut spec = json!({ "name": tool.name, "input_schema": schema });
    if strict {
        set(&mut spec, "strict", true);
    }
    if let Some(description) = tool.description {
        set(&mut spec, "description", description);
    }
    if tool.cache {
        Marks::Anthropic.set(&mut spec);
    }
    spec
}

fn set_tool_choice(
    asked: &Asked<'_>,
    body: &mut Value,
    options: &CallOptions,
    known: &Capabilities,
    answers_by_tool: bool,
) -> Result<(), ModelError> {
    let thinking = text(body, "/thinking/type").filter(|kind| *kind != "disabled");
    let thinks = thinking.is_some();
    // A model that decides by itself how long it reasons may be forced, unless the catalogue says that it cannot be
    // (platform.claude.com/docs/en/build-with-claude/thinking-tool-workflows).
    let is_budgeted = thinking == Some("enabled");
    let choice = match asked.tool_choice(known, answers_by_tool)? {
        // With reasoning the API lets the model choose; an answer of text is read, too.
        Some(ToolChoice::Required) if thinks && answers_by_tool => Some(ToolChoice::Auto),
        Some(ToolChoice::Required | ToolChoice::Tool { .. }) if is_budgeted => {
            return Err(
                asked.unfit("a model that reasons cannot be made to call a tool: leave out `tool_choice`")
            );
        }
        choice => choice,
    };
    let mut choice = match choice {
        None if options.parallel_tool_calls.is_none() => return Ok(()),
        None | Some(ToolChoice::Auto) => json!({ "type": "auto" }),
        Some(ToolChoice::None) => json!({ "type": "none" }),
        Some(ToolChoice::Required) if answers_by_tool && asked.request.options.tools.is_empty() => {
            json!({ "type": "tool", "name": ANSWER_TOOL })
        }
        Some(ToolChoice::Required) => json!({ "type": "any" }),
        Some(ToolChoice::Tool { name }) => json!({ "type": "tool", "name": name }),
    };
    if let Some(parallel) = options.parallel_tool_calls
        && choice["type"] != "none"
    {
        set(&mut choice, "disable_parallel_tool_use", !parallel);
    }
    set(body, "tool_choice", choice);
    Ok(())
}

/// Adds the messages of the conversation, with their marks.
fn add_messages(asked: &Asked<'_>, items: &mut Vec<Value>) -> Result<(), ModelError> {
    let mut ids = CallIds::default();
    for turn in asked.turns() {
        let (role, content) = match &turn {
            Turn::System(_) => continue,
            Turn::User(message) => ("user", user(asked, message)?),
            Turn::Assistant(message) => {
                ids.take_up(message, asked.native(message).is_some());
                ("assistant", assistant(asked, message, &ids))
            }
            Turn::Tools(results) => {
                let results = results.iter().map(|message| result(asked, message, &ids));
                ("user", results.collect::<Result<_, _>>()?)
            }
        };
        if content.is_empty() {
            continue;
        }
        items.push(json!({ "role": role, "content": content }));
        // The results of tools stand together, and each has its own mark.
        if !matches!(turn, Turn::Tools(_)) {
            Marks::Anthropic.set_those_of(items, turn.messages());
        }
    }
    Ok(())
}

fn user(asked: &Asked<'_>, message: &Message) -> Result<Vec<Value>, ModelError> {
    let parts = asked.parts(message)?;
    parts.iter().map(|part| part_of(asked, part)).collect()
}

fn part_of(asked: &Asked<'_>, part: &Part<'_>) -> Result<Value, ModelError> {
    let media = match part {
        Part::Text(text) => return Ok(json!({ "type": "text", "text": text })),
        Part::Media(media) => media,
    };
    let kind = match media.kind() {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio | MediaKind::Video => {
            let name = media.name;
            return Err(asked.unfit(format!(
                "the Messages API takes neither sound nor video, such as `{name}`"
            )));
        }
    };
    let source = json!({ "type": "base64", "media_type": media.media_type, "data": media.base64 });
    Ok(json!({ "type": kind, "source": source }))
}

fn assistant(asked: &Asked<'_>, message: &Message, ids: &CallIds<'_>) -> Vec<Value> {
    if let Some(native) = asked.native(message) {
        return native.content.clone();
    }
    let text = Some(message.text.as_str()).filter(|text| !text.trim().is_empty());
    let text = text.map(|text| json!({ "type": "text", "text": text.trim_end() }));
    let calls = message.tool_calls.iter().map(|one| call(one, ids));
    text.into_iter().chain(calls).collect()
}

fn call(call: &ToolCall, ids: &CallIds<'_>) -> Value {
    // The API takes back nothing else, also where its model wrote something else.
    let input = if call.arguments.is_object() {
        call.arguments.clone()
    } else {
        json!({})
    };
    json!({ "type": "tool_use", "id": ids.of(&call.id), "name": call.name, "input": input })
}

fn result(asked: &Asked<'_>, message: &Message, ids: &CallIds<'_>) -> Result<Value, ModelError> {
    let content = if message.files.is_empty() {
        Value::from(message.text.as_str())
    } else {
        user(asked, message)?.into()
    };
    let mut result = json!({
        "type": "tool_result",
        "tool_use_id": message.tool_call_id.as_deref().map(|id| ids.of(id)),
        "content": content,
    });
    if message.is_error {
        set(&mut result, "is_error", true);
    }
    if message.cache {
        Marks::Anthropic.set(&mut result);
    }
    Ok(result)
}
