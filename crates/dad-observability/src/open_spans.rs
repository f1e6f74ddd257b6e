//! The spans of a session that have begun and not ended: as many as are open, not as many as there are.

use std::collections::HashMap;

use dad_core::{ErrorInfo, Timestamp};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::span::{Event as SpanEvent, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::content::is_content;
use crate::genai;
use crate::ids::{SessionIds, SpanKey};
use crate::logs::log_record;
use crate::names;
use crate::otlp::{attribute, nanos};
use crate::settings::LogLevel;

/// The kind of a span, its attribute `dhenara.span`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanType {
    /// The time in which one process drives the run.
    Session,
    /// An agent, a flow, a conditional, a loop or parallel elements.
    Component,
    /// An iteration of a loop.
    Iteration,
    /// A branch of a conditional.
    Branch,
    /// A step.
    Step,
    /// An attempt of a step that may be attempted again.
    Attempt,
    /// A request to a model.
    ModelCall,
    /// A call of a tool.
    ToolCall,
    /// The file operations of a step.
    FileOperation,
    /// A command.
    Command,
    /// The time in which a question waits for its answer.
    Wait,
}

impl SpanType {
    /// The word in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Component => "component",
            Self::Iteration => "iteration",
            Self::Branch => "branch",
            Self::Step => "step",
            Self::Attempt => "attempt",
            Self::ModelCall => "model_call",
            Self::ToolCall => "tool_call",
            Self::FileOperation => "file_operation",
            Self::Command => "command",
            Self::Wait => "wait",
        }
    }

    /// The kind that OpenTelemetry has for it: models are asked over a network.
    pub(crate) const fn span_kind(self) -> SpanKind {
        match self {
            Self::ModelCall => SpanKind::Client,
            _ => SpanKind::Internal,
        }
    }
}

/// Flags of a span: it is recorded, and it is known that its parent is of the same process.
pub(crate) const FLAGS: u32 = 0x101;

/// A span that is about to begin.
pub(crate) struct NewSpan {
    pub(crate) key: SpanKey,
    pub(crate) parent: Option<SpanKey>,
    pub(crate) span: SpanType,
    pub(crate) name: String,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) links: Vec<Link>,
}

/// The end of a span.
#[derive(Default)]
pub(crate) struct SpanEnd<'a> {
    /// Whether it came to its end, and does not wait for an answer.
    pub(crate) is_done: bool,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) error: Option<&'a ErrorInfo>,
}

#[derive(Debug)]
struct Open {
    span_id: SpanId,
    parent: Option<SpanKey>,
    parent_id: Option<SpanId>,
    span: SpanType,
    name: String,
    began: u64,
    /// The latest end of a span inside it: a clock that was set back must not let it end before.
    latest: u64,
    /// The number of spans inside it that are open.
    children: usize,
    /// Whether a call of a model was made in it, which reports what it took.
    has_calls: bool,
    /// The attempt of a step that is open.
    attempt: Option<SpanKey>,
    attributes: Vec<KeyValue>,
    events: Vec<SpanEvent>,
    links: Vec<Link>,
}

/// The open spans of a session, and those that ended and are not written yet.
#[derive(Debug)]
pub(crate) struct OpenSpans {
    trace_id: TraceId,
    ids: SessionIds,
    open: HashMap<SpanKey, Open>,
    done: Vec<Span>,
    /// Records that spans began, which are not written yet.
    begun: Vec<LogRecord>,
}

impl OpenSpans {
    pub(crate) fn new(trace_id: TraceId, ids: SessionIds) -> Self {
        Self {
            trace_id,
            ids,
            open: HashMap::new(),
            done: Vec::new(),
            begun: Vec::new(),
        }
    }

    pub(crate) fn is_open(&self, key: &SpanKey) -> bool {
        self.open.contains_key(key)
    }

    pub(crate) fn begin(&mut self, new: NewSpan, at: Timestamp) {
        let NewSpan {
            key,
            parent,
            span,
            name,
            mut attributes,
            links,
        } = new;
        let span_id = self.ids.span(&key);
        attributes.push(attribute(names::SPAN, span.as_str()));
        let mut began = nanos(at);
        let around = parent.as_ref().and_then(|parent| self.open.get_mut(parent));
        let parent_id = around.map(|around| {
            around.children += 1;
            around.has_calls |= span == SpanType::ModelCall;
            if span == SpanType::Attempt {
                around.attempt = Some(key.clone());
            }
            began = began.max(around.began);
            around.span_id
        });
        self.begun.push(begun_record(
            self.trace_id,
            span_id,
            parent_id,
            &name,
            began,
            &attributes,
        ));
        let open = Open {
            span_id,
            parent,
            parent_id,
            span,
            name,
            began,
            latest: began,
            children: 0,
            has_calls: false,
            attempt: None,
            attributes,
            events: Vec::new(),
            links,
        };
        self.open.insert(key, open);
    }

    /// Adds an event to an open span.
    pub(crate) fn add_event(&mut self, key: &SpanKey, event: SpanEvent) {
        if let Some(open) = self.open.get_mut(key) {
            open.events.push(event);
        }
    }

    /// Whether a model was called in an open span.
    pub(crate) fn has_calls(&self, key: &SpanKey) -> bool {
        self.open.get(key).is_some_and(|open| open.has_calls)
    }

    /// The open attempt of a step.
    pub(crate) fn attempt_in(&self, step: &SpanKey) -> Option<SpanKey> {
        self.open.get(step)?.attempt.clone()
    }

    /// Ends a span. What is still open inside it ends before, without a result of its own.
    pub(crate) fn end(&mut self, key: &SpanKey, at: Timestamp, end: SpanEnd<'_>, left: &str) {
        if self.open.get(key).is_some_and(|open| open.children > 0) {
            self.end_children(key, at, left);
        }
        let Some(open) = self.open.remove(key) else {
            return;
        };
        let SpanEnd {
            is_done,
            attributes,
            error,
        } = end;
        let ended = nanos(at).max(open.latest);
        if let Some(around) = open.parent.as_ref().and_then(|parent| self.open.get_mut(parent)) {
            around.children = around.children.saturating_sub(1);
            around.latest = around.latest.max(ended);
            around.has_calls |= open.has_calls;
            if around.attempt.as_ref() == Some(key) {
                around.attempt = None;
            }
        }
        let mut all = open.attributes;
        all.extend(attributes);
        if let Some(error) = error {
            all.push(attribute(genai::ERROR_TYPE, error.code.clone()));
        }
        self.done.push(Span {
            trace_id: self.trace_id.to_bytes().to_vec(),
            span_id: open.span_id.to_bytes().to_vec(),
            parent_span_id: open.parent_id.map_or_else(Vec::new, |id| id.to_bytes().to_vec()),
            flags: FLAGS,
            name: open.name,
            kind: open.span.span_kind().into(),
            start_time_unix_nano: open.began,
            end_time_unix_nano: ended,
            attributes: all,
            events: open.events,
            links: open.links,
            status: Some(status(error, is_done)),
            ..Span::default()
        });
    }

    fn end_children(&mut self, key: &SpanKey, at: Timestamp, left: &str) {
        let is_inside = |open: &Open| open.parent.as_ref() == Some(key);
        let inside = self.open.iter().filter(|(_, open)| is_inside(open));
        let mut inside: Vec<(u64, SpanKey)> = inside.map(|(key, open)| (open.began, key.clone())).collect();
        inside.sort_by_key(|(began, _)| *began);
        for (_, child) in inside {
            let attributes = vec![attribute(names::STATUS, left.to_owned())];
            let end = SpanEnd {
                attributes,
                ..SpanEnd::default()
            };
            self.end(&child, at, end, left);
        }
    }

    /// The spans that ended since the last call.
    pub(crate) fn take_done(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.done)
    }

    /// The records of spans that began since the last call.
    pub(crate) fn take_begun(&mut self) -> Vec<LogRecord> {
        std::mem::take(&mut self.begun)
    }
}

/// The status of a span: good, failed, or none if it waits.
pub(crate) fn status(error: Option<&ErrorInfo>, is_done: bool) -> Status {
    let (code, message) = match error {
        Some(error) => (StatusCode::Error, error.message.clone()),
        None if is_done => (StatusCode::Ok, String::new()),
        None => (StatusCode::Unset, String::new()),
    };
    Status {
        code: code.into(),
        message,
    }
}

/// The record that a span began, with all that is known of it then: from it a later process closes the span if this one ends
/// before.
fn begun_record(
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: Option<SpanId>,
    name: &str,
    began: u64,
    attributes: &[KeyValue],
) -> LogRecord {
    let mut record = log_record(began, LogLevel::Info, names::SPAN_START, name.to_owned());
    let known = attributes.iter().filter(|attribute| !is_content(&attribute.key));
    record.attributes = known.cloned().collect();
    if let Some(parent_id) = parent_id {
        record
            .attributes
            .push(attribute(names::PARENT_SPAN_ID, parent_id.to_string()));
    }
    record.trace_id = trace_id.to_bytes().to_vec();
    record.span_id = span_id.to_bytes().to_vec();
    record
}
