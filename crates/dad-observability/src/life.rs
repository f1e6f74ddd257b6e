//! Log records of the life of a run, made from its events.

use std::sync::Arc;

use dad_core::{ErrorInfo, RunStatus, format_duration};
use dad_events::{Event, EventBody, RunEnded, RunInfo, RunStarted, StepEnded};
use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use crate::genai;
use crate::ids::{SessionIds, SpanKey, trace_id};
use crate::logs::log_record;
use crate::names;
use crate::otlp::{attribute, integer, nanos};
use crate::settings::LogLevel;

/// The log records of the life of one run.
#[derive(Debug)]
pub(crate) struct Life {
    run: Arc<RunInfo>,
    trace_id: TraceId,
    ids: SessionIds,
}

/// A record without ids and time.
struct Entry {
    level: LogLevel,
    event: &'static str,
    body: String,
    attributes: Vec<KeyValue>,
    span: SpanKey,
}

impl Life {
    pub(crate) fn new(run: Arc<RunInfo>) -> Self {
        let run_id = run.run_id.as_str();
        Self {
            trace_id: trace_id(run_id),
            ids: SessionIds::new(run_id, run.session),
            run,
        }
    }

    /// The record of an event, if it is one of the run's life.
    pub(crate) fn record(&self, event: &Event) -> Option<LogRecord> {
        let Entry {
            level,
            event: name,
            body,
            mut attributes,
            span,
        } = self.entry(event)?;
        if let Some(path) = event.path() {
            attributes.push(attribute(names::PATH, path.as_str().to_owned()));
        }
        attributes.extend(event.seq.map(|seq| integer(names::SEQ, seq)));
        Some(LogRecord {
            attributes,
            trace_id: self.trace_id.to_bytes().to_vec(),
            span_id: self.ids.span(&span).to_bytes().to_vec(),
            ..log_record(nanos(event.at), level, name, body)
        })
    }

    fn entry(&self, event: &Event) -> Option<Entry> {
        Some(match &event.body {
            EventBody::RunStarted(started) => self.run_started(started),
            EventBody::RunEnded(ended) => run_ended(ended),
            EventBody::ComponentEnded(ended) => {
                let error = ended.error.as_ref()?;
                Entry {
                    level: LogLevel::Error,
                    event: names::COMPONENT_ENDED,
                    body: format!("`{}` {}: {}", ended.path, ended.status, error.message),
                    attributes: of_error(Some(error)),
                    span: SpanKey::Path(ended.path.clone()),
                }
            }
            EventBody::StepEnded(ended) => step_ended(ended),
            EventBody::AttemptFailed(failed) => Entry {
                level: LogLevel::Warn,
                event: names::ATTEMPT_FAILED,
                body: format!(
                    "attempt {} of `{}` failed, and another follows at {}: {}",
                    failed.attempt, failed.path, failed.retry_at, failed.error.message
                ),
                attributes: of_error(Some(&failed.error)),
                span: SpanKey::Path(failed.path.clone()),
            },
            EventBody::QuestionAsked(asked) => Entry {
                level: LogLevel::Info,
                event: names::QUESTION_ASKED,
                body: format!("`{}` waits for {}", asked.path, asked.kind),
                attributes: vec![attribute(names::QUESTION, asked.id.clone())],
                span: SpanKey::Question(asked.id.clone()),
            },
            EventBody::QuestionAnswered(answered) => {
                let path = SpanKey::Path(answered.path.clone());
                let span = answered.id.clone().map_or(path, SpanKey::Question);
                Entry {
                    level: LogLevel::Info,
                    event: names::QUESTION_ANSWERED,
                    body: format!(
                        "{} of `{}` was given by {}",
                        answered.kind, answered.path, answered.source
                    ),
                    attributes: vec![attribute(names::ANSWERED_BY, answered.source.clone())],
                    span,
                }
            }
            _ => return None,
        })
    }

    fn run_started(&self, started: &RunStarted) -> Entry {
        let RunInfo { root_id, session, .. } = &*self.run;
        let verb = if started.resumed { "resumed" } else { "started" };
        Entry {
            level: LogLevel::Info,
            event: names::RUN_STARTED,
            body: format!("`{root_id}` was {verb}"),
            attributes: vec![integer(names::SESSION, *session)],
            span: SpanKey::Session,
        }
    }
}

fn run_ended(ended: &RunEnded) -> Entry {
    let level = match ended.status {
        RunStatus::Completed | RunStatus::Waiting => LogLevel::Info,
        _ => LogLevel::Error,
    };
    let mut attributes = of_error(ended.error.as_ref());
    attributes.push(attribute(names::STATUS, ended.status.as_str()));
    let verb = match ended.status {
        RunStatus::Waiting => "began to wait",
        status => status.as_str(),
    };
    Entry {
        level,
        event: names::RUN_ENDED,
        body: ended_in_words("the run", verb, ended.duration, ended.error.as_ref()),
        attributes,
        span: SpanKey::Session,
    }
}

fn step_ended(ended: &StepEnded) -> Entry {
    let level = if ended.status.is_failure() {
        LogLevel::Error
    } else {
        LogLevel::Info
    };
    let mut attributes = of_error(ended.error.as_ref());
    attributes.push(attribute(names::STATUS, ended.status.as_str()));
    let name = format!("`{}`", ended.path);
    let body = match ended.taken_from() {
        Some(origin) => format!("{name} reused from {}", origin.run_id),
        None => ended_in_words(&name, ended.status.as_str(), ended.duration, ended.error.as_ref()),
    };
    Entry {
        level,
        event: names::STEP_ENDED,
        body,
        attributes,
        span: SpanKey::Path(ended.path.clone()),
    }
}

fn ended_in_words(
    name: &str,
    verb: &str,
    duration: std::time::Duration,
    error: Option<&ErrorInfo>,
) -> String {
    let ended = format!("{name} {verb} after {}", format_duration(duration));
    match error {
        Some(error) => format!("{ended}: {}", error.message),
        None => ended,
    }
}

fn of_error(error: Option<&ErrorInfo>) -> Vec<KeyValue> {
    let code = error.map(|error| attribute(genai::ERROR_TYPE, error.code.clone()));
    code.into_iter().collect()
}
