//! Settings of observability.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use derive_setters::Setters;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The signals of a run, and their exporters. The names are those of the original system.
///
/// The files of a run are written whatever the exporters are: an exporter reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[setters(into, strip_option)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ObservabilitySettings {
    /// The service that spans and instruments are attributed to.
    pub service_name: String,
    /// More attributes of the resource, by their names; they replace those of the program itself.
    pub resource_attributes: BTreeMap<String, String>,
    /// The exporters of spans.
    pub tracing_exporter_type: Exporters,
    /// The exporters of metrics.
    pub metrics_exporter_type: Exporters,
    /// The exporters of log events.
    pub logging_exporter_type: Exporters,
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
    /// The address of the receiver, `http://localhost:4318` by default, with gRPC `http://localhost:4317`. Over HTTP `/v1/traces`,
    /// `/v1/metrics` or `/v1/logs` is added to it.
    pub otlp_endpoint: Option<String>,
    /// The protocol of the receiver.
    pub otlp_protocol: OtlpProtocol,
    /// Headers of each request.
    #[serde(skip_serializing)]
    pub otlp_headers: OtlpHeaders,
    /// The time limit of one request, in seconds where it is written.
    #[serde(with = "seconds")]
    pub otlp_timeout: Duration,
    /// The compression of each request.
    pub otlp_compression: OtlpCompression,
    /// A file of certificates, in PEM, that the receiver's own may be signed with, beside those that the system trusts.
    pub otlp_certificate: Option<PathBuf>,
    /// Differences for spans.
    pub otlp_traces: OtlpSignal,
    /// Differences for metrics.
    pub otlp_metrics: OtlpSignal,
    /// Differences for log events.
    pub otlp_logs: OtlpSignal,
}

impl Default for ObservabilitySettings {
    fn default() -> Self {
        Self {
            service_name: "dhenara".to_owned(),
            resource_attributes: BTreeMap::new(),
            tracing_exporter_type: Exporters::default(),
            metrics_exporter_type: Exporters::default(),
            logging_exporter_type: Exporters::default(),
            enable_tracing: true,
            enable_metrics: true,
            enable_logging: true,
            root_log_level: LogLevel::Info,
            capture_content: CaptureContent::None,
            content_limit: 16 * 1024,
            otlp_endpoint: None,
            otlp_protocol: OtlpProtocol::default(),
            otlp_headers: OtlpHeaders::default(),
            otlp_timeout: Duration::from_secs(10),
            otlp_compression: OtlpCompression::default(),
            otlp_certificate: None,
            otlp_traces: OtlpSignal::default(),
            otlp_metrics: OtlpSignal::default(),
            otlp_logs: OtlpSignal::default(),
        }
    }
}

impl ObservabilitySettings {
    /// The exporters of a signal; none if the signal is not written.
    #[must_use]
    pub fn exporters(&self, signal: Signal) -> &[ExporterType] {
        let (is_written, exporters) = match signal {
            Signal::Traces => (self.enable_tracing, &self.tracing_exporter_type),
            Signal::Metrics => (self.enable_metrics, &self.metrics_exporter_type),
            Signal::Logs => (self.enable_logging, &self.logging_exporter_type),
        };
        if is_written { &exporters.0 } else { &[] }
    }

    /// The differences of a signal.
    #[must_use]
    pub const fn otlp_signal(&self, signal: Signal) -> &OtlpSignal {
        match signal {
            Signal::Traces => &self.otlp_traces,
            Signal::Metrics => &self.otlp_metrics,
            Signal::Logs => &self.otlp_logs,
        }
    }

    /// The values of all headers, which are secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let signals = Signal::ALL.into_iter();
        let signals = signals.filter_map(|signal| self.otlp_signal(signal).headers.as_ref());
        let all = [&self.otlp_headers].into_iter().chain(signals);
        all.flat_map(|headers| headers.iter().map(|(_, value)| value))
    }
}

/// Whether traces hold prompts, answers, arguments and results. They are in the files of the run in any case, and spans name
/// those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CaptureContent {
    /// No content.
    #[default]
    None,
    /// Texts up to a length, and of long conversations the end.
    Truncated,
    /// The whole content.
    Full,
}

/// A signal of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All signals.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its name, as in addresses: `traces`, `metrics` or `logs`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An exporter of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExporterType {
    /// OTLP/JSON lines below the run's `.trace/`, which are always written.
    #[default]
    File,
    /// A readable line for each record on standard error.
    Console,
    /// A receiver of OTLP.
    Otlp,
}

/// The exporters of a signal: one, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exporters(Vec<ExporterType>);

impl Exporters {
    /// The exporters, each once.
    pub fn new(exporters: impl IntoIterator<Item = ExporterType>) -> Self {
        let mut all = Vec::new();
        for exporter in exporters {
            if !all.contains(&exporter) {
                all.push(exporter);
            }
        }
        Self(all)
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, exporter: ExporterType) -> bool {
        self.0.contains(&exporter)
    }
}

impl Default for Exporters {
    fn default() -> Self {
        ExporterType::default().into()
    }
}

impl From<ExporterType> for Exporters {
    fn from(exporter: ExporterType) -> Self {
        Self(vec![exporter])
    }
}

impl Serialize for Exporters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Exporters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "`file`, `console`, `otlp`, or a list of them")]
        enum OneOrMore {
            One(ExporterType),
            More(Vec<ExporterType>),
        }
        Ok(match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(one) => one.into(),
            OneOrMore::More(more) => Self::new(more),
        })
    }
}

/// The protocol of a receiver, by the names of the OpenTelemetry specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// Protocol Buffers over HTTP.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// JSON over HTTP.
    #[serde(rename = "http/json")]
    HttpJson,
    /// gRPC; needs the feature `grpc`.
    #[serde(rename = "grpc")]
    Grpc,
}

impl OtlpProtocol {
    /// All protocols.
    pub const ALL: [Self; 3] = [Self::HttpProtobuf, Self::HttpJson, Self::Grpc];

    /// Its name, as in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
            Self::Grpc => "grpc",
        }
    }
}

impl fmt::Display for OtlpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The compression of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OtlpCompression {
    /// No compression.
    #[default]
    None,
    /// gzip.
    Gzip,
}

/// Headers of requests to a receiver. Their values are secrets: `Debug` shows the names alone, and they are not serialised.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct OtlpHeaders(BTreeMap<String, String>);

impl OtlpHeaders {
    /// The names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for OtlpHeaders {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let headers = headers.into_iter();
        Self(headers.map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for OtlpHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The differences of one signal from the settings for all: what is not set is as for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[setters(into, strip_option)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OtlpSignal {
    /// The whole address that the signal is sent to; nothing is added to it.
    pub endpoint: Option<String>,
    /// The protocol.
    pub protocol: Option<OtlpProtocol>,
    /// Headers, in the place of those for all.
    #[serde(skip_serializing)]
    pub headers: Option<OtlpHeaders>,
    /// The time limit of one request, in seconds where it is written.
    #[serde(with = "optional_seconds")]
    pub timeout: Option<Duration>,
    /// The compression.
    pub compression: Option<OtlpCompression>,
    /// The file of certificates.
    pub certificate: Option<PathBuf>,
}

mod seconds {
    //! Durations in seconds.

    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

mod optional_seconds {
    //! Durations in seconds that may be missing.

    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        let time = seconds.map(Duration::try_from_secs_f64);
        time.transpose().map_err(D::Error::custom)
    }
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
