//! Answers as the readers of protocols make them, and their judgement: an answer that can be used, or an error.

use dad_core::Usage;
use dad_core::json::parse_external;

use super::calls::MAX_CALLS;
use super::error::Refusal;
use super::wanted::{ANSWER_TOOL, dialect};
use crate::catalog::{Protocol, Target};
use crate::error::ModelError;
use crate::price::Tokens;
use crate::request::{ModelRequest, NativeTurn, Role, ToolCall};
use crate::response::{FinishReason, ModelResponse, ResponseFile};
use crate::schema;

/// Reads the events of one stream.
pub(crate) trait StreamReader: Send {
    /// Takes an event, and gives the text that it adds to the answer.
    ///
    /// # Errors
    /// The error that the provider reports in it.
    fn event(&mut self, data: serde_json::Value) -> Result<String, Refusal>;

    /// Whether the reason has come for which the answer ended: all that follows is its usage.
    fn is_finished(&self) -> bool;

    /// Whether nothing follows any more, so that the server need not be waited for.
    fn is_over(&self) -> bool {
        false
    }

    /// Takes the mark with which some servers end a stream.
    fn done(&mut self) {}

    /// The answer, as far as it came.
    fn reply(self: Box<Self>) -> Reply;
}

/// An answer as a protocol brings it.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) service_tier: Option<String>,
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// The words of a refusal, of the model or of the provider.
    pub(crate) refusal: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) files: Vec<ResponseFile>,
    pub(crate) end: Option<End>,
    pub(crate) tokens: Option<Tokens>,
    /// The parts of the turn as the provider needs them back.
    pub(crate) native: Vec<serde_json::Value>,
}

/// Why an answer ended: the provider's word, and its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) word: String,
    pub(crate) reason: FinishReason,
}

impl Reply {
    /// The response to a request. An empty answer is one only where its end says so: after the results of tools a model may have
    /// nothing to add.
    ///
    /// # Errors
    /// [`ModelError::Answer`] if nothing in it can be used, and [`ModelError::Cut`] if it does not say why it ended.
    pub(crate) fn response(
        mut self,
        target: &Target,
        request: &ModelRequest,
    ) -> Result<ModelResponse, ModelError> {
        if let Some(schema) = &request.options.schema
            && !self.took_answer_from_call(request, schema)
        {
            self.restore(schema, target.provider.protocol);
        }
        if request.options.schema.is_none() && self.calls.is_empty() {
            self.part_from_thinking();
        }
        self.restore_arguments(request);
        let tier = self.service_tier.as_deref();
        let Some(end) = self.end else {
            return Err(unannounced(
                request,
                self.tokens
                    .map(|tokens| tokens.usage(target.price.as_ref(), tier)),
            ));
        };
        let tokens = self.tokens.unwrap_or_default();
        let mut response = ModelResponse {
            model: self.model.unwrap_or_else(|| target.model.clone()),
            provider: target.provider.name.clone(),
            text: self.text,
            tool_calls: self.calls,
            files: self.files,
            reasoning: Some(self.reasoning).filter(|text| !text.is_empty()),
            finish_reason: end.reason,
            usage: tokens.usage(target.price.as_ref(), tier),
            stop_reason: Some(end.word).filter(|word| !word.is_empty()),
            refusal: Some(self.refusal).filter(|text| !text.is_empty()),
            id: self.id,
            service_tier: self.service_tier,
            native: None,
        };
        response.native = native(self.native, target, &response);
        settle_reason(&mut response);
        match problem(&response, request) {
            None => Ok(response),
            Some(reason) => Err(unusable(&response, request, reason)),
        }
    }
}

impl Reply {
    /// Makes the answer's text of a call of the tool through which it is given. With it the model is done. Of an answer that was cut,
    /// the call holds only a part.
    ///
    /// Whether there was one.
    fn took_answer_from_call(&mut self, request: &ModelRequest, schema: &serde_json::Value) -> bool {
        let is_own = !request.options.tools.iter().any(|tool| tool.name == ANSWER_TOOL);
        let answer = self
            .calls
            .iter()
            .position(|call| is_own && call.name == ANSWER_TOOL);
        let Some(answer) = answer.map(|at| self.calls.swap_remove(at)) else {
            return false;
        };
        self.calls.clear();
        self.native.clear();
        if let Some(end) = &mut self.end
            && matches!(end.reason, FinishReason::ToolCall | FinishReason::Completed)
        {
            end.reason = FinishReason::Completed;
            self.text = match schema::restore_arguments(answer.arguments, schema) {
                serde_json::Value::String(text) => text,
                value => value.to_string(),
            };
        }
        true
    }
}

impl Reply {
    /// Brings the arguments of calls back to the form of the schemas of their tools.
    fn restore_arguments(&mut self, request: &ModelRequest) {
        for call in &mut self.calls {
            let tool = request.options.tools.iter().find(|tool| tool.name == call.name);
            if let Some(tool) = tool.filter(|_| call.arguments.is_object()) {
                call.arguments = schema::restore_arguments(call.arguments.take(), &tool.schema);
            }
        }
    }

    /// Makes reasoning of a block of it at the beginning of the text, where servers leave it that do not part it themselves. In a
    /// turn with calls it stays: the server needs it back.
    fn part_from_thinking(&mut self) {
        let block = self.text.trim_start().strip_prefix("<think>");
        let Some((thought, answer)) = block.and_then(|block| block.split_once("</think>")) else {
            return;
        };
        if !self.reasoning.is_empty() {
            self.reasoning.push_str("\n\n");
        }
        self.reasoning.push_str(thought.trim());
        self.text = answer.trim_start().to_owned();
    }

    /// Brings the answer back to the form of the schema, of which the provider was sent a copy in the form that it takes.
    fn restore(&mut self, schema: &serde_json::Value, protocol: Protocol) {
        let Ok(answer) = parse_external(&self.text) else {
            return;
        };
        let restored = schema::restore(answer.clone(), schema, dialect(protocol));
        if restored != answer {
            self.text = restored.to_string();
        }
    }
}

/// The turn as the provider wrote it, where its calls are answered: the reasoning before them goes back with the results.
fn native(content: Vec<serde_json::Value>, target: &Target, response: &ModelResponse) -> Option<NativeTurn> {
    let continues = !response.tool_calls.is_empty();
    (continues && !content.is_empty()).then(|| NativeTurn {
        provider: Some(target.provider.name.clone()),
        protocol: target.provider.protocol,
        model: target.model.clone(),
        content,
    })
}

/// Some providers say `stop` although their model calls tools, or refuses.
fn settle_reason(response: &mut ModelResponse) {
    let is_whole = matches!(
        response.finish_reason,
        FinishReason::Completed | FinishReason::ToolCall
    );
    if !is_whole {
        return;
    }
    if !response.tool_calls.is_empty() {
        response.finish_reason = FinishReason::ToolCall;
    } else if response.refusal.is_some() && response.text.trim().is_empty() {
        response.finish_reason = FinishReason::ContentFilter;
    }
}

/// The error of an answer that does not say why it ended.
fn unannounced(request: &ModelRequest, usage: Option<Usage>) -> ModelError {
    let model = request.model.clone();
    let reason = "it ended before its end was announced".to_owned();
    match usage {
        None => ModelError::Cut { model, reason },
        usage => ModelError::Answer {
            model,
            reason,
            usage,
            may_differ: true,
        },
    }
}

/// The reason for which an answer cannot be used.
fn problem(response: &ModelResponse, request: &ModelRequest) -> Option<&'static str> {
    if response.tool_calls.len() > MAX_CALLS {
        return Some("it holds more than 1000 calls of tools");
    }
    if response.tool_calls.iter().any(|call| call.name.is_empty()) {
        return Some("it calls a tool without a name");
    }
    let is_empty =
        response.text.trim().is_empty() && response.tool_calls.is_empty() && response.files.is_empty();
    let follows_tools = request
        .messages
        .last()
        .is_some_and(|message| message.role == Role::Tool);
    match response.finish_reason {
        FinishReason::Malformed => Some("the model called a tool in a form that its provider could not read"),
        FinishReason::ToolCall if response.tool_calls.is_empty() => {
            Some("it announces a call of a tool and holds none")
        }
        FinishReason::Length if is_empty => Some(
            "it was cut at its longest length before any text: raise `max_output_tokens`, or lower the reasoning",
        ),
        FinishReason::Completed if is_empty && !follows_tools => Some("it holds no text"),
        FinishReason::Other if is_empty => Some("it holds no text"),
        FinishReason::Other if is_broken_off(response) => Some("its server broke it off"),
        _ => None,
    }
}

/// Whether an answer ended for a reason of the server's own. With one that is not known, at least no call is made: its arguments may
/// be cut.
fn is_broken_off(response: &ModelResponse) -> bool {
    /// Words of DeepSeek, vLLM, OpenRouter, OpenAI's Responses API and Google.
    const WORDS: [&str; 9] = [
        "insufficient_system_resource",
        "abort",
        "error",
        "cancelled",
        "in_progress",
        "failed",
        "OTHER",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    ];
    let word = response.stop_reason.as_deref().unwrap_or_default();
    !response.tool_calls.is_empty() || WORDS.contains(&word)
}

fn unusable(response: &ModelResponse, request: &ModelRequest, reason: &str) -> ModelError {
    let is_cut = response.finish_reason == FinishReason::Length;
    let word = response.stop_reason.as_deref().filter(|_| !is_cut);
    ModelError::Answer {
        model: request.model.clone(),
        reason: word.map_or_else(
            || reason.to_owned(),
            |word| format!("{reason} (it ended by `{word}`)"),
        ),
        usage: Some(response.usage).filter(|usage| usage.total_tokens > 0),
        // The same request would be cut at the same length.
        may_differ: !is_cut,
    }
}
