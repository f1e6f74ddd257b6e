//! Answers of providers, by any protocol, at once or piece by piece.

use std::collections::HashMap;

use dad_core::{Usage, json};
use genai::chat::{BinarySource, ChatResponse, ContentPart, MessageContent, StopReason, StreamEnd};
use serde_json::Value;

use crate::catalog::{Protocol, Target};
use crate::error::ModelError;
use crate::request::ToolCall;
use crate::response::{FinishReason, ModelResponse, ResponseFile};

pub(crate) struct Answered {
    model: String,
    content: MessageContent,
    reasoning: Option<String>,
    stop: Option<StopReason>,
    usage: genai::chat::Usage,
}

impl From<ChatResponse> for Answered {
    fn from(answer: ChatResponse) -> Self {
        let written = answer
            .captured_raw_body
            .as_ref()
            .map(arguments_in)
            .unwrap_or_default();
        Self {
            model: answer.provider_model_iden.model_name.to_string(),
            content: with_arguments(answer.content, &written),
            reasoning: answer.reasoning_content,
            stop: answer.stop_reason,
            usage: answer.usage,
        }
    }
}

impl Answered {
    /// The answer of a stream: the library's reading of it, with the arguments of calls as they were `written`, and the
    /// parts that was `tapped`.
    pub(crate) fn of_stream(
        target: &Target,
        end: StreamEnd,
        written: &Written,
        tapped: Vec<ContentPart>,
    ) -> Self {
        let mut content = with_arguments(end.captured_content.unwrap_or_default(), written);
        content.extend(tapped);
        Self {
            model: target.model.clone(),
            content,
            reasoning: end.captured_reasoning_content,
            stop: end.captured_stop_reason,
            usage: end.captured_usage.unwrap_or_default(),
        }
    }

    /// An answer in the protocol of OpenAI that calls tools, whatever it wrote as their arguments.
    fn of_body(target: &Target, body: &Value) -> Option<Self> {
        let choice = body.pointer("/choices/0")?;
        let calls = choice.pointer("/message/tool_calls")?.as_array()?;
        let text_at = |pointer: &str| choice.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let text = text_at("/message/content").map(ContentPart::from_text);
        let calls = calls.iter().map(call_in).collect::<Option<Vec<_>>>()?;
        let named = body.get("model").and_then(Value::as_str);
        Some(Self {
            model: named.unwrap_or(&target.model).to_owned(),
            content: MessageContent::from_parts(text.into_iter().chain(calls).collect::<Vec<_>>()),
            reasoning: text_at("/message/reasoning").or_else(|| text_at("/message/reasoning_content")),
            stop: text_at("/finish_reason").map(StopReason::from),
            usage: usage_in(body),
        })
    }

    pub(crate) fn response(self, target: &Target) -> Result<ModelResponse, ModelError> {
        let tool_calls = self.content.tool_calls().into_iter().map(tool_call).collect();
        let files = self
            .content
            .binaries()
            .into_iter()
            .filter_map(|binary| match &binary.source {
                BinarySource::Base64(base64) => Some(ResponseFile {
                    media_type: binary.content_type.clone(),
                    base64: base64.to_string(),
                }),
                BinarySource::Url(_) => None,
            });
        let mut response = ModelResponse {
            files: files.collect(),
            tool_calls,
            text: self.content.joined_texts().unwrap_or_default(),
            model: self.model,
            provider: target.provider.name.clone(),
            reasoning: self.reasoning,
            finish_reason: finish_reason(self.stop.as_ref()),
            usage: usage(target, &self.usage),
            stop_reason: None,
            refusal: None,
            id: None,
            service_tier: None,
            native: None,
        };
        let is_whole = matches!(
            response.finish_reason,
            FinishReason::Completed | FinishReason::Other
        );
        if !response.tool_calls.is_empty() && is_whole {
            // Some providers say `stop` although they call tools.
            response.finish_reason = FinishReason::ToolCall;
        }
        let is_empty =
            response.text.is_empty() && response.tool_calls.is_empty() && response.files.is_empty();
        if is_empty && response.finish_reason == FinishReason::Completed {
            Err(ModelError::Answer {
                model: target.model.clone(),
                reason: "it holds no text".to_owned(),
                usage: reported(response.usage),
            })
        } else {
            Ok(response)
        }
    }
}

/// An answer that the library could not read: it reads no calls of tools whose arguments are not JSON, which is for the
/// model to mend. Of any other answer, only the usage is read.
pub(crate) fn unread(target: &Target, body: &Value, cause: String) -> Result<ModelResponse, ModelError> {
    let readable = match target.provider.protocol {
        Protocol::OpenAi | Protocol::OpenAiResponses => Answered::of_body(target, body),
        _ => None,
    };
    match readable {
        Some(answered) => answered.response(target),
        None => Err(ModelError::Answer {
            model: target.model.clone(),
            reason: cause,
            usage: reported(usage(target, &usage_in(body))),
        }),
    }
}

/// Arguments of calls as the model wrote them, by the ids of the calls. The library rounds integers when it reads them.
pub(crate) type Written = HashMap<String, String>;

/// The arguments in the body of an answer in the protocol of OpenAI, the only one that has them as text.
fn arguments_in(body: &Value) -> Written {
    let calls = body
        .pointer("/choices/0/message/tool_calls")
        .and_then(Value::as_array);
    let written = |call: &Value| {
        let arguments = call.pointer("/function/arguments")?.as_str()?;
        Some((call.get("id")?.as_str()?.to_owned(), arguments.to_owned()))
    };
    calls.into_iter().flatten().filter_map(written).collect()
}

fn with_arguments(content: MessageContent, written: &Written) -> MessageContent {
    let parts = content.into_parts().into_iter().map(|part| match part {
        ContentPart::ToolCall(mut call) => {
            if let Some(text) = written.get(&call.call_id).filter(|text| !text.is_empty()) {
                call.fn_arguments = Value::String(text.clone());
            }
            ContentPart::ToolCall(call)
        }
        other => other,
    });
    MessageContent::from_parts(parts.collect::<Vec<_>>())
}

fn call_in(call: &Value) -> Option<ContentPart> {
    let function = call.get("function")?;
    Some(ContentPart::ToolCall(genai::chat::ToolCall {
        call_id: call.get("id")?.as_str()?.to_owned(),
        fn_name: function.get("name")?.as_str()?.to_owned(),
        fn_arguments: function.get("arguments").cloned().unwrap_or_default(),
        thought_signatures: None,
    }))
}

fn tool_call(call: &genai::chat::ToolCall) -> ToolCall {
    ToolCall {
        id: call.call_id.clone(),
        name: call.fn_name.clone(),
        arguments: match &call.fn_arguments {
            // So some call a tool that takes nothing.
            Value::Null => Value::Object(serde_json::Map::new()),
            Value::String(text) if text.trim().is_empty() => Value::Object(serde_json::Map::new()),
            // What cannot be read without loss stays a text, and the model gets the reason.
            Value::String(text) => json::parse_external(text).unwrap_or_else(|_| text.clone().into()),
            other => other.clone(),
        },
        signatures: call.thought_signatures.clone().unwrap_or_default(),
    }
}

/// The usage in the body of an answer, by the names of all protocols.
fn usage_in(body: &Value) -> genai::chat::Usage {
    let count = |pointers: &[&str]| {
        let found = pointers
            .iter()
            .find_map(|pointer| body.pointer(pointer)?.as_i64());
        found.and_then(|tokens| i32::try_from(tokens).ok())
    };
    genai::chat::Usage {
        prompt_tokens: count(&[
            "/usage/prompt_tokens",
            "/usage/input_tokens",
            "/usageMetadata/promptTokenCount",
        ]),
        completion_tokens: count(&[
            "/usage/completion_tokens",
            "/usage/output_tokens",
            "/usageMetadata/candidatesTokenCount",
        ]),
        total_tokens: count(&["/usage/total_tokens", "/usageMetadata/totalTokenCount"]),
        ..genai::chat::Usage::default()
    }
}

/// The usage of a call, if the provider reports it.
fn reported(usage: Usage) -> Option<Usage> {
    Some(usage).filter(|usage| usage.total_tokens > 0)
}

fn usage(target: &Target, reported: &genai::chat::Usage) -> Usage {
    let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok()).unwrap_or(0);
    let (prompt_tokens, completion_tokens) =
        (count(reported.prompt_tokens), count(reported.completion_tokens));
    let mut usage = Usage {
        calls: 1,
        prompt_tokens,
        completion_tokens,
        // Not every provider adds up.
        total_tokens: count(reported.total_tokens).max(prompt_tokens + completion_tokens),
        ..Usage::default()
    };
    usage.cost = target.price.map(|price| price.cost(&usage));
    usage
}

fn finish_reason(stop: Option<&StopReason>) -> FinishReason {
    match stop {
        Some(StopReason::Completed(_) | StopReason::StopSequence(_)) | None => FinishReason::Completed,
        Some(StopReason::MaxTokens(_)) => FinishReason::Length,
        Some(StopReason::ContentFilter(_)) => FinishReason::ContentFilter,
        Some(StopReason::ToolCall(_)) => FinishReason::ToolCall,
        Some(StopReason::Other(_)) => FinishReason::Other,
    }
}
