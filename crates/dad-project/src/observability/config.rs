//! The key `observability` of the configuration: whether signals are written, and their receivers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dad_observability::{CaptureContent, Exporters, OtlpCompression, OtlpProtocol, Signal};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The observability of runs: `true`, `false`, or a mapping.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Observability {
    /// Whether traces, metrics and logs are written; true by default.
    pub enabled: Option<bool>,
    /// The service that signals are attributed to.
    pub service_name: Option<String>,
    /// Whether spans hold prompts, answers, arguments and results; not by default.
    pub capture_content: Option<CaptureContent>,
    /// The exporter and receiver of all signals.
    pub all: SignalConfig,
    /// Differences for spans.
    pub traces: SignalConfig,
    /// Differences for metrics.
    pub metrics: SignalConfig,
    /// Differences for log events.
    pub logs: SignalConfig,
}

/// The exporter and the receiver of signals.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SignalConfig {
    /// The exporters; with an endpoint `otlp` by default.
    pub exporter: Option<Exporters>,
    /// The address of the receiver.
    pub endpoint: Option<String>,
    /// Its protocol.
    pub protocol: Option<OtlpProtocol>,
    /// Headers of each request. `$secret{NAME}` in a value stands for a secret.
    pub headers: Option<BTreeMap<String, String>>,
    /// The time limit of one request, in seconds in the file.
    #[serde(deserialize_with = "seconds")]
    pub timeout: Option<Duration>,
    /// The compression of requests.
    pub compression: Option<OtlpCompression>,
    /// A file of certificates in PEM, relative to the project.
    pub certificate: Option<PathBuf>,
}

impl Observability {
    /// The part for one signal alone, or for all.
    pub(super) const fn of(&self, signal: Option<Signal>) -> &SignalConfig {
        match signal {
            None => &self.all,
            Some(Signal::Traces) => &self.traces,
            Some(Signal::Metrics) => &self.metrics,
            Some(Signal::Logs) => &self.logs,
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    let duration = seconds.map(|seconds| {
        let duration = Duration::try_from_secs_f64(seconds).ok();
        let duration = duration.filter(|duration| !duration.is_zero());
        duration
            .ok_or_else(|| D::Error::custom(format!("`timeout` is {seconds}: it must be above 0 seconds")))
    });
    duration.transpose()
}

/// The mapping, as a file has it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mapping {
    enabled: Option<bool>,
    service_name: Option<String>,
    capture_content: Option<CaptureContent>,
    exporter: Option<Exporters>,
    endpoint: Option<String>,
    protocol: Option<OtlpProtocol>,
    headers: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "seconds")]
    timeout: Option<Duration>,
    compression: Option<OtlpCompression>,
    certificate: Option<PathBuf>,
    traces: SignalConfig,
    metrics: SignalConfig,
    logs: SignalConfig,
}

impl From<Mapping> for Observability {
    fn from(mapping: Mapping) -> Self {
        Self {
            enabled: mapping.enabled,
            service_name: mapping.service_name,
            capture_content: mapping.capture_content,
            all: SignalConfig {
                exporter: mapping.exporter,
                endpoint: mapping.endpoint,
                protocol: mapping.protocol,
                headers: mapping.headers,
                timeout: mapping.timeout,
                compression: mapping.compression,
                certificate: mapping.certificate,
            },
            traces: mapping.traces,
            metrics: mapping.metrics,
            logs: mapping.logs,
        }
    }
}

impl<'de> Deserialize<'de> for Observability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SwitchOrMapping)
    }
}

/// Reads the key: its problems are those of the mapping, with their places.
struct SwitchOrMapping;

impl<'de> Visitor<'de> for SwitchOrMapping {
    type Value = Observability;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, `false` or a mapping")
    }

    fn visit_bool<E: Error>(self, enabled: bool) -> Result<Self::Value, E> {
        Ok(Observability {
            enabled: Some(enabled),
            ..Observability::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Mapping::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
    }
}
