//! One exchange with a server of the web: a request within bounds that its author gave, and the beginning of its answer.

mod error;
mod hosts;
mod network;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use derive_setters::Setters;
use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION, USER_AGENT,
};
use reqwest::{Method, Response, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};

pub use error::WebError;
pub use hosts::{AllowedHost, AllowedHosts};

use crate::address::server;
use crate::connections::tls;
use crate::header::header;
use crate::protocol::retry_after;

/// The name of exchanges with servers among the memos of a step.
pub const WEB_EXCHANGE: &str = "http";

/// The largest number of redirects: as many as browsers and curl follow at least.
const REDIRECTS: usize = 10;

/// The headers of an answer that are kept: what says how to read it, how long it holds, and when to ask again.
const KEPT_HEADERS: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
    "x-total-count",
];

/// A request to a server. As it is recorded, the names of secrets stand in the places of their values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct WebRequest {
    /// The method, in capital letters.
    #[setters(into)]
    pub method: String,
    /// The whole address.
    #[setters(into)]
    pub url: String,
    /// Names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub body: Option<String>,
}

impl WebRequest {
    /// A request without headers and body; the method is in capital letters, the address whole.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
        }
    }
}

/// The bounds of a request: its hosts, and the size of the answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebBounds {
    /// The hosts.
    pub hosts: AllowedHosts,
    /// The longest time from the first connection to the end of the answer.
    pub timeout: Duration,
    /// The largest number of bytes that are read of the answer.
    pub max_bytes: u64,
    /// Statuses of redirects that are the answer, and not followed.
    pub expected: Vec<u16>,
}

impl WebBounds {
    /// Bounds without redirects that are the answer. `timeout` lasts from the first connection to the end of the answer, of
    /// which `max_bytes` are read.
    #[must_use]
    pub fn new(hosts: AllowedHosts, timeout: Duration, max_bytes: u64) -> Self {
        Self {
            hosts,
            timeout,
            max_bytes,
            expected: Vec::new(),
        }
    }
}

/// The answer of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[non_exhaustive]
pub struct WebAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The address that answered, behind all redirects.
    #[setters(into)]
    pub url: String,
    /// Those headers that are kept, by their names in lower case; several values of one are joined by `, `.
    pub headers: Vec<(String, String)>,
    /// The body, or its beginning.
    pub body: WebBody,
    /// Whether the body is longer than what was read of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// The seconds that the server asks to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(into)]
    pub retry_after: Option<f64>,
}

impl WebAnswer {
    /// A whole answer of the address `url`, without headers.
    pub fn new(status: u16, url: impl Into<String>, body: WebBody) -> Self {
        Self {
            status,
            url: url.into(),
            headers: Vec::new(),
            body,
            is_cut: false,
            retry_after: None,
        }
    }
}

/// The body of an answer. A closed set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebBody {
    /// UTF-8 text.
    Text(String),
    /// Any other bytes, in base64.
    Base64(String),
}

impl From<Vec<u8>> for WebBody {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(BASE64_STANDARD.encode(error.as_bytes())),
        }
    }
}

impl WebBody {
    /// Its bytes.
    ///
    /// # Errors
    /// If what was recorded is no base64.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => BASE64_STANDARD.decode(text).map_err(|error| error.to_string()),
        }
    }
}

impl WebAnswer {
    /// The value of a header that is kept.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Asks servers. It reads no environment: no proxy is asked, because a proxy would resolve names by itself.
#[derive(Clone, Debug)]
pub struct WebClient {
    tls: rustls::ClientConfig,
}

impl WebClient {
    /// A client with the certificates that this system trusts.
    ///
    /// # Errors
    /// If there are none.
    pub fn new() -> Result<Self, WebError> {
        let tls = tls().map_err(|error| WebError::Connection {
            server: "any server".to_owned(),
            reason: dad_core::ErrorInfo::from_error("", &*error).message,
        })?;
        Ok(Self { tls })
    }

    /// Sends a request, follows redirects within its bounds, and reads the answer.
    ///
    /// # Errors
    /// [`WebError`]. An answer of any status is none.
    pub async fn send(&self, request: &WebRequest, bounds: &WebBounds) -> Result<WebAnswer, WebError> {
        let timed_out = |_| WebError::TimedOut {
            server: server(&request.url),
            limit: bounds.timeout,
        };
        let exchange = self.exchange(request, bounds);
        let answered = tokio::time::timeout(bounds.timeout, exchange).await;
        answered.map_err(timed_out)?
    }

    async fn exchange(&self, request: &WebRequest, bounds: &WebBounds) -> Result<WebAnswer, WebError> {
        let mut hop = Hop::first(request)?;
        for _ in 0..=REDIRECTS {
            let response = self.ask(&hop, bounds).await?;
            match hop.redirected(&response, bounds)? {
                Some(next) => hop = next,
                None => return read(response, &hop.url, bounds.max_bytes).await,
            }
        }
        Err(WebError::Redirect {
            server: server(hop.url.as_str()),
            reason: format!("it is the {}th in a row", REDIRECTS + 1),
        })
    }

    async fn ask(&self, hop: &Hop, bounds: &WebBounds) -> Result<Response, WebError> {
        let host = hop.url.host_str().unwrap_or_default();
        let addresses = hop.addresses(bounds).await?;
        // The addresses that were looked at are those that are connected to: a second look may find others.
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .pool_max_idle_per_host(0)
            .resolve_to_addrs(host, &addresses)
            .build()
            .map_err(|error| hop.failed(error))?;
        let request = client
            .request(hop.method.clone(), hop.url.clone())
            .headers(hop.headers.clone());
        let request = match &hop.body {
            Some(body) => request.body(body.clone()),
            // Some servers refuse a request that could have a body and does not say that it has none.
            None if matches!(hop.method, Method::POST | Method::PUT | Method::PATCH) => {
                request.header(CONTENT_LENGTH, "0")
            }
            None => request,
        };
        request.send().await.map_err(|error| hop.failed(error))
    }
}

/// A request to one server, the first or one that a redirect leads to.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
    redirected_by: Option<String>,
}

impl Hop {
    fn first(request: &WebRequest) -> Result<Self, WebError> {
        let url = parse(&request.url).map_err(|reason| WebError::Address { reason })?;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| WebError::Address {
            reason: format!("`{}`: {error}", request.method),
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(OWN_NAME));
        for (name, value) in &request.headers {
            let (name, value) = header(name, value).map_err(|reason| WebError::Header {
                name: name.clone(),
                reason,
            })?;
            headers.insert(name, value);
        }
        Ok(Self {
            method,
            url,
            headers,
            body: request.body.clone(),
            redirected_by: None,
        })
    }

    /// The addresses of the server, if it may be called.
    async fn addresses(&self, bounds: &WebBounds) -> Result<Vec<std::net::SocketAddr>, WebError> {
        let host = self.url.host_str().unwrap_or_default();
        let (reported, redirected_by) = (host.to_owned(), self.redirected_by.clone());
        if !bounds.hosts.allows(&self.url) {
            return Err(WebError::HostNotAllowed {
                host: reported,
                redirected_by,
            });
        }
        let port = self.url.port_or_known_default().unwrap_or_default();
        let found: Vec<_> = match hosts::address_of(host) {
            Some(address) => vec![(address, port).into()],
            None => {
                let found = tokio::net::lookup_host((host, port)).await;
                let failed = |error: std::io::Error| self.unreachable(error.to_string());
                found.map_err(failed)?.collect()
            }
        };
        if found.is_empty() {
            return Err(self.unreachable("its name leads to no address".to_owned()));
        }
        let addresses = found.iter().map(std::net::SocketAddr::ip);
        let checked = bounds.hosts.check_addresses(&self.url, addresses);
        let private = |address| WebError::PrivateAddress {
            host: reported,
            address,
            redirected_by,
        };
        checked.map_err(private).map(|()| found)
    }

    /// The request that a redirect asks for. To another server go neither the headers of its author, which may be credentials,
    /// nor a body.
    fn redirected(&self, response: &Response, bounds: &WebBounds) -> Result<Option<Self>, WebError> {
        let status = response.status();
        let is_expected = bounds.expected.contains(&status.as_u16());
        let location = response.headers().get(LOCATION);
        let (Some(location), true) = (location, is_redirect(status) && !is_expected) else {
            return Ok(None);
        };
        let refused = |reason: String| WebError::Redirect {
            server: server(self.url.as_str()),
            reason,
        };
        let location = String::from_utf8_lossy(location.as_bytes());
        let url = self.url.join(&location).map_err(|error| error.to_string());
        let url = url.and_then(|url| parse(url.as_str())).map_err(refused)?;
        if self.url.scheme() == "https" && url.scheme() == "http" {
            return Err(refused("it leads from https to http".to_owned()));
        }
        let is_read = matches!(self.method, Method::GET | Method::HEAD);
        let turns = matches!(status.as_u16(), 301 | 302) && !is_read && self.method != Method::POST;
        if turns {
            return Err(refused(format!("it would make a GET of {}", self.method)));
        }
        let keeps = matches!(
            status,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        ) || is_read;
        let is_own = url.origin() == self.url.origin();
        if keeps && self.body.is_some() && !is_own {
            let other = server(url.as_str());
            return Err(refused(format!(
                "it would send the body of the request to `{other}`"
            )));
        }
        let mut headers = self.headers.clone();
        if !is_own {
            headers = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT]
                .into_iter()
                .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
                .collect();
        }
        let method = if keeps { self.method.clone() } else { Method::GET };
        if !keeps {
            headers.remove(reqwest::header::CONTENT_TYPE);
        }
        Ok(Some(Self {
            method,
            url,
            headers,
            body: self.body.clone().filter(|_| keeps),
            redirected_by: Some(server(self.url.as_str())),
        }))
    }

    fn unreachable(&self, reason: String) -> WebError {
        WebError::Connection {
            server: server(self.url.as_str()),
            reason,
        }
    }

    /// The library tells the whole address, in which a secret may stand.
    fn failed(&self, error: reqwest::Error) -> WebError {
        let error = error.without_url();
        self.unreachable(dad_core::ErrorInfo::from_error("", &error).message)
    }
}

/// The name of this program where a request has none of its author's.
const OWN_NAME: &str = concat!("dhenara/", env!("CARGO_PKG_VERSION"));

const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

async fn read(mut response: Response, url: &Url, max_bytes: u64) -> Result<WebAnswer, WebError> {
    let broken = |reason: String| WebError::Connection {
        server: server(url.as_str()),
        reason,
    };
    let encoding = response.headers().get(CONTENT_ENCODING);
    if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
        let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
        return Err(broken(format!(
            "it answers in `{encoding}`, which it was not asked for"
        )));
    }
    let headers = kept(response.headers());
    let retry_after = retry_after(response.headers()).map(|pause| pause.as_secs_f64());
    let status = response.status().as_u16();
    let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let mut is_cut = false;
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk
            .map_err(|error| broken(dad_core::ErrorInfo::from_error("", &error.without_url()).message))?;
        let Some(chunk) = chunk else { break };
        let room = most - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            is_cut = true;
            break;
        }
    }
    if is_cut {
        // A text ends with a whole character.
        if let Err(error) = std::str::from_utf8(&bytes)
            && error.error_len().is_none()
        {
            bytes.truncate(error.valid_up_to());
        }
    }
    Ok(WebAnswer {
        status,
        url: url.to_string(),
        headers,
        body: bytes.into(),
        is_cut,
        retry_after,
    })
}

fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let value = |name: &str| {
        let values = headers.get_all(name).into_iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (!values.is_empty()).then(|| (name.to_owned(), values.join(", ")))
    };
    KEPT_HEADERS.iter().copied().filter_map(value).collect()
}

/// Says what is wrong with an address that is to be asked.
///
/// # Errors
/// In words.
pub fn check_address(address: &str) -> Result<(), String> {
    parse(address).map(drop)
}

fn parse(address: &str) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|error| format!("it is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "it begins with `{}:`, and not with `https:` or `http:`",
            url.scheme()
        ));
    }
    if !(url.username().is_empty() && url.password().is_none()) {
        return Err(
            "a name stands before its host; credentials belong into the header `Authorization`".to_owned(),
        );
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(url),
        _ => Err("it has no host".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_server_and_no_user() {
        assert_eq!(check_address("https://example.com/a?b=c"), Ok(()));
        for wrong in [
            "",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://u:p@example.com",
            "https://",
        ] {
            assert!(check_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_come_back_as_they_were() {
        for bytes in [b"text".to_vec(), vec![0xff, 0, 1], Vec::new()] {
            assert_eq!(WebBody::from(bytes.clone()).bytes(), Ok(bytes));
        }
    }
}
