//! Ids of traces and spans, derived from runs and paths.

use opentelemetry::trace::{SpanId, TraceId};

/// The trace of a run: derived from its id, so that every process that writes about the run writes to one trace.
pub(crate) fn trace_id(run_id: &str) -> TraceId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(run_id.as_bytes()).as_bytes()[..16]);
    TraceId::from_bytes(bytes)
}

/// The span of a step or component in one session of a run; the empty path is the session itself. Each session has spans
/// of its own, because a component that is entered again begins and ends again.
pub(crate) fn span_id(run_id: &str, session: u32, path: &str) -> SpanId {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(run_id.as_bytes())
        .update(b"\n")
        .update(session.to_string().as_bytes())
        .update(b"\n")
        .update(path.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    SpanId::from_bytes(bytes)
}
