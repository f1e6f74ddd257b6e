//! The check of a run's telemetry: what its three files say together, and what the conventions of OpenTelemetry require.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

/// The requirements of the GenAI conventions, as data.
const CONVENTIONS: &str = include_str!("conventions.json");

/// The spans, instruments and log records of a run.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// In the order of their ends.
    pub spans: Vec<TelemetrySpan>,
    /// Each with its name and points.
    pub metrics: Vec<Value>,
    /// In the order in which they were written.
    pub records: Vec<TelemetryRecord>,
}

/// A span.
#[derive(Clone, Debug)]
pub struct TelemetrySpan {
    /// As the file has it.
    pub json: Value,
    /// Its attributes by name.
    pub attributes: BTreeMap<String, Value>,
}

/// A log record.
#[derive(Clone, Debug)]
pub struct TelemetryRecord {
    /// As the file has it.
    pub json: Value,
    /// Its attributes by name.
    pub attributes: BTreeMap<String, Value>,
}

impl Telemetry {
    /// Reads what a run has. A last line that was cut off is left out; files may be missing.
    ///
    /// # Panics
    /// If a whole line is not JSON.
    #[must_use]
    pub fn read(run_dir: &Path) -> Self {
        let items = |file: &str, resources: &str, scopes: &str, items: &str| {
            let lines = lines(&run_dir.join(".trace").join(file));
            let of = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
            let lines = lines.into_iter();
            let resources = lines.flat_map(|line| of(&line, resources));
            let scopes = resources.flat_map(|resource| of(&resource, scopes));
            scopes.flat_map(|scope| of(&scope, items)).collect::<Vec<Value>>()
        };
        let spans = items("trace.jsonl", "resourceSpans", "scopeSpans", "spans");
        let records = items("logs.jsonl", "resourceLogs", "scopeLogs", "logRecords");
        Self {
            spans: spans
                .into_iter()
                .map(|json| TelemetrySpan {
                    attributes: attributes(&json),
                    json,
                })
                .collect(),
            metrics: items("metrics.jsonl", "resourceMetrics", "scopeMetrics", "metrics"),
            records: records
                .into_iter()
                .map(|json| TelemetryRecord {
                    attributes: attributes(&json),
                    json,
                })
                .collect(),
        }
    }

    /// The spans of one kind, the word of `dhenara.span`.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a TelemetrySpan> {
        self.spans.iter().filter(move |span| span.kind() == kind)
    }

    /// The records of one event.
    pub fn events<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a TelemetryRecord> {
        self.records
            .iter()
            .filter(move |record| record.json["eventName"] == event)
    }

    /// Everything that is wrong. Of a run that was sealed every span that began has ended, and every parent is there.
    #[must_use]
    pub fn problems(&self, is_sealed: bool) -> Vec<String> {
        let mut problems = Vec::new();
        let by_id = self.by_id(&mut problems);
        // Runs of the first format have other names.
        for span in self.spans.iter().filter(|span| !span.kind().is_empty()) {
            span.check_place(&by_id, is_sealed, &mut problems);
            span.check_conventions(&mut problems);
        }
        self.check_begun(&by_id, is_sealed, &mut problems);
        for metric in &self.metrics {
            check_metric(metric, &mut problems);
        }
        problems
    }

    fn by_id(&self, problems: &mut Vec<String>) -> BTreeMap<&str, &TelemetrySpan> {
        let mut by_id = BTreeMap::new();
        for span in &self.spans {
            if by_id.insert(span.id(), span).is_some() {
                problems.push(format!("two spans have the id of {}", span.json));
            }
            if span.json["traceId"] != self.spans[0].json["traceId"] {
                problems.push(format!("another trace: {}", span.json));
            }
        }
        by_id
    }

    fn check_begun(
        &self,
        by_id: &BTreeMap<&str, &TelemetrySpan>,
        is_sealed: bool,
        problems: &mut Vec<String>,
    ) {
        let begun = self.events("dhenara.span.start");
        let begun: BTreeSet<&str> = begun
            .filter_map(|record| record.json["spanId"].as_str())
            .collect();
        // Records may be missing if their file could not be written.
        if !is_sealed || self.records.is_empty() {
            return;
        }
        let told = |span: &&TelemetrySpan| span.kind().is_empty() || begun.contains(span.id());
        for span in self.spans.iter().filter(|span| !told(span)) {
            problems.push(format!("no record that it began: {}", span.json));
        }
        for id in begun.iter().filter(|id| !by_id.contains_key(*id)) {
            problems.push(format!("the span {id} began and did not end"));
        }
    }
}

impl TelemetrySpan {
    /// Its id.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.json["spanId"].as_str().expect("a span has an id")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.json["name"].as_str().unwrap_or_default()
    }

    /// The word of `dhenara.span`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("dhenara.span")
    }

    /// An attribute that is a text; empty if there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.attributes
            .get(name)
            .and_then(|value| value["stringValue"].as_str())
            .unwrap_or_default()
    }

    /// An attribute that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.attributes.get(name)?["intValue"].as_str()?.parse().ok()
    }

    /// A time of it in nanoseconds, by the name of its field.
    #[must_use]
    pub fn nanos(&self, field: &str) -> u64 {
        self.json[field]
            .as_str()
            .and_then(|time| time.parse().ok())
            .unwrap_or_default()
    }

    /// The id of the span around it; empty of a session.
    #[must_use]
    pub fn parent(&self) -> &str {
        self.json["parentSpanId"].as_str().unwrap_or_default()
    }

    fn check_place(&self, by_id: &BTreeMap<&str, &Self>, is_sealed: bool, problems: &mut Vec<String>) {
        let (start, end) = (self.nanos("startTimeUnixNano"), self.nanos("endTimeUnixNano"));
        if start == 0 || end < start {
            problems.push(format!("it ends before it begins: {}", self.json));
        }
        let parent = self.parent();
        if parent.is_empty() != (self.kind() == "session") {
            problems.push(format!("only sessions have no parent: {}", self.json));
        }
        match by_id.get(parent) {
            _ if parent.is_empty() => {}
            None if is_sealed => problems.push(format!("its parent is missing: {}", self.json)),
            None => {}
            Some(parent) => {
                let (from, to) = (parent.nanos("startTimeUnixNano"), parent.nanos("endTimeUnixNano"));
                if start < from || end > to {
                    problems.push(format!("{} is outside its parent {}", self.json, parent.json));
                }
            }
        }
    }

    fn check_conventions(&self, problems: &mut Vec<String>) {
        let operation = self.text("gen_ai.operation.name");
        let rules = &conventions()["spans"][operation];
        if operation.is_empty() {
            return;
        }
        if rules.is_null() {
            problems.push(format!("`{operation}` is no operation of the conventions"));
            return;
        }
        let mut wanted = names(&rules["required"]);
        let failed = self.json["status"]["code"] == 2;
        wanted.extend(names(&rules[if failed { "of_error" } else { "of_answer" }]));
        for together in rules["together"].as_array().into_iter().flatten() {
            let together = names(together);
            if together.iter().any(|name| self.attributes.contains_key(*name)) {
                wanted.extend(together);
            }
        }
        for name in wanted {
            if !self.attributes.contains_key(name) {
                problems.push(format!("`{name}` is missing: {}", self.json));
            }
        }
        let name: Vec<&str> = names(&rules["name"])
            .into_iter()
            .map(|name| self.text(name))
            .collect();
        if self.name() != name.join(" ") || self.json["kind"] != rules["kind"] {
            problems.push(format!("it has another name or kind: {}", self.json));
        }
    }
}

fn check_metric(metric: &Value, problems: &mut Vec<String>) {
    let name = metric["name"].as_str().unwrap_or_default();
    if !name.starts_with("gen_ai.") {
        return;
    }
    let rules = &conventions()["metrics"][name];
    let data = rules["kind"].as_str().map_or(&Value::Null, |kind| &metric[kind]);
    let points = data["dataPoints"].as_array().map_or(&[][..], Vec::as_slice);
    if points.is_empty() || metric["unit"] != rules["unit"] {
        problems.push(format!("it is not as the conventions say: {metric}"));
    }
    for point in points {
        let has = attributes(point);
        let missing = names(&rules["required"])
            .into_iter()
            .find(|name| !has.contains_key(*name));
        let bounds = |value: &Value| -> Vec<f64> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_f64)
                .collect()
        };
        if missing.is_some() || bounds(&point["explicitBounds"]) != bounds(&rules["bounds"]) {
            problems.push(format!(
                "`{name}`: {missing:?} is missing, or the bounds are others: {point}"
            ));
        }
    }
}

fn conventions() -> &'static Value {
    static READ: OnceLock<Value> = OnceLock::new();
    READ.get_or_init(|| serde_json::from_str(CONVENTIONS).expect("the conventions are JSON"))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn attributes(of: &Value) -> BTreeMap<String, Value> {
    let attributes = of["attributes"].as_array().into_iter().flatten();
    attributes
        .filter_map(|attribute| Some((attribute["key"].as_str()?.to_owned(), attribute["value"].clone())))
        .collect()
}

/// The whole lines of a file; none if it is missing.
fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a whole line is JSON"))
        .collect()
}
