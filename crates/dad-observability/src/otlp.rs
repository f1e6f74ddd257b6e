//! OTLP/JSON lines.

use std::path::Path;

use dad_core::Timestamp;
use dad_fs::{AppendFile, Dir, FsResult};
use opentelemetry::{StringValue, Value};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use serde::Serialize;

use crate::names::SCOPE;

/// A file of export requests, one a line.
#[derive(Debug)]
pub(crate) struct LineFile {
    file: AppendFile,
    line: Vec<u8>,
}

impl LineFile {
    pub(crate) fn open(trace_dir: &Path, name: &str) -> FsResult<Self> {
        Ok(Self {
            file: Dir::open(trace_dir)?.shared_as_it_is()?.append_lines(name)?,
            line: Vec::new(),
        })
    }

    /// Appends a request.
    pub(crate) fn write(&mut self, request: &impl Serialize) -> Result<(), String> {
        let wrong = |error: serde_json::Error| error.to_string();
        self.line.clear();
        serde_json::to_writer(&mut self.line, request).map_err(wrong)?;
        // Most lines have none, and need not be read again.
        if memchr::memmem::find(&self.line, NULL).is_some() {
            let mut request = serde_json::from_slice(&self.line).map_err(wrong)?;
            leave_out_nulls(&mut request);
            self.line.clear();
            serde_json::to_writer(&mut self.line, &request).map_err(wrong)?;
        }
        self.line.push(b'\n');
        self.file
            .append(&self.line)
            .map_err(|error| format!("{error}: {}", error.source))
    }
}

/// A field without a value, as the library writes it.
const NULL: &[u8] = b":null";

/// Leaves out fields without a value. The library writes them as null, which readers of OTLP/JSON refuse where a number or
/// an object is expected.
fn leave_out_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(leave_out_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(leave_out_nulls),
        _ => {}
    }
}

pub(crate) fn attribute(key: &str, value: impl Into<Value>) -> KeyValue {
    let value: AnyValue = value.into().into();
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

/// An attribute with a whole number; one beyond 63 bits is the largest there is.
pub(crate) fn integer(key: &'static str, number: impl TryInto<i64>) -> KeyValue {
    attribute(key, number.try_into().unwrap_or(i64::MAX))
}

/// An attribute with a list of texts.
pub(crate) fn texts(key: &'static str, texts: &[String]) -> KeyValue {
    let texts: Vec<StringValue> = texts.iter().cloned().map(StringValue::from).collect();
    attribute(key, Value::Array(texts.into()))
}

pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Nanoseconds since 1970; 0, which means unknown, for times before.
pub(crate) fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
