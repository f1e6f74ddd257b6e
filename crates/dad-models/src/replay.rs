//! A model client that replays recorded exchanges.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dad_core::{Digest, HierarchyPath, Usage};
use dad_run::layout::MEMO;
use dad_run::reuse::Normaliser;
use dad_run::{MemoLine, RunView};
use parking_lot::Mutex;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::client::{CallContext, ModelClient, OfflineClient};
use crate::error::ModelError;
use crate::price::Price;
use crate::request::ModelRequest;
use crate::response::ModelResponse;
use crate::web::{WEB_EXCHANGE, WebAnswer, WebRequest};

/// The name of model calls among the memos of a step.
pub const MODEL_CALL: &str = "model_call";

/// The name of requests among the memos of a step to which a model gave no answer, so that the next model was asked.
pub const MODEL_FAILED: &str = "model_failed";

/// Answers from recorded exchanges. No network is used.
///
/// ```no_run
/// use dad_models::{Models, ReplayClient};
///
/// let recorded = ReplayClient::of_run("runs/run_20251123_141516_9f3a1c".as_ref())?;
/// let models = Models::offline(recorded); // for a run that uses no network
/// # let _ = models;
/// # Ok::<(), dad_models::ModelError>(())
/// ```
#[derive(Clone)]
pub struct ReplayClient {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Cassette(Cassette),
    Run(Arc<Recorded>),
}

/// The memo files of a directory laid out like a run. An exchange is found by the step that asks and the number of its
/// call, so that a recording can be replayed when the prompt has changed; the caller gets the difference.
#[derive(Clone)]
struct Cassette {
    dir: PathBuf,
    tell: Arc<dyn Fn(&ReplayNote) + Send + Sync>,
}

/// Says that an answer was recorded, and how much its request differed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// A client that answers from `cassette`, a directory laid out like a run directory, by step and number of the call,
    /// and calls `tell` with each answer it gives.
    pub fn new(cassette: impl Into<PathBuf>, tell: impl Fn(&ReplayNote) + Send + Sync + 'static) -> Self {
        let (dir, tell) = (cassette.into(), Arc::new(tell));
        Self {
            source: Source::Cassette(Cassette { dir, tell }),
        }
    }

    /// A client that answers from a run, whichever step asks: by the digest of the request, in which run ids and
    /// directories do not count. What the run did not ask is an error that shows the most similar request.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn of_run(run_dir: &Path) -> Result<Self, ModelError> {
        let recorded = Arc::new(Recorded::read(run_dir)?);
        Ok(Self {
            source: Source::Run(recorded),
        })
    }
}

impl ReplayClient {
    /// Digest of the exchanges that it answers from: another one says that they are not those of before.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn digest(&self) -> Result<Digest, ModelError> {
        match &self.source {
            Source::Cassette(cassette) => digest_of_directory(&cassette.dir),
            Source::Run(recorded) => Ok(recorded.digest),
        }
    }
}

impl OfflineClient for ReplayClient {}

/// Recorded answers of servers, as a resource of a run that asks none.
#[derive(Clone, Debug)]
pub struct RecordedWeb(ReplayClient);

impl RecordedWeb {
    /// The answers among the exchanges that a client answers from.
    #[must_use]
    pub const fn new(client: ReplayClient) -> Self {
        Self(client)
    }

    /// The recorded answer to a request: in a run whichever step asked it, in a cassette the exchange of that step and number.
    /// The requests are the same, but for run ids and directories.
    ///
    /// # Errors
    /// If none is recorded, or it cannot be read.
    pub fn answer(&self, request: &WebRequest, call: &CallContext) -> Result<WebAnswer, ModelError> {
        let asked = serde_json::to_value(request).map_err(|error| unreadable(PathBuf::from(MEMO), error))?;
        let (line, file) = match &self.0.source {
            Source::Cassette(cassette) => {
                let line = cassette.find(WEB_EXCHANGE, call)?;
                if line.request != asked {
                    return Err(cassette.not_recorded(call));
                }
                (line, cassette.file(call))
            }
            Source::Run(recorded) => {
                let asked = Normaliser::of_places(call.places.iter().cloned()).value(&asked);
                recorded
                    .take(Digest::of_json(&asked))?
                    .ok_or_else(|| ModelError::NotInRun {
                        run: recorded.dir.clone(),
                        path: call.path.to_string(),
                        nearest: None,
                    })?
            }
        };
        serde_json::from_value(line.response).map_err(|error| unreadable(file, error))
    }
}

/// Digest of the exchanges below a directory that is laid out like a run.
fn digest_of_directory(cassette: &Path) -> Result<Digest, ModelError> {
    let mut exchanges = Exchanges::default();
    let mut open = vec![cassette.to_path_buf()];
    while let Some(dir) = open.pop() {
        let failed = |error: std::io::Error| unreadable(dir.clone(), error);
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                open.push(entry.path());
            } else if entry.file_name() == MEMO {
                let step = dir.strip_prefix(cassette).unwrap_or(&dir);
                let lines = lines_of(&entry.path())?;
                lines
                    .iter()
                    .try_for_each(|line| exchanges.add(&step.to_string_lossy(), line))?;
            }
        }
    }
    Ok(exchanges.digest())
}

/// The material of a digest of exchanges: a line for each, with its place and the digest of its content.
#[derive(Default)]
struct Exchanges(BTreeSet<String>);

impl Exchanges {
    fn add(&mut self, step: &str, line: &MemoLine) -> Result<(), ModelError> {
        let text = serde_json::to_vec(line).map_err(|error| unreadable(PathBuf::from(step), error))?;
        self.0
            .insert(format!("{step} {} {}\n", line.number, Digest::of(&text)));
        Ok(())
    }

    fn digest(&self) -> Digest {
        Digest::of(self.0.iter().map(String::as_str).collect::<String>().as_bytes())
    }
}

impl std::fmt::Debug for ReplayClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dir = match &self.source {
            Source::Cassette(cassette) => &cassette.dir,
            Source::Run(recorded) => &recorded.dir,
        };
        f.debug_tuple("ReplayClient").field(dir).finish()
    }
}

#[async_trait]
impl ModelClient for ReplayClient {
    async fn complete(
        &self,
        request: &ModelRequest,
        call: &CallContext,
    ) -> Result<ModelResponse, ModelError> {
        let mut response = match &self.source {
            Source::Cassette(cassette) => cassette.answer(request, call),
            Source::Run(recorded) => recorded.answer(request, call),
        }?;
        // What it took was paid for where it was recorded.
        response.usage = Usage::default().replayed(1);
        Ok(response)
    }

    /// Nothing is paid.
    fn price(&self, _: &str) -> Result<Option<Price>, ModelError> {
        Ok(Some(Price::default()))
    }
}

impl Cassette {
    fn answer(&self, request: &ModelRequest, call: &CallContext) -> Result<ModelResponse, ModelError> {
        let line = self.find(MODEL_CALL, call)?;
        let file = || self.file(call);
        let recorded: ModelRequest =
            serde_json::from_value(line.request).map_err(|e| unreadable(file(), e))?;
        (self.tell)(&note(&self.dir, call, &recorded, request));
        serde_json::from_value(line.response).map_err(|e| unreadable(file(), e))
    }

    fn find(&self, name: &str, call: &CallContext) -> Result<MemoLine, ModelError> {
        let file = self.file(call);
        if !file.is_file() {
            return Err(self.not_recorded(call));
        }
        let lines = MemoLine::read_file(&file).map_err(|error| unreadable(file, error))?;
        let fits = |line: &MemoLine| line.name == name && line.number == call.number;
        lines
            .into_iter()
            .find(fits)
            .ok_or_else(|| self.not_recorded(call))
    }

    fn file(&self, call: &CallContext) -> PathBuf {
        self.dir.join(call.path.to_relative_dir()).join(MEMO)
    }

    fn not_recorded(&self, call: &CallContext) -> ModelError {
        ModelError::NotRecorded {
            cassette: self.dir.clone(),
            path: call.path.to_string(),
            number: call.number,
        }
    }
}

fn unreadable(path: PathBuf, reason: impl std::fmt::Display) -> ModelError {
    ModelError::Unreadable {
        path,
        reason: reason.to_string(),
    }
}

/// The exchanges of a run, by the digest of their requests.
struct Recorded {
    dir: PathBuf,
    normaliser: Normaliser,
    digest: Digest,
    /// Of equal requests the answers in the order in which they were given.
    by_digest: HashMap<Digest, Vec<Place>>,
    /// The number of answers that were given to each request.
    given: Mutex<HashMap<Digest, usize>>,
}

/// The place of an exchange: nothing is kept that can be read back.
#[derive(Clone)]
struct Place {
    step: HierarchyPath,
    /// The kind of the exchange, and its number among those of the step.
    name: String,
    number: u32,
}

impl Recorded {
    fn read(run_dir: &Path) -> Result<Self, ModelError> {
        let view = RunView::open(run_dir).map_err(|error| unreadable(run_dir.to_path_buf(), error))?;
        let normaliser = Normaliser::of_places(view.places());
        let mut by_digest: HashMap<Digest, Vec<Place>> = HashMap::new();
        let mut exchanges = Exchanges::default();
        for step in view.steps() {
            for line in exchanges_of(run_dir, &step.path)? {
                exchanges.add(step.path.as_str(), &line)?;
                let place = Place {
                    step: step.path.clone(),
                    name: line.name.clone(),
                    number: line.number,
                };
                let digest = Digest::of_json(&normaliser.value(&line.request));
                by_digest.entry(digest).or_default().push(place);
            }
        }
        Ok(Self {
            dir: run_dir.to_path_buf(),
            normaliser,
            digest: exchanges.digest(),
            by_digest,
            given: Mutex::default(),
        })
    }

    fn answer(&self, request: &ModelRequest, call: &CallContext) -> Result<ModelResponse, ModelError> {
        let asked = serde_json::to_value(request).map_err(|error| ModelError::Request {
            model: request.model.clone(),
            reason: error.to_string(),
        })?;
        let asked = Normaliser::of_places(call.places.iter().cloned()).value(&asked);
        let digest = Digest::of_json(&asked);
        let Some((line, file)) = self.take(digest)? else {
            return Err(ModelError::NotInRun {
                run: self.dir.clone(),
                path: call.path.to_string(),
                nearest: self.nearest(&asked, call)?,
            });
        };
        if line.name == MODEL_FAILED {
            let reason = line.response.get("message").and_then(Value::as_str);
            return Err(ModelError::FailedInRun {
                model: request.model.clone(),
                reason: reason.unwrap_or_default().to_owned(),
            });
        }
        serde_json::from_value(line.response).map_err(|error| unreadable(file, error))
    }

    /// The exchange whose turn it is among those of one request, and the file in which it stands.
    fn take(&self, digest: Digest) -> Result<Option<(MemoLine, PathBuf)>, ModelError> {
        let Some(places) = self.by_digest.get(&digest) else {
            return Ok(None);
        };
        let turn = {
            let mut given = self.given.lock();
            let turn = given.entry(digest).or_default();
            *turn += 1;
            *turn - 1
        };
        // A request beyond those of the recorded run gets its last answer.
        let place = &places[turn.min(places.len() - 1)];
        let file = self.dir.join(place.step.to_relative_dir()).join(MEMO);
        match self.line(place)? {
            Some(line) => Ok(Some((line, file))),
            None => Err(unreadable(file, "the exchange is gone")),
        }
    }

    fn line(&self, place: &Place) -> Result<Option<MemoLine>, ModelError> {
        let mut lines = exchanges_of(&self.dir, &place.step)?.into_iter();
        Ok(lines.find(|line| line.name == place.name && line.number == place.number))
    }

    /// The recorded request that is most like this one, of equals that of the same step, and how it differs. Run ids and
    /// directories stand as the names of their variables, because they do not count.
    fn nearest(&self, asked: &Value, call: &CallContext) -> Result<Option<(String, String)>, ModelError> {
        let Some(now) = described(asked.clone()) else {
            return Ok(None);
        };
        let mut best: Option<(f32, String, String)> = None;
        for place in self.by_digest.values().flatten() {
            let Some(line) = self.line(place)?.filter(|line| line.name == MODEL_CALL) else {
                continue;
            };
            let Some(recorded) = described(self.normaliser.value(&line.request)) else {
                continue;
            };
            let diff = TextDiff::from_lines(&recorded, &now);
            // Small enough to decide between equals only.
            let here = if place.step == call.path { 1e-6 } else { 0.0 };
            let likeness = diff.ratio() + here;
            if best.as_ref().is_none_or(|(most, ..)| likeness > *most) {
                let shown = diff.unified_diff().context_radius(1).to_string();
                best = Some((likeness, place.step.to_string(), shorten(&shown)));
            }
        }
        Ok(best.map(|(_, step, differences)| (step, differences)))
    }
}

/// The exchanges of a step.
fn exchanges_of(run_dir: &Path, step: &HierarchyPath) -> Result<Vec<MemoLine>, ModelError> {
    let file = run_dir.join(step.to_relative_dir()).join(MEMO);
    if file.is_file() {
        lines_of(&file)
    } else {
        Ok(Vec::new())
    }
}

/// The exchanges in a file of memos that can be replayed.
fn lines_of(file: &Path) -> Result<Vec<MemoLine>, ModelError> {
    let mut lines = MemoLine::read_file(file).map_err(|error| unreadable(file.to_path_buf(), error))?;
    lines.retain(|line| [MODEL_CALL, MODEL_FAILED, WEB_EXCHANGE].contains(&line.name.as_str()));
    Ok(lines)
}

/// A request in lines, all that counts in it.
fn described(request: Value) -> Option<String> {
    let request: ModelRequest = serde_json::from_value(request).ok()?;
    let options = serde_json::to_string_pretty(&request.options).ok()?;
    Some(format!(
        "model: {}\n{}\noptions: {options}\n",
        request.model,
        text_of(&request)
    ))
}

/// As much of the differences as a message can hold.
fn shorten(text: &str) -> String {
    const LINES: usize = 40;
    let mut lines: Vec<&str> = text.lines().take(LINES).collect();
    if text.lines().nth(LINES).is_some() {
        lines.push("…");
    }
    lines.join("\n")
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
    let system = request.system.iter().map(|instruction| &instruction.text);
    system
        .chain(messages)
        .fold(String::new(), |text, part| text + part + "\n")
}
