//! Why records are not sent.

use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::EndpointError;
use crate::settings::{OtlpProtocol, Signal};

/// Why signals cannot be exported at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The address of the receiver.
    #[error("the endpoint of {signal} cannot be used: {reason}")]
    Endpoint {
        /// The signal.
        signal: Signal,
        /// The problem.
        reason: EndpointError,
    },
    /// A header that no request can have.
    #[error(
        "the header `{name}` of {signal} cannot be sent: its name or its value has a character that no header may have"
    )]
    Header {
        /// The signal.
        signal: Signal,
        /// Its name.
        name: String,
    },
    /// Certificates that cannot be used.
    #[error("the certificates in `{}` cannot be read: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A protocol that this program was built without.
    #[error(
        "this program was built without `{protocol}`: use `{}` or `{}`",
        OtlpProtocol::HttpProtobuf,
        OtlpProtocol::HttpJson
    )]
    Protocol {
        /// The protocol.
        protocol: OtlpProtocol,
    },
    /// The connections cannot be set up.
    #[error("connections to `{endpoint}` cannot be made: {reason}")]
    Connection {
        /// The receiver.
        endpoint: String,
        /// The problem.
        reason: String,
    },
}

/// The outcome of a request that the receiver did not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The receiver cannot be reached, or asks for the same request again later.
    Later { reason: String, after: Option<Duration> },
    /// The message is longer than the receiver takes.
    TooLong { reason: String },
    /// The receiver refuses these records: it would refuse them again.
    Refused { reason: String },
    /// The receiver takes no request at all, because the address or a key is wrong: the records of all runs wait.
    Closed { reason: String },
    /// The receiver, or the file, failed with these records: those of this run wait.
    Stopped { reason: String },
}

impl Failure {
    pub(super) fn later(reason: impl Into<String>) -> Self {
        Self::Later {
            reason: reason.into(),
            after: None,
        }
    }

    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Later { reason, .. }
            | Self::TooLong { reason }
            | Self::Refused { reason }
            | Self::Closed { reason }
            | Self::Stopped { reason } => reason,
        }
    }
}

/// The answer of a receiver that took a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The records that it refused.
    pub(super) rejected: u64,
    /// Its words about them, or a warning.
    pub(super) message: String,
}
