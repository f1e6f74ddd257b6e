use std::sync::Arc;

use dad_events::{IntoObserver, RunObserver};
use serde::{Deserialize, Serialize};

use crate::observer::FileTelemetry;

/// What is observed of a run and where it goes. The names are those of the original system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObservabilitySettings {
    /// The service that spans and instruments are attributed to.
    pub service_name: String,
    /// Where spans go.
    pub tracing_exporter_type: ExporterType,
    /// Where instruments go.
    pub metrics_exporter_type: ExporterType,
    /// Where log events go.
    pub logging_exporter_type: ExporterType,
    /// Whether spans are written.
    pub enable_tracing: bool,
    /// Whether instruments are written.
    pub enable_metrics: bool,
    /// Whether log events are written.
    pub enable_logging: bool,
    /// Log events below this level are not written.
    pub root_log_level: LogLevel,
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
        }
    }
}

/// Where a signal goes. This version writes files; the enum grows with the exporters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExporterType {
    /// OTLP/JSON lines below the run's `.trace/`.
    #[default]
    File,
}

/// How important a log event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    #[serde(alias = "WARNING")]
    Warn,
    /// What is wrong.
    Error,
}

impl IntoObserver for ObservabilitySettings {
    fn into_observer(self) -> Option<Arc<dyn RunObserver>> {
        let wanted = self.enable_tracing || self.enable_metrics || self.enable_logging;
        wanted.then(|| Arc::new(FileTelemetry::new(self)) as Arc<dyn RunObserver>)
    }
}
