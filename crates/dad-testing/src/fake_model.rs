//! A model client that answers from a script.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dad_models::{CallContext, ModelClient, ModelError, ModelRequest, ModelResponse, OfflineClient};
use parking_lot::Mutex;

use crate::fake_answer::FakeAnswer;

/// The beginning of a prompt that an error shows, in characters.
const SHOWN: usize = 80;

/// A model client that answers from a script, without network, and records the requests. Clones share script and record.
///
/// ```
/// use dad_testing::{FakeAnswer, FakeModel};
/// use serde_json::json;
///
/// // Answers in order: a call of a tool, then a text.
/// let model = FakeModel::answering([
///     FakeAnswer::tool_call("weather", json!({ "city": "Oslo" })),
///     "It rains.".into(),
/// ]);
/// // Answers by the request, for steps that ask at the same time.
/// let echo = FakeModel::by(|request| request.model.clone());
/// # assert_eq!((model.unused(), echo.unused()), (2, 0));
/// ```
///
/// A request beyond the last answer fails the step that makes it, with an error that says which request it was.
#[derive(Clone)]
pub struct FakeModel(Arc<Shared>);

struct Shared {
    script: Script,
    requests: Mutex<Vec<ModelRequest>>,
}

enum Script {
    InOrder {
        answers: Mutex<VecDeque<FakeAnswer>>,
        total: usize,
    },
    By(Box<dyn Fn(&ModelRequest) -> FakeAnswer + Send + Sync>),
}

impl FakeModel {
    /// A client that gives these answers in their order, one to each request.
    pub fn answering(answers: impl IntoIterator<Item = impl Into<FakeAnswer>>) -> Self {
        let answers: VecDeque<FakeAnswer> = answers.into_iter().map(Into::into).collect();
        Self::new(Script::InOrder {
            total: answers.len(),
            answers: Mutex::new(answers),
        })
    }

    /// A client that answers each request by a function.
    pub fn by<A: Into<FakeAnswer>>(answer: impl Fn(&ModelRequest) -> A + Send + Sync + 'static) -> Self {
        Self::new(Script::By(Box::new(move |request| answer(request).into())))
    }

    fn new(script: Script) -> Self {
        Self(Arc::new(Shared {
            script,
            requests: Mutex::default(),
        }))
    }

    /// The requests so far, in the order in which they came; refused ones too.
    #[must_use]
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.0.requests.lock().clone()
    }

    /// The text of the last message of each request.
    #[must_use]
    pub fn prompts(&self) -> Vec<String> {
        self.0.requests.lock().iter().map(prompt).collect()
    }

    /// The number of answers that no request has taken yet.
    #[must_use]
    pub fn unused(&self) -> usize {
        match &self.0.script {
            Script::InOrder { answers, .. } => answers.lock().len(),
            Script::By(_) => 0,
        }
    }
}

#[async_trait]
impl ModelClient for FakeModel {
    async fn complete(
        &self,
        request: &ModelRequest,
        call: &CallContext,
    ) -> Result<ModelResponse, ModelError> {
        let number = {
            let mut requests = self.0.requests.lock();
            requests.push(request.clone());
            requests.len()
        };
        let answer = match &self.0.script {
            Script::By(answer) => answer(request),
            Script::InOrder { answers, total } => {
                let next = answers.lock().pop_front();
                next.ok_or_else(|| too_many(request, call, number, *total))?
            }
        };
        answer.answer(request, number)
    }
}

impl OfflineClient for FakeModel {}

impl fmt::Debug for FakeModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeModel")
            .field("requests", &self.0.requests.lock().len())
            .field("unused", &self.unused())
            .finish()
    }
}

fn prompt(request: &ModelRequest) -> String {
    let last = request.messages.last();
    last.map(|message| message.text.clone()).unwrap_or_default()
}

fn too_many(request: &ModelRequest, call: &CallContext, number: usize, total: usize) -> ModelError {
    let prompt: String = prompt(request).chars().take(SHOWN).collect();
    ModelError::Request {
        model: request.model.clone(),
        reason: format!(
            "the script of the fake model has {total} answers, and this is request {number}: call {} of `{}`, whose prompt \
             begins `{prompt}`; give `FakeModel::answering` one more answer, or use `FakeModel::by`",
            call.number, call.path,
        ),
    }
}
