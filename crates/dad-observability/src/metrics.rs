//! Instruments of a run, added up from its events.

use std::collections::BTreeMap;

use dad_core::{ComponentKind, ErrorInfo, Timestamp, Usage};
use dad_events::activity::ModelCall;
use dad_events::{Activity, ActivityEnded, ComponentEnded, Event, EventBody, StepEnded};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::genai;
use crate::names;
use crate::otlp::{attribute, nanos, scope};

/// Upper bounds of the histogram of steps, in seconds: from one that does nothing to one that builds for an hour.
const STEP_SECONDS: &[f64] = &[
    0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0,
];

/// The time between two lines of instruments while a run is driven, in nanoseconds: a process that is killed loses no more.
const INTERVAL: u64 = 60_000_000_000;

/// An instrument: name, unit and description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Instrument {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
}

const fn instrument(name: &'static str, unit: &'static str, description: &'static str) -> Instrument {
    Instrument {
        name,
        unit,
        description,
    }
}

const STEPS: Instrument = instrument(names::STEPS, "{step}", "Steps that ended.");
const COSTS: Instrument = instrument(names::COSTS, "USD", "Cost of steps.");
const FAILED_ATTEMPTS: Instrument = instrument(
    names::FAILED_ATTEMPTS,
    "{attempt}",
    "Attempts that failed and were followed by another.",
);
const STEP_DURATION: Instrument = instrument(names::STEP_DURATION, "s", "Duration of executed steps.");
const INFERENCE_DURATION: Instrument =
    instrument(genai::INFERENCE_DURATION, "s", "Duration of requests to models.");
const TIME_TO_FIRST_CHUNK: Instrument = instrument(
    genai::TIME_TO_FIRST_CHUNK,
    "s",
    "Time to the first piece of an answer.",
);
const INPUT_TOKENS_OF_CALL: Instrument = instrument(
    genai::INPUT_TOKENS_OF_CALL,
    "{token}",
    "Tokens that one request sent.",
);
const OUTPUT_TOKENS_OF_CALL: Instrument = instrument(
    genai::OUTPUT_TOKENS_OF_CALL,
    "{token}",
    "Tokens that one request received.",
);
const AGENT_DURATION: Instrument = instrument(genai::AGENT_DURATION, "s", "Duration of agents.");
const WORKFLOW_DURATION: Instrument = instrument(genai::WORKFLOW_DURATION, "s", "Duration of flows.");
const TOOL_DURATION: Instrument = instrument(genai::TOOL_DURATION, "s", "Duration of calls of tools.");

/// Attributes of a data point, in an order that makes them comparable.
type Labels = Vec<(&'static str, Label)>;

/// The value of an attribute of a data point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Text(String),
    Number(i64),
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Adds up instruments from the events of one session. Their number follows the types, models and statuses, not the steps.
#[derive(Debug)]
pub(crate) struct Metrics {
    began: Timestamp,
    ended: Timestamp,
    written: Timestamp,
    counters: BTreeMap<Instrument, BTreeMap<Labels, f64>>,
    histograms: BTreeMap<Instrument, BTreeMap<Labels, Observations>>,
}

/// The observations of one data point of a histogram.
#[derive(Clone, Debug)]
struct Observations {
    bounds: &'static [f64],
    buckets: Vec<u64>,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Observations {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            buckets: vec![0; bounds.len() + 1],
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    fn add(&mut self, number: f64) {
        let bucket = self.bounds.iter().position(|bound| number <= *bound);
        self.buckets[bucket.unwrap_or(self.bounds.len())] += 1;
        self.count += 1;
        self.sum += number;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let unknown = Timestamp::UNIX_EPOCH;
        Self {
            began: unknown,
            ended: unknown,
            written: unknown,
            counters: BTreeMap::new(),
            histograms: BTreeMap::new(),
        }
    }

    pub(crate) fn observe(&mut self, event: &Event) {
        self.ended = self.ended.max(event.at);
        match &event.body {
            EventBody::RunStarted(_) => {
                self.began = event.at;
                self.written = event.at;
            }
            EventBody::AttemptFailed(failed) => {
                let labels = vec![(genai::ERROR_TYPE, failed.error.code.as_str().into())];
                self.count(FAILED_ATTEMPTS, labels, 1.0);
            }
            EventBody::StepEnded(ended) => self.step(ended),
            EventBody::ComponentEnded(ended) => self.component(ended),
            EventBody::ActivityEnded(ended) => self.activity(ended),
            _ => {}
        }
    }

    fn count(&mut self, instrument: Instrument, labels: Labels, number: f64) {
        let points = self.counters.entry(instrument).or_default();
        *points.entry(labels).or_default() += number;
    }

    fn measure(&mut self, instrument: Instrument, bounds: &'static [f64], labels: Labels, number: f64) {
        let points = self.histograms.entry(instrument).or_default();
        points
            .entry(labels)
            .or_insert_with(|| Observations::new(bounds))
            .add(number);
    }

    fn step(&mut self, ended: &StepEnded) {
        let node_type = (names::NODE_TYPE, ended.node_type.as_str().into());
        let is_reused = ended.taken_from().is_some();
        let reused = (names::REUSED, if is_reused { "true" } else { "false" }.into());
        let status = (names::STATUS, ended.status.as_str().into());
        self.count(STEPS, vec![node_type.clone(), reused, status], 1.0);
        if is_reused {
            return;
        }
        if let Some(cost) = ended.usage.cost {
            self.count(COSTS, vec![node_type.clone()], cost);
        }
        let seconds = ended.duration.as_secs_f64();
        self.measure(STEP_DURATION, STEP_SECONDS, vec![node_type], seconds);
    }

    fn component(&mut self, ended: &ComponentEnded) {
        let (instrument, bounds, name) = match ended.kind {
            ComponentKind::Agent => (AGENT_DURATION, genai::AGENT_SECONDS, genai::AGENT_NAME),
            ComponentKind::Flow => (WORKFLOW_DURATION, genai::WORKFLOW_SECONDS, genai::WORKFLOW_NAME),
            _ => return,
        };
        let mut labels: Labels = vec![(name, ended.path.leaf().into())];
        labels.extend(of_error(ended.error.as_ref()));
        self.measure(instrument, bounds, labels, ended.duration.as_secs_f64());
    }

    fn activity(&mut self, ended: &ActivityEnded) {
        let seconds = ended.duration.as_secs_f64();
        match &*ended.activity {
            Activity::ToolCall(call) => {
                let mut labels: Labels = vec![
                    (genai::OPERATION_NAME, genai::EXECUTE_TOOL.into()),
                    (genai::TOOL_NAME, call.name.as_str().into()),
                ];
                labels.extend(of_error(ended.end.error.as_ref()));
                self.measure(TOOL_DURATION, genai::CALL_SECONDS, labels, seconds);
            }
            Activity::ModelCall(call) => self.model_call(call, ended, seconds),
            _ => {}
        }
    }

    fn model_call(&mut self, call: &ModelCall, ended: &ActivityEnded, seconds: f64) {
        let answer = ended.end.answer.as_ref();
        let mut labels = of_call(call);
        labels.extend(answer.map(|answer| (genai::RESPONSE_MODEL, answer.model.as_str().into())));
        let first = answer.and_then(|answer| answer.time_to_first_chunk);
        if let Some(first) = first {
            let seconds = first.as_secs_f64();
            self.measure(TIME_TO_FIRST_CHUNK, genai::CALL_SECONDS, labels.clone(), seconds);
        }
        self.tokens(&labels, &ended.end.usage);
        labels.extend(of_error(ended.end.error.as_ref()));
        self.measure(INFERENCE_DURATION, genai::CALL_SECONDS, labels, seconds);
    }

    fn tokens(&mut self, labels: &Labels, usage: &Usage) {
        let per_call = [
            (INPUT_TOKENS_OF_CALL, usage.prompt_tokens),
            (OUTPUT_TOKENS_OF_CALL, usage.completion_tokens),
        ];
        for (instrument, tokens) in per_call {
            self.measure(instrument, genai::TOKENS, labels.clone(), tokens as f64);
        }
        let mut labels = labels.clone();
        labels.push((genai::TOKEN_MODALITY, "unknown".into()));
        for (name, description, tokens, is_always_counted) in [
            (
                genai::INPUT_TOKEN_USAGE,
                "Tokens sent.",
                usage.prompt_tokens,
                true,
            ),
            (
                genai::OUTPUT_TOKEN_USAGE,
                "Tokens received.",
                usage.completion_tokens,
                true,
            ),
            (
                genai::CACHE_READ_TOKEN_USAGE,
                "Tokens sent that were read from a cache.",
                usage.cached_tokens,
                false,
            ),
            (
                genai::CACHE_WRITE_TOKEN_USAGE,
                "Tokens sent that were written into a cache.",
                usage.cache_write_tokens,
                false,
            ),
            (
                genai::REASONING_TOKEN_USAGE,
                "Tokens of reasoning received.",
                usage.reasoning_tokens,
                false,
            ),
        ] {
            if tokens > 0 || is_always_counted {
                let counter = instrument(name, "{token}", description);
                self.count(counter, labels.clone(), tokens as f64);
            }
        }
    }

    /// Whether the last line is so old that another one is due.
    pub(crate) fn is_due(&self) -> bool {
        nanos(self.ended).saturating_sub(nanos(self.written)) >= INTERVAL
    }

    /// Everything that was added up since the session began.
    pub(crate) fn request(&mut self, resource: &Resource) -> ExportMetricsServiceRequest {
        self.written = self.ended;
        let counters = self.counters.iter().map(|(of, points)| self.counter(*of, points));
        let histograms = self
            .histograms
            .iter()
            .map(|(of, points)| self.histogram(*of, points));
        let metrics = counters.chain(histograms).collect();
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                    schema_url: genai::SCHEMA_URL.to_owned(),
                }],
                schema_url: genai::SCHEMA_URL.to_owned(),
            }],
        }
    }

    fn counter(&self, instrument: Instrument, points: &BTreeMap<Labels, f64>) -> Metric {
        let data_points = points.iter().map(|(labels, number)| NumberDataPoint {
            attributes: attributes_of(labels),
            start_time_unix_nano: nanos(self.began),
            time_unix_nano: nanos(self.ended),
            value: Some(Number::AsDouble(*number)),
            ..NumberDataPoint::default()
        });
        let sum = Sum {
            data_points: data_points.collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        };
        instrument.metric(Data::Sum(sum))
    }

    fn histogram(&self, instrument: Instrument, points: &BTreeMap<Labels, Observations>) -> Metric {
        let data_points = points.iter().map(|(labels, seen)| HistogramDataPoint {
            attributes: attributes_of(labels),
            start_time_unix_nano: nanos(self.began),
            time_unix_nano: nanos(self.ended),
            count: seen.count,
            sum: Some(seen.sum),
            min: Some(seen.min),
            max: Some(seen.max),
            bucket_counts: seen.buckets.clone(),
            explicit_bounds: seen.bounds.to_vec(),
            ..HistogramDataPoint::default()
        });
        let histogram = Histogram {
            data_points: data_points.collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        };
        instrument.metric(Data::Histogram(histogram))
    }
}

impl Instrument {
    fn metric(self, data: Data) -> Metric {
        Metric {
            name: self.name.to_owned(),
            unit: self.unit.to_owned(),
            description: self.description.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }
}

fn of_error(error: Option<&ErrorInfo>) -> Option<(&'static str, Label)> {
    Some((genai::ERROR_TYPE, error?.code.as_str().into()))
}

/// The attributes of a call of a model.
fn of_call(call: &ModelCall) -> Labels {
    let mut labels: Labels = vec![
        (genai::OPERATION_NAME, genai::CHAT.into()),
        (genai::PROVIDER_NAME, genai::provider(&call.provider).into()),
        (genai::REQUEST_MODEL, call.model.as_str().into()),
    ];
    let address = call.server_address.as_deref();
    labels.extend(address.map(|address| (genai::SERVER_ADDRESS, address.into())));
    let port = call.server_port.map(i64::from);
    labels.extend(port.map(|port| (genai::SERVER_PORT, Label::Number(port))));
    labels
}

fn attributes_of(labels: &Labels) -> Vec<KeyValue> {
    let labels = labels.iter();
    labels
        .map(|(name, label)| match label {
            Label::Text(text) => attribute(name, text.clone()),
            Label::Number(number) => attribute(name, *number),
        })
        .collect()
}
