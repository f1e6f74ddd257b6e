//! Events of a run: their types, and the information about the run that each carries.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use dad_core::{
    ComponentKind, ElementId, ErrorInfo, HierarchyPath, NodeType, RunId, RunStatus, SecretRegistry,
    StatusCounts, StepStatus, Timestamp, UnknownWord, Usage,
};
use derive_setters::Setters;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::activity::{ActivityEnded, ActivityStarted, PartEnded, PartStarted};
use crate::ask::{AskError, settings_as};
use crate::handler::EventPayload;
use crate::reader::ResultReader;
use crate::seconds::seconds;

/// The kinds of events, by the names they have in `pre_events` and in the original system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventType {
    /// A node asks for its input.
    NodeInputRequired,
    /// A component asks for its input before it is entered.
    ComponentInputRequired,
    /// A step or component that is about to begin needs a person's approval.
    ApprovalRequired,
    /// A node begins to execute.
    NodeExecutionStarted,
    /// A node ended well; its files are in place.
    NodeExecutionCompleted,
    /// A node ended otherwise.
    NodeExecutionFailed,
    /// A component is entered.
    ComponentExecutionStarted,
    /// A component ended well.
    ComponentExecutionCompleted,
    /// A component ended otherwise.
    ComponentExecutionFailed,
    /// A process begins to drive the run.
    RunStarted,
    /// The run is sealed as completed or waiting.
    RunCompleted,
    /// The run is sealed otherwise.
    RunFailed,
    /// Something else about the run's progress, for displays.
    TraceUpdate,
    /// An event of the application.
    Custom,
}

impl EventType {
    /// The name used in definitions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeInputRequired => "node_input_required",
            Self::ComponentInputRequired => "component_input_required",
            Self::ApprovalRequired => "approval_required",
            Self::NodeExecutionStarted => "node_execution_started",
            Self::NodeExecutionCompleted => "node_execution_completed",
            Self::NodeExecutionFailed => "node_execution_failed",
            Self::ComponentExecutionStarted => "component_execution_started",
            Self::ComponentExecutionCompleted => "component_execution_completed",
            Self::ComponentExecutionFailed => "component_execution_failed",
            Self::RunStarted => "run_started",
            Self::RunCompleted => "run_completed",
            Self::RunFailed => "run_failed",
            Self::TraceUpdate => "trace_update",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        const ALL: &[EventType] = &[
            EventType::NodeInputRequired,
            EventType::ComponentInputRequired,
            EventType::ApprovalRequired,
            EventType::NodeExecutionStarted,
            EventType::NodeExecutionCompleted,
            EventType::NodeExecutionFailed,
            EventType::ComponentExecutionStarted,
            EventType::ComponentExecutionCompleted,
            EventType::ComponentExecutionFailed,
            EventType::RunStarted,
            EventType::RunCompleted,
            EventType::RunFailed,
            EventType::TraceUpdate,
            EventType::Custom,
        ];
        UnknownWord::find(word, "type of an event", ALL)
    }
}

/// The run that an event belongs to.
#[derive(Clone, Debug, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct RunInfo {
    /// The id of the run.
    pub run_id: RunId,
    /// The id of its root component.
    pub root_id: ElementId,
    /// Its directory, absolute.
    pub run_dir: PathBuf,
    /// The directory of observers, absolute; exists when the first event is published.
    pub trace_dir: PathBuf,
    /// Which of the processes that drive the run one after the other this is, from 1.
    pub session: u32,
    /// The run it was started from.
    pub previous_run_id: Option<RunId>,
    /// The run's secrets, which mask text that did not come through the run before it is written.
    pub secrets: SecretRegistry,
    /// Reads what the run has around a step.
    pub reader: ResultReader,
}

impl RunInfo {
    /// A run that one process drives, without secrets and without a reader of its results. Both directories are absolute.
    #[must_use]
    pub fn new(run_id: RunId, root_id: ElementId, run_dir: PathBuf, trace_dir: PathBuf) -> Self {
        Self {
            run_id,
            root_id,
            run_dir,
            trace_dir,
            session: 1,
            previous_run_id: None,
            secrets: SecretRegistry::new(),
            reader: ResultReader::default(),
        }
    }

    /// The path of its root component.
    #[must_use]
    pub fn root_path(&self) -> HierarchyPath {
        HierarchyPath::root(&self.root_id)
    }
}

/// Something that happened in a run.
///
/// It serialises to the form of `docs/format/event.schema.json`, which names the run by its id.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The number of its journal record, `None` if it has none.
    pub seq: Option<u64>,
    /// When it happened.
    pub at: Timestamp,
    /// The run of the event.
    pub run: Arc<RunInfo>,
    /// The event itself.
    pub body: EventBody,
}

impl Event {
    /// An event of a run; `seq` is the number of its journal record, if it has one.
    #[must_use]
    pub fn new(seq: Option<u64>, at: Timestamp, run: Arc<RunInfo>, body: EventBody) -> Self {
        Self { seq, at, run, body }
    }
}

impl Event {
    /// The step or component that it is about; `None` if it is about the run.
    #[must_use]
    pub fn path(&self) -> Option<&HierarchyPath> {
        match &self.body {
            EventBody::RunStarted(_) | EventBody::RunEnded(_) => None,
            EventBody::QuestionAsked(asked) => Some(&asked.path),
            EventBody::QuestionAnswered(answered) => Some(&answered.path),
            EventBody::PartStarted(started) => Some(&started.path),
            EventBody::PartEnded(ended) => Some(&ended.path),
            EventBody::ActivityStarted(started) => Some(&started.path),
            EventBody::ActivityEnded(ended) => Some(&ended.path),
            EventBody::ComponentStarted(started) => Some(&started.path),
            EventBody::ComponentEnded(ended) => Some(&ended.path),
            EventBody::StepStarted(started) => Some(&started.path),
            EventBody::AttemptFailed(failed) => Some(&failed.path),
            EventBody::StepEnded(ended) => Some(&ended.path),
            EventBody::TextStreamed(streamed) => Some(&streamed.path),
            EventBody::Custom(custom) => custom.path.as_ref(),
        }
    }

    /// The settings of the node that it is about, as a type, templates not rendered.
    ///
    /// # Errors
    /// [`AskError::Settings`] if a field does not fit, for example because a template stands where the type has a
    /// number, or if it is not about a node.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, AskError> {
        let path = self.path().cloned().unwrap_or_else(|| self.run.root_path());
        match self.run.reader.settings(&path) {
            Some(settings) => settings_as(&path, settings),
            None => Err(AskError::Settings {
                path,
                reason: "it is no node".to_owned(),
            }),
        }
    }

    /// The result of a step that the one it is about could refer to by `$hier{name}`; `None` if it was skipped or not
    /// reached.
    ///
    /// # Errors
    /// If there is no such step, or its result cannot be read.
    pub fn result(&self, name: &str) -> Result<Option<Value>, String> {
        match self.path() {
            Some(path) => self.run.reader.result(path, name),
            None => self.run.reader.result(&self.run.root_path(), name),
        }
    }

    /// The input that the previous run was given for the step or component.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn previous_input(&self) -> Result<Option<Value>, String> {
        let read = |path| self.run.reader.previous_input(path);
        self.path().map_or(Ok(None), read)
    }

    /// The kind of the event.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        match &self.body {
            EventBody::RunStarted(_) => EventType::RunStarted,
            EventBody::RunEnded(ended) => match ended.status {
                RunStatus::Completed | RunStatus::Waiting => EventType::RunCompleted,
                _ => EventType::RunFailed,
            },
            EventBody::ComponentStarted(_) => EventType::ComponentExecutionStarted,
            EventBody::ComponentEnded(ended) if ended.status.is_failure() => {
                EventType::ComponentExecutionFailed
            }
            EventBody::ComponentEnded(_) => EventType::ComponentExecutionCompleted,
            EventBody::StepStarted(_) => EventType::NodeExecutionStarted,
            EventBody::StepEnded(ended) if ended.status.is_failure() => EventType::NodeExecutionFailed,
            EventBody::StepEnded(_) => EventType::NodeExecutionCompleted,
            EventBody::AttemptFailed(_)
            | EventBody::QuestionAsked(_)
            | EventBody::QuestionAnswered(_)
            | EventBody::PartStarted(_)
            | EventBody::PartEnded(_)
            | EventBody::ActivityStarted(_)
            | EventBody::ActivityEnded(_)
            | EventBody::TextStreamed(_) => EventType::TraceUpdate,
            EventBody::Custom(_) => EventType::Custom,
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            event: EventType,
            #[serde(skip_serializing_if = "Option::is_none")]
            seq: Option<u64>,
            at: Timestamp,
            run_id: &'a RunId,
            #[serde(flatten)]
            body: &'a EventBody,
        }
        let written = Written {
            event: self.event_type(),
            seq: self.seq,
            at: self.at,
            run_id: &self.run.run_id,
            body: &self.body,
        };
        written.serialize(serializer)
    }
}

/// The event itself.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventBody {
    /// A process begins to drive the run.
    RunStarted(RunStarted),
    /// The run is sealed.
    RunEnded(RunEnded),
    /// A step asks, and no handler in the process answers.
    QuestionAsked(QuestionAsked),
    /// A question was answered, or its answer was known without asking.
    QuestionAnswered(QuestionAnswered),
    /// An iteration of a loop or a branch of a conditional begins; it has no journal record.
    PartStarted(PartStarted),
    /// An iteration of a loop or a branch of a conditional ended; it has no journal record.
    PartEnded(PartEnded),
    /// Work inside a step begins; it has no journal record.
    ActivityStarted(ActivityStarted),
    /// Work inside a step ended; it has no journal record.
    ActivityEnded(ActivityEnded),
    /// A component is entered.
    ComponentStarted(ComponentStarted),
    /// A component is left.
    ComponentEnded(ComponentEnded),
    /// A step begins to execute.
    StepStarted(StepStarted),
    /// An attempt failed and another will follow.
    AttemptFailed(AttemptFailed),
    /// A step ended; its files are in place.
    StepEnded(StepEnded),
    /// A piece of a text that a step is about to have in its outcome; it has no journal record.
    TextStreamed(TextStreamed),
    /// An event of the application.
    Custom(Custom),
}

/// A process begins to drive the run.
#[derive(Clone, Debug, Serialize, Setters)]
#[non_exhaustive]
pub struct RunStarted {
    /// Whether the run had been started before.
    pub resumed: bool,
    /// The number of steps in the definition, loops not unrolled.
    pub steps: usize,
    /// For a re-run: what is reused and what executes, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub plan: Option<String>,
}

impl RunStarted {
    /// The start of a run whose definition has so many steps.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        Self {
            resumed: false,
            steps,
            plan: None,
        }
    }
}

/// The run is sealed.
#[derive(Clone, Debug, Serialize, Setters)]
#[non_exhaustive]
pub struct RunEnded {
    /// The status that it ended with.
    pub status: RunStatus,
    /// Why, if not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub error: Option<ErrorInfo>,
    /// The numbers of its steps by status.
    pub counts: StatusCounts,
    /// The consumption of its executed steps.
    pub usage: Usage,
    /// Since this process began to drive it.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
}

impl RunEnded {
    /// The end of a run without steps.
    #[must_use]
    pub fn new(status: RunStatus) -> Self {
        Self {
            status,
            error: None,
            counts: StatusCounts::default(),
            usage: Usage::default(),
            duration: Duration::ZERO,
        }
    }
}

/// A component is entered.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ComponentStarted {
    /// Its place.
    pub path: HierarchyPath,
    /// Agent or flow.
    pub kind: ComponentKind,
}

impl ComponentStarted {
    /// The start of the component at `path`.
    #[must_use]
    pub fn new(path: HierarchyPath, kind: ComponentKind) -> Self {
        Self { path, kind }
    }
}

/// A component is left.
#[derive(Clone, Debug, Serialize, Setters)]
#[non_exhaustive]
pub struct ComponentEnded {
    /// Its place.
    pub path: HierarchyPath,
    /// Agent or flow.
    pub kind: ComponentKind,
    /// The status that it ended with.
    pub status: StepStatus,
    /// The numbers of its steps by status.
    pub counts: StatusCounts,
    /// The consumption of its executed steps.
    pub usage: Usage,
    /// Since it was entered.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// Why it ended otherwise than well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub error: Option<ErrorInfo>,
}

impl ComponentEnded {
    /// The end of the component at `path`, without steps.
    #[must_use]
    pub fn new(path: HierarchyPath, kind: ComponentKind, status: StepStatus) -> Self {
        Self {
            path,
            kind,
            status,
            counts: StatusCounts::default(),
            usage: Usage::default(),
            duration: Duration::ZERO,
            error: None,
        }
    }
}

/// A step begins to execute.
#[derive(Clone, Debug, Serialize, Setters)]
#[non_exhaustive]
pub struct StepStarted {
    /// Its place.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
    /// From 1.
    pub attempt: u32,
    /// Whether its definition allows another attempt after one that fails.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_retry: bool,
}

impl StepStarted {
    /// The start of an attempt, numbered from 1, of the step at `path`.
    #[must_use]
    pub fn new(path: HierarchyPath, node_type: NodeType, attempt: u32) -> Self {
        Self {
            path,
            node_type,
            attempt,
            may_retry: false,
        }
    }
}

/// An attempt failed and another will follow.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AttemptFailed {
    /// Its place.
    pub path: HierarchyPath,
    /// From 1.
    pub attempt: u32,
    /// Why it failed.
    pub error: ErrorInfo,
    /// When the next one begins.
    pub retry_at: Timestamp,
}

impl AttemptFailed {
    /// The failure of an attempt, numbered from 1, and the time of the next one.
    #[must_use]
    pub fn new(path: HierarchyPath, attempt: u32, error: ErrorInfo, retry_at: Timestamp) -> Self {
        Self {
            path,
            attempt,
            error,
            retry_at,
        }
    }
}

/// A step or component asks what can be answered from outside: no handler answers, or one of them asks a person.
#[derive(Clone, Debug, Serialize, Setters)]
#[non_exhaustive]
pub struct QuestionAsked {
    /// Whether a handler asks a person for it now.
    pub at_prompt: bool,
    /// The question's id.
    pub id: String,
    /// The step or component.
    pub path: HierarchyPath,
    /// The kind of answer.
    pub kind: QuestionKind,
}

impl QuestionAsked {
    /// A question that no handler answers.
    #[must_use]
    pub fn new(id: String, path: HierarchyPath, kind: QuestionKind) -> Self {
        Self {
            at_prompt: false,
            id,
            path,
            kind,
        }
    }
}

/// A question was answered, or its answer was known without asking.
#[derive(Clone, Debug, Serialize, Setters)]
#[setters(into, strip_option)]
#[non_exhaustive]
pub struct QuestionAnswered {
    /// The question's id, if one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The step or component.
    pub path: HierarchyPath,
    /// The kind of answer.
    pub kind: QuestionKind,
    /// The party that gave it, for people.
    pub source: String,
}

impl QuestionAnswered {
    /// An answer that a party gave without having been asked by a question with an id.
    #[must_use]
    pub fn new(path: HierarchyPath, kind: QuestionKind, source: impl Into<String>) -> Self {
        Self {
            id: None,
            path,
            kind,
            source: source.into(),
        }
    }
}

/// A piece of a text, as it arrives.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TextStreamed {
    /// The step.
    pub path: HierarchyPath,
    /// The piece, without secrets.
    pub text: String,
}

impl TextStreamed {
    /// A piece of the text of the step at `path`, without secrets.
    #[must_use]
    pub fn new(path: HierarchyPath, text: String) -> Self {
        Self { path, text }
    }
}

/// The kind of answer to a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuestionKind {
    /// The input of a node or component.
    #[default]
    Input,
    /// A person's approval that it executes.
    Approval,
    /// A kind of a newer version.
    #[serde(other)]
    Unknown,
}

impl QuestionKind {
    /// The word in ids and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Approval => "approval",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for QuestionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The origin of a reused result.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, Setters)]
#[non_exhaustive]
pub struct Origin {
    /// The run that executed the step.
    pub run_id: RunId,
    /// The step's place in that run.
    pub path: HierarchyPath,
    /// Which of the processes that drove that run one after the other executed it, from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub session: u32,
}

impl Origin {
    /// The step at `path` of a run that one process drove.
    #[must_use]
    pub fn new(run_id: RunId, path: HierarchyPath) -> Self {
        Self {
            run_id,
            path,
            session: 1,
        }
    }
}

const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_first(session: &u32) -> bool {
    *session <= 1
}

/// A step ended; its files are in place.
#[derive(Clone, Debug, Serialize, Setters)]
#[non_exhaustive]
pub struct StepEnded {
    /// Its place.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
    /// The status that it ended with.
    pub status: StepStatus,
    /// The number of its last attempt, from 1.
    pub attempt: u32,
    /// Of that attempt.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// Its consumption; nothing if reused.
    pub usage: Usage,
    /// The run its result was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub reused_from: Option<Origin>,
    /// The run its result was taken from, with a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub edited_from: Option<Origin>,
    /// Its work, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub summary: Option<String>,
    /// Why it ended otherwise than well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub error: Option<ErrorInfo>,
    /// The directory of its files, absolute.
    pub dir: PathBuf,
}

impl StepEnded {
    /// The end of the first attempt of the step at `path`, whose files are in `dir`, an absolute directory.
    #[must_use]
    pub fn new(path: HierarchyPath, node_type: NodeType, status: StepStatus, dir: PathBuf) -> Self {
        Self {
            path,
            node_type,
            status,
            attempt: 1,
            duration: Duration::ZERO,
            usage: Usage::default(),
            reused_from: None,
            edited_from: None,
            summary: None,
            error: None,
            dir,
        }
    }
}

impl StepEnded {
    /// The origin of its result, changed or not; `None` if it was executed.
    #[must_use]
    pub fn taken_from(&self) -> Option<&Origin> {
        self.reused_from.as_ref().or(self.edited_from.as_ref())
    }

    /// Reads the step's outcome from its file.
    ///
    /// # Errors
    /// If the file is missing or no JSON.
    pub fn outcome(&self) -> std::io::Result<Value> {
        let bytes = std::fs::read(self.dir.join("outcome.json"))?;
        serde_json::from_slice(&bytes).map_err(std::io::Error::from)
    }
}

/// An event of the application.
#[derive(Clone, Debug, Serialize, Setters)]
#[non_exhaustive]
pub struct Custom {
    /// Its name.
    pub name: String,
    /// The path of the step or component that published it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub path: Option<HierarchyPath>,
    /// Its payload.
    pub payload: Value,
}

impl Custom {
    /// An event of the application about the whole run.
    #[must_use]
    pub fn new(name: impl Into<String>, payload: Value) -> Self {
        Self {
            name: name.into(),
            path: None,
            payload,
        }
    }
}

macro_rules! typed_event {
    ($(#[$doc:meta])* $name:ident, $body:ident, $variant:ident, $event_type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Arc<Event>);

        impl $name {
            /// The event as every listener sees it.
            #[must_use]
            pub fn event(&self) -> &Arc<Event> {
                &self.0
            }

            /// The run it happened in.
            #[must_use]
            pub fn run(&self) -> &RunInfo {
                &self.0.run
            }

            /// As [`Event::settings`].
            ///
            /// # Errors
            /// As there.
            pub fn settings<T: DeserializeOwned>(&self) -> Result<T, AskError> {
                self.0.settings()
            }

            /// As [`Event::result`].
            ///
            /// # Errors
            /// As there.
            pub fn result(&self, name: &str) -> Result<Option<Value>, String> {
                self.0.result(name)
            }

            /// As [`Event::previous_input`].
            ///
            /// # Errors
            /// As there.
            pub fn previous_input(&self) -> Result<Option<Value>, String> {
                self.0.previous_input()
            }
        }

        impl Deref for $name {
            type Target = $body;

            fn deref(&self) -> &$body {
                match &self.0.body {
                    EventBody::$variant(body) => body,
                    _ => unreachable!("from_event lets no other body in"),
                }
            }
        }

        impl EventPayload for $name {
            const TYPE: EventType = EventType::$event_type;

            fn from_event(event: &Arc<Event>) -> Option<Self> {
                let fits = matches!(event.body, EventBody::$variant(_)) && event.event_type() == Self::TYPE;
                fits.then(|| Self(Arc::clone(event)))
            }
        }
    };
}

typed_event!(
    /// A run began, or went on.
    RunStartedEvent, RunStarted, RunStarted, RunStarted
);
typed_event!(
    /// A run was sealed as completed or waiting.
    RunCompletedEvent, RunEnded, RunEnded, RunCompleted
);
typed_event!(
    /// A run was sealed as failed or cancelled.
    RunFailedEvent, RunEnded, RunEnded, RunFailed
);
typed_event!(
    /// A component was entered.
    ComponentExecutionStartedEvent, ComponentStarted, ComponentStarted, ComponentExecutionStarted
);
typed_event!(
    /// A component ended well.
    ComponentExecutionCompletedEvent, ComponentEnded, ComponentEnded, ComponentExecutionCompleted
);
typed_event!(
    /// A component ended otherwise.
    ComponentExecutionFailedEvent, ComponentEnded, ComponentEnded, ComponentExecutionFailed
);
typed_event!(
    /// A node began to execute.
    NodeExecutionStartedEvent, StepStarted, StepStarted, NodeExecutionStarted
);
typed_event!(
    /// A node ended well; its files are in place.
    NodeExecutionCompletedEvent, StepEnded, StepEnded, NodeExecutionCompleted
);
typed_event!(
    /// A node ended otherwise.
    NodeExecutionFailedEvent, StepEnded, StepEnded, NodeExecutionFailed
);
typed_event!(
    /// An event of the application.
    CustomEvent, Custom, Custom, Custom
);

/// Something else about the run's progress: an attempt failed and another will follow, a question was asked or answered, an
/// iteration, a branch, or work inside a step began or ended.
#[derive(Clone, Debug)]
pub struct TraceUpdateEvent(Arc<Event>);

impl Deref for TraceUpdateEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.0
    }
}

impl EventPayload for TraceUpdateEvent {
    const TYPE: EventType = EventType::TraceUpdate;

    fn from_event(event: &Arc<Event>) -> Option<Self> {
        (event.event_type() == Self::TYPE).then(|| Self(Arc::clone(event)))
    }
}
