//! The way of one signal to its receiver.

use std::sync::OnceLock;

use super::destination::Destination;
use super::failure::{Accepted, ExportError, Failure};
use super::http::Http;
use crate::settings::{ObservabilitySettings, OtlpProtocol, Signal};

/// A receiver and the connections to it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) destination: Destination,
    /// Why the receiver takes no request, after all attempts: those of each further run would fail for the same reason.
    pub(super) given_up: OnceLock<String>,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Http(Http),
    #[cfg(feature = "grpc")]
    Grpc(Box<super::grpc::Grpc>),
}

impl Route {
    pub(super) fn new(settings: &ObservabilitySettings, signal: Signal) -> Result<Self, ExportError> {
        let destination = Destination::new(settings, signal)?;
        let transport = match destination.protocol {
            OtlpProtocol::HttpProtobuf | OtlpProtocol::HttpJson => Transport::Http(Http::new(&destination)?),
            #[cfg(feature = "grpc")]
            OtlpProtocol::Grpc => Transport::Grpc(Box::new(super::grpc::Grpc::new(&destination)?)),
            #[cfg(not(feature = "grpc"))]
            protocol @ OtlpProtocol::Grpc => return Err(ExportError::Protocol { protocol }),
        };
        Ok(Self {
            destination,
            given_up: OnceLock::new(),
            transport,
        })
    }

    pub(super) const fn signal(&self) -> Signal {
        self.destination.signal
    }

    /// Sends a message, and waits for the answer at most as long as the settings say.
    pub(super) async fn send(&self, message: &[u8]) -> Result<Accepted, Failure> {
        match &self.transport {
            Transport::Http(http) => http.send(&self.destination, message).await,
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => grpc.send(&self.destination, message).await,
        }
    }
}
