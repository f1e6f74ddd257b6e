//! Log events: the `tracing` layer that routes them to the run in whose step they occur.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use dad_core::{SecretRegistry, Timestamp};
use dad_events::RunInfo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use parking_lot::{Mutex, RwLock};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::ids::{span_id, trace_id};
use crate::names;
use crate::otlp::{LineFile, attribute, nanos, resource, scope};
use crate::resource::ResourceFacts;
use crate::settings::LogLevel;

/// The number of log events that are gathered before they are written.
const BATCH: usize = 64;

/// A layer for a `tracing` subscriber that routes log events to the run whose step they happened in.
#[must_use]
pub fn layer() -> RunLogLayer {
    RunLogLayer::default()
}

/// Routes log events to runs. Made by [`layer()`].
#[derive(Clone, Debug, Default)]
pub struct RunLogLayer {
    routes: Arc<RwLock<HashMap<String, Arc<RunLogs>>>>,
}

impl RunLogLayer {
    pub(crate) fn add(&self, run_id: &str, logs: Arc<RunLogs>) {
        self.routes.write().insert(run_id.to_owned(), logs);
    }

    pub(crate) fn remove(&self, run_id: &str) {
        self.routes.write().remove(run_id);
    }

    fn route(&self, run_id: &str) -> Option<Arc<RunLogs>> {
        self.routes.read().get(run_id).cloned()
    }
}

/// Which step a span belongs to, kept with the span.
#[derive(Clone, Debug, Default)]
struct StepSpan {
    run_id: String,
    path: String,
}

impl Visit for StepSpan {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            names::RUN_ID => value.clone_into(&mut self.run_id),
            names::PATH => value.clone_into(&mut self.path),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RunLogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.fields().field(names::RUN_ID).is_none() {
            return;
        }
        let mut step = StepSpan::default();
        attributes.record(&mut step);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(step);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else {
            return;
        };
        let step = scope
            .into_iter()
            .find_map(|span| span.extensions().get::<StepSpan>().cloned());
        let Some(step) = step else { return };
        if let Some(logs) = self.route(&step.run_id) {
            logs.push(event, &step);
        }
    }
}

/// The log events of one run on their way to its file.
#[derive(Debug)]
pub(crate) struct RunLogs {
    facts: Arc<ResourceFacts>,
    run_id: String,
    session: u32,
    least: LogLevel,
    secrets: SecretRegistry,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: LineFile,
    records: Vec<LogRecord>,
    trouble: Option<String>,
}

impl RunLogs {
    pub(crate) fn new(run: &RunInfo, facts: Arc<ResourceFacts>, least: LogLevel, file: LineFile) -> Self {
        Self {
            facts,
            run_id: run.run_id.to_string(),
            session: run.session,
            least,
            secrets: run.secrets.clone(),
            state: Mutex::new(State {
                file,
                records: Vec::new(),
                trouble: None,
            }),
        }
    }

    fn push(&self, event: &Event<'_>, step: &StepSpan) {
        let (level, number, text) = severity(*event.metadata().level());
        if level < self.least {
            return;
        }
        let mut message = Message {
            redact: &|text| self.secrets.redactor().redact(text).into_owned(),
            ..Message::new()
        };
        event.record(&mut message);
        let Message {
            body, mut attributes, ..
        } = message;
        attributes.push(attribute(names::PATH, step.path.clone()));
        attributes.push(attribute("code.namespace", event.metadata().target().to_owned()));
        let now = nanos(Timestamp::now());
        let record = LogRecord {
            time_unix_nano: now,
            observed_time_unix_nano: now,
            severity_number: number.into(),
            severity_text: text.to_owned(),
            body: Some(AnyValue {
                value: Some(any_value::Value::StringValue(body)),
            }),
            attributes,
            trace_id: trace_id(&self.run_id).to_bytes().to_vec(),
            span_id: span_id(&self.run_id, self.session, &step.path)
                .to_bytes()
                .to_vec(),
            ..LogRecord::default()
        };
        let mut state = self.state.lock();
        state.records.push(record);
        if state.records.len() >= BATCH {
            self.write(&mut state);
        }
    }

    /// Writes what has gathered; returns what went wrong since the last call.
    pub(crate) fn flush(&self) -> Option<String> {
        let mut state = self.state.lock();
        self.write(&mut state);
        state.trouble.take()
    }

    fn write(&self, state: &mut State) {
        if state.records.is_empty() {
            return;
        }
        let log_records = std::mem::take(&mut state.records);
        let request = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(resource(&self.facts)),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope()),
                    log_records,
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        };
        if let Err(trouble) = state.file.write(&request) {
            state.trouble = Some(trouble);
        }
    }
}

fn severity(level: Level) -> (LogLevel, SeverityNumber, &'static str) {
    match level {
        Level::TRACE => (LogLevel::Trace, SeverityNumber::Trace, "TRACE"),
        Level::DEBUG => (LogLevel::Debug, SeverityNumber::Debug, "DEBUG"),
        Level::INFO => (LogLevel::Info, SeverityNumber::Info, "INFO"),
        Level::WARN => (LogLevel::Warn, SeverityNumber::Warn, "WARN"),
        Level::ERROR => (LogLevel::Error, SeverityNumber::Error, "ERROR"),
    }
}

/// Takes the message and the fields out of a log event, secrets masked.
struct Message<'a> {
    body: String,
    attributes: Vec<KeyValue>,
    redact: &'a dyn Fn(&str) -> String,
}

impl Message<'_> {
    fn new() -> Self {
        Self {
            body: String::new(),
            attributes: Vec::new(),
            redact: &str::to_owned,
        }
    }
}

impl Visit for Message<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let value = (self.redact)(value);
        match field.name() {
            "message" => self.body = value,
            name => self.attributes.push(attribute(name, value)),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.push(attribute(field.name(), value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attributes
            .push(attribute(field.name(), i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attributes.push(attribute(field.name(), value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attributes.push(attribute(field.name(), value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }
}
