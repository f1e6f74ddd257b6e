//! OpenAI's chat completions, which many servers speak.
//!
//! Source of the fields: the types `chat` of the client openai 3.57 for Python.

use serde_json::{Value, json};

use super::asked::{Asked, Outgoing};
use super::calls::{Begun, CallIds, Calls, Ids};
use super::capabilities::{Capabilities, Thinking};
use super::error::{Refusal, in_body};
use super::json::{arguments_of_text, count, list, owned, set, set_present, text};
use super::marks::{self, Marks};
use super::parts::{Media, MediaKind, Part, Turn};
use super::reply::StreamReader;
use super::reply::{End, Reply};
use super::wanted::{AnswerForm, Reasoning};
use crate::error::ModelError;
use crate::options::CallOptions;
use crate::price::Tokens;
use crate::request::{Message, Role, ToolCall, ToolChoice};
use crate::response::{FinishReason, ResponseFile};

/// The fields of an assistant's message that servers want back with its calls: OpenRouter's reasoning with signatures, and
/// the reasoning of DeepSeek and others, which their tools need.
const NATIVE: [&str; 3] = ["reasoning_details", "reasoning_content", "reasoning"];

pub(super) fn outgoing(asked: &Asked<'_>) -> Result<Outgoing, ModelError> {
    let options = asked.options(&["top_k", "reasoning_summary"])?;
    let known = asked.capabilities();
    asked.check_sampling(&options, &known)?;
    let marks = Marks::Chat.wanted(asked, &known);
    let mut body = json!({ "model": asked.target.model, "messages": messages(asked, marks)? });
    marks::finish_openai(asked, &known, marks, &mut body, "/messages")?;
    if asked.streams {
        set(&mut body, "stream", true);
        set(&mut body, "stream_options", json!({ "include_usage": true }));
    }
    if let Some(most) = asked.max_output_tokens {
        set(&mut body, limit_name(&asked.target.model), most);
    }
    if let Some(effort) = effort(asked, &known)? {
        set(&mut body, "reasoning_effort", effort);
    }
    let form = asked.answer_form(&options, takes_format(asked, &known))?;
    if let AnswerForm::Format(fitted) = &form {
        let spec = json!({ "name": "answer", "schema": fitted.schema, "strict": fitted.strict });
        set(
            &mut body,
            "response_format",
            json!({ "type": "json_schema", "json_schema": spec }),
        );
    }
    let tools = tools(asked, &form, &options)?;
    if !tools.is_empty() {
        set(&mut body, "tools", tools);
        // Without tools OpenAI refuses it.
        if let Some(parallel) = options.parallel_tool_calls {
            set(&mut body, "parallel_tool_calls", parallel);
        }
    }
    if let Some(choice) = asked.tool_choice(&known, form.tool().is_some())? {
        set(&mut body, "tool_choice", choice_of(&choice));
    }
    set_options(&mut body, &options);
    if !asked.request.options.metadata.is_empty() {
        check_metadata(asked, &options)?;
        set(&mut body, "metadata", asked.request.options.metadata.clone());
    }
    Outgoing::new("chat/completions", body, &options, asked)
}

/// Refuses metadata that OpenAI does not take: "The 'metadata' parameter is only allowed when 'store' is enabled"
/// (spiceai/spiceai#5231). Other servers take it.
fn check_metadata(asked: &Asked<'_>, options: &CallOptions) -> Result<(), ModelError> {
    let provider = &asked.target.provider;
    if provider.name == "openai" && provider.is_at_own_address() && options.store != Some(true) {
        return Err(asked.unfit("OpenAI takes `metadata` only with the option `store: true`"));
    }
    Ok(())
}

/// The word for the effort. A model that does not reason refuses each, also that for none.
pub(super) fn effort<'a>(asked: &Asked<'a>, known: &Capabilities) -> Result<Option<&'a str>, ModelError> {
    Ok(match (asked.reasoning(known)?, known.thinking) {
        (Reasoning::Unsaid, _) | (Reasoning::Off, Thinking::Never) => None,
        (_, Thinking::Never) => {
            return Err(asked.unfit(format!("`{}` does not reason", asked.target.model)));
        }
        (Reasoning::Off, _) => Some("none"),
        (Reasoning::Effort(effort), _) => Some(effort),
        (Reasoning::Budget(_), _) => {
            return Err(asked.unfit("it takes a `reasoning_effort`, and no number of tokens"));
        }
    })
}

/// OpenAI's models that reason know the limit by another name than all other servers do.
fn limit_name(model: &str) -> &'static str {
    let name = model.rsplit('/').next().unwrap_or(model);
    let is_o = name
        .strip_prefix('o')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let version = name.strip_prefix("gpt-").and_then(|rest| rest.chars().next());
    let is_new = version.is_some_and(|digit| ('5'..='9').contains(&digit));
    if is_o || is_new {
        "max_completion_tokens"
    } else {
        "max_tokens"
    }
}

fn set_options(body: &mut Value, options: &CallOptions) {
    let fields = [
        ("temperature", options.temperature.map(Value::from)),
        ("top_p", options.top_p.map(Value::from)),
        ("seed", options.seed.map(Value::from)),
        ("stop", options.stop.clone().map(Value::from)),
        ("presence_penalty", options.presence_penalty.map(Value::from)),
        ("frequency_penalty", options.frequency_penalty.map(Value::from)),
        ("verbosity", options.verbosity.clone().map(Value::from)),
        ("service_tier", options.service_tier.clone().map(Value::from)),
        ("store", options.store.map(Value::from)),
    ];
    set_present(body, fields);
}

/// Whether the provider has a format for the schema of an answer here. DeepSeek has none ("This response_format type is unavailable
/// now", UKGovernmentBEIS/inspect_ai#4916), and Groq none beside tools (vercel/ai#16540).
fn takes_format(asked: &Asked<'_>, known: &Capabilities) -> bool {
    let has_tools = !asked.request.options.tools.is_empty();
    known.structured_output
        && match asked.target.provider.name.as_str() {
            "deepseek" => false,
            "groq" => !has_tools,
            _ => true,
        }
}

fn tools(asked: &Asked<'_>, form: &AnswerForm<'_>, options: &CallOptions) -> Result<Vec<Value>, ModelError> {
    let tools = asked.tools(form.tool()).into_iter();
    tools
        .map(|tool| {
            let fitted = asked.tool_schema(&tool, options)?;
            let mut function = json!({ "name": tool.name, "parameters": fitted.schema });
            if fitted.strict {
                set(&mut function, "strict", true);
            }
            if let Some(description) = tool.description {
                set(&mut function, "description", description);
            }
            Ok(json!({ "type": "function", "function": function }))
        })
        .collect()
}

fn choice_of(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool { name } => json!({ "type": "function", "function": { "name": name } }),
    }
}

fn messages(asked: &Asked<'_>, marks: Option<Marks>) -> Result<Vec<Value>, ModelError> {
    let system = || Some(json!({ "role": "system", "content": asked.system()? }));
    let system = marks.map_or_else(system, |marks| marks.system(asked));
    let mut messages: Vec<Value> = system.into_iter().collect();
    let mut ids = CallIds::default();
    let is_mistral = asked.target.provider.name == "mistral";
    let fits = |id: &str| if is_mistral { is_mistral_id(id) } else { is_id(id) };
    let make = |turn, number| format!("c{turn:04}{number:04}");
    for turn in asked.turns() {
        match &turn {
            Turn::System(message) => messages.push(json!({ "role": "system", "content": message.text })),
            Turn::User(message) => push_user(&mut messages, user(asked, message)?),
            Turn::Assistant(message) => {
                ids.take_up_those(message, fits, make);
                messages.push(assistant(asked, message, &ids));
            }
            Turn::Tools(results) => {
                messages.extend(results.iter().map(|message| result(message, &ids)));
                for message in results {
                    push_files_of_result(asked, &mut messages, message)?;
                }
            }
        }
        if let Some(marks) = marks {
            marks.set_those_of(&mut messages, turn.messages());
        }
    }
    Ok(messages)
}

/// Whether an id is one that servers take: another model's provider may have given others.
fn is_id(id: &str) -> bool {
    const LONGEST: usize = 64;
    !id.is_empty() && id.len() <= LONGEST
}

/// Source: "Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9" (langchain-ai/langchain, issue 24668).
fn is_mistral_id(id: &str) -> bool {
    id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric())
}

/// The content of a user's message: a text, or parts.
fn user(asked: &Asked<'_>, message: &Message) -> Result<Value, ModelError> {
    let parts = asked.parts(message)?;
    Ok(match parts.as_slice() {
        [Part::Text(text)] => Value::from(text.as_ref()),
        _ => parts
            .iter()
            .map(|part| part_of(asked, part))
            .collect::<Result<_, _>>()?,
    })
}

/// Adds what a user says. To the user's message before it, if there is one: Perplexity, and the templates of several models that
/// vLLM and llama.cpp serve, want user and assistant by turns ("Conversation roles must alternate user/assistant").
fn push_user(messages: &mut Vec<Value>, content: Value) {
    const BETWEEN: &str = "\n\n";
    let before = messages.last_mut().filter(|before| before["role"] == "user");
    let Some(before) = before.and_then(|before| before.get_mut("content")) else {
        messages.push(json!({ "role": "user", "content": content }));
        return;
    };
    *before = match (before.take(), content) {
        (Value::String(one), Value::String(other)) => format!("{one}{BETWEEN}{other}").into(),
        (one, other) => {
            let (mut parts, mut more) = (into_parts(one), into_parts(other));
            let follows_text = parts.last().is_some_and(|part| part["type"] == "text");
            if let Some(Value::String(first)) = more.first_mut().and_then(|part| part.get_mut("text"))
                && follows_text
            {
                first.insert_str(0, BETWEEN);
            }
            parts.append(&mut more);
            parts.into()
        }
    };
}

fn into_parts(content: Value) -> Vec<Value> {
    match content {
        Value::Array(parts) => parts,
        text => vec![json!({ "type": "text", "text": text })],
    }
}

fn part_of(asked: &Asked<'_>, part: &Part<'_>) -> Result<Value, ModelError> {
    Ok(match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Media(media) => match media.kind() {
            MediaKind::Image => json!({ "type": "image_url", "image_url": { "url": media.data_url() } }),
            MediaKind::Audio => {
                json!({ "type": "input_audio", "input_audio": { "data": media.base64, "format": audio_format(media) } })
            }
            MediaKind::Document => {
                json!({ "type": "file", "file": { "filename": media.name, "file_data": media.data_url() } })
            }
            MediaKind::Video => {
                return Err(asked.unfit(format!(
                    "chat completions take no video, such as `{}`",
                    media.name
                )));
            }
        },
    })
}

pub(super) fn audio_format<'a>(media: &'a Media<'_>) -> &'a str {
    match media
        .media_type
        .split_once('/')
        .map_or("", |(_, subtype)| subtype)
    {
        "mpeg" => "mp3",
        "x-wav" | "vnd.wave" => "wav",
        other => other,
    }
}

fn assistant(asked: &Asked<'_>, message: &Message, ids: &CallIds<'_>) -> Value {
    let text = Some(message.text.as_str()).filter(|text| !text.trim().is_empty());
    let mut turn = json!({ "role": "assistant", "content": text });
    if message.tool_calls.is_empty() {
        return turn;
    }
    let calls = message.tool_calls.iter().map(|call| {
        json!({
            "id": ids.of(&call.id),
            "type": "function",
            "function": { "name": call.name, "arguments": arguments_text(call) },
        })
    });
    let mut calls: Vec<Value> = calls.collect();
    if let Some(fields) = asked.native(message).and_then(|native| native.content.first()) {
        for name in NATIVE {
            if let Some(value) = fields.get(name) {
                set(&mut turn, name, value.clone());
            }
        }
        for (call, extra) in calls.iter_mut().zip(list(fields, "/extra_content")) {
            if !extra.is_null() {
                set(call, "extra_content", extra.clone());
            }
        }
    }
    set(&mut turn, "tool_calls", calls);
    turn
}

/// The arguments of a call as a text. Not every server takes back what its model wrote instead of an object.
pub(super) fn arguments_text(call: &ToolCall) -> String {
    if call.arguments.is_object() {
        call.arguments.to_string()
    } else {
        "{}".to_owned()
    }
}

fn result(message: &Message, ids: &CallIds<'_>) -> Value {
    json!({ "role": "tool", "tool_call_id": message.tool_call_id.as_deref().map(|id| ids.of(id)), "content": message.text })
}

/// Adds the files of a result as the user's: the message of a tool is text alone.
fn push_files_of_result(
    asked: &Asked<'_>,
    messages: &mut Vec<Value>,
    message: &Message,
) -> Result<(), ModelError> {
    if message.files.is_empty() {
        return Ok(());
    }
    let files = Message {
        files: message.files.clone(),
        ..Message::new(
            Role::User,
            format!("The files of the result of `{}`:", Asked::tool_name(message)),
        )
    };
    let parts = asked.parts(&files)?;
    let parts = parts.iter().map(|part| part_of(asked, part));
    push_user(messages, parts.collect::<Result<_, _>>()?);
    Ok(())
}

/// Reads an answer that came as a whole.
pub(super) fn read(body: &Value) -> Reply {
    let mut reply = Reply::default();
    common(&mut reply, body);
    let choices = list(body, "/choices").iter();
    // Of several, the first by number is the answer.
    let choice = choices.min_by_key(|choice| count(choice, "/index").unwrap_or(0));
    let Some(choice) = choice else { return reply };
    let none = Value::Null;
    let message = choice.get("message").unwrap_or(&none);
    reply.text = content_of(message);
    reply.reasoning = reasoning_of(message);
    reply.refusal = owned(message, "/refusal").unwrap_or_default();
    reply.files = files_of(message);
    let mut extra = Vec::new();
    let mut ids = Ids::default();
    for call in list(message, "/tool_calls") {
        if let Some(read) = call_of(call, &mut ids) {
            reply.calls.push(read);
            extra.push(call.get("extra_content").cloned().unwrap_or_default());
        }
    }
    reply.native = native_of(message, extra);
    reply.end = Some(end_of(text(choice, "/finish_reason").unwrap_or_default()));
    reply
}

fn common(reply: &mut Reply, body: &Value) {
    let set = |field: &mut Option<String>, name: &str| *field = field.take().or_else(|| owned(body, name));
    set(&mut reply.id, "/id");
    set(&mut reply.model, "/model");
    reply.service_tier = owned(body, "/service_tier").or(reply.service_tier.take());
    let places = ["/usage", "/choices/0/usage"].map(|place| body.pointer(place));
    if let Some(usage) = places.into_iter().flatten().find(|usage| usage.is_object()) {
        reply.tokens = Some(tokens_of(usage));
    }
}

/// The tokens of a call. Also the names of the Responses API are read, which some servers use.
pub(super) fn tokens_of(usage: &Value) -> Tokens {
    let first = |names: &[&str]| names.iter().find_map(|name| count(usage, name)).unwrap_or(0);
    let long = count(
        usage,
        "/input_tokens_details/cache_write_tokens_details/ttl_12h_tokens",
    )
    .or_else(|| {
        count(
            usage,
            "/prompt_tokens_details/cache_write_tokens_details/ttl_12h_tokens",
        )
    })
    .unwrap_or(0);
    let written = first(&[
        "/prompt_tokens_details/cache_write_tokens",
        "/input_tokens_details/cache_write_tokens",
        "/cache_creation_input_tokens",
    ]);
    let mut tokens = Tokens {
        input: first(&["/prompt_tokens", "/input_tokens"]),
        cached: first(&[
            "/prompt_tokens_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
        ]),
        cache_write: written.saturating_sub(long),
        cache_write_long: long,
        audio_input: first(&["/prompt_tokens_details/audio_tokens"]),
        output: first(&["/completion_tokens", "/output_tokens"]),
        reasoning: first(&[
            "/completion_tokens_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
        ]),
        audio_output: first(&["/completion_tokens_details/audio_tokens"]),
        image_output: first(&["/completion_tokens_details/image_tokens"]),
        total: first(&["/total_tokens"]),
    };
    // xAI counts reasoning beside the other tokens that it sends.
    let apart = tokens
        .input
        .saturating_add(tokens.output)
        .saturating_add(tokens.reasoning);
    if tokens.reasoning > 0 && tokens.total == apart {
        tokens.output = tokens.output.saturating_add(tokens.reasoning);
    }
    tokens
}

/// The text of a message: some servers give it as a list of parts.
fn content_of(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| text(part, "/text")).collect(),
        _ => String::new(),
    }
}

fn reasoning_of(message: &Value) -> String {
    let fields = ["/reasoning_content", "/reasoning"];
    fields
        .iter()
        .find_map(|field| owned(message, field))
        .unwrap_or_default()
}

/// The images of OpenRouter and the proxies that follow it.
fn files_of(message: &Value) -> Vec<ResponseFile> {
    let images = list(message, "/images").iter();
    images
        .filter_map(|image| {
            let (head, data) = text(image, "/image_url/url")?
                .strip_prefix("data:")?
                .split_once(',')?;
            Some(ResponseFile {
                media_type: head.strip_suffix(";base64")?.to_owned(),
                base64: data.to_owned(),
            })
        })
        .collect()
}

fn call_of(call: &Value, ids: &mut Ids) -> Option<ToolCall> {
    let function = call.get("function")?;
    let arguments = match function.get("arguments") {
        Some(Value::String(text)) => arguments_of_text(text),
        other => super::json::arguments_of_value(other.cloned().unwrap_or_default()),
    };
    let id = ids.of(owned(call, "/id"));
    Some(ToolCall {
        id,
        name: owned(function, "/name")?,
        arguments,
        signatures: Vec::new(),
    })
}

/// The fields that go back with the calls, in one object.
fn native_of(message: &Value, extra: Vec<Value>) -> Vec<Value> {
    let mut fields = json!({});
    for name in NATIVE {
        if let Some(value) = message.get(name).filter(|value| !value.is_null()) {
            set(&mut fields, name, value.clone());
        }
    }
    if extra.iter().any(|extra| !extra.is_null()) {
        set(&mut fields, "extra_content", extra);
    }
    Some(fields)
        .filter(|fields| fields.as_object().is_some_and(|fields| !fields.is_empty()))
        .into_iter()
        .collect()
}

fn end_of(word: &str) -> End {
    let reason = match word.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "end_turn" | "stop_sequence" | "" => FinishReason::Completed,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "content_filter" | "refusal" | "safety" => FinishReason::ContentFilter,
        "tool_calls" | "tool_call" | "function_call" | "tool_use" => FinishReason::ToolCall,
        "malformed_function_call" => FinishReason::Malformed,
        _ => FinishReason::Other,
    };
    End {
        word: word.to_owned(),
        reason,
    }
}

/// Reads a stream of chunks.
#[derive(Default)]
pub(super) struct Stream {
    reply: Reply,
    calls: Calls,
    details: Vec<Value>,
    /// The name of the field in which the reasoning came.
    reasoning_field: Option<&'static str>,
}

impl StreamReader for Stream {
    fn event(&mut self, data: Value) -> Result<String, Refusal> {
        if let Some(refusal) = in_body(&data) {
            return Err(refusal);
        }
        common(&mut self.reply, &data);
        let mut added = String::new();
        for choice in list(&data, "/choices") {
            // Of several choices, the first is the answer.
            if count(choice, "/index").unwrap_or(0) > 0 {
                continue;
            }
            // A server that was not asked for a stream understands the whole message.
            let delta = choice.get("delta").or_else(|| choice.get("message"));
            if let Some(delta) = delta {
                added.push_str(&self.delta(delta)?);
            }
            if let Some(word) = text(choice, "/finish_reason").filter(|word| !word.is_empty()) {
                self.reply.end = Some(end_of(word));
            }
        }
        self.reply.text.push_str(&added);
        Ok(added)
    }

    fn is_finished(&self) -> bool {
        self.reply.end.is_some()
    }

    fn done(&mut self) {
        // Some servers announce the end by the mark alone.
        let has_content = !self.reply.text.is_empty() || !self.calls.is_empty();
        if self.reply.end.is_none() && has_content {
            self.reply.end = Some(end_of(""));
        }
    }

    fn reply(self: Box<Self>) -> Reply {
        let mut reply = self.reply;
        let (calls, extra): (Vec<_>, Vec<_>) = self.calls.finish().into_iter().unzip();
        reply.calls = calls;
        let mut message = json!({});
        if let Some(field) = self.reasoning_field {
            set(&mut message, field, reply.reasoning.clone());
        }
        if !self.details.is_empty() {
            set(&mut message, "reasoning_details", joined_details(self.details));
        }
        let extra = extra.into_iter().map(Option::unwrap_or_default).collect();
        reply.native = native_of(&message, extra);
        reply
    }
}

impl Stream {
    fn delta(&mut self, delta: &Value) -> Result<String, Refusal> {
        for field in ["reasoning_content", "reasoning"] {
            if let Some(piece) = delta
                .get(field)
                .and_then(Value::as_str)
                .filter(|piece| !piece.is_empty())
            {
                self.reply.reasoning.push_str(piece);
                self.reasoning_field = Some(field);
                break;
            }
        }
        if let Some(Value::Array(details)) = delta.get("reasoning_details") {
            self.details.extend(details.iter().cloned());
        }
        if let Some(piece) = text(delta, "/refusal") {
            self.reply.refusal.push_str(piece);
        }
        self.reply.files.extend(files_of(delta));
        for call in list(delta, "/tool_calls") {
            if let Some(piece) = piece_of(call) {
                self.calls.add(piece)?;
            }
        }
        Ok(content_of(delta))
    }
}

fn piece_of(call: &Value) -> Option<Begun> {
    let function = call.get("function")?;
    Some(Begun {
        index: call.get("index").filter(|index| !index.is_null()).cloned(),
        id: owned(call, "/id"),
        name: owned(function, "/name").unwrap_or_default(),
        arguments: match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            // Some servers send them as they are, at once.
            Some(whole @ Value::Object(_)) => whole.to_string(),
            _ => String::new(),
        },
        extra: call.get("extra_content").cloned(),
    })
}

/// The details of reasoning whose texts came in pieces: those that follow each other with one index and type are one.
fn joined_details(pieces: Vec<Value>) -> Vec<Value> {
    let mut joined: Vec<Value> = Vec::new();
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if is_continued(last, &piece) => join_detail(last, piece),
            _ => joined.push(piece),
        }
    }
    joined
}

fn is_continued(last: &Value, piece: &Value) -> bool {
    piece.get("index").is_some()
        && last.get("index") == piece.get("index")
        && last.get("type") == piece.get("type")
}

fn join_detail(last: &mut Value, piece: Value) {
    let (Value::Object(last), Value::Object(piece)) = (last, piece) else {
        return;
    };
    for (name, value) in piece {
        match (last.get_mut(&name), value) {
            (Some(Value::String(text)), Value::String(more))
                if ["text", "summary", "data"].contains(&name.as_str()) =>
            {
                text.push_str(&more);
            }
            (Some(Value::Null) | None, value) => {
                last.insert(name, value);
            }
            _ => {}
        }
    }
}
