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
//! ```
//! use dad_observability::ObservabilitySettings;
//! use tracing_subscriber::prelude::*;
//!
//! let subscriber = tracing_subscriber::registry().with(dad_observability::layer());
//! # let _ = subscriber;
//! let settings = ObservabilitySettings::default().enable_metrics(false);
//! ```

mod convert;
mod ids;
mod lanes;
mod logs;
mod metrics;
pub mod names;
mod observer;
mod otlp;
mod read;
mod settings;
mod traces;

pub use convert::{ConvertError, Converted, TraceFormat, convert_trace};
pub use logs::{RunLogLayer, layer};
pub use observer::FileTelemetry;
pub use read::{DamagedLines, LogRecords, ReadLog, ReadSpan, read_spans};
pub use settings::{ExporterType, LogLevel, ObservabilitySettings};
