//! Ids of traces and spans, derived from runs and paths.

use dad_core::HierarchyPath;
use dad_events::ActivityId;
use opentelemetry::trace::{SpanId, TraceId};

/// The trace of a run: derived from its id, so that every process that writes about the run writes to one trace.
pub(crate) fn trace_id(run_id: &str) -> TraceId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(run_id.as_bytes()).as_bytes()[..16]);
    TraceId::from_bytes(bytes)
}

/// The name of a span among those of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SpanKey {
    /// The session itself.
    Session,
    /// A component, iteration, branch or step.
    Path(HierarchyPath),
    /// An attempt of a step.
    Attempt(HierarchyPath, u32),
    /// Work inside a step.
    Activity(ActivityId),
    /// The time in which a question waits for its answer.
    Question(String),
}

/// The spans of one session of a run. Each session has spans of its own, because a component that is entered again begins and
/// ends again.
#[derive(Clone, Debug)]
pub(crate) struct SessionIds {
    /// The hash of the run and the session, to which the names of spans are added.
    hasher: blake3::Hasher,
}

impl SessionIds {
    pub(crate) fn new(run_id: &str, session: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(run_id.as_bytes())
            .update(b"\n")
            .update(session.to_string().as_bytes())
            .update(b"\n");
        Self { hasher }
    }

    pub(crate) fn span(&self, key: &SpanKey) -> SpanId {
        match key {
            SpanKey::Session => self.named("", &[]),
            SpanKey::Path(path) => self.path(path.as_str()),
            SpanKey::Attempt(path, attempt) => {
                self.named(path.as_str(), format!("\nattempt {attempt}").as_bytes())
            }
            SpanKey::Activity(id) => self.named("", format!("\nactivity {id}").as_bytes()),
            SpanKey::Question(id) => self.named("", format!("\nquestion {id}").as_bytes()),
        }
    }

    /// The span of a step or component; the empty path is the session itself.
    pub(crate) fn path(&self, path: &str) -> SpanId {
        self.named(path, &[])
    }

    fn named(&self, path: &str, rest: &[u8]) -> SpanId {
        let mut hasher = self.hasher.clone();
        hasher.update(path.as_bytes()).update(rest);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        SpanId::from_bytes(bytes)
    }
}
