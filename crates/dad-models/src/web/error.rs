//! Errors of requests to servers.

use std::net::IpAddr;
use std::time::Duration;

/// Why a server gave no answer. No message holds more of an address than its server: a path may have a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// An address that cannot be asked.
    #[error("the address cannot be asked: {reason}")]
    Address {
        /// The problem.
        reason: String,
    },
    /// A header that no request can have.
    #[error("the header `{name}` cannot be sent: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// The problem.
        reason: String,
    },
    /// A host that is not among those that may be reached.
    #[error(
        "`{host}` may not be asked{}: `allowed_hosts` does not name it",
        by(redirected_by)
    )]
    HostNotAllowed {
        /// The host.
        host: String,
        /// The server that sent the request there.
        redirected_by: Option<String>,
    },
    /// A host that leads into a network that is not the internet.
    #[error(
        "`{host}` may not be asked{}: its address {address} is not of the internet",
        by(redirected_by)
    )]
    PrivateAddress {
        /// The host.
        host: String,
        /// The address that the name leads to.
        address: IpAddr,
        /// The server that sent the request there.
        redirected_by: Option<String>,
    },
    /// A redirect that is not followed.
    #[error("`{server}` answered with a redirect that is not followed: {reason}")]
    Redirect {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server could not be reached, or the connection broke.
    #[error("`{server}` could not be asked: {reason}")]
    Connection {
        /// The server.
        server: String,
        /// The cause.
        reason: String,
    },
    /// It took longer than it may take.
    #[error("`{server}` did not answer within {}", dad_core::format_duration(*limit))]
    TimedOut {
        /// The server.
        server: String,
        /// The limit.
        limit: Duration,
    },
}

fn by(redirected_by: &Option<String>) -> String {
    let reported = |server| format!(", to which `{server}` redirects");
    redirected_by.as_ref().map(reported).unwrap_or_default()
}

impl WebError {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } => "http_address",
            Self::Header { .. } => "http_header",
            Self::HostNotAllowed { .. } | Self::PrivateAddress { .. } => "host_not_allowed",
            Self::Redirect { .. } => "http_redirect",
            Self::Connection { .. } => "http_connection",
            Self::TimedOut { .. } => "http_timeout",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::HostNotAllowed { host, .. } => Some(format!(
                "if it is meant to be asked, write it into the definition: `allowed_hosts: [\"{host}\"]`"
            )),
            Self::PrivateAddress { host, .. } => Some(format!(
                "a machine of your own network is asked only if the definition names it: `allowed_hosts: [\"{host}\"]`; \
                 `*.DOMAIN` does not name one"
            )),
            Self::Redirect { .. } => Some(
                "ask the address that it leads to, or take the redirect itself as the answer by its status in `expect_status`"
                    .to_owned(),
            ),
            Self::TimedOut { .. } => Some("raise `timeout`".to_owned()),
            _ => None,
        }
    }

    /// Whether asking again may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::TimedOut { .. })
    }
}
