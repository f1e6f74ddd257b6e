//! OTLP over gRPC.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use dad_core::ErrorInfo;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tokio::time::timeout;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::destination::Destination;
use super::failure::{Accepted, ExportError, Failure};
use crate::settings::Signal;

/// The connection to one receiver, opened by the first message.
#[derive(Debug)]
pub(super) struct Grpc {
    endpoint: Endpoint,
    channel: OnceLock<Channel>,
}

/// The words of a receiver beside the code of an error, `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// A detail, `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The time to wait, `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// A duration, `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Grpc {
    pub(super) fn new(destination: &Destination) -> Result<Self, ExportError> {
        let wrong = |error: &dyn Error| ExportError::Connection {
            endpoint: destination.endpoint.to_string(),
            reason: ErrorInfo::from_error("", error).message,
        };
        let url = destination.endpoint.url().to_string();
        let mut endpoint = Endpoint::from_shared(url).map_err(|error| wrong(&error))?;
        endpoint = endpoint
            .connect_timeout(destination.timeout)
            .user_agent(concat!("dhenara/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| wrong(&error))?;
        if destination.endpoint.is_encrypted() {
            let tls = tls(destination)?;
            endpoint = endpoint.tls_config(tls).map_err(|error| wrong(&error))?;
        }
        Ok(Self {
            endpoint,
            channel: OnceLock::new(),
        })
    }

    pub(super) async fn send(&self, destination: &Destination, message: &[u8]) -> Result<Accepted, Failure> {
        let sent = timeout(destination.timeout, self.export(destination, message)).await;
        match sent {
            Ok(Ok((rejected, message))) => Ok(Accepted {
                rejected: u64::try_from(rejected).unwrap_or(0),
                message,
            }),
            Ok(Err(status)) => Err(refused(&status)),
            Err(_) => Err(Failure::later("it does not answer in time")),
        }
    }

    /// Sends a message. Returns the number of records that were rejected, with the words of the receiver.
    async fn export(&self, destination: &Destination, message: &[u8]) -> Result<(i64, String), Status> {
        let channel = self.channel.get_or_init(|| self.endpoint.connect_lazy()).clone();
        let is_compressed = destination.is_compressed;
        // The clients of the three services have the same methods, and no trait for them.
        macro_rules! export {
            ($client:ident, $rejected:ident) => {{
                let mut client = $client::new(channel);
                if is_compressed {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                let request = request(destination, message)?;
                let partial = client.export(request).await?.into_inner().partial_success;
                Ok(partial.map_or_else(Default::default, |partial| {
                    (partial.$rejected, partial.error_message)
                }))
            }};
        }
        match destination.signal {
            Signal::Traces => export!(TraceServiceClient, rejected_spans),
            Signal::Metrics => export!(MetricsServiceClient, rejected_data_points),
            Signal::Logs => export!(LogsServiceClient, rejected_log_records),
        }
    }
}

fn request<T: Message + Default>(destination: &Destination, message: &[u8]) -> Result<Request<T>, Status> {
    let message = T::decode(message).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let mut request = Request::new(message);
    *request.metadata_mut() = MetadataMap::from_headers(destination.headers.clone());
    Ok(request)
}

/// The outcome of a request that failed, as the specification of OTLP has it.
fn refused(status: &Status) -> Failure {
    let reason = match status.message() {
        "" => format!("it answers {:?}", status.code()),
        said => format!("it answers {:?}: {said}", status.code()),
    };
    let after = retry_after(status);
    match status.code() {
        Code::Unavailable
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss => Failure::Later { reason, after },
        // A receiver that is busy says when to come again; one that says nothing takes no message of this length.
        Code::ResourceExhausted if after.is_some() => Failure::Later { reason, after },
        Code::ResourceExhausted => Failure::TooLong { reason },
        Code::InvalidArgument => Failure::Refused { reason },
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::NotFound => {
            Failure::Closed { reason }
        }
        _ => Failure::Stopped { reason },
    }
}

fn retry_after(status: &Status) -> Option<Duration> {
    let details = Details::decode(status.details()).ok()?.details;
    let info = details
        .iter()
        .find(|detail| detail.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&*info.value).ok()?.delay?;
    let seconds = u64::try_from(delay.seconds).unwrap_or(0);
    let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
    Some(Duration::new(seconds, nanos))
}

fn tls(destination: &Destination) -> Result<ClientTlsConfig, ExportError> {
    let tls = ClientTlsConfig::new().with_native_roots();
    let Some(path) = &destination.certificate else {
        return Ok(tls);
    };
    let pem = std::fs::read(path).map_err(|error| ExportError::Certificate {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    Ok(tls.ca_certificate(Certificate::from_pem(pem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_receiver_is_waited_for_and_one_without_room_gets_less() {
        let retry = RetryInfo {
            delay: Some(Delay {
                seconds: 2,
                nanos: 500_000_000,
            }),
        };
        let details = Details {
            details: vec![Detail {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
                value: retry.encode_to_vec(),
            }],
        };
        let busy = Status::with_details(Code::ResourceExhausted, "busy", details.encode_to_vec().into());
        assert_eq!(
            refused(&busy),
            Failure::Later {
                reason: "it answers ResourceExhausted: busy".to_owned(),
                after: Some(Duration::from_millis(2500)),
            }
        );
        let full = refused(&Status::resource_exhausted("too large"));
        assert!(matches!(full, Failure::TooLong { .. }), "{full:?}");
        let wrong = refused(&Status::unauthenticated("no key"));
        assert!(matches!(wrong, Failure::Closed { .. }), "{wrong:?}");
    }
}
