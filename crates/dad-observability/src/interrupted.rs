//! Spans that a process left open when it ended without closing them. Records of their beginning say which they are; the
//! process that resumes the run closes them.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use dad_core::ErrorInfo;
use dad_fs::{Dir, FsError, FsResult, optional};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde::Deserialize;

use crate::genai;
use crate::names::{self, LOGS_FILE, PARENT_SPAN_ID, SPAN_START, TRACE_FILE};
use crate::open_spans::{SpanType, status};
use crate::otlp::attribute;
use crate::read::{GrowingLines, Line};

/// The error of a span whose process ended before it.
const INTERRUPTED: &str = "interrupted";

/// The part of a line of spans that says which have ended.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndedLine<'a> {
    #[serde(borrow)]
    resource_spans: Vec<EndedResource<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndedResource<'a> {
    #[serde(borrow)]
    scope_spans: Vec<EndedScope<'a>>,
}

#[derive(Deserialize)]
struct EndedScope<'a> {
    #[serde(borrow)]
    spans: Vec<EndedSpan<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndedSpan<'a> {
    span_id: &'a str,
    end_time_unix_nano: &'a str,
}

/// The spans that earlier processes left open, ended at the last time that their files tell of. What a file has beside them
/// is read past, and so is a line that is no record of ours.
pub(crate) fn unfinished(trace_dir: &Path) -> FsResult<Vec<Span>> {
    let dir = Dir::open(trace_dir)?;
    let (mut ended, mut latest) = (HashSet::new(), 0);
    each_line(&dir, TRACE_FILE, |line| {
        let Ok(line) = serde_json::from_slice::<EndedLine<'_>>(line) else {
            return;
        };
        let scopes = line.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            ended.extend(u64::from_str_radix(span.span_id, 16));
            latest = latest.max(span.end_time_unix_nano.parse().unwrap_or(0));
        }
    })?;
    let mut open = Vec::new();
    each_line(&dir, LOGS_FILE, |line| {
        let Ok(line) = serde_json::from_slice::<ExportLogsServiceRequest>(line) else {
            return;
        };
        let scopes = line.resource_logs.into_iter().flat_map(|of| of.scope_logs);
        for record in scopes.flat_map(|scope| scope.log_records) {
            latest = latest.max(record.time_unix_nano);
            let id = record
                .span_id
                .iter()
                .fold(0_u64, |id, byte| id << 8 | u64::from(*byte));
            let is_open = record.event_name == SPAN_START && !ended.contains(&id);
            if is_open && open.len() < MOST {
                open.push(record);
            }
        }
    })?;
    Ok(open
        .into_iter()
        .map(|record| interrupted(record, latest))
        .collect())
}

/// The most spans that are closed: far more than steps can execute at a time.
const MOST: usize = 100_000;

/// The largest file that is read, in bytes: nothing says that it is as a run left it.
const LARGEST: u64 = 1 << 30;

/// Gives each whole line of a file; none if it is missing.
fn each_line(dir: &Dir, name: &str, mut take: impl FnMut(&[u8])) -> FsResult<()> {
    let Some(file) = optional(dir.open_file(name))? else {
        return Ok(());
    };
    let broken = |source| FsError::new("read", dir.path().join(name), source);
    if file.metadata().map_err(broken)?.len() > LARGEST {
        let reason = "it is larger than 1 GiB, so that spans which an earlier process left open stay open";
        return Err(broken(io::Error::other(reason)));
    }
    let mut lines = GrowingLines::new(file);
    while let Some(line) = lines.next(false).map_err(broken)? {
        if let Line::Whole(line) = line {
            take(line);
        }
    }
    Ok(())
}

/// A span from the record of its beginning.
fn interrupted(record: LogRecord, latest: u64) -> Span {
    let LogRecord {
        time_unix_nano,
        body,
        mut attributes,
        trace_id,
        span_id,
        ..
    } = record;
    let parent = take_text(&mut attributes, PARENT_SPAN_ID).unwrap_or_default();
    let is_call = attributes.iter().any(|attribute| {
        attribute.key == names::SPAN && text(attribute) == Some(SpanType::ModelCall.as_str())
    });
    let span = if is_call {
        SpanType::ModelCall
    } else {
        SpanType::Step
    };
    let error = ErrorInfo::new(INTERRUPTED, "the process that drove the run ended before it did");
    attributes.push(attribute(names::STATUS, INTERRUPTED));
    attributes.push(attribute(genai::ERROR_TYPE, INTERRUPTED));
    let name = match body.and_then(|body| body.value) {
        Some(any_value::Value::StringValue(name)) => name,
        _ => String::new(),
    };
    Span {
        trace_id,
        span_id,
        parent_span_id: bytes_of(&parent),
        flags: crate::open_spans::FLAGS,
        name,
        kind: span.span_kind().into(),
        start_time_unix_nano: time_unix_nano,
        end_time_unix_nano: latest.max(time_unix_nano),
        attributes,
        status: Some(status(Some(&error), true)),
        ..Span::default()
    }
}

fn take_text(attributes: &mut Vec<KeyValue>, name: &str) -> Option<String> {
    let index = attributes.iter().position(|attribute| attribute.key == name)?;
    text(&attributes.remove(index)).map(str::to_owned)
}

fn text(attribute: &KeyValue) -> Option<&str> {
    match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn bytes_of(id: &str) -> Vec<u8> {
    u64::from_str_radix(id, 16).map_or_else(|_| Vec::new(), |id| id.to_be_bytes().to_vec())
}
