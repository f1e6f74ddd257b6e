//! Receivers, as the settings have them.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::endpoint::Endpoint;
use super::failure::ExportError;
use crate::settings::{ObservabilitySettings, OtlpCompression, OtlpProtocol, Signal};

/// A receiver, as the settings have it for one signal.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) signal: Signal,
    /// The address as it was given.
    pub(super) endpoint: Endpoint,
    /// The address that HTTP requests are sent to.
    pub(super) target: Endpoint,
    pub(super) protocol: OtlpProtocol,
    /// Each is marked as sensitive, so that no debug output shows its value.
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) is_compressed: bool,
    pub(super) certificate: Option<PathBuf>,
    /// The name of the destination in `export.json`, which shows no address.
    pub(super) id: String,
}

impl Destination {
    /// The receiver of a signal.
    pub(super) fn new(settings: &ObservabilitySettings, signal: Signal) -> Result<Self, ExportError> {
        let own = settings.otlp_signal(signal);
        let protocol = own.protocol.unwrap_or(settings.otlp_protocol);
        let parsed =
            |text: &str| Endpoint::parse(text).map_err(|reason| ExportError::Endpoint { signal, reason });
        let default = match protocol {
            OtlpProtocol::Grpc => "http://localhost:4317",
            _ => "http://localhost:4318",
        };
        let (endpoint, target) = match &own.endpoint {
            Some(whole) => (parsed(whole)?, parsed(whole)?),
            None => {
                let base = parsed(settings.otlp_endpoint.as_deref().unwrap_or(default))?;
                (base.clone(), base.below(&format!("/v1/{signal}")))
            }
        };
        let compression = own.compression.unwrap_or(settings.otlp_compression);
        Ok(Self {
            signal,
            id: id_of(&endpoint, protocol),
            endpoint,
            target,
            protocol,
            headers: headers(settings, signal)?,
            timeout: own.timeout.unwrap_or(settings.otlp_timeout),
            is_compressed: compression == OtlpCompression::Gzip,
            certificate: own
                .certificate
                .clone()
                .or_else(|| settings.otlp_certificate.clone()),
        })
    }
}

/// A digest of what tells a destination from others. Parameters of the address, which may be keys, are no part of it.
fn id_of(endpoint: &Endpoint, protocol: OtlpProtocol) -> String {
    let digest = blake3::hash(format!("{endpoint} {protocol}").as_bytes());
    digest.to_hex()[..16].to_owned()
}

fn headers(settings: &ObservabilitySettings, signal: Signal) -> Result<HeaderMap, ExportError> {
    let own = settings.otlp_signal(signal).headers.as_ref();
    let mut headers = HeaderMap::new();
    for (name, value) in own.unwrap_or(&settings.otlp_headers).iter() {
        let wrong = || ExportError::Header {
            signal,
            name: name.to_owned(),
        };
        let name: HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
