//! Settings of observability.

use std::sync::Arc;

use dad_events::{IntoObserver, RunObserver};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::content::CaptureContent;
use crate::observer::FileTelemetry;

/// The signals of a run, and their exporters. The names are those of the original system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[setters(into, strip_option)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ObservabilitySettings {
    /// The service that spans and instruments are attributed to.
    pub service_name: String,
    /// The exporter of spans.
    pub tracing_exporter_type: ExporterType,
    /// The exporter of metrics.
    pub metrics_exporter_type: ExporterType,
    /// The exporter of log events.
    pub logging_exporter_type: ExporterType,
    /// Whether spans are written.
    #[setters(into = false)]
    pub enable_tracing: bool,
    /// Whether instruments are written.
    #[setters(into = false)]
    pub enable_metrics: bool,
    /// Whether log events are written.
    #[setters(into = false)]
    pub enable_logging: bool,
    /// Log records below this level are not written.
    pub root_log_level: LogLevel,
    /// Whether spans hold prompts, answers, arguments and results.
    #[setters(into = false)]
    pub capture_content: CaptureContent,
    /// With [`CaptureContent::Truncated`], the longest text in bytes.
    #[setters(into = false)]
    pub content_limit: usize,
}

impl Default for ObservabilitySettings {
    fn default() -> Self {
        Self {
            service_name: "dhenara".to_owned(),
            tracing_exporter_type: ExporterType::File,
            metrics_exporter_type: ExporterType::File,
            logging_exporter_type: ExporterType::File,
            enable_tracing: true,
            enable_metrics: true,
            enable_logging: true,
            root_log_level: LogLevel::Info,
            capture_content: CaptureContent::None,
            content_limit: 16 * 1024,
        }
    }
}

/// The exporter of a signal. This version writes files; the enum grows with the exporters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExporterType {
    /// OTLP/JSON lines below the run's `.trace/`.
    #[default]
    File,
}

/// The severity of a log event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// Details that help to find a fault.
    Debug,
    /// Ordinary events.
    Info,
    /// Possible problems.
    #[serde(alias = "WARNING")]
    Warn,
    /// Problems.
    Error,
}

impl IntoObserver for ObservabilitySettings {
    fn into_observer(self) -> Option<Arc<dyn RunObserver>> {
        let wanted = self.enable_tracing || self.enable_metrics || self.enable_logging;
        wanted.then(|| Arc::new(FileTelemetry::new(self)) as Arc<dyn RunObserver>)
    }
}
