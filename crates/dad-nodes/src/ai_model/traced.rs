//! Calls of models and tools as traces show them.

use std::sync::Arc;
use std::time::Duration;

use dad_events::activity::{ModelAnswer, ModelCall, RequestContent, ToolCall};
use dad_events::{Activity, ActivityEnd};
use dad_models::{
    CallOptions, FinishReason, Message, ModelClient, ModelEndpoint, ModelRequest, ModelResponse, Role,
};
use dad_runner::{ExchangeId, NodeContext, NodeError, RunningActivity};
use serde_json::{Value, json};

use crate::ai_model::tools::Called;

/// Begins a call of a model.
pub(super) fn begin_call(
    cx: &NodeContext,
    client: &dyn ModelClient,
    request: &ModelRequest,
    exchange: ExchangeId,
    streaming: bool,
) -> RunningActivity {
    let endpoint = client
        .endpoint(&request.model)
        .unwrap_or_else(|| by_name(&request.model));
    let mut call = ModelCall::new(endpoint.provider, endpoint.model)
        .number(exchange.number)
        .request_digest(exchange.request_digest)
        .streaming(streaming)
        .json(request.options.schema.is_some());
    call.server_address = endpoint.host;
    call.server_port = endpoint.port;
    call.max_tokens = request.options.max_output_tokens;
    call.reasoning_level.clone_from(&request.options.reasoning_effort);
    // Options were checked before the run; what this program does not know goes to the provider and not into traces.
    let options = CallOptions::read(&request.options.other).unwrap_or_default();
    call.temperature = options.temperature;
    call.top_p = options.top_p;
    call.top_k = options.top_k.and_then(|top_k| u32::try_from(top_k).ok());
    call.frequency_penalty = options.frequency_penalty;
    call.presence_penalty = options.presence_penalty;
    call.seed = options.seed;
    call.stop_sequences = options.stop.unwrap_or_default();
    if cx.wants_content() {
        call.content = Some(Arc::new(content(request)));
    }
    cx.begin(Activity::ModelCall(Box::new(call)))
}

/// The place of a model that no server answers for, by its name.
fn by_name(model: &str) -> ModelEndpoint {
    match model.split_once('/') {
        Some((provider, model)) => ModelEndpoint::new(provider, model),
        None => ModelEndpoint::new("", model),
    }
}

/// Ends a call of a model.
pub(super) fn end_call(
    running: RunningActivity,
    answered: &Result<ModelResponse, NodeError>,
    first_chunk: Option<Duration>,
    cx: &NodeContext,
) {
    let response = match answered {
        Ok(response) => response,
        Err(error) => {
            let usage = error.partial.usage;
            return running.end(ActivityEnd::failed(error.info.clone()).usage(usage));
        }
    };
    let mut answer = ModelAnswer::new(&response.model, finish_reason(response));
    answer.id.clone_from(&response.id);
    answer.time_to_first_chunk = first_chunk;
    if cx.wants_content() {
        let message = json!([answer_message(response)]);
        answer.messages = Some(Arc::new(message));
    }
    running.end(ActivityEnd::default().usage(response.usage).answer(answer));
}

/// The reason in the words of the GenAI conventions, else that of the provider.
fn finish_reason(response: &ModelResponse) -> &str {
    match response.finish_reason {
        FinishReason::Completed => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::ToolCall => "tool_call",
        FinishReason::Malformed => "error",
        _ => response.stop_reason.as_deref().unwrap_or("other"),
    }
}

/// Begins a call of a tool.
pub(super) fn begin_tool(
    cx: &NodeContext,
    call: &dad_models::ToolCall,
    description: Option<&str>,
) -> RunningActivity {
    let mut traced = ToolCall::new(&call.name).call_id(&call.id);
    traced.description = description.map(str::to_owned);
    if cx.wants_content() {
        traced.arguments = Some(Arc::new(call.arguments.clone()));
    }
    cx.begin(Activity::ToolCall(traced))
}

/// Ends a call of a tool.
pub(super) fn end_tool(running: RunningActivity, called: &Result<Called, NodeError>, cx: &NodeContext) {
    let called = match called {
        Ok(called) => called,
        Err(error) => return running.fail(error),
    };
    let mut end = match called.failure() {
        Some(reason) => ActivityEnd::failed(dad_core::ErrorInfo::new("tool_failed", reason)),
        None => ActivityEnd::default(),
    };
    if cx.wants_content() {
        end.result = Some(Arc::new(called.result().clone()));
    }
    running.end(end);
}

/// A request in the shape of the GenAI conventions.
fn content(request: &ModelRequest) -> RequestContent {
    let system = request
        .system
        .iter()
        .map(|instruction| text_part(&instruction.text));
    let messages = request.messages.iter().map(message);
    let tools = request.options.tools.iter().map(|tool| {
        json!({
            "type": "function", "name": tool.name, "description": tool.description, "parameters": tool.schema,
        })
    });
    RequestContent::default()
        .system(system.collect())
        .messages(messages.collect())
        .tools(tools.collect())
}

fn text_part(text: &str) -> Value {
    json!({ "type": "text", "content": text })
}

fn message(message: &Message) -> Value {
    let mut parts = Vec::new();
    if message.role == Role::Tool {
        let id = &message.tool_call_id;
        parts.push(json!({ "type": "tool_call_response", "id": id, "response": message.text }));
    } else {
        if !message.text.is_empty() {
            parts.push(text_part(&message.text));
        }
        parts.extend(message.tool_calls.iter().map(call_part));
    }
    let files = message.files.iter().map(|file| {
        json!({ "type": "uri", "uri": file.name, "mime_type": file.media_type, "modality": modality(&file.media_type) })
    });
    parts.extend(files);
    json!({ "role": message.role.as_str(), "parts": parts })
}

fn modality(media_type: &str) -> &str {
    media_type.split('/').next().unwrap_or_default()
}

fn call_part(call: &dad_models::ToolCall) -> Value {
    json!({ "type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments })
}

fn answer_message(response: &ModelResponse) -> Value {
    let reasoning = response.reasoning.iter();
    let mut parts: Vec<Value> = reasoning
        .map(|reasoning| json!({ "type": "reasoning", "content": reasoning }))
        .collect();
    if !response.text.is_empty() {
        parts.push(text_part(&response.text));
    }
    parts.extend(response.tool_calls.iter().map(call_part));
    json!({ "role": "assistant", "parts": parts, "finish_reason": finish_reason(response) })
}
