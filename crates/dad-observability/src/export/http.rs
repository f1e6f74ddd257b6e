//! OTLP over HTTP.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dad_core::ErrorInfo;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::{BuilderVerifierExt, Verifier};
use serde_json::Value;

use super::destination::Destination;
use super::failure::{Accepted, ExportError, Failure};
use crate::settings::{OtlpProtocol, Signal};

/// The part of an answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;

/// A client for one receiver.
#[derive(Debug)]
pub(super) struct Http(reqwest::Client);

/// The error of a refused request in protobuf, `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

impl Http {
    /// A client that follows no redirect: records and headers go to no other address than the one that was configured.
    pub(super) fn new(destination: &Destination) -> Result<Self, ExportError> {
        let wrong = |error: &dyn Error| ExportError::Connection {
            endpoint: destination.endpoint.to_string(),
            reason: ErrorInfo::from_error("", error).message,
        };
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(destination)?)
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(destination.headers.clone())
            .timeout(destination.timeout)
            .user_agent(concat!("dhenara/", env!("CARGO_PKG_VERSION")));
        let builder = if destination.endpoint.is_local() {
            builder.no_proxy()
        } else {
            builder
        };
        builder.build().map(Self).map_err(|error| wrong(&error))
    }

    pub(super) async fn send(&self, destination: &Destination, message: &[u8]) -> Result<Accepted, Failure> {
        let is_json = destination.protocol == OtlpProtocol::HttpJson;
        let content_type = if is_json {
            "application/json"
        } else {
            "application/x-protobuf"
        };
        let mut request = self
            .0
            .post(destination.target.url().clone())
            .header(CONTENT_TYPE, content_type);
        let body = if destination.is_compressed {
            request = request.header(CONTENT_ENCODING, "gzip");
            compressed(message)
        } else {
            message.to_vec()
        };
        let sent = request.body(body).send().await;
        let response = sent.map_err(|error| Failure::later(words(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = read(response).await;
        if status.is_success() {
            // The receiver has them, also if the rest of its answer was lost.
            let answer = answer.unwrap_or_default();
            return Ok(accepted(destination.signal, is_json, &answer));
        }
        let said = said(&headers, &answer.unwrap_or_default());
        Err(refused(status, &headers, &said))
    }
}

/// The outcome of a request with a status other than success, as the specification of OTLP has it. What the receiver says of
/// one request and would not say of the next ends with that request; all else keeps the records for later.
fn refused(status: StatusCode, headers: &HeaderMap, said: &str) -> Failure {
    let reason = match said {
        "" => format!("it answers {status}"),
        said => format!("it answers {status}: {said}"),
    };
    match status.as_u16() {
        429 | 502 | 503 | 504 => Failure::Later {
            reason,
            after: retry_after(headers),
        },
        413 => Failure::TooLong { reason },
        400 | 422 => Failure::Refused { reason },
        401 | 403 | 404 | 405 => Failure::Closed { reason },
        300..=399 => Failure::Closed {
            reason: format!("{reason}; redirects are not followed"),
        },
        _ => Failure::Stopped { reason },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(
        at.duration_since(std::time::SystemTime::now())
            .unwrap_or_default(),
    )
}

/// The beginning of the body, which ends with the time limit of the request.
async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < LONGEST_ANSWER
        && let Some(piece) = response.chunk().await?
    {
        body.extend_from_slice(&piece);
    }
    body.truncate(LONGEST_ANSWER);
    Ok(body)
}

/// The words of a receiver about a request that it did not take.
fn said(headers: &HeaderMap, body: &[u8]) -> String {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let in_json = || {
        let body: Value = serde_json::from_slice(body).ok()?;
        Some(body["message"].as_str()?.to_owned())
    };
    match content_type.unwrap_or_default() {
        "application/x-protobuf" => Status::decode(body).map(|status| status.message).ok(),
        _ => in_json(),
    }
    .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

/// The answer to records that were taken, perhaps not all.
fn accepted(signal: Signal, is_json: bool, body: &[u8]) -> Accepted {
    let found = if is_json {
        accepted_in_json(signal, body)
    } else {
        accepted_in_protobuf(signal, body)
    };
    let (rejected, message) = found.unwrap_or_default();
    Accepted {
        rejected: u64::try_from(rejected).unwrap_or(0),
        message,
    }
}

fn accepted_in_json(signal: Signal, body: &[u8]) -> Option<(i64, String)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let partial = &body["partialSuccess"];
    let rejected = &partial[match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    }];
    let number = rejected.as_str().and_then(|text| text.parse().ok());
    let message = partial["errorMessage"].as_str().unwrap_or_default();
    Some((number.or(rejected.as_i64()).unwrap_or(0), message.to_owned()))
}

fn accepted_in_protobuf(signal: Signal, body: &[u8]) -> Option<(i64, String)> {
    match signal {
        Signal::Traces => {
            let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
            Some((partial.rejected_spans, partial.error_message))
        }
        Signal::Metrics => {
            let partial = ExportMetricsServiceResponse::decode(body).ok()?.partial_success?;
            Some((partial.rejected_data_points, partial.error_message))
        }
        Signal::Logs => {
            let partial = ExportLogsServiceResponse::decode(body).ok()?.partial_success?;
            Some((partial.rejected_log_records, partial.error_message))
        }
    }
}

fn compressed(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(message);
    encoder.finish().unwrap_or_default()
}

/// Why there is no answer. The address, which may have a key among its parameters, is left out.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    match cause.downcast_ref::<reqwest::Error>() {
        Some(_) => what.to_owned(),
        None => format!("{what}: {cause}"),
    }
}

/// The cryptography of connections. Nothing is installed for the whole process.
fn tls(destination: &Destination) -> Result<rustls::ClientConfig, ExportError> {
    let wrong = |error: &dyn Error| ExportError::Connection {
        endpoint: destination.endpoint.to_string(),
        reason: ErrorInfo::from_error("", error).message,
    };
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&ring))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?;
    if !destination.endpoint.is_encrypted() {
        // The certificates of the system, which may be missing in a container, are not needed.
        let none = rustls::RootCertStore::empty();
        return Ok(builder.with_root_certificates(none).with_no_client_auth());
    }
    let Some(file) = &destination.certificate else {
        let builder = builder.with_platform_verifier().map_err(|error| wrong(&error))?;
        return Ok(builder.with_no_client_auth());
    };
    let verifier =
        Verifier::new_with_extra_roots(certificates(file)?, ring).map_err(|error| wrong(&error))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ExportError> {
    let wrong = |reason: String| ExportError::Certificate {
        path: file.to_path_buf(),
        reason,
    };
    let roots = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    if roots.is_empty() {
        return Err(wrong("there are none in PEM".to_owned()));
    }
    Ok(roots)
}
