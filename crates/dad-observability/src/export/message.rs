//! Messages to a receiver: merged from lines, and divided where they would be too long.
//!
//! A request of each signal has the same form: resources, scopes within them, records within those. So the functions here
//! work on the JSON of the lines, whatever the signal.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::names;
use crate::settings::{OtlpProtocol, Signal};

/// The length of a message at most, in bytes: receivers of gRPC take 4 MiB unless they are configured otherwise.
pub(super) const LONGEST: usize = 4_000_000;

/// A limit below which no record is cut: a receiver that takes no more takes nothing.
pub(super) const SHORTEST: usize = 4096;

/// The nested lists of a request: of resources, of scopes, of records.
pub(super) const fn levels(signal: Signal) -> [&'static str; 3] {
    match signal {
        Signal::Traces => ["resourceSpans", "scopeSpans", "spans"],
        Signal::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
        Signal::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
    }
}

/// A message and the records in it.
#[derive(Debug)]
pub(super) struct Message {
    /// Its body.
    pub(super) bytes: Vec<u8>,
    records: Records,
}

/// Records of a signal, by resource and scope.
#[derive(Debug)]
pub(super) struct Records {
    signal: Signal,
    resources: Vec<Value>,
}

/// Why records become no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) records: u64,
    pub(super) reason: String,
}

impl Records {
    /// The records of lines, and the number of lines that hold none: what a crash left of a line.
    pub(super) fn of_lines(signal: Signal, lines: &[u8]) -> (Self, u64) {
        let [outer, inner @ ..] = levels(signal);
        let mut resources = Vec::new();
        let mut unreadable = 0;
        let lines = lines.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Value>(line) {
                Ok(mut request) if request[outer].is_array() => {
                    let found = request[outer].as_array_mut().map(std::mem::take);
                    let found = found.unwrap_or_default().into_iter();
                    found.for_each(|resource| add(&mut resources, resource, &inner));
                }
                _ => unreadable += 1,
            }
        }
        (Self { signal, resources }, unreadable)
    }

    /// The number of records.
    pub(super) fn count(&self) -> u64 {
        let [_, inner @ ..] = levels(self.signal);
        self.resources
            .iter()
            .map(|resource| count(resource, &inner) as u64)
            .sum()
    }

    /// The records, for those who show them.
    pub(super) fn each(&self) -> impl Iterator<Item = &Value> {
        let [_, scopes, records] = levels(self.signal);
        let scopes = self
            .resources
            .iter()
            .flat_map(move |resource| items(resource, scopes));
        scopes.flat_map(move |scope| items(scope, records))
    }

    /// Messages of at most `longest` bytes. A record that is longer by itself is shortened.
    pub(super) fn messages(self, protocol: OtlpProtocol, longest: usize) -> (Vec<Message>, Vec<Unfit>) {
        let (mut messages, mut unfit) = (Vec::new(), Vec::new());
        let mut waiting = vec![self];
        while let Some(records) = waiting.pop() {
            let count = records.count();
            match records.encode(protocol) {
                _ if count == 0 => {}
                Ok(bytes) if bytes.len() <= longest => messages.push(Message { bytes, records }),
                Ok(_) if count > 1 => {
                    let (first, second) = records.halves();
                    waiting.extend([second, first]);
                }
                Ok(_) => match records.shortened(protocol, longest) {
                    Some(message) => messages.push(message),
                    None => unfit.push(Unfit {
                        records: count,
                        reason: format!("it does not fit into a message of {longest} bytes"),
                    }),
                },
                Err(_) if count > 1 => {
                    let (first, second) = records.halves();
                    waiting.extend([second, first]);
                }
                Err(reason) => unfit.push(Unfit {
                    records: count,
                    reason,
                }),
            }
        }
        (messages, unfit)
    }

    fn encode(&self, protocol: OtlpProtocol) -> Result<Vec<u8>, String> {
        let wrong = |error: serde_json::Error| format!("it is no OTLP: {error}");
        let [outer, ..] = levels(self.signal);
        if protocol == OtlpProtocol::HttpJson {
            let request = std::collections::BTreeMap::from([(outer, &self.resources)]);
            return serde_json::to_vec(&request).map_err(wrong);
        }
        match self.signal {
            Signal::Traces => self
                .typed()
                .map(|resource_spans| ExportTraceServiceRequest { resource_spans }.encode_to_vec()),
            Signal::Metrics => self
                .typed()
                .map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()),
            Signal::Logs => self
                .typed()
                .map(|resource_logs| ExportLogsServiceRequest { resource_logs }.encode_to_vec()),
        }
        .map_err(wrong)
    }

    fn typed<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<Vec<T>> {
        self.resources.iter().map(T::deserialize).collect()
    }

    fn halves(mut self) -> (Self, Self) {
        let [_, inner @ ..] = levels(self.signal);
        let half = usize::try_from(self.count() / 2).unwrap_or(usize::MAX);
        let second = Self {
            signal: self.signal,
            resources: split_off(&mut self.resources, &inner, half),
        };
        (self, second)
    }

    /// The message of one record whose largest values are shortened as far as necessary.
    fn shortened(mut self, protocol: OtlpProtocol, longest: usize) -> Option<Message> {
        let [_, scopes, records] = levels(self.signal);
        let mut limit = longest / 2;
        while limit >= 64 {
            let record = self
                .resources
                .iter_mut()
                .flat_map(|resource| items_mut(resource, scopes))
                .flat_map(|scope| items_mut(scope, records))
                .next()?;
            if shorten(record, limit) {
                mark(record, self.signal);
            }
            if let Some(bytes) = self.encode(protocol).ok().filter(|bytes| bytes.len() <= longest) {
                return Some(Message { bytes, records: self });
            }
            limit /= 2;
        }
        None
    }
}

impl Message {
    /// The number of records.
    pub(super) fn count(&self) -> u64 {
        self.records.count()
    }

    /// Shorter messages of its records: each with half of them, or one with the values of its only record cut.
    pub(super) fn divided(self, protocol: OtlpProtocol) -> (Vec<Self>, Vec<Unfit>) {
        if self.count() < 2 {
            return self.records.messages(protocol, self.bytes.len() / 2);
        }
        let (first, second) = self.records.halves();
        let (mut messages, mut unfit) = first.messages(protocol, LONGEST);
        let (more, more_unfit) = second.messages(protocol, LONGEST);
        messages.extend(more);
        unfit.extend(more_unfit);
        (messages, unfit)
    }
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}

fn items_mut<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    let list = value.get_mut(field).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

/// The number of records in a resource or a scope.
fn count(value: &Value, inner: &[&str]) -> usize {
    match inner {
        [] => 1,
        [field, deeper @ ..] => items(value, field).map(|item| count(item, deeper)).sum(),
    }
}

/// Adds a resource, scope or record to a list. What is the same as the last one but for its items gives them to that.
fn add(list: &mut Vec<Value>, mut new: Value, inner: &[&str]) {
    let Some((field, deeper)) = inner.split_first() else {
        list.push(new);
        return;
    };
    let items = take_items(&mut new, field);
    let is_same = list.last().is_some_and(|last| is_same_without(last, &new, field));
    if !is_same {
        new[*field] = json!([]);
        list.push(new);
    }
    let last = list.last_mut().and_then(|last| last[*field].as_array_mut());
    if let Some(last) = last {
        items.into_iter().for_each(|item| add(last, item, deeper));
    }
}

fn take_items(value: &mut Value, field: &str) -> Vec<Value> {
    let list = value.get_mut(field).and_then(Value::as_array_mut);
    list.map(std::mem::take).unwrap_or_default()
}

/// Whether two objects are the same but for one field. It is the long one, and is not copied.
fn is_same_without(one: &Value, other: &Value, field: &str) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return false;
    };
    let count = |fields: &Map<String, Value>| fields.len() - usize::from(fields.contains_key(field));
    let mut rest = one.iter().filter(|(name, _)| *name != field);
    count(one) == count(other) && rest.all(|(name, value)| other.get(name) == Some(value))
}

/// Divides a list behind its first `keep` records, and gives what lies behind them.
fn split_off(list: &mut Vec<Value>, inner: &[&str], keep: usize) -> Vec<Value> {
    let Some((field, deeper)) = inner.split_first() else {
        return list.split_off(keep.min(list.len()));
    };
    let mut before = 0;
    for index in 0..list.len() {
        let here = count(&list[index], inner);
        if before + here <= keep {
            before += here;
            continue;
        }
        let mut rest = list.split_off(index);
        if before < keep {
            let mut items = take_items(&mut rest[0], field);
            let behind = split_off(&mut items, deeper, keep - before);
            let mut head = rest[0].clone();
            head[*field] = items.into();
            rest[0][*field] = behind.into();
            list.push(head);
        }
        return rest;
    }
    Vec::new()
}

/// Cuts texts that are longer than `limit` bytes, and says whether there were any.
fn shorten(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Object(fields) => {
            let mut has_cut = false;
            for (name, field) in fields {
                has_cut |= match (&**name, &mut *field) {
                    ("stringValue", Value::String(text)) if text.len() > limit => {
                        text.truncate(text.floor_char_boundary(limit));
                        text.push('…');
                        true
                    }
                    // In base64, four characters stand for three bytes.
                    ("bytesValue", Value::String(text)) if text.len() > limit => {
                        text.truncate(limit / 4 * 4);
                        true
                    }
                    _ => shorten(field, limit),
                };
            }
            has_cut
        }
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |has_cut, item| shorten(item, limit) | has_cut),
        _ => false,
    }
}

fn mark(record: &mut Value, signal: Signal) {
    let field = if signal == Signal::Metrics {
        "metadata"
    } else {
        "attributes"
    };
    if !record[field].is_array() {
        record[field] = json!([]);
    }
    if let Some(attributes) = record[field].as_array_mut()
        && !attributes
            .iter()
            .any(|attribute| attribute["key"] == names::TRUNCATED)
    {
        attributes.push(json!({ "key": names::TRUNCATED, "value": { "boolValue": true } }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(service: &str, scope: &str, ids: std::ops::Range<u64>) -> String {
        let spans = ids.map(|id| {
            json!({ "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": format!("{id:016x}"), "name": "a" })
        });
        let resource =
            json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] });
        let scopes = json!([{ "scope": { "name": scope }, "spans": spans.collect::<Vec<_>>() }]);
        let request = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": scopes }] });
        format!("{request}\n")
    }

    fn decoded(message: &Message) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(&*message.bytes).unwrap()
    }

    fn ids(messages: &[Message]) -> Vec<u64> {
        let mut ids = Vec::new();
        for message in messages {
            for resource in decoded(message).resource_spans {
                for scope in resource.scope_spans {
                    let own = scope.spans.into_iter().map(|span| span.span_id);
                    ids.extend(own.map(|id| u64::from_be_bytes(id.try_into().unwrap())));
                }
            }
        }
        ids
    }

    #[test]
    fn lines_of_one_resource_and_scope_are_one_list() {
        let lines = line("a", "x", 0..2)
            + &line("a", "x", 2..3)
            + "torn\n"
            + &line("a", "y", 3..5)
            + &line("b", "y", 5..6);
        let (records, unreadable) = Records::of_lines(Signal::Traces, lines.as_bytes());
        assert_eq!((records.count(), unreadable), (6, 1));
        let (messages, unfit) = records.messages(OtlpProtocol::HttpProtobuf, LONGEST);
        assert_eq!((messages.len(), unfit.len()), (1, 0));
        let request = decoded(&messages[0]);
        let scopes: Vec<usize> = request
            .resource_spans
            .iter()
            .map(|resource| resource.scope_spans.len())
            .collect();
        assert_eq!(scopes, [2, 1]);
        assert_eq!(ids(&messages), (0..6).collect::<Vec<_>>());
    }

    #[test]
    fn a_long_request_is_divided_without_loss_and_in_order() {
        let lines: String = (0..10)
            .map(|number| {
                line(
                    &format!("service {}", number / 4),
                    "x",
                    number * 30..(number + 1) * 30,
                )
            })
            .collect();
        for longest in [5000, 900, 200] {
            let (records, _) = Records::of_lines(Signal::Traces, lines.as_bytes());
            let (messages, unfit) = records.messages(OtlpProtocol::HttpProtobuf, longest);
            assert_eq!(unfit, []);
            assert!(messages.iter().all(|message| message.bytes.len() <= longest));
            assert_eq!(ids(&messages), (0..300).collect::<Vec<_>>(), "{longest}");
        }
    }

    #[test]
    fn a_message_that_is_refused_is_halved_down_to_single_records() {
        let (records, _) = Records::of_lines(Signal::Traces, line("a", "x", 0..5).as_bytes());
        let (mut waiting, _) = records.messages(OtlpProtocol::HttpProtobuf, LONGEST);
        let mut single = Vec::new();
        while let Some(message) = waiting.pop() {
            if message.count() == 1 {
                single.push(message);
            } else {
                waiting.extend(message.divided(OtlpProtocol::HttpProtobuf).0.into_iter().rev());
            }
        }
        assert_eq!(ids(&single), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn only_the_largest_values_of_a_long_record_are_cut() {
        let long = "ä".repeat(4000);
        let record = json!({
            "severityNumber": 9,
            "body": { "stringValue": long },
            "attributes": [{ "key": "short", "value": { "stringValue": "kept" } }],
        });
        let request = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] });
        let lines = request.to_string();
        let (records, _) = Records::of_lines(Signal::Logs, lines.as_bytes());
        let (messages, _) = records.messages(OtlpProtocol::HttpProtobuf, 3001);
        let request = ExportLogsServiceRequest::decode(&*messages[0].bytes).unwrap();
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        let shown = format!("{record:?}");
        assert!(
            messages[0].bytes.len() <= 3001 && shown.contains("ää…"),
            "{shown}"
        );
        let keys: Vec<&str> = record
            .attributes
            .iter()
            .map(|attribute| &*attribute.key)
            .collect();
        assert_eq!(keys, ["short", names::TRUNCATED]);
        assert!(shown.contains("kept"));
        let (records, _) = Records::of_lines(Signal::Logs, lines.as_bytes());
        let (messages, unfit) = records.messages(OtlpProtocol::HttpJson, 60);
        assert_eq!((messages.len(), unfit[0].records), (0, 1));
    }

    #[test]
    fn what_is_no_record_is_left_out_and_the_rest_is_sent() {
        let mut broken: Value = serde_json::from_str(&line("a", "x", 0..3)).unwrap();
        broken["resourceSpans"][0]["scopeSpans"][0]["spans"][1]["spanId"] = json!("no id");
        let (records, _) = Records::of_lines(Signal::Traces, broken.to_string().as_bytes());
        let (messages, unfit) = records.messages(OtlpProtocol::HttpProtobuf, LONGEST);
        assert_eq!(ids(&messages), [0, 2]);
        assert!(unfit[0].records == 1 && unfit[0].reason.contains("it is no OTLP"));
    }
}
