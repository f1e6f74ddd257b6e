//! The environment variables of the OpenTelemetry specification.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dad_observability::{OtlpCompression, OtlpProtocol, Signal};
use dad_run::Variables;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::config::SignalConfig;

/// The variable that switches all signals off.
pub(super) const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The variable with the name of the service.
pub(super) const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The variable with attributes of the resource.
pub(super) const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The variables with the headers for all signals, and for each.
const HEADERS: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
];

/// A setting of receivers: its key in a file, and its variables.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    /// For all signals, then for each.
    variables: [&'static str; 4],
    /// Reads the text of a variable; the error says what was expected.
    pub(super) read: fn(&str) -> Result<T, String>,
    pub(super) of: fn(&SignalConfig) -> Option<T>,
    /// The value as it is shown; secrets are left out.
    pub(super) show: fn(&T) -> Value,
}

impl<T> Key<T> {
    /// The variable for one signal, or for all.
    pub(super) const fn variable(&self, signal: Option<Signal>) -> &'static str {
        match signal {
            None => self.variables[0],
            Some(Signal::Traces) => self.variables[1],
            Some(Signal::Metrics) => self.variables[2],
            Some(Signal::Logs) => self.variables[3],
        }
    }
}

pub(super) const ENDPOINT: Key<String> = Key {
    name: "endpoint",
    variables: [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    ],
    read: |text| Ok(text.to_owned()),
    of: |config| config.endpoint.clone(),
    show: |endpoint| match dad_observability::Endpoint::parse(endpoint) {
        Ok(endpoint) => json!(endpoint.to_string()),
        Err(_) => json!("[no address]"),
    },
};

pub(super) const PROTOCOL: Key<OtlpProtocol> = Key {
    name: "protocol",
    variables: [
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    ],
    read: |text| {
        let mut all = OtlpProtocol::ALL.into_iter();
        all.find(|protocol| protocol.as_str() == text).ok_or_else(|| {
            let all = OtlpProtocol::ALL.map(OtlpProtocol::as_str);
            format!("expected one of {}, found `{text}`", all.join(", "))
        })
    },
    of: |config| config.protocol,
    show: |protocol| json!(protocol.as_str()),
};

pub(super) const HEADER: Key<BTreeMap<String, String>> = Key {
    name: "headers",
    variables: HEADERS,
    read: pairs,
    of: |config| config.headers.clone(),
    show: |headers| {
        let hidden = headers.keys().map(|name| (name.clone(), json!("[redacted]")));
        Value::Object(hidden.collect())
    },
};

pub(super) const TIMEOUT: Key<Duration> = Key {
    name: "timeout",
    variables: [
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
    ],
    read: |text| match text.parse() {
        Ok(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err(format!(
            "expected a number of milliseconds above 0, found `{text}`"
        )),
    },
    of: |config| config.timeout,
    show: |timeout| json!(timeout.as_secs_f64()),
};

pub(super) const COMPRESSION: Key<OtlpCompression> = Key {
    name: "compression",
    variables: [
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION",
    ],
    read: |text| match text {
        "gzip" => Ok(OtlpCompression::Gzip),
        "none" => Ok(OtlpCompression::None),
        _ => Err(format!("expected gzip or none, found `{text}`")),
    },
    of: |config| config.compression,
    show: |compression| json!(compression),
};

pub(super) const CERTIFICATE: Key<PathBuf> = Key {
    name: "certificate",
    variables: [
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
    ],
    read: |text| Ok(text.into()),
    of: |config| config.certificate.clone(),
    show: |file| json!(file),
};

/// The variable with the exporters of a signal.
pub(super) const fn exporter(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "OTEL_TRACES_EXPORTER",
        Signal::Metrics => "OTEL_METRICS_EXPORTER",
        Signal::Logs => "OTEL_LOGS_EXPORTER",
    }
}

/// The text of a variable. One that is empty does not count, as the specification has it.
pub(super) fn text(variables: &Variables, name: &str) -> Result<Option<String>, String> {
    let Some(value) = variables.get(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = value.to_str().ok_or("the value is no UTF-8 text")?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Pairs of names and values such as `a=1,b=2`, whose values are percent-encoded. The error shows no value.
pub(super) fn pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    let read = pairs.enumerate().map(|(index, pair)| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            format!(
                "expected pairs such as `name=value,other=value`, and part {} has no `=`",
                index + 1
            )
        })?;
        let decode = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
        Ok((decode(name), decode(value)))
    });
    read.collect()
}

/// The secrets in the headers of the environment: each value, and what stands behind a word such as `Bearer`.
pub(crate) fn header_secrets(variables: &Variables) -> Vec<String> {
    let texts = HEADERS
        .iter()
        .filter_map(|name| text(variables, name).ok().flatten());
    let values = texts.flat_map(|text| pairs(&text).unwrap_or_default().into_values());
    values
        .flat_map(|value| {
            let last = value.rsplit_once(' ').map(|(_, last)| last.to_owned());
            [Some(value), last]
        })
        .flatten()
        .collect()
}
