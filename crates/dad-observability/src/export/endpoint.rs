//! Addresses of receivers.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// The address of a receiver, which messages show without its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// The fault of a text that names no receiver. The message does not show the text, which may hold a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The text is not an HTTP URL.
    #[error("expected a URL such as `http://localhost:4318` or `https://otlp.example.com`")]
    NotHttp,
    /// The address names a user.
    #[error("it has a user or a password before the host: send them in a header")]
    NamesUser,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// If the text is not an HTTP URL, or names a user.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text.trim()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or(EndpointError::NotHttp)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::NamesUser);
        }
        Ok(Self(url))
    }

    /// Whether a user's entry, `HOST` or `HOST:PORT`, names the server.
    #[must_use]
    pub fn is_named_by(&self, entry: &str) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port_or_known_default().unwrap_or_default();
        let entry = entry.to_ascii_lowercase();
        entry == host || entry == format!("{host}:{port}")
    }

    /// Whether the server is on this machine, where no proxy reaches it.
    pub(super) fn is_local(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let number = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || number.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The same with more segments behind its path.
    pub(super) fn below(mut self, path: &str) -> Self {
        let all = format!("{}{path}", self.0.path().trim_end_matches('/'));
        self.0.set_path(&all);
        self
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = format!("{}{}", self.0.origin().ascii_serialization(), self.0.path());
        f.write_str(shown.trim_end_matches('/'))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_neither_parameters_nor_passwords() {
        let endpoint = Endpoint::parse("https://otlp.example.com/api?key=abcdef").unwrap();
        assert_eq!(endpoint.to_string(), "https://otlp.example.com/api");
        assert_eq!(format!("{endpoint:?}"), "Endpoint(https://otlp.example.com/api)");
        let below = endpoint.below("/v1/traces");
        assert_eq!(
            below.url().as_str(),
            "https://otlp.example.com/api/v1/traces?key=abcdef"
        );
        for (text, wrong) in [
            ("http://user:secret@host", EndpointError::NamesUser),
            ("localhost:4318", EndpointError::NotHttp),
            ("file:///tmp", EndpointError::NotHttp),
            ("", EndpointError::NotHttp),
        ] {
            assert_eq!(Endpoint::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn a_server_is_named_by_its_host_with_or_without_port() {
        let endpoint = Endpoint::parse("http://Otlp.Example.com:4318").unwrap();
        for entry in ["otlp.example.com", "OTLP.example.com:4318"] {
            assert!(endpoint.is_named_by(entry), "{entry}");
        }
        for entry in ["example.com", "otlp.example.com:4317", ""] {
            assert!(!endpoint.is_named_by(entry), "{entry}");
        }
    }
}
