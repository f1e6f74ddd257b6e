//! Spans of a run.

use std::collections::HashMap;
use std::sync::Arc;

use dad_core::{
    ErrorInfo, HierarchyPath, RunStatus, Segment, StepStatus, Timestamp, Usage, component_around,
};
use dad_events::{Event, EventBody, RunInfo, StepEnded};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event as SpanEvent, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::ids::{span_id, trace_id};
use crate::names;
use crate::otlp::{attribute, nanos, resource, scope};
use crate::resource::ResourceFacts;

/// Makes spans from the events of one run.
#[derive(Debug)]
pub(crate) struct Traces {
    run: Arc<RunInfo>,
    facts: Arc<ResourceFacts>,
    began: Option<Timestamp>,
    /// Steps and components that have begun: as many as are open, not as many as there are.
    open: HashMap<HierarchyPath, Open>,
    done: Vec<Span>,
}

#[derive(Debug)]
struct Open {
    began: Timestamp,
    events: Vec<SpanEvent>,
}

/// The end of a span.
struct Ended<'a> {
    name: String,
    began: Timestamp,
    attributes: Vec<KeyValue>,
    events: Vec<SpanEvent>,
    /// Whether it came to its end, and does not wait for an answer.
    is_done: bool,
    error: Option<&'a ErrorInfo>,
}

impl Traces {
    pub(crate) fn new(run: Arc<RunInfo>, facts: Arc<ResourceFacts>) -> Self {
        Self {
            run,
            facts,
            began: None,
            open: HashMap::new(),
            done: Vec::new(),
        }
    }

    pub(crate) fn observe(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunStarted(_) => self.began = Some(event.at),
            EventBody::ComponentStarted(started) => self.begin(&started.path, event.at),
            EventBody::StepStarted(started) => self.begin(&started.path, event.at),
            EventBody::AttemptFailed(failed) => {
                if let Some(open) = self.open.get_mut(&failed.path) {
                    open.events.push(failed_attempt(event.at, &failed.error));
                }
            }
            EventBody::StepEnded(ended) => {
                self.end(
                    event,
                    &ended.path,
                    ended.status,
                    step_attributes(ended),
                    ended.error.as_ref(),
                );
            }
            EventBody::ComponentEnded(ended) => {
                let attributes = vec![
                    attribute(names::STATUS, ended.status.as_str()),
                    attribute("dhenara.kind", ended.kind.as_str()),
                ];
                self.end(event, &ended.path, ended.status, attributes, ended.error.as_ref());
            }
            EventBody::RunEnded(ended) => {
                self.end_all(event);
                let mut attributes = vec![attribute(names::STATUS, ended.status.as_str())];
                attributes.extend(usage_attributes(&ended.usage));
                self.push(
                    event,
                    "",
                    Ended {
                        name: format!("run {}", self.run.root_id),
                        began: self.began.unwrap_or(event.at),
                        attributes,
                        events: Vec::new(),
                        is_done: ended.status != RunStatus::Waiting,
                        error: ended.error.as_ref(),
                    },
                );
            }
            _ => {}
        }
    }

    /// Begins the span of a step or component. Those around it have begun by then: a session continues inside components
    /// that an earlier one has entered.
    fn begin(&mut self, path: &HierarchyPath, at: Timestamp) {
        let around = std::iter::successors(path.parent(), HierarchyPath::parent);
        let around = around.filter(|path| has_span(path.leaf()));
        // Another attempt of a step that is open belongs to the same span.
        for path in around.chain([path.clone()]) {
            self.open.entry(path).or_insert_with(|| Open {
                began: at,
                events: Vec::new(),
            });
        }
    }

    fn end(
        &mut self,
        event: &Event,
        path: &HierarchyPath,
        status: StepStatus,
        mut attributes: Vec<KeyValue>,
        error: Option<&ErrorInfo>,
    ) {
        // A reused step never began: its span is a point in time.
        self.begin(path, event.at);
        let Some(open) = self.open.remove(path) else {
            return;
        };
        attributes.push(attribute(names::PATH, path.to_string()));
        self.push(
            event,
            path.as_str(),
            Ended {
                name: path.leaf().to_owned(),
                began: open.began,
                attributes,
                events: open.events,
                is_done: status != StepStatus::Waiting,
                error,
            },
        );
    }

    /// Ends what is still open when the session ends, so that every span has its parent.
    fn end_all(&mut self, event: &Event) {
        let mut open: Vec<HierarchyPath> = self.open.keys().cloned().collect();
        open.sort_by_key(|path| std::cmp::Reverse(path.segments().count()));
        for path in open {
            self.end(event, &path, StepStatus::Waiting, Vec::new(), None);
        }
    }

    fn push(&mut self, event: &Event, path: &str, ended: Ended<'_>) {
        let Ended {
            name,
            began,
            mut attributes,
            events,
            is_done,
            error,
        } = ended;
        let (run_id, session) = (self.run.run_id.as_str(), self.run.session);
        if let Some(seq) = event.seq.and_then(|seq| i64::try_from(seq).ok()) {
            attributes.push(attribute(names::SEQ, seq));
        }
        if let Some(error) = error {
            attributes.push(attribute(names::ERROR_TYPE, error.code.clone()));
        }
        let (code, message) = match error {
            Some(error) => (StatusCode::Error, error.message.clone()),
            None if is_done => (StatusCode::Ok, String::new()),
            None => (StatusCode::Unset, String::new()),
        };
        self.done.push(Span {
            trace_id: trace_id(run_id).to_bytes().to_vec(),
            span_id: span_id(run_id, session, path).to_bytes().to_vec(),
            parent_span_id: parent_of(run_id, session, path),
            name,
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(began),
            end_time_unix_nano: nanos(event.at),
            attributes,
            events,
            links: session_before(run_id, session, path),
            status: Some(Status {
                code: code.into(),
                message,
            }),
            ..Span::default()
        });
    }

    /// The spans that ended since the last call.
    pub(crate) fn take(&mut self) -> Option<ExportTraceServiceRequest> {
        if self.done.is_empty() {
            return None;
        }
        let spans = std::mem::take(&mut self.done);
        Some(ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource(&self.facts)),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        })
    }
}

/// The span around another: that of the component around it, of the session for a root, none for the session.
fn parent_of(run_id: &str, session: u32, path: &str) -> Vec<u8> {
    if path.is_empty() {
        return Vec::new();
    }
    // Iterations and branches have no spans.
    let around = component_around(path).unwrap_or_default();
    span_id(run_id, session, around).to_bytes().to_vec()
}

/// Iterations and branches have no spans.
fn has_span(leaf: &str) -> bool {
    matches!(Segment::of(leaf), Segment::Element(_))
}

/// The link from a session to the one that drove the run before it.
fn session_before(run_id: &str, session: u32, path: &str) -> Vec<Link> {
    if !path.is_empty() || session <= 1 {
        return Vec::new();
    }
    vec![Link {
        trace_id: trace_id(run_id).to_bytes().to_vec(),
        span_id: span_id(run_id, session - 1, "").to_bytes().to_vec(),
        ..Link::default()
    }]
}

fn failed_attempt(at: Timestamp, error: &ErrorInfo) -> SpanEvent {
    SpanEvent {
        time_unix_nano: nanos(at),
        name: "attempt failed".to_owned(),
        attributes: vec![
            attribute(names::ERROR_TYPE, error.code.clone()),
            attribute("exception.message", error.message.clone()),
        ],
        dropped_attributes_count: 0,
    }
}

fn step_attributes(ended: &StepEnded) -> Vec<KeyValue> {
    let mut attributes = vec![
        attribute(names::STATUS, ended.status.as_str()),
        attribute(names::NODE_TYPE, ended.node_type.to_string()),
        attribute(names::ATTEMPT, i64::from(ended.attempt)),
    ];
    if let Some(origin) = ended.taken_from() {
        attributes.push(attribute(names::REUSED_FROM, origin.run_id.to_string()));
    }
    attributes.extend(usage_attributes(&ended.usage));
    attributes
}

fn usage_attributes(usage: &Usage) -> Vec<KeyValue> {
    let mut attributes = Vec::new();
    for (name, tokens) in [
        (names::INPUT_TOKENS, usage.prompt_tokens),
        (names::OUTPUT_TOKENS, usage.completion_tokens),
    ] {
        if tokens > 0 {
            attributes.push(attribute(name, i64::try_from(tokens).unwrap_or(i64::MAX)));
        }
    }
    attributes.extend(usage.cost.map(|cost| attribute(names::COST, cost)));
    attributes
}
