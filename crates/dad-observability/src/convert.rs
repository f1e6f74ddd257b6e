//! The spans of a run in formats of other tools.
//!
//! The file is read twice: once for the times of the spans, by which each gets a lane, and once to write them one by one.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dad_core::Timestamp;
use dad_core::UnknownWord;
use dad_fs::{Dir, FsError};
use serde_json::{Map, Value, json};

use crate::lanes::{Lanes, Times};
use crate::names::{self, SESSION, TRACE_FILE};
use crate::read::{DamagedLines, ReadSpan, read_spans};

/// A format that spans are converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceFormat {
    /// The Trace Event Format, which Perfetto and `chrome://tracing` open.
    Chrome,
    /// Zipkin's JSON of version 2.
    Zipkin,
}

impl TraceFormat {
    /// The word used on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Zipkin => "zipkin",
        }
    }
}

impl fmt::Display for TraceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TraceFormat {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        UnknownWord::find(word, "format of traces", &[Self::Chrome, Self::Zipkin])
    }
}

/// The result of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Converted {
    /// The number of spans.
    pub spans: u64,
    /// The lines that were left out because they hold no spans.
    pub damaged: DamagedLines,
}

/// Why spans cannot be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The run has no file of spans.
    #[error("`{}` has no spans: there is no `{TRACE_FILE}`", .0.display())]
    NoSpans(PathBuf),
    /// The file of spans cannot be read.
    #[error(transparent)]
    Read(#[from] FsError),
    /// The result cannot be written.
    #[error("the converted spans cannot be written: {0}")]
    Write(#[source] io::Error),
}

/// Writes the spans below a run's `.trace/` in another format. Memory holds the times of the spans, never their attributes.
///
/// # Errors
/// If there is no file of spans, it cannot be read, or the result cannot be written.
pub fn convert_trace(trace_dir: &Path, to: TraceFormat, out: impl Write) -> Result<Converted, ConvertError> {
    // Before anything is written: there may be no spans.
    let lanes = match to {
        TraceFormat::Chrome => lanes(trace_dir)?,
        TraceFormat::Zipkin => open(trace_dir).map(|_| Lanes::default())?,
    };
    let mut out = Document::begin(out, to);
    let mut spans = 0;
    out.names(&lanes);
    let damaged = each_span(trace_dir, |span| {
        match to {
            TraceFormat::Chrome => out.item(&chrome(&span, &lanes, spans)),
            TraceFormat::Zipkin => out.item(&zipkin(&span)),
        }
        spans += 1;
    })?;
    out.end(&lanes).map_err(ConvertError::Write)?;
    Ok(Converted {
        spans: spans as u64,
        damaged,
    })
}

fn each_span(trace_dir: &Path, each: impl FnMut(ReadSpan)) -> Result<DamagedLines, ConvertError> {
    let unreadable = |error| FsError::new("read", trace_dir.join(TRACE_FILE), error);
    Ok(read_spans(open(trace_dir)?, each).map_err(unreadable)?)
}

fn open(trace_dir: &Path) -> Result<File, ConvertError> {
    let file = Dir::open(trace_dir).and_then(|dir| dir.open_file(TRACE_FILE));
    file.map_err(|error| no_spans(trace_dir, error))
}

fn no_spans(trace_dir: &Path, error: FsError) -> ConvertError {
    if error.is_not_found() {
        ConvertError::NoSpans(trace_dir.to_path_buf())
    } else {
        error.into()
    }
}

/// The lanes of all spans.
fn lanes(trace_dir: &Path) -> Result<Lanes, ConvertError> {
    let mut times = Vec::new();
    let mut parents: Vec<Option<String>> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    each_span(trace_dir, |span| {
        by_id.insert(span.span_id, times.len());
        parents.push(span.parent_id);
        let session = span.attributes.get(SESSION).and_then(Value::as_u64);
        times.push(Times {
            from: span.from,
            to: span.to,
            session,
            parent: None,
        });
    })?;
    for (index, parent) in parents.into_iter().enumerate() {
        let parent = parent.and_then(|parent| by_id.get(&parent).copied());
        times[index].parent = parent.filter(|parent| *parent != index);
    }
    Ok(Lanes::of(times))
}

/// A complete event: its time in microseconds since the first span began, so that no digit is lost.
fn chrome(span: &ReadSpan, lanes: &Lanes, index: usize) -> Value {
    let mut arguments = span.attributes.clone();
    if let Some(error) = &span.error {
        arguments.insert("error".to_owned(), error.as_str().into());
    }
    let place = lanes.place(index);
    json!({
        "ph": "X",
        "name": span.name,
        "cat": span.text(names::SPAN).unwrap_or("span"),
        "ts": micros(span.from.saturating_sub(lanes.begin())),
        "dur": micros(span.nanos()),
        "pid": place.session,
        "tid": place.lane,
        "args": arguments,
    })
}

/// Nanoseconds as microseconds with three decimals.
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

fn zipkin(span: &ReadSpan) -> Value {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut tags: Map<String, Value> = span
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), text(value).into()))
        .collect();
    if let Some(error) = &span.error {
        tags.insert("error".to_owned(), error.as_str().into());
    }
    let mut converted = json!({
        "traceId": span.trace_id,
        "id": span.span_id,
        "name": span.name,
        "timestamp": (span.from / 1_000).max(1),
        // A duration of 0 would mean none.
        "duration": (span.nanos() / 1_000).max(1),
        "localEndpoint": { "serviceName": span.service },
        "tags": tags,
    });
    if let Some(parent) = &span.parent_id {
        converted["parentId"] = parent.as_str().into();
    }
    if span.kind != "internal" {
        converted["kind"] = span.kind.to_uppercase().into();
    }
    converted
}

/// A document that is written item by item. After a failure it writes nothing more, and its end reports the failure.
struct Document<W> {
    out: W,
    format: TraceFormat,
    items: u64,
    written: io::Result<()>,
}

impl<W: Write> Document<W> {
    fn begin(out: W, format: TraceFormat) -> Self {
        let mut document = Self {
            out,
            format,
            items: 0,
            written: Ok(()),
        };
        document.text(match format {
            TraceFormat::Chrome => "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n",
            TraceFormat::Zipkin => "[\n",
        });
        document
    }

    /// Names the sessions and the lanes in them.
    fn names(&mut self, lanes: &Lanes) {
        for (session, count) in lanes.sessions() {
            self.item(&name_of(
                "process_name",
                session,
                0,
                &format!("session {session}"),
            ));
            for lane in 0..count {
                let name = match lane {
                    0 => "run".to_owned(),
                    lane => format!("beside it, {lane}"),
                };
                self.item(&name_of("thread_name", session, lane, &name));
            }
        }
    }

    fn item(&mut self, item: &Value) {
        let gap = if self.items == 0 { "" } else { ",\n" };
        self.items += 1;
        self.text(&format!("{gap}{item}"));
    }

    fn text(&mut self, text: &str) {
        if self.written.is_ok() {
            self.written = self.out.write_all(text.as_bytes());
        }
    }

    fn end(mut self, lanes: &Lanes) -> io::Result<()> {
        match self.format {
            TraceFormat::Chrome => {
                let begin = Timestamp::from_nanosecond(lanes.begin().into()).unwrap_or(Timestamp::UNIX_EPOCH);
                self.text(&format!(
                    "\n],\"otherData\":{}}}\n",
                    json!({ "started_at": begin })
                ));
            }
            TraceFormat::Zipkin => self.text("\n]\n"),
        }
        self.written.and_then(|()| self.out.flush())
    }
}

fn name_of(what: &str, session: u64, lane: u64, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": session, "tid": lane, "args": { "name": name } })
}
