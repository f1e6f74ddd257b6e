//! Whose server an address is.

use std::net::IpAddr;

use reqwest::Url;

/// Whether two addresses are of one server: the same scheme, host and port, and nothing that only looks like the host.
pub(crate) fn is_same_server(one: &str, other: &str) -> bool {
    match (parse(one), parse(other)) {
        (Some(one), Some(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

/// Whether an address is of a server on this machine, asked without encryption.
pub(crate) fn is_local(address: &str) -> bool {
    let Some(url) = parse(address).filter(|url| url.scheme() == "http") else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let number = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || number.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The proxy that a request to an address goes through, as a note for messages; empty if it goes through none.
pub(crate) fn proxy_note(address: &str) -> String {
    if is_local(address) {
        return String::new();
    }
    // The same reading of the system that the connections themselves are made by.
    let proxies = hyper_util::client::proxy::matcher::Matcher::from_system();
    let proxy = address
        .parse()
        .ok()
        .and_then(|address| proxies.intercept(&address));
    proxy.map_or_else(String::new, |proxy| {
        let host = proxy.uri().authority().map_or("", |authority| authority.as_str());
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        format!(" (through the proxy `{host}` of the environment)")
    })
}

/// Whether a user's entry, `HOST` or `HOST:PORT`, names the server of an address.
pub(crate) fn is_named_by(address: &str, entry: &str) -> bool {
    let Some(url) = parse(address) else { return false };
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let entry = entry.to_ascii_lowercase();
    entry == host || entry == format!("{host}:{port}")
}

/// An address without its path, as messages name it.
pub(crate) fn server(address: &str) -> String {
    parse(address).map_or_else(|| address.to_owned(), |url| url.origin().ascii_serialization())
}

/// An address over HTTP that names no user: what stands before an `@` is easily taken for the host.
fn parse(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_scheme_host_and_port_are_the_same_server() {
        let own = "https://api.openai.com/v1/";
        for same in [
            "https://api.openai.com/",
            "https://API.OpenAI.com:443/other",
            "HTTPS://api.openai.com",
        ] {
            assert!(is_same_server(own, same), "{same}");
        }
        for other in [
            "http://api.openai.com/v1/",
            "https://api.openai.com:8443/v1/",
            "https://api.openai.com@evil.example/v1/",
            "https://user:pass@api.openai.com/v1/",
            "https://api.openai.com.evil.example/v1/",
            "https://api.openai.com./v1/",
            "https://evil.example/https://api.openai.com/v1/",
            "https://evil.example\\@api.openai.com/",
            "api.openai.com",
            "",
        ] {
            assert!(!is_same_server(own, other), "{other}");
        }
    }

    #[test]
    fn a_local_server_is_one_by_its_whole_host() {
        for local in [
            "http://localhost:8000/v1",
            "http://127.0.0.1:1",
            "http://127.3.2.1/",
            "http://[::1]:9/",
        ] {
            assert!(is_local(local), "{local}");
        }
        for other in [
            "http://localhost.evil.example/v1",
            "http://localhost@evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://10.0.0.1/",
            "https://localhost/",
        ] {
            assert!(!is_local(other), "{other}");
        }
    }

    #[test]
    fn an_entry_of_the_user_names_a_host_or_a_port_of_it() {
        assert!(is_named_by("https://proxy.example/v1", "Proxy.example"));
        assert!(is_named_by("https://proxy.example/v1", "proxy.example:443"));
        assert!(is_named_by("http://127.0.0.1:8000/v1", "127.0.0.1:8000"));
        assert!(!is_named_by("http://127.0.0.1:8001/v1", "127.0.0.1:8000"));
        assert!(!is_named_by("https://sub.proxy.example/v1", "proxy.example"));
        assert!(!is_named_by(
            "https://proxy.example@evil.example/v1",
            "proxy.example"
        ));
    }
}
