use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dad_run::MemoLine;
use dad_run::layout::MEMO;
use similar::{ChangeTag, TextDiff};

use crate::client::{CallContext, ModelClient, ModelRequest, ModelResponse};
use crate::error::ModelError;

/// The name of model calls among the memos of a step.
pub(crate) const MODEL_CALL: &str = "model_call";

/// Answers from recorded exchanges: the memo files of a directory laid out like a run. No network is used.
///
/// An exchange is found by the step that asks and the number of its call, so that a recording can be played again
/// when the prompt has changed; who plays it is told how much it differs.
#[derive(Clone)]
pub struct ReplayClient {
    cassette: PathBuf,
    tell: Arc<dyn Fn(&ReplayNote) + Send + Sync>,
}

/// Says that an answer was recorded, and how much its request differed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayNote {
    /// The directory of recorded exchanges.
    pub cassette: PathBuf,
    /// The step that asks.
    pub path: String,
    /// Its call, from 1.
    pub number: u32,
    /// Lines of the request that are not in the recorded one, and the other way round.
    pub lines_differ: usize,
    /// Lines of the request.
    pub lines: usize,
}

impl std::fmt::Display for ReplayNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            cassette,
            path,
            number,
            lines_differ,
            lines,
        } = self;
        let cassette = cassette.display();
        write!(
            f,
            "{path}: call {number} is answered from {cassette}, matched by path and call number; "
        )?;
        match lines_differ {
            0 => write!(f, "the prompt is the recorded one"),
            differ => write!(
                f,
                "{differ} lines differ between this prompt of {lines} lines and the recorded one"
            ),
        }
    }
}

impl ReplayClient {
    /// A client that answers from `cassette`, a directory laid out like a run directory, and calls `tell` with
    /// each answer it gives.
    pub fn new(cassette: impl Into<PathBuf>, tell: impl Fn(&ReplayNote) + Send + Sync + 'static) -> Self {
        Self {
            cassette: cassette.into(),
            tell: Arc::new(tell),
        }
    }

    fn find(&self, call: &CallContext) -> Result<MemoLine, ModelError> {
        let not_recorded = || ModelError::NotRecorded {
            cassette: self.cassette.clone(),
            path: call.path.to_string(),
            number: call.number,
        };
        let file = self.cassette.join(call.path.to_relative_dir()).join(MEMO);
        if !file.is_file() {
            return Err(not_recorded());
        }
        let lines = MemoLine::read_file(&file).map_err(|error| ModelError::Unreadable {
            path: file,
            reason: error.to_string(),
        })?;
        let fits = |line: &MemoLine| line.name == MODEL_CALL && line.number == call.number;
        lines.into_iter().find(fits).ok_or_else(not_recorded)
    }
}

impl std::fmt::Debug for ReplayClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplayClient")
            .field("cassette", &self.cassette)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ModelClient for ReplayClient {
    async fn complete(
        &self,
        request: &ModelRequest,
        call: &CallContext,
    ) -> Result<ModelResponse, ModelError> {
        let line = self.find(call)?;
        let unreadable = |error: serde_json::Error| ModelError::Unreadable {
            path: self.cassette.join(call.path.to_relative_dir()).join(MEMO),
            reason: error.to_string(),
        };
        let recorded: ModelRequest = serde_json::from_value(line.request).map_err(unreadable)?;
        (self.tell)(&note(&self.cassette, call, &recorded, request));
        serde_json::from_value(line.response).map_err(unreadable)
    }
}

fn note(cassette: &Path, call: &CallContext, recorded: &ModelRequest, request: &ModelRequest) -> ReplayNote {
    let (old, new) = (text_of(recorded), text_of(request));
    let diff = TextDiff::from_lines(&old, &new);
    ReplayNote {
        cassette: cassette.to_path_buf(),
        path: call.path.to_string(),
        number: call.number,
        lines_differ: diff
            .iter_all_changes()
            .filter(|change| change.tag() != ChangeTag::Equal)
            .count(),
        lines: new.lines().count(),
    }
}

/// All text of a request, a message after the other.
fn text_of(request: &ModelRequest) -> String {
    let messages = request.messages.iter().map(|message| &message.text);
    request
        .system
        .iter()
        .chain(messages)
        .fold(String::new(), |text, part| text + part + "\n")
}
