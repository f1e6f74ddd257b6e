//! Headers of requests.

use reqwest::header::{HeaderName, HeaderValue};

/// Headers that the connection decides about, or that would make another message of the request.
const REFUSED_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Says what is wrong with a header of a request.
///
/// # Errors
/// In words.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    header(name, value).map(drop)
}

/// A header as it is sent.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| "names of headers are made of letters, digits and `-`".to_owned())?;
    if REFUSED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
        return Err("the connection decides about it".to_owned());
    }
    // Its text may be a secret.
    let value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| "its value has a character that no header can hold, such as a line end".to_owned())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_makes_no_other_message_of_the_request() {
        assert_eq!(check_header("X-Api-Key", "abc"), Ok(()));
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("x", "a\r\nHost: evil"),
            ("x", "a\0"),
            ("Host", "evil"),
            ("Content-Length", "3"),
            ("Transfer-Encoding", "chunked"),
            ("Proxy-Authorization", "x"),
        ] {
            assert!(check_header(name, value).is_err(), "{name}: {value}");
        }
    }
}
