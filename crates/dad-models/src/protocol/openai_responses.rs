//! OpenAI's Responses API.
//!
//! Source of the fields and events: the types `responses` of the client openai 3.57 for Python.

use serde_json::{Value, json};

use super::asked::{Asked, Outgoing};
use super::calls::{Begun, CallIds, Calls};
use super::capabilities::{Capabilities, Thinking};
use super::error::{Refusal, in_body};
use super::json::{list, owned, set, set_present, take_list, text};
use super::marks::{self, Marks};
use super::openai_chat::{arguments_text, effort, tokens_of};
use super::parts::{MediaKind, Part, Turn};
use super::reply::StreamReader;
use super::reply::{End, Reply};
use super::wanted::AnswerForm;
use crate::error::ModelError;
use crate::options::CallOptions;
use crate::request::{Message, Role, ToolChoice};
use crate::response::{FinishReason, ResponseFile};

pub(super) fn outgoing(asked: &Asked<'_>) -> Result<Outgoing, ModelError> {
    let options = asked.options(&["top_k", "seed", "stop", "presence_penalty", "frequency_penalty"])?;
    let known = asked.capabilities();
    asked.check_sampling(&options, &known)?;
    let keeps = options.store.unwrap_or(false);
    let marks = Marks::Responses.wanted(asked, &known);
    let mut body = json!({ "model": asked.target.model, "input": input(asked, marks)?, "store": keeps });
    if let Some(system) = asked.system().filter(|_| marks.is_none()) {
        set(&mut body, "instructions", system);
    }
    marks::finish_openai(asked, &known, marks, &mut body, "/input")?;
    if asked.streams {
        set(&mut body, "stream", true);
    }
    if let Some(most) = asked.max_output_tokens {
        set(&mut body, "max_output_tokens", most);
    }
    set_reasoning(asked, &mut body, &options, &known)?;
    let form = asked.answer_form(&options, known.structured_output)?;
    set_text(&mut body, &options, &form);
    let tools = tools(asked, &form, &options)?;
    if !tools.is_empty() {
        set(&mut body, "tools", tools);
    }
    if let Some(choice) = asked.tool_choice(&known, form.tool().is_some())? {
        set(&mut body, "tool_choice", choice_of(&choice));
    }
    let fields = [
        ("temperature", options.temperature.map(Value::from)),
        ("top_p", options.top_p.map(Value::from)),
        (
            "parallel_tool_calls",
            options.parallel_tool_calls.map(Value::from),
        ),
        ("service_tier", options.service_tier.clone().map(Value::from)),
    ];
    set_present(&mut body, fields);
    if !asked.request.options.metadata.is_empty() {
        set(&mut body, "metadata", asked.request.options.metadata.clone());
    }
    Outgoing::new("responses", body, &options, asked)
}

fn set_reasoning(
    asked: &Asked<'_>,
    body: &mut Value,
    options: &CallOptions,
    known: &Capabilities,
) -> Result<(), ModelError> {
    let mut fields = json!({});
    if let Some(effort) = effort(asked, known)? {
        set(&mut fields, "effort", effort);
    }
    if let Some(summary) = &options.reasoning_summary {
        set(&mut fields, "summary", summary.as_str());
    }
    let is_asked = fields.as_object().is_some_and(|fields| !fields.is_empty());
    if is_asked {
        set(body, "reasoning", fields);
    }
    // Without storage the provider takes its reasoning back only in its encrypted form. Other models refuse the field.
    let reasons = is_asked || known.thinking == Thinking::Effort;
    if reasons && !options.store.unwrap_or(false) {
        set(body, "include", json!(["reasoning.encrypted_content"]));
    }
    Ok(())
}

fn set_text(body: &mut Value, options: &CallOptions, form: &AnswerForm<'_>) {
    let mut fields = json!({});
    if let AnswerForm::Format(fitted) = form {
        let format = json!({ "type": "json_schema", "name": "answer", "schema": fitted.schema, "strict": fitted.strict });
        set(&mut fields, "format", format);
    }
    if let Some(verbosity) = &options.verbosity {
        set(&mut fields, "verbosity", verbosity.as_str());
    }
    if fields.as_object().is_some_and(|fields| !fields.is_empty()) {
        set(body, "text", fields);
    }
}

/// The tools. Here `strict` must be given: without it the provider would make every property of a schema a required one.
fn tools(asked: &Asked<'_>, form: &AnswerForm<'_>, options: &CallOptions) -> Result<Vec<Value>, ModelError> {
    let tools = asked.tools(form.tool()).into_iter();
    tools
        .map(|tool| {
            let fitted = asked.tool_schema(&tool, options)?;
            let mut function = json!({
                "type": "function",
                "name": tool.name,
                "parameters": fitted.schema,
                "strict": fitted.strict,
            });
            if let Some(description) = tool.description {
                set(&mut function, "description", description);
            }
            Ok(function)
        })
        .collect()
}

fn choice_of(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool { name } => json!({ "type": "function", "name": name }),
    }
}

fn input(asked: &Asked<'_>, marks: Option<Marks>) -> Result<Vec<Value>, ModelError> {
    // `instructions` take no mark.
    let mut input: Vec<Value> = marks.and_then(|marks| marks.system(asked)).into_iter().collect();
    let mut ids = CallIds::default();
    for turn in asked.turns() {
        match &turn {
            Turn::System(message) => input.push(json!({ "role": "system", "content": message.text })),
            Turn::User(message) => input.push(user(asked, message)?),
            Turn::Assistant(message) => {
                ids.take_up(message, asked.native(message).is_some());
                input.extend(assistant(asked, message, &ids));
            }
            Turn::Tools(results) => {
                for message in results {
                    input.push(result(asked, message, &ids)?);
                }
            }
        }
        if let Some(marks) = marks {
            marks.set_those_of(&mut input, turn.messages());
        }
    }
    Ok(input)
}

fn user(asked: &Asked<'_>, message: &Message) -> Result<Value, ModelError> {
    let content = if message.files.is_empty() {
        Value::from(message.text.as_str())
    } else {
        parts(asked, message)?.into()
    };
    Ok(json!({ "role": Role::User.as_str(), "content": content }))
}

fn parts(asked: &Asked<'_>, message: &Message) -> Result<Vec<Value>, ModelError> {
    let parts = asked.parts(message)?;
    parts.iter().map(|part| part_of(asked, part)).collect()
}

fn part_of(asked: &Asked<'_>, part: &Part<'_>) -> Result<Value, ModelError> {
    Ok(match part {
        Part::Text(text) => json!({ "type": "input_text", "text": text }),
        Part::Media(media) => match media.kind() {
            MediaKind::Image => {
                json!({ "type": "input_image", "image_url": media.data_url(), "detail": "auto" })
            }
            MediaKind::Document => {
                json!({ "type": "input_file", "filename": media.name, "file_data": media.data_url() })
            }
            MediaKind::Audio | MediaKind::Video => {
                return Err(asked.unfit(format!(
                    "the Responses API takes neither sound nor video, such as `{}`",
                    media.name
                )));
            }
        },
    })
}

fn assistant(asked: &Asked<'_>, message: &Message, ids: &CallIds<'_>) -> Vec<Value> {
    if let Some(native) = asked.native(message) {
        return native.content.clone();
    }
    let text = Some(message.text.as_str()).filter(|text| !text.trim().is_empty());
    let text = text.map(|text| json!({ "role": "assistant", "content": text }));
    let calls = message.tool_calls.iter().map(|call| {
        json!({ "type": "function_call", "call_id": ids.of(&call.id), "name": call.name, "arguments": arguments_text(call) })
    });
    text.into_iter().chain(calls).collect()
}

fn result(asked: &Asked<'_>, message: &Message, ids: &CallIds<'_>) -> Result<Value, ModelError> {
    let output = if message.files.is_empty() {
        Value::from(message.text.as_str())
    } else {
        parts(asked, message)?.into()
    };
    let id = message.tool_call_id.as_deref().map(|id| ids.of(id));
    Ok(json!({ "type": "function_call_output", "call_id": id, "output": output }))
}

/// Reads an answer that came as a whole.
///
/// # Errors
/// The error for which it failed.
pub(super) fn read(body: Value) -> Result<Reply, Refusal> {
    let mut stream = Stream::default();
    stream.end(body)?;
    Ok(Box::new(stream).reply())
}

/// Takes an item of the output into the reply.
fn take_item(reply: &mut Reply, item: Value) {
    match text(&item, "/type") {
        Some("message") => {
            for part in list(&item, "/content") {
                match text(part, "/type") {
                    Some("refusal") => reply.refusal.push_str(text(part, "/refusal").unwrap_or_default()),
                    _ => reply.text.push_str(text(part, "/text").unwrap_or_default()),
                }
            }
        }
        Some("reasoning") => {
            for part in list(&item, "/summary").iter().chain(list(&item, "/content")) {
                if !reply.reasoning.is_empty() {
                    reply.reasoning.push_str("\n\n");
                }
                reply.reasoning.push_str(text(part, "/text").unwrap_or_default());
            }
        }
        Some("image_generation_call") => reply.files.extend(image_of(&item)),
        _ => {}
    }
    reply.native.push(item);
}

/// The items as they go back. Without storage the provider takes reasoning only in its encrypted form, and no item by an id that
/// belongs to reasoning which is left out.
fn to_return(items: Vec<Value>) -> Vec<Value> {
    let is_lost = |item: &Value| {
        text(item, "/type") == Some("reasoning") && owned(item, "/encrypted_content").is_none()
    };
    let some_are_lost = items.iter().any(is_lost);
    let kept = items.into_iter().filter(|item| !is_lost(item));
    kept.filter_map(item_to_return)
        .map(|mut item| {
            if let Some(fields) = item.as_object_mut().filter(|_| some_are_lost) {
                fields.remove("id");
            }
            item
        })
        .collect()
}

fn image_of(item: &Value) -> Option<ResponseFile> {
    let format = text(item, "/output_format").unwrap_or("png");
    Some(ResponseFile {
        media_type: format!("image/{format}"),
        base64: owned(item, "/result")?,
    })
}

/// An item as it goes back. What only the provider writes is left out, and so are results of its own tools, which it has.
fn item_to_return(mut item: Value) -> Option<Value> {
    let fields = item.as_object_mut()?;
    let kind = fields.get("type")?.as_str()?.to_owned();
    match kind.as_str() {
        // Without storage its id is unknown to the provider; the encrypted content stands for it.
        "reasoning" => fields.retain(|name, _| {
            ["type", "id", "summary", "content", "encrypted_content"].contains(&name.as_str())
        }),
        "function_call" => fields
            .retain(|name, _| ["type", "call_id", "name", "arguments", "namespace"].contains(&name.as_str())),
        "message" => fields
            .retain(|name, _| ["type", "role", "content", "phase", "id", "status"].contains(&name.as_str())),
        _ => return None,
    }
    Some(item)
}

/// Reads a stream of events, and the response that ends it.
#[derive(Default)]
pub(super) struct Stream {
    reply: Reply,
    calls: Calls,
    /// Items that were complete, by their events; the response that ends a stream repeats them.
    items: Vec<Value>,
    /// The text as it was streamed, which counts if the end does not repeat it.
    streamed: String,
}

impl StreamReader for Stream {
    fn event(&mut self, mut data: Value) -> Result<String, Refusal> {
        if let Some(refusal) = in_body(&data) {
            return Err(refusal);
        }
        let kind = owned(&data, "/type").unwrap_or_default();
        match kind.as_str() {
            "response.output_text.delta" => {
                let piece = owned(&data, "/delta").unwrap_or_default();
                self.streamed.push_str(&piece);
                return Ok(piece);
            }
            "response.output_item.done" => self.items.extend(data.get_mut("item").map(Value::take)),
            "response.completed" | "response.incomplete" | "response.failed" => {
                let body = data.get_mut("response").map(Value::take).unwrap_or_default();
                self.end(body)?;
            }
            "error" => {
                let error = json!({ "error": data });
                return Err(in_body(&error).unwrap_or_default());
            }
            _ => {}
        }
        Ok(String::new())
    }

    fn is_finished(&self) -> bool {
        self.reply.end.is_some()
    }

    fn is_over(&self) -> bool {
        self.is_finished()
    }

    fn reply(self: Box<Self>) -> Reply {
        let mut reply = self.reply;
        reply.native = to_return(std::mem::take(&mut reply.native));
        reply.calls = self.calls.finish().into_iter().map(|(call, _)| call).collect();
        if reply.text.is_empty() {
            reply.text = self.streamed;
        }
        reply
    }
}

impl Stream {
    /// Takes the response that ends a stream, or is the whole answer.
    fn end(&mut self, mut body: Value) -> Result<(), Refusal> {
        if let Some(mut refusal) = in_body(&body) {
            refusal.request_id = refusal.request_id.or_else(|| owned(&body, "/id"));
            refusal.tokens = body.get("usage").filter(|usage| usage.is_object()).map(tokens_of);
            return Err(refusal);
        }
        let items = take_list(&mut body, "/output");
        let items = if items.is_empty() {
            std::mem::take(&mut self.items)
        } else {
            items
        };
        for item in items {
            if text(&item, "/type") == Some("function_call") {
                self.calls.add(call_of(&item))?;
            }
            take_item(&mut self.reply, item);
        }
        self.reply.id = owned(&body, "/id");
        self.reply.model = owned(&body, "/model");
        self.reply.service_tier = owned(&body, "/service_tier");
        self.reply.tokens = body.get("usage").filter(|usage| usage.is_object()).map(tokens_of);
        self.reply.end = Some(end_of(&body));
        Ok(())
    }
}

fn call_of(item: &Value) -> Begun {
    let id = owned(item, "/call_id").or_else(|| owned(item, "/id"));
    Begun {
        index: id.clone().map(Value::from),
        id,
        name: owned(item, "/name").unwrap_or_default(),
        arguments: owned(item, "/arguments").unwrap_or_default(),
        extra: None,
    }
}

fn end_of(body: &Value) -> End {
    let status = text(body, "/status").unwrap_or_default();
    let word = text(body, "/incomplete_details/reason").unwrap_or(status);
    let reason = match (status, word) {
        (_, "max_output_tokens" | "max_tokens") => FinishReason::Length,
        (_, "content_filter") => FinishReason::ContentFilter,
        ("completed" | "", _) => FinishReason::Completed,
        ("incomplete", _) => FinishReason::Length,
        _ => FinishReason::Other,
    };
    End {
        word: word.to_owned(),
        reason,
    }
}
