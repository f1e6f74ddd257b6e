//! The conversations of a step with models, attempt by attempt, from the exchanges that the run recorded.

use dad_core::{ErrorInfo, HierarchyPath, Usage};
use dad_models::{
    FinishReason, Instruction, Message, ModelRequest, ModelResponse, Role, ToolCall,
    internal::{MODEL_CALL, MODEL_FAILED},
};
use dad_run::{MemoLine, RunError, RunView, StepAttempt, layout};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The attempts of a step, and the conversation with models in each. Its JSON is that of `dhenara runs show RUN STEP --messages
/// --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Transcript {
    /// The step.
    pub path: HierarchyPath,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptTranscript>,
}

/// An attempt of a step, and the conversation with models in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttemptTranscript {
    /// The attempt.
    #[serde(flatten)]
    pub attempt: StepAttempt,
    /// The conversation in its order; empty of a step that asked no model.
    pub turns: Vec<Turn>,
}

/// A turn of a conversation with a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Turn {
    /// An instruction of the application.
    System {
        /// The instruction.
        text: String,
    },
    /// A message to the model.
    User {
        /// The message.
        text: String,
        /// The names of the files that go with it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
    },
    /// An answer of a model.
    Assistant(Box<ModelTurn>),
    /// The result of a call of a tool.
    Tool {
        /// The tool; empty if the call is not part of the conversation.
        name: String,
        /// The id of the call.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The result, as the model got it.
        text: String,
        /// The names of the files that go with it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
    },
    /// A model gave no answer, so that the next one was asked.
    Failed {
        /// The model.
        model: String,
        /// The failure.
        error: ErrorInfo,
    },
}

/// An answer of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelTurn {
    /// The model; `None` of an answer that came with the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The reasoning that it showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Its text.
    pub text: String,
    /// Its calls of tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<CalledTool>,
    /// The reason for which it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The reason for which it ended; `None` of an answer that came with the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Its usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// A call of a tool by a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CalledTool {
    /// The id of the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments.
    pub arguments: Value,
}

impl From<ToolCall> for CalledTool {
    fn from(call: ToolCall) -> Self {
        Self {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        }
    }
}

impl Transcript {
    /// Reads the attempts of a step.
    pub(crate) fn of(view: &RunView, path: HierarchyPath) -> Result<Self, RunError> {
        let attempts = view.attempts(&path)?;
        Self::of_attempts(view, path, attempts)
    }

    /// Reads the conversations of a step whose attempts are known.
    pub(crate) fn of_attempts(
        view: &RunView,
        path: HierarchyPath,
        known: Vec<StepAttempt>,
    ) -> Result<Self, RunError> {
        let mut attempts = Vec::with_capacity(known.len());
        for attempt in known {
            let mut told = Told::default();
            for exchange in view.exchanges(&path, &attempt)? {
                told.add(view, &path, exchange)?;
            }
            if told.turns.is_empty()
                && let Some(state) = view.attempt_file(&path, &attempt, layout::STATE)?
            {
                told.add_prepared(&state);
            }
            let turns = told.turns;
            attempts.push(AttemptTranscript { attempt, turns });
        }
        Ok(Self { path, attempts })
    }

    /// The prompt of the last attempt that had one: the last message before the first answer.
    #[must_use]
    pub fn prompt(&self) -> Option<&str> {
        self.attempts.iter().rev().find_map(AttemptTranscript::prompt)
    }

    /// The text of the last answer of a model.
    #[must_use]
    pub fn answer(&self) -> Option<&str> {
        let turns = self
            .attempts
            .iter()
            .rev()
            .flat_map(|attempt| attempt.turns.iter().rev());
        let mut answers = turns.filter_map(|turn| match turn {
            Turn::Assistant(answer) => Some(answer.text.as_str()),
            _ => None,
        });
        answers.next()
    }
}

impl AttemptTranscript {
    fn prompt(&self) -> Option<&str> {
        let is_before = |turn: &&Turn| !matches!(turn, Turn::Assistant(answer) if answer.model.is_some());
        let said = self.turns.iter().take_while(is_before);
        let texts = said.filter_map(|turn| match turn {
            Turn::User { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.last()
    }
}

/// A conversation as far as it was told. Each request repeats the one before, with the answer and what came after it.
#[derive(Default)]
struct Told {
    turns: Vec<Turn>,
    system: Vec<Instruction>,
    messages: Vec<Message>,
    /// Whether the last message was answered: the next request begins with the answer.
    is_answered: bool,
}

impl Told {
    /// Tells an exchange with a model; any other is no part of the conversation.
    fn add(&mut self, view: &RunView, step: &HierarchyPath, exchange: MemoLine) -> Result<(), RunError> {
        let is_answer = exchange.name == MODEL_CALL;
        if !is_answer && exchange.name != MODEL_FAILED {
            return Ok(());
        }
        let request: ModelRequest = read(view, step, exchange.request)?;
        let model = request.model.clone();
        self.add_request(request);
        self.turns.push(if is_answer {
            let response: ModelResponse = read(view, step, exchange.response)?;
            answer(model, response)
        } else {
            let error = read(view, step, exchange.response)?;
            Turn::Failed { model, error }
        });
        self.is_answered = is_answer;
        Ok(())
    }

    fn add_request(&mut self, request: ModelRequest) {
        if request.system != self.system {
            let texts = request.system.iter().map(|instruction| instruction.text.clone());
            self.turns.extend(texts.map(|text| Turn::System { text }));
            self.system = request.system;
        }
        let repeats = request.messages.starts_with(&self.messages);
        // A conversation that was shortened to fit stands again from its beginning.
        let mut told = if repeats { self.messages.len() } else { 0 };
        let next = request.messages.get(told);
        if repeats && self.is_answered && next.is_some_and(|next| next.role == Role::Assistant) {
            told += 1;
        }
        for message in request.messages.iter().skip(told) {
            let turn = self.message(message);
            self.turns.push(turn);
        }
        self.messages = request.messages;
    }

    fn message(&self, message: &Message) -> Turn {
        let text = message.text.clone();
        let files = message.files.iter().map(|file| file.name.clone()).collect();
        match message.role {
            Role::System => Turn::System { text },
            Role::Tool => Turn::Tool {
                name: self.called(message.tool_call_id.as_deref()),
                id: message.tool_call_id.clone(),
                text,
                files,
            },
            Role::Assistant => Turn::Assistant(Box::new(ModelTurn {
                text,
                tool_calls: message.tool_calls.iter().cloned().map(CalledTool::from).collect(),
                ..ModelTurn::default()
            })),
            _ => Turn::User { text, files },
        }
    }

    /// The tool that a call of an id is of.
    fn called(&self, id: Option<&str>) -> String {
        let mut calls = self.turns.iter().rev().flat_map(|turn| match turn {
            Turn::Assistant(answer) => answer.tool_calls.as_slice(),
            _ => &[],
        });
        let call = calls.find(|call| Some(call.id.as_str()) == id);
        call.map(|call| call.name.clone()).unwrap_or_default()
    }

    /// Tells the request that a step was about to make.
    fn add_prepared(&mut self, state: &Value) {
        let texts = |name: &str| state[name].as_array().cloned().unwrap_or_default();
        for instruction in texts("instructions") {
            let text = instruction.as_str().or_else(|| instruction["text"].as_str());
            self.turns.extend(text.map(|text| Turn::System {
                text: text.to_owned(),
            }));
        }
        let prompt = state.get("prompt").filter(|prompt| prompt.is_object());
        for message in texts("context").iter().chain(prompt) {
            let text = message["text"].as_str().unwrap_or_default().to_owned();
            self.turns.push(match message["role"].as_str() {
                Some("assistant") => Turn::Assistant(Box::new(ModelTurn {
                    text,
                    ..ModelTurn::default()
                })),
                Some("system") => Turn::System { text },
                _ => Turn::User {
                    text,
                    files: Vec::new(),
                },
            });
        }
    }
}

fn answer(model: String, response: ModelResponse) -> Turn {
    Turn::Assistant(Box::new(ModelTurn {
        model: Some(model),
        reasoning: response.reasoning,
        text: response.text,
        tool_calls: response.tool_calls.into_iter().map(CalledTool::from).collect(),
        refusal: response.refusal,
        finish_reason: Some(response.finish_reason),
        usage: Some(response.usage),
    }))
}

fn read<T: DeserializeOwned>(view: &RunView, step: &HierarchyPath, value: Value) -> Result<T, RunError> {
    serde_json::from_value(value).map_err(|error| RunError::Unreadable {
        path: view.dir_of(step).join(layout::MEMO),
        reason: dad_core::internal::in_words(&error),
    })
}
