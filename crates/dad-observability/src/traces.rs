use std::collections::HashMap;
use std::sync::Arc;

use dad_core::{ErrorInfo, HierarchyPath, Segment, Timestamp, Usage};
use dad_events::{Event, EventBody, RunIdentity, StepEnded};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event as SpanEvent, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::ids::{span_id, trace_id};
use crate::names;
use crate::otlp::{attribute, nanos, resource, scope};

/// Makes spans from the events of one run.
#[derive(Debug)]
pub(crate) struct Traces {
    run: Arc<RunIdentity>,
    service_name: String,
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

impl Traces {
    pub(crate) fn new(run: Arc<RunIdentity>, service_name: String) -> Self {
        Self {
            run,
            service_name,
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
                self.end(event, &ended.path, step_attributes(ended), ended.error.as_ref());
            }
            EventBody::ComponentEnded(ended) => {
                let attributes = vec![
                    attribute(names::STATUS, ended.status.as_str()),
                    attribute("dad.kind", ended.kind.as_str()),
                ];
                self.end(event, &ended.path, attributes, ended.error.as_ref());
            }
            EventBody::RunEnded(ended) => {
                let mut attributes = vec![attribute(names::STATUS, ended.status.as_str())];
                attributes.extend(usage_attributes(&ended.usage));
                let began = self.began.unwrap_or(event.at);
                let name = format!("run {}", self.run.root_id);
                self.push(
                    event,
                    "",
                    name,
                    began,
                    attributes,
                    (Vec::new(), ended.error.as_ref()),
                );
            }
            _ => {}
        }
    }

    fn begin(&mut self, path: &HierarchyPath, at: Timestamp) {
        // Another attempt of a step that is open belongs to the same span.
        self.open.entry(path.clone()).or_insert_with(|| Open {
            began: at,
            events: Vec::new(),
        });
    }

    fn end(
        &mut self,
        event: &Event,
        path: &HierarchyPath,
        mut attributes: Vec<KeyValue>,
        error: Option<&ErrorInfo>,
    ) {
        // A reused step never began: its span is a point in time.
        let open = self.open.remove(path).unwrap_or(Open {
            began: event.at,
            events: Vec::new(),
        });
        attributes.push(attribute(names::PATH, path.to_string()));
        self.push(
            event,
            path.as_str(),
            path.leaf().to_owned(),
            open.began,
            attributes,
            (open.events, error),
        );
    }

    fn push(
        &mut self,
        event: &Event,
        path: &str,
        name: String,
        began: Timestamp,
        mut attributes: Vec<KeyValue>,
        (events, error): (Vec<SpanEvent>, Option<&ErrorInfo>),
    ) {
        let run_id = self.run.run_id.as_str();
        if let Some(seq) = event.seq.and_then(|seq| i64::try_from(seq).ok()) {
            attributes.push(attribute(names::SEQ, seq));
        }
        if let Some(error) = error {
            attributes.push(attribute(names::ERROR_TYPE, error.code.clone()));
        }
        self.done.push(Span {
            trace_id: trace_id(run_id).to_bytes().to_vec(),
            span_id: span_id(run_id, path).to_bytes().to_vec(),
            parent_span_id: parent_of(run_id, path),
            name,
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(began),
            end_time_unix_nano: nanos(event.at),
            attributes,
            events,
            status: Some(match error {
                None => Status {
                    code: StatusCode::Ok.into(),
                    message: String::new(),
                },
                Some(error) => Status {
                    code: StatusCode::Error.into(),
                    message: error.message.clone(),
                },
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
                resource: Some(resource(&self.service_name, self.run.run_id.as_str())),
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

/// The span around another: that of the component around it, of the run for a root, none for the run. Iterations and
/// branches have no spans.
fn parent_of(run_id: &str, path: &str) -> Vec<u8> {
    if path.is_empty() {
        return Vec::new();
    }
    let is_part = |segment: &str| !matches!(Segment::of(segment), Segment::Element(_));
    let mut around = path;
    while let Some((parent, _)) = around.rsplit_once('.') {
        let leaf = parent.rsplit('.').next().unwrap_or(parent);
        if !is_part(leaf) {
            return span_id(run_id, parent).to_bytes().to_vec();
        }
        around = parent;
    }
    span_id(run_id, "").to_bytes().to_vec()
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
