use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dad_core::{
    ComponentKind, ElementId, ErrorInfo, HierarchyPath, NodeType, RunId, RunStatus, SecretRegistry,
    StatusCounts, StepStatus, Timestamp, Usage,
};
use serde_json::Value;

use crate::handler::EventPayload;

/// The kinds of events, by the names they have in `pre_events` and in the original system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// A node asks for its input.
    NodeInputRequired,
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

/// Which run an event belongs to.
#[derive(Clone, Debug)]
pub struct RunIdentity {
    /// The id of the run.
    pub run_id: RunId,
    /// The id of its root component.
    pub root_id: ElementId,
    /// Its directory, absolute.
    pub run_dir: PathBuf,
    /// Where observers write, absolute; exists when the first event is published.
    pub trace_dir: PathBuf,
    /// The run it was started from.
    pub previous_run_id: Option<RunId>,
    /// The run's secrets, to be masked by whoever writes text that did not come through the run.
    pub secrets: SecretRegistry,
}

/// Something that happened in a run.
#[derive(Clone, Debug)]
pub struct Event {
    /// The number of its journal record, `None` if it has none.
    pub seq: Option<u64>,
    /// When it happened.
    pub at: Timestamp,
    /// Where it happened.
    pub run: Arc<RunIdentity>,
    /// What happened.
    pub body: EventBody,
}

impl Event {
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
            EventBody::AttemptFailed(_) => EventType::TraceUpdate,
            EventBody::QuestionAsked(_) => EventType::TraceUpdate,
            EventBody::Custom(_) => EventType::Custom,
        }
    }
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventBody {
    /// A process begins to drive the run.
    RunStarted(RunStarted),
    /// The run is sealed.
    RunEnded(RunEnded),
    /// A step asks, and nobody in the process answers.
    QuestionAsked(QuestionAsked),
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
    /// An event of the application.
    Custom(CustomEvent),
}

/// A process begins to drive the run.
#[derive(Clone, Debug)]
pub struct RunStarted {
    /// Whether the run had been started before.
    pub resumed: bool,
    /// How many steps the definition has, loops not unrolled.
    pub steps: usize,
    /// For a re-run: what is reused and what executes, in one line.
    pub plan: Option<String>,
}

/// The run is sealed.
#[derive(Clone, Debug)]
pub struct RunEnded {
    /// How it ended.
    pub status: RunStatus,
    /// Why, if not well.
    pub error: Option<ErrorInfo>,
    /// How its steps ended.
    pub counts: StatusCounts,
    /// What its executed steps consumed.
    pub usage: Usage,
    /// Since this process began to drive it.
    pub duration: Duration,
}

/// A component is entered.
#[derive(Clone, Debug)]
pub struct ComponentStarted {
    /// Its place.
    pub path: HierarchyPath,
    /// Agent or flow.
    pub kind: ComponentKind,
}

/// A component is left.
#[derive(Clone, Debug)]
pub struct ComponentEnded {
    /// Its place.
    pub path: HierarchyPath,
    /// Agent or flow.
    pub kind: ComponentKind,
    /// How it ended.
    pub status: StepStatus,
    /// How its steps ended.
    pub counts: StatusCounts,
    /// What its executed steps consumed.
    pub usage: Usage,
    /// Since it was entered.
    pub duration: Duration,
    /// Why it ended otherwise than well.
    pub error: Option<ErrorInfo>,
}

/// A step begins to execute.
#[derive(Clone, Debug)]
pub struct StepStarted {
    /// Its place.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
    /// From 1.
    pub attempt: u32,
}

/// An attempt failed and another will follow.
#[derive(Clone, Debug)]
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

/// A step asks, and nobody in the process answers: it waits for somebody outside.
#[derive(Clone, Debug)]
pub struct QuestionAsked {
    /// The question's id.
    pub id: String,
    /// The step.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
}

/// Where a reused result comes from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// The run that executed the step.
    pub run_id: RunId,
    /// The step's place in that run.
    pub path: HierarchyPath,
}

/// A step ended; its files are in place.
#[derive(Clone, Debug)]
pub struct StepEnded {
    /// Its place.
    pub path: HierarchyPath,
    /// The type of its node.
    pub node_type: NodeType,
    /// How it ended.
    pub status: StepStatus,
    /// The number of its last attempt, from 1.
    pub attempt: u32,
    /// Of that attempt.
    pub duration: Duration,
    /// What it consumed; nothing if reused.
    pub usage: Usage,
    /// The run its result was taken from.
    pub reused_from: Option<Origin>,
    /// The run its result was taken from, with a change.
    pub edited_from: Option<Origin>,
    /// What it did, in one line.
    pub summary: Option<String>,
    /// Why it ended otherwise than well.
    pub error: Option<ErrorInfo>,
    /// The directory of its files, absolute.
    pub dir: PathBuf,
}

impl StepEnded {
    /// Where its result was taken from, changed or not; `None` if it was executed.
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
#[derive(Clone, Debug)]
pub struct CustomEvent {
    /// Its name.
    pub name: String,
    /// Where it was published.
    pub path: Option<HierarchyPath>,
    /// What it carries.
    pub payload: Value,
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
            pub fn run(&self) -> &RunIdentity {
                &self.0.run
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
