//! Reading the spans and log records that a run wrote: line by line, whatever stands in them.

use std::io::{self, BufRead, BufReader, Read};

use dad_core::{HierarchyPath, Timestamp};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue as MaybeValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::names;
use crate::settings::LogLevel;

/// No line that is read is longer, in bytes; those that the run writes are far shorter.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The attributes that name the place in the source of a log event, the newest name first.
const TARGETS: [&str; 3] = ["code.module.name", "code.namespace", "log.target"];

/// The lines of a file that cannot be read as what they should be, such as those that a crash cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DamagedLines {
    /// Their number.
    pub count: u64,
    /// The first of them, from 1; 0 if there is none.
    pub first: u64,
}

/// A span as it was written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReadSpan {
    /// The id of the trace, in hexadecimal digits.
    pub trace_id: String,
    /// Its id, in hexadecimal digits.
    pub span_id: String,
    /// The id of the span around it; `None` for a session.
    pub parent_id: Option<String>,
    /// Its name.
    pub name: String,
    /// `internal`, `client`, `server`, `producer` or `consumer`.
    pub kind: &'static str,
    /// When it began, in nanoseconds since 1970.
    pub from: u64,
    /// When it ended, in nanoseconds since 1970.
    pub to: u64,
    /// Its attributes.
    pub attributes: Map<String, Value>,
    /// The message of its error, which may be empty; `None` if it ended well.
    pub error: Option<String>,
    /// The service that its resource names.
    pub service: String,
}

impl ReadSpan {
    /// The text of an attribute.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute)?.as_str()
    }

    /// The time from its beginning to its end, in nanoseconds.
    #[must_use]
    pub const fn nanos(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// A log record as it was written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReadLog {
    /// When it happened.
    pub at: Timestamp,
    /// Its severity.
    pub level: LogLevel,
    /// Its text.
    pub text: String,
    /// The name of the event in the life of the run; `None` of a log event of a step's own code.
    pub event: Option<String>,
    /// The place in the source of a log event, such as its module.
    pub target: Option<String>,
    /// The step or component that it is about.
    pub path: Option<HierarchyPath>,
}

/// The whole lines of a file that may still grow.
pub(crate) struct GrowingLines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    /// Whether the rest of a line that is too long is still to come.
    skips: bool,
}

/// A line that was read.
pub(crate) enum Line<'l> {
    Whole(&'l [u8]),
    TooLong,
}

impl<R: Read> GrowingLines<R> {
    pub(crate) fn new(file: R) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, file),
            line: Vec::new(),
            number: 0,
            skips: false,
        }
    }

    /// The next line without its line feed; `None` while there is no whole one. At the end of a file that does not grow any more the
    /// last line counts without its line feed.
    pub(crate) fn next(&mut self, is_complete: bool) -> io::Result<Option<Line<'_>>> {
        if self.line.last() == Some(&b'\n') {
            self.line.clear();
        }
        loop {
            let left = LONGEST.saturating_sub(self.line.len() as u64).max(1);
            let read = self
                .reader
                .by_ref()
                .take(left)
                .read_until(b'\n', &mut self.line)?;
            let is_whole = self.line.last() == Some(&b'\n');
            let ends = is_whole || (read == 0 && is_complete && !self.line.is_empty());
            if ends {
                self.number += 1;
                if !is_whole {
                    self.line.push(b'\n');
                }
                if std::mem::take(&mut self.skips) {
                    return Ok(Some(Line::TooLong));
                }
                return Ok(Some(Line::Whole(self.line.trim_ascii_end())));
            }
            if read == 0 {
                return Ok(None);
            }
            if self.line.len() as u64 >= LONGEST {
                self.skips = true;
                self.line.clear();
            }
        }
    }
}

/// Reads the requests in lines, and notes those lines that hold none.
struct Requests<R> {
    lines: GrowingLines<R>,
    damaged: DamagedLines,
}

impl<R: Read> Requests<R> {
    fn new(file: R) -> Self {
        Self {
            lines: GrowingLines::new(file),
            damaged: DamagedLines::default(),
        }
    }

    fn next<T: DeserializeOwned>(&mut self, is_complete: bool) -> io::Result<Option<T>> {
        while let Some(line) = self.lines.next(is_complete)? {
            let request = match line {
                Line::Whole([]) => continue,
                Line::Whole(line) => serde_json::from_slice(line).ok(),
                Line::TooLong => None,
            };
            if request.is_some() {
                return Ok(request);
            }
            self.damaged.count += 1;
            if self.damaged.first == 0 {
                self.damaged.first = self.lines.number;
            }
        }
        Ok(None)
    }
}

/// Reads the spans of a file, one after the other in the order in which they ended, and gives the lines that hold none.
///
/// # Errors
/// If the file cannot be read.
pub fn read_spans(file: impl Read, mut each: impl FnMut(ReadSpan)) -> io::Result<DamagedLines> {
    let mut requests = Requests::new(file);
    while let Some(request) = requests.next::<ExportTraceServiceRequest>(true)? {
        for resource in request.resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes);
            let attributes = object(attributes.unwrap_or_default());
            let service = attributes
                .get("service.name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.for_each(|span| each(read_span(span, service)));
        }
    }
    Ok(requests.damaged)
}

fn read_span(span: Span, service: &str) -> ReadSpan {
    let kind = match span.kind() {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    };
    let error = span.status.filter(|status| status.code() == StatusCode::Error);
    ReadSpan {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: Some(hex(&span.parent_span_id)).filter(|id| !id.is_empty()),
        name: span.name,
        kind,
        from: span.start_time_unix_nano,
        to: span.end_time_unix_nano,
        attributes: object(span.attributes),
        error: error.map(|status| status.message),
        service: service.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The log records of a file that may still grow. Each byte of it is read once.
pub struct LogRecords {
    requests: Requests<Box<dyn Read + Send>>,
    /// Those of the request that was read last, the next one at the end.
    read: Vec<ReadLog>,
}

impl std::fmt::Debug for LogRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogRecords").finish_non_exhaustive()
    }
}

impl LogRecords {
    /// The records of a file, from its beginning.
    #[must_use]
    pub fn new(file: impl Read + Send + 'static) -> Self {
        Self {
            requests: Requests::new(Box::new(file)),
            read: Vec::new(),
        }
    }

    /// The next record; `None` while there is none. If the file does not grow any more, its last line counts also without its line
    /// feed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next_record(&mut self, is_complete: bool) -> io::Result<Option<ReadLog>> {
        while self.read.is_empty() {
            let Some(request) = self.requests.next::<ExportLogsServiceRequest>(is_complete)? else {
                return Ok(None);
            };
            let scopes = request
                .resource_logs
                .into_iter()
                .flat_map(|resource| resource.scope_logs);
            let records = scopes.flat_map(|scope| scope.log_records);
            self.read = records.map(read_log).collect();
            self.read.reverse();
        }
        Ok(self.read.pop())
    }

    /// The lines so far that hold no records.
    #[must_use]
    pub const fn damaged(&self) -> DamagedLines {
        self.requests.damaged
    }
}

fn read_log(record: LogRecord) -> ReadLog {
    let nanos = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        nanos => nanos,
    };
    let attributes = object(record.attributes);
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    ReadLog {
        at: Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::UNIX_EPOCH),
        level: level(record.severity_number),
        text: match json(record.body) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        },
        event: Some(record.event_name).filter(|name| !name.is_empty()),
        target: TARGETS.iter().find_map(|name| text(name)).map(str::to_owned),
        path: text(names::PATH).and_then(|path| path.parse().ok()),
    }
}

/// The level of a severity: OpenTelemetry has four numbers for each.
const fn level(severity: i32) -> LogLevel {
    match severity {
        ..=4 => LogLevel::Trace,
        5..=8 => LogLevel::Debug,
        9..=12 => LogLevel::Info,
        13..=16 => LogLevel::Warn,
        _ => LogLevel::Error,
    }
}

fn object(attributes: Vec<KeyValue>) -> Map<String, Value> {
    let fields = attributes.into_iter();
    fields.map(|field| (field.key, json(field.value))).collect()
}

fn json(value: Option<MaybeValue>) -> Value {
    match value.and_then(|value| value.value) {
        None => Value::Null,
        Some(AnyValue::StringValue(text)) => text.into(),
        Some(AnyValue::BoolValue(value)) => value.into(),
        Some(AnyValue::IntValue(number)) => number.into(),
        Some(AnyValue::DoubleValue(number)) => number.into(),
        Some(AnyValue::ArrayValue(items)) => items.values.into_iter().map(|item| json(Some(item))).collect(),
        Some(AnyValue::KvlistValue(fields)) => object(fields.values).into(),
        Some(AnyValue::BytesValue(bytes)) => hex(&bytes).into(),
        // An index into strings of profiles, which spans and logs do not have.
        Some(AnyValue::StringValueStrindex(_)) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1000000000","severityNumber":13,"body":{"stringValue":"careful"},"attributes":[{"key":"dhenara.path","value":{"stringValue":"root.say"}}]}]}]}]}"#;

    #[test]
    fn damaged_lines_are_counted_and_the_others_read() {
        let file = format!("torn{{\n{LINE}\n\n\u{0}\n{LINE}");
        let mut records = LogRecords::new(io::Cursor::new(file.into_bytes()));
        let first = records.next_record(false).unwrap().unwrap();
        assert_eq!((first.text.as_str(), first.level), ("careful", LogLevel::Warn));
        assert_eq!(first.path.unwrap().as_str(), "root.say");
        assert_eq!(
            records.next_record(false).unwrap(),
            None,
            "its last line may still grow"
        );
        assert!(records.next_record(true).unwrap().is_some());
        assert_eq!(records.next_record(true).unwrap(), None);
        assert_eq!(records.damaged(), DamagedLines { count: 2, first: 1 });
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let endless = io::repeat(b'x')
            .take(3 * LONGEST)
            .chain(io::Cursor::new(format!("\n{LINE}\n")));
        let mut records = LogRecords::new(endless);
        assert!(records.next_record(true).unwrap().is_some());
        assert_eq!(records.damaged(), DamagedLines { count: 1, first: 1 });
        assert!((records.requests.lines.line.capacity() as u64) < 3 * LONGEST);
    }
}
