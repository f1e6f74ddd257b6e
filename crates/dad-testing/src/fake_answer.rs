//! One answer of a scripted model.

use dad_core::Usage;
use dad_models::{FinishReason, ModelError, ModelRequest, ModelResponse, ToolCall};
use serde_json::Value;

/// The provider that the answers name.
const PROVIDER: &str = "fake";

/// An answer of a [`FakeModel`](crate::FakeModel): a text, calls of tools, a response or an error.
///
/// Texts, JSON values (as structured answers), [`ModelResponse`]s and [`ModelError`]s convert to it.
#[derive(Debug)]
pub struct FakeAnswer(Content);

#[derive(Debug)]
enum Content {
    /// The response; an empty `model` stands for the model that is asked.
    Response(Box<ModelResponse>),
    Status(u16),
    Error(Box<ModelError>),
}

impl FakeAnswer {
    /// A complete answer of text alone.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        ModelResponse::of_text("", PROVIDER, text).into()
    }

    /// A structured answer.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self::text(value.to_string())
    }

    /// A call of one tool.
    #[must_use]
    pub fn tool_call(name: impl Into<String>, arguments: Value) -> Self {
        Self::tool_calls([(name, arguments)])
    }

    /// Calls of tools in one turn, by name and arguments.
    #[must_use]
    pub fn tool_calls(calls: impl IntoIterator<Item = (impl Into<String>, Value)>) -> Self {
        let mut response = ModelResponse::of_text("", PROVIDER, "");
        response.finish_reason = FinishReason::ToolCall;
        response.tool_calls = calls
            .into_iter()
            .map(|(name, arguments)| ToolCall {
                // The ids of a conversation differ: `answer` completes them with the number of the request.
                id: String::new(),
                name: name.into(),
                arguments,
                signatures: Vec::new(),
            })
            .collect();
        response.into()
    }

    /// An error of the provider with this HTTP status, such as 429 or 500.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self(Content::Status(status))
    }

    /// The same answer with a consumption; errors stay as they are. Without it, a token for each four bytes of prompt and answer
    /// counts, and no cost. A call without `total_tokens` counts as one whose provider did not report its consumption.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        if let Content::Response(response) = &mut self.0 {
            response.usage = usage;
        }
        self
    }

    /// The answer to a request, which is the `number`th from 1.
    pub(crate) fn answer(self, request: &ModelRequest, number: usize) -> Result<ModelResponse, ModelError> {
        let model = &request.model;
        match self.0 {
            Content::Response(mut response) => {
                if response.model.is_empty() {
                    model.clone_into(&mut response.model);
                }
                if response.usage.calls == 0 {
                    response.usage = estimated(request, &response);
                }
                for (call, position) in response.tool_calls.iter_mut().zip(1..) {
                    if call.id.is_empty() {
                        call.id = format!("call_{number}_{position}");
                    }
                }
                Ok(*response)
            }
            Content::Status(status) => Err(ModelError::Status {
                model: model.to_owned(),
                status,
                body: "an error of the fake model".to_owned(),
                code: None,
                request_id: None,
                retry_after: None,
                is_exhausted: false,
                usage: Some(Usage::default()),
            }),
            Content::Error(error) => Err(*error),
        }
    }
}

/// The consumption of a call whose script has none, so that budgets of calls and tokens hold in tests too.
fn estimated(request: &ModelRequest, response: &ModelResponse) -> Usage {
    let tokens = |bytes: usize| bytes as u64 / 4 + 1;
    let prompt = request.messages.iter().map(|message| message.text.len()).sum();
    let mut usage = Usage::default();
    usage.calls = 1;
    usage.prompt_tokens = tokens(prompt);
    usage.completion_tokens = tokens(response.text.len());
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    usage
}

impl From<ModelResponse> for FakeAnswer {
    fn from(response: ModelResponse) -> Self {
        Self(Content::Response(Box::new(response)))
    }
}

impl From<ModelError> for FakeAnswer {
    fn from(error: ModelError) -> Self {
        Self(Content::Error(Box::new(error)))
    }
}

impl From<&str> for FakeAnswer {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for FakeAnswer {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Value> for FakeAnswer {
    fn from(value: Value) -> Self {
        Self::json(&value)
    }
}
