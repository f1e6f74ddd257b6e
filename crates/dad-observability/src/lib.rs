//! Per-run OpenTelemetry signals as files.
//!
//! [`ObservabilitySettings`], given to a run, becomes a [`RunObserver`](dad_events::RunObserver) that writes the three
//! signals of that run below its `.trace/` as OTLP/JSON, one export request a line: spans of the run, its components
//! and its steps, instruments about them, and the log events that happened inside its steps.
//!
//! Nothing here is global. Spans and instruments come from the events of the run. Log events come from the `tracing`
//! crate, if the application installs [`layer()`]: the layer routes each event to the run whose step it happened in, by
//! a table of its own.
//!
//! Exporters read those files: [`Pusher`] and, while a run is driven, tasks beside it give the records to a receiver of
//! OTLP. The files are their queue, so no record waits in memory and none is lost.
//!
//! # Features
//! - `otlp`: the exporters, with OTLP over HTTP.
//! - `grpc`: OTLP over gRPC too.
//!
//! ```
//! use dad_observability::ObservabilitySettings;
//! use tracing_subscriber::prelude::*;
//!
//! let subscriber = tracing_subscriber::registry().with(dad_observability::layer());
//! # let _ = subscriber;
//! let settings = ObservabilitySettings::default().enable_metrics(false);
//! ```

mod attributes;
mod content;
mod convert;
#[cfg(feature = "otlp")]
mod export;
mod exporters;
pub mod genai;
mod ids;
mod interrupted;
mod lanes;
mod life;
mod logs;
mod metrics;
pub mod names;
mod observer;
mod open_spans;
mod otlp;
mod read;
mod resource;
mod settings;
mod traces;

pub use convert::{ConvertError, Converted, TraceFormat, convert_trace};
#[cfg(feature = "otlp")]
pub use export::{Endpoint, EndpointError, ExportError, PushReport, Pusher, SignalReport};
pub use logs::{RunLogLayer, layer};
pub use observer::FileTelemetry;
pub use open_spans::SpanType;
pub use read::{DamagedLines, LogRecords, ReadLog, ReadSpan, read_spans};
pub use settings::{
    CaptureContent, ExporterType, Exporters, LogLevel, ObservabilitySettings, OtlpCompression, OtlpHeaders,
    OtlpProtocol, OtlpSignal, Signal,
};
