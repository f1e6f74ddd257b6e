//! Spans of a run, made from its events.

use std::sync::Arc;

use dad_core::{ComponentKind, ErrorInfo, HierarchyPath, RunStatus, Segment, StepStatus, Timestamp};
use dad_events::{
    ActivityEnded, ActivityStarted, AttemptFailed, ComponentEnded, ComponentStarted, Event, EventBody,
    Origin, QuestionAnswered, QuestionAsked, RunEnded, RunInfo, StepEnded, StepStarted,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::span::{Event as SpanEvent, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use crate::attributes;
use crate::content::Capture;
use crate::genai;
use crate::ids::{SessionIds, SpanKey, trace_id};
use crate::names;
use crate::open_spans::{NewSpan, OpenSpans, SpanEnd, SpanType};
use crate::otlp::{attribute, integer, nanos, scope};

/// Makes spans from the events of one run.
#[derive(Debug)]
pub(crate) struct Traces {
    run: Arc<RunInfo>,
    capture: Capture,
    spans: OpenSpans,
}

impl Traces {
    pub(crate) fn new(run: Arc<RunInfo>, capture: Capture) -> Self {
        let run_id = run.run_id.as_str();
        let ids = SessionIds::new(run_id, run.session);
        Self {
            spans: OpenSpans::new(trace_id(run_id), ids),
            run,
            capture,
        }
    }

    pub(crate) fn observe(&mut self, event: &Event) {
        let at = event.at;
        match &event.body {
            EventBody::RunStarted(_) => self.session_started(at),
            EventBody::RunEnded(ended) => self.session_ended(event, ended),
            EventBody::ComponentStarted(started) => self.component_started(started, at),
            EventBody::ComponentEnded(ended) => self.component_ended(event, ended),
            EventBody::PartStarted(started) => self.place_started(&started.path, at),
            EventBody::PartEnded(ended) => {
                let key = SpanKey::Path(ended.path.clone());
                self.end_place(&key, event, ended.status, Vec::new(), None);
            }
            EventBody::StepStarted(started) => self.step_started(started, at),
            EventBody::AttemptFailed(failed) => self.attempt_failed(event, failed),
            EventBody::StepEnded(ended) => self.step_ended(event, ended),
            EventBody::QuestionAsked(asked) => self.question_asked(asked, at),
            EventBody::QuestionAnswered(answered) => self.question_answered(answered, at),
            EventBody::ActivityStarted(started) => self.activity_started(started, at),
            EventBody::ActivityEnded(ended) => self.activity_ended(ended, at),
            _ => {}
        }
    }

    fn session_started(&mut self, at: Timestamp) {
        let new = NewSpan {
            key: SpanKey::Session,
            parent: None,
            span: SpanType::Session,
            name: format!("run {}", self.run.root_id),
            attributes: attributes::of_session(&self.run),
            links: self.session_links(),
        };
        self.spans.begin(new, at);
    }

    /// The links of a session: to the one that drove the run before it, and to the run that a re-run was started from.
    fn session_links(&self) -> Vec<Link> {
        let before = (self.run.session > 1)
            .then(|| link("session", self.run.run_id.as_str(), self.run.session - 1, ""));
        let parent = self.run.previous_run_id.as_ref();
        let parent = parent.map(|parent| link("rerun", parent.as_str(), 1, ""));
        before.into_iter().chain(parent).collect()
    }

    fn session_ended(&mut self, event: &Event, ended: &RunEnded) {
        if !self.spans.is_open(&SpanKey::Session) {
            self.session_started(event.at);
        }
        let is_waiting = ended.status == RunStatus::Waiting;
        let mut attributes = vec![attribute(names::STATUS, ended.status.as_str())];
        attributes.extend(event.seq.map(|seq| integer(names::SEQ, seq)));
        let end = SpanEnd {
            is_done: !is_waiting,
            attributes,
            error: ended.error.as_ref(),
        };
        let left = if is_waiting {
            StepStatus::Waiting
        } else {
            StepStatus::Cancelled
        };
        self.spans.end(&SpanKey::Session, event.at, end, left.as_str());
    }

    fn component_started(&mut self, started: &ComponentStarted, at: Timestamp) {
        self.begin_place(
            &started.path,
            SpanType::Component,
            attributes::name_of_component(&started.path, started.kind),
            attributes::of_component(&started.path, started.kind),
            at,
        );
    }

    fn component_ended(&mut self, event: &Event, ended: &ComponentEnded) {
        if !self.spans.is_open(&SpanKey::Path(ended.path.clone())) {
            self.component_started(&ComponentStarted::new(ended.path.clone(), ended.kind), event.at);
        }
        self.end_place(
            &SpanKey::Path(ended.path.clone()),
            event,
            ended.status,
            Vec::new(),
            ended.error.as_ref(),
        );
    }

    /// Begins the span of an iteration or branch, or of a component of which no event told that it began.
    fn place_started(&mut self, path: &HierarchyPath, at: Timestamp) {
        let mut own = vec![attribute(names::PATH, path.as_str().to_owned())];
        let (span, name) = match Segment::of(path.leaf()) {
            Segment::Iteration(index) => {
                own.push(integer(names::ITERATION, index));
                // The number is an attribute: there are as many as the loop is long.
                (SpanType::Iteration, "iteration")
            }
            Segment::Branch(_) => (SpanType::Branch, path.leaf()),
            Segment::Element(id) => (SpanType::Component, id),
        };
        self.begin_place(path, span, name.to_owned(), own, at);
    }

    fn begin_place(
        &mut self,
        path: &HierarchyPath,
        span: SpanType,
        name: String,
        attributes: Vec<KeyValue>,
        at: Timestamp,
    ) {
        let key = SpanKey::Path(path.clone());
        if self.spans.is_open(&key) {
            return;
        }
        let parent = match path.parent() {
            None => SpanKey::Session,
            Some(around) => {
                self.place_around(&around, at);
                SpanKey::Path(around)
            }
        };
        let new = NewSpan {
            key,
            parent: Some(parent),
            span,
            name,
            attributes,
            links: Vec::new(),
        };
        self.spans.begin(new, at);
    }

    /// Begins what is around a place, if no event told that it began: a single step that executes alone is in nothing else.
    fn place_around(&mut self, path: &HierarchyPath, at: Timestamp) {
        if !self.spans.is_open(&SpanKey::Path(path.clone())) {
            self.place_started(path, at);
        }
    }

    fn end_place(
        &mut self,
        key: &SpanKey,
        event: &Event,
        status: StepStatus,
        mut attributes: Vec<KeyValue>,
        error: Option<&ErrorInfo>,
    ) {
        attributes.push(attribute(names::STATUS, status.as_str()));
        attributes.extend(event.seq.map(|seq| integer(names::SEQ, seq)));
        let end = SpanEnd {
            is_done: status != StepStatus::Waiting,
            attributes,
            error,
        };
        self.spans.end(key, event.at, end, status.as_str());
    }

    fn step_started(&mut self, started: &StepStarted, at: Timestamp) {
        self.begin_place(
            &started.path,
            SpanType::Step,
            started.path.leaf().to_owned(),
            attributes::of_step(&started.path, &started.node_type),
            at,
        );
        if started.may_retry {
            let new = NewSpan {
                key: SpanKey::Attempt(started.path.clone(), started.attempt),
                parent: Some(SpanKey::Path(started.path.clone())),
                span: SpanType::Attempt,
                name: "attempt".to_owned(),
                attributes: vec![
                    attribute(names::PATH, started.path.as_str().to_owned()),
                    integer(names::ATTEMPT, started.attempt),
                ],
                links: Vec::new(),
            };
            self.spans.begin(new, at);
        }
    }

    fn attempt_failed(&mut self, event: &Event, failed: &AttemptFailed) {
        let attempt = SpanKey::Attempt(failed.path.clone(), failed.attempt);
        let step = SpanKey::Path(failed.path.clone());
        self.spans
            .add_event(&step, failed_attempt(event.at, failed.attempt, &failed.error));
        self.end_place(
            &attempt,
            event,
            StepStatus::Failed,
            Vec::new(),
            Some(&failed.error),
        );
    }

    fn step_ended(&mut self, event: &Event, ended: &StepEnded) {
        let key = SpanKey::Path(ended.path.clone());
        if !self.spans.is_open(&key) {
            self.step_taken(ended, event.at);
        }
        let attempt = SpanKey::Attempt(ended.path.clone(), ended.attempt);
        if self.spans.is_open(&attempt) {
            self.end_place(&attempt, event, ended.status, Vec::new(), ended.error.as_ref());
        }
        let attributes = attributes::of_ended_step(ended, self.spans.has_calls(&key));
        self.end_place(&key, event, ended.status, attributes, ended.error.as_ref());
    }

    /// Begins the span of a step that did not execute: a point in time, linked to the execution whose result it has.
    fn step_taken(&mut self, ended: &StepEnded, at: Timestamp) {
        let parent = ended.path.parent().map_or(SpanKey::Session, |around| {
            self.place_around(&around, at);
            SpanKey::Path(around)
        });
        let reuse = |origin: &Origin| {
            link(
                "reuse",
                origin.run_id.as_str(),
                origin.session,
                origin.path.as_str(),
            )
        };
        let new = NewSpan {
            key: SpanKey::Path(ended.path.clone()),
            parent: Some(parent),
            span: SpanType::Step,
            name: ended.path.leaf().to_owned(),
            attributes: attributes::of_step(&ended.path, &ended.node_type),
            links: ended.taken_from().map(reuse).into_iter().collect(),
        };
        self.spans.begin(new, at);
    }

    fn question_asked(&mut self, asked: &QuestionAsked, at: Timestamp) {
        let key = SpanKey::Question(asked.id.clone());
        if self.spans.is_open(&key) {
            return;
        }
        // A step asks before it begins, or while it executes.
        let around = std::iter::successors(Some(asked.path.clone()), HierarchyPath::parent);
        let mut around = around.map(SpanKey::Path);
        let parent = around.find(|key| self.spans.is_open(key));
        let new = NewSpan {
            key,
            parent: Some(parent.unwrap_or(SpanKey::Session)),
            span: SpanType::Wait,
            name: format!("wait for {}", asked.kind),
            attributes: vec![
                attribute(names::PATH, asked.path.as_str().to_owned()),
                attribute(names::QUESTION, asked.id.clone()),
                attribute(names::QUESTION_KIND, asked.kind.as_str()),
            ],
            links: Vec::new(),
        };
        self.spans.begin(new, at);
    }

    fn question_answered(&mut self, answered: &QuestionAnswered, at: Timestamp) {
        let Some(id) = &answered.id else { return };
        let end = SpanEnd {
            is_done: true,
            attributes: vec![attribute(names::ANSWERED_BY, answered.source.clone())],
            error: None,
        };
        let key = SpanKey::Question(id.clone());
        self.spans.end(&key, at, end, StepStatus::Completed.as_str());
    }

    fn activity_started(&mut self, started: &ActivityStarted, at: Timestamp) {
        let (span, name) = attributes::name_of_activity(&started.activity);
        let new = NewSpan {
            key: SpanKey::Activity(started.id),
            parent: Some(self.parent_of(started)),
            span,
            name,
            attributes: attributes::of_activity(&started.path, &started.activity, self.capture),
            links: Vec::new(),
        };
        self.spans.begin(new, at);
    }

    /// The span around work: the work that it is a part of, the attempt, or the step.
    fn parent_of(&self, started: &ActivityStarted) -> SpanKey {
        let activity = started.parent.map(SpanKey::Activity);
        if let Some(around) = activity.filter(|around| self.spans.is_open(around)) {
            return around;
        }
        let step = SpanKey::Path(started.path.clone());
        self.spans.attempt_in(&step).unwrap_or(step)
    }

    fn activity_ended(&mut self, ended: &ActivityEnded, at: Timestamp) {
        let end = SpanEnd {
            is_done: true,
            attributes: attributes::of_ended_activity(ended, self.capture),
            error: ended.end.error.as_ref(),
        };
        let key = SpanKey::Activity(ended.id);
        self.spans.end(&key, at, end, StepStatus::Cancelled.as_str());
    }

    /// The spans that ended since the last call.
    pub(crate) fn take_done(&mut self) -> Vec<Span> {
        self.spans.take_done()
    }

    /// The records of spans that began since the last call.
    pub(crate) fn take_begun(&mut self) -> Vec<LogRecord> {
        self.spans.take_begun()
    }
}

/// An export request for spans.
pub(crate) fn request(
    spans: Vec<Span>,
    resource: &opentelemetry_proto::tonic::resource::v1::Resource,
) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
                schema_url: genai::SCHEMA_URL.to_owned(),
            }],
            schema_url: genai::SCHEMA_URL.to_owned(),
        }],
    }
}

/// A link to a span of a run; the empty path is the session itself.
fn link(kind: &'static str, run_id: &str, session: u32, path: &str) -> Link {
    Link {
        trace_id: trace_id(run_id).to_bytes().to_vec(),
        span_id: SessionIds::new(run_id, session).path(path).to_bytes().to_vec(),
        attributes: vec![
            attribute(names::LINK, kind),
            attribute(names::RUN_ID, run_id.to_owned()),
        ],
        ..Link::default()
    }
}

fn failed_attempt(at: Timestamp, attempt: u32, error: &ErrorInfo) -> SpanEvent {
    SpanEvent {
        time_unix_nano: nanos(at),
        name: names::ATTEMPT_FAILED.to_owned(),
        attributes: vec![
            integer(names::ATTEMPT, attempt),
            attribute(genai::ERROR_TYPE, error.code.clone()),
            attribute(genai::EXCEPTION_MESSAGE, error.message.clone()),
        ],
        dropped_attributes_count: 0,
    }
}

/// The GenAI operation of a component; only agents and flows have one.
pub(crate) const fn operation_of(kind: ComponentKind) -> Option<&'static str> {
    match kind {
        ComponentKind::Agent => Some(genai::INVOKE_AGENT),
        ComponentKind::Flow => Some(genai::INVOKE_WORKFLOW),
        _ => None,
    }
}
