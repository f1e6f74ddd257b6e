//! Records as lines for people.

use std::path::Path;

use dad_core::{format_duration, printable};
use serde_json::Value;

use super::lines::{Batch, Lines};
use super::message::Records;
use crate::settings::Signal;

/// The bytes of a file that are read at once.
const PIECE: usize = 64 << 10;

/// The lines for the records of a signal from an offset on, and the offset behind them.
pub(super) fn lines_since(trace_dir: &Path, signal: Signal, mut at: u64) -> (Vec<String>, u64) {
    let mut shown = Vec::new();
    let Ok(Some(mut lines)) = Lines::open(trace_dir, signal, at) else {
        return (shown, at);
    };
    while let Ok(Some(Batch { lines, end })) = lines.next(PIECE) {
        let (records, _) = Records::of_lines(signal, &lines);
        shown.extend(records.each().map(|record| printable(&line(signal, record))));
        at = end;
    }
    (shown, at)
}

fn line(signal: Signal, record: &Value) -> String {
    match signal {
        Signal::Traces => span(record),
        Signal::Metrics => metric(record),
        Signal::Logs => log(record),
    }
}

fn span(span: &Value) -> String {
    let nanos = |field: &str| span[field].as_str().and_then(|text| text.parse::<u64>().ok());
    let took = nanos("endTimeUnixNano").zip(nanos("startTimeUnixNano"));
    let took = took.map(|(end, start)| std::time::Duration::from_nanos(end.saturating_sub(start)));
    let took = took.map(format_duration).unwrap_or_default();
    let name = span["name"].as_str().unwrap_or_default();
    let problem = span["status"]["message"].as_str();
    let parts = [
        Some(format!("span {name} {took}")),
        in_step(span),
        problem.map(str::to_owned),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn log(record: &Value) -> String {
    let severity = record["severityText"].as_str().unwrap_or("LOG");
    let text = text(&record["body"]);
    let parts = [Some(format!("log {severity} {text}")), in_step(record)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn metric(metric: &Value) -> String {
    let name = metric["name"].as_str().unwrap_or_default();
    let unit = metric["unit"].as_str().unwrap_or_default();
    let kinds = ["sum", "gauge", "histogram", "exponentialHistogram", "summary"];
    let points = kinds
        .iter()
        .filter_map(|kind| metric[*kind]["dataPoints"].as_array());
    let values: Vec<String> = points.flatten().map(point).collect();
    format!("metric {name} {} {unit}", values.join(", "))
        .trim_end()
        .to_owned()
}

/// The value of a data point with its attributes.
fn point(point: &Value) -> String {
    let number = ["asInt", "asDouble", "sum", "count"]
        .into_iter()
        .find_map(|field| plain(&point[field]));
    let attributes = point["attributes"].as_array().into_iter().flatten();
    let attributes: Vec<String> = attributes.map(|attribute| text(&attribute["value"])).collect();
    let number = number.unwrap_or_default();
    if attributes.is_empty() {
        number
    } else {
        format!("{number} ({})", attributes.join(" "))
    }
}

fn in_step(record: &Value) -> Option<String> {
    let mut attributes = record["attributes"].as_array()?.iter();
    let path = attributes.find(|attribute| attribute["key"] == crate::names::PATH)?;
    Some(text(&path["value"]))
}

/// The text of a value of OTLP.
fn text(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    fields
        .map(|(_, value)| plain(value).unwrap_or_else(|| value.to_string()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
