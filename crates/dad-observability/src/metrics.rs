//! Metrics of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use dad_core::Timestamp;
use dad_events::{Event, EventBody, StepEnded};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};

use crate::names;
use crate::otlp::{attribute, nanos, resource, scope};
use crate::resource::ResourceFacts;

/// Upper bounds of the duration histogram, in seconds: from a step that does nothing to one that builds for an hour.
const BOUNDS: &[f64] = &[
    0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0,
];

/// Attributes of a data point, in an order that makes them comparable.
type Attributes = Vec<(&'static str, String)>;

/// Adds up instruments from the events of one run. Their number follows the node types and statuses, not the steps.
#[derive(Debug)]
pub(crate) struct Metrics {
    facts: Arc<ResourceFacts>,
    began: Timestamp,
    ended: Timestamp,
    counters: BTreeMap<(&'static str, Attributes), f64>,
    durations: BTreeMap<Attributes, Durations>,
}

#[derive(Debug, Default)]
struct Durations {
    count: u64,
    sum: f64,
    buckets: Vec<u64>,
}

impl Metrics {
    pub(crate) fn new(facts: Arc<ResourceFacts>) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        Self {
            facts,
            began: now,
            ended: now,
            counters: BTreeMap::new(),
            durations: BTreeMap::new(),
        }
    }

    pub(crate) fn observe(&mut self, event: &Event) {
        self.ended = event.at;
        match &event.body {
            EventBody::RunStarted(_) => self.began = event.at,
            EventBody::AttemptFailed(_) => self.add(names::FAILED_ATTEMPTS, Vec::new(), 1.0),
            EventBody::StepEnded(ended) => self.step(ended),
            _ => {}
        }
    }

    fn add(&mut self, name: &'static str, attributes: Attributes, number: f64) {
        if number > 0.0 {
            *self.counters.entry((name, attributes)).or_default() += number;
        }
    }

    fn step(&mut self, ended: &StepEnded) {
        let node_type = (names::NODE_TYPE, ended.node_type.to_string());
        let reused = ("dhenara.reused", ended.taken_from().is_some().to_string());
        let status = (names::STATUS, ended.status.to_string());
        self.add(names::STEPS, vec![node_type.clone(), reused, status], 1.0);
        if ended.taken_from().is_some() {
            return;
        }
        for (kind, tokens) in [
            ("input", ended.usage.prompt_tokens),
            ("output", ended.usage.completion_tokens),
        ] {
            let attributes = vec![node_type.clone(), ("gen_ai.token.type", kind.to_owned())];
            self.add(names::TOKENS, attributes, tokens as f64);
        }
        self.add(
            names::COSTS,
            vec![node_type.clone()],
            ended.usage.cost.unwrap_or(0.0),
        );
        let seconds = ended.duration.as_secs_f64();
        let durations = self.durations.entry(vec![node_type]).or_default();
        durations.buckets.resize(BOUNDS.len() + 1, 0);
        let bucket = BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BOUNDS.len());
        durations.buckets[bucket] += 1;
        durations.count += 1;
        durations.sum += seconds;
    }

    /// Everything that was added up.
    pub(crate) fn take(&mut self) -> ExportMetricsServiceRequest {
        let mut metrics: Vec<Metric> = Vec::new();
        for ((name, attributes), number) in std::mem::take(&mut self.counters) {
            let point = NumberDataPoint {
                attributes: attributes_of(&attributes),
                start_time_unix_nano: nanos(self.began),
                time_unix_nano: nanos(self.ended),
                value: Some(Number::AsDouble(number)),
                ..NumberDataPoint::default()
            };
            match metrics
                .iter_mut()
                .find(|metric| metric.name == name)
                .and_then(|metric| metric.data.as_mut())
            {
                Some(Data::Sum(sum)) => sum.data_points.push(point),
                _ => metrics.push(counter(name, point)),
            }
        }
        metrics.extend(self.histogram());
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource(&self.facts)),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        }
    }

    fn histogram(&mut self) -> Option<Metric> {
        let points: Vec<HistogramDataPoint> = std::mem::take(&mut self.durations)
            .into_iter()
            .map(|(attributes, durations)| HistogramDataPoint {
                attributes: attributes_of(&attributes),
                start_time_unix_nano: nanos(self.began),
                time_unix_nano: nanos(self.ended),
                count: durations.count,
                sum: Some(durations.sum),
                bucket_counts: durations.buckets,
                explicit_bounds: BOUNDS.to_vec(),
                ..HistogramDataPoint::default()
            })
            .collect();
        let data = Histogram {
            data_points: points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        };
        (!data.data_points.is_empty()).then(|| Metric {
            name: names::STEP_DURATION.to_owned(),
            unit: "s".to_owned(),
            data: Some(Data::Histogram(data)),
            ..Metric::default()
        })
    }
}

fn counter(name: &str, point: NumberDataPoint) -> Metric {
    let sum = Sum {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    };
    let unit = if name == names::COSTS { "USD" } else { "1" };
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(Data::Sum(sum)),
        ..Metric::default()
    }
}

fn attributes_of(attributes: &Attributes) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| attribute(key, value.clone()))
        .collect()
}
