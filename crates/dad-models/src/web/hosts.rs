//! Which servers may be asked.

use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

use super::network::is_public;

/// The hosts that a request and the redirects behind it may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    entries: Vec<AllowedHost>,
    /// Whether no entry lets an address be reached that is not of the internet.
    only_public: bool,
}

/// An entry: `HOST`, `HOST:PORT`, or `*.DOMAIN` for every host below a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    /// In lower case, as addresses have it: of version 6 in brackets.
    host: String,
    port: Option<u16>,
    /// Whether every host below it is meant.
    below: bool,
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(entry: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{entry}` is no host: write `HOST`, `HOST:PORT` or `*.DOMAIN`, without `https://` and a path"
            )
        };
        let (below, rest) = match entry.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, entry),
        };
        // An address of version 6 may be written with and without its brackets.
        let bare = rest.parse::<std::net::Ipv6Addr>().ok();
        let authority = bare.map_or_else(|| rest.to_owned(), |address| format!("[{address}]"));
        if authority.is_empty() || authority.contains(['/', '\\', '@', '?', '#', '*', ' ', '%']) {
            return Err(wrong());
        }
        // No default port, so that one that is written is seen.
        let url = Url::parse(&format!("http://{authority}")).map_err(|_| wrong())?;
        let is_number = url.host_str().is_some_and(|host| address_of(host).is_some());
        if below && is_number {
            return Err(wrong());
        }
        let written = authority.rsplit_once(':').map(|(_, port)| port);
        let port = match written.filter(|port| !port.ends_with(']')) {
            Some(port) => Some(port.parse().map_err(|_| wrong())?),
            None => None,
        };
        let host = url.host_str().ok_or_else(wrong)?.to_owned();
        Ok(Self { host, port, below })
    }
}

impl AllowedHost {
    fn names(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_host = if self.below {
            host.strip_suffix(&self.host)
                .is_some_and(|rest| rest.ends_with('.'))
        } else {
            host == self.host
        };
        is_host
            && self
                .port
                .is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

impl FromIterator<AllowedHost> for AllowedHosts {
    fn from_iter<T: IntoIterator<Item = AllowedHost>>(hosts: T) -> Self {
        Self {
            entries: hosts.into_iter().collect(),
            only_public: false,
        }
    }
}

impl AllowedHosts {
    /// The host of one address, as far as it is of the internet; nothing where the address has none.
    #[must_use]
    pub fn only(url: &str) -> Self {
        let url = Url::parse(url).ok();
        let host = url.and_then(|url| url.host_str().map(str::to_owned));
        let entry = |host| AllowedHost {
            host,
            port: None,
            below: false,
        };
        Self {
            entries: host.map(entry).into_iter().collect(),
            only_public: true,
        }
    }

    /// Whether an entry names the host of an address.
    pub(super) fn allows(&self, url: &Url) -> bool {
        self.entries.iter().any(|entry| entry.names(url))
    }

    /// The addresses of a host that may be connected to: those of the internet, and others only where an entry names the host
    /// itself. A host that leads elsewhere with any of its addresses is not meant at all.
    ///
    /// # Errors
    /// The first address that is not of the internet.
    pub(super) fn check_addresses(
        &self,
        url: &Url,
        mut addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<(), IpAddr> {
        let is_named = !self.only_public && self.entries.iter().any(|entry| !entry.below && entry.names(url));
        match addresses.find(|address| !is_named && !is_public(*address)) {
            Some(address) => Err(address),
            None => Ok(()),
        }
    }
}

/// The address that a host is, if it is no name.
pub(super) fn address_of(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(entries: &[&str]) -> AllowedHosts {
        let read = |entry: &&str| {
            entry
                .parse::<AllowedHost>()
                .unwrap_or_else(|error| panic!("{error}"))
        };
        entries.iter().map(read).collect()
    }

    fn allows(entries: &[&str], url: &str) -> bool {
        hosts(entries).allows(&Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}")))
    }

    #[test]
    fn an_entry_names_a_host_a_port_of_it_or_what_is_below_a_domain() {
        assert!(allows(&["api.example.com"], "https://API.example.com/x"));
        assert!(allows(&["api.example.com"], "https://api.example.com:8443/x"));
        assert!(allows(&["api.example.com:443"], "https://api.example.com/x"));
        assert!(!allows(&["api.example.com:443"], "http://api.example.com/x"));
        assert!(allows(&["*.example.com"], "https://a.b.example.com/"));
        assert!(!allows(&["*.example.com"], "https://example.com/"));
        assert!(!allows(&["*.example.com"], "https://evilexample.com/"));
        assert!(!allows(&["example.com"], "https://example.com.evil.org/"));
        assert!(!allows(&["example.com"], "https://a.example.com/"));
        // Numbers are known in all their spellings.
        assert!(allows(&["127.0.0.1:80"], "http://0x7f.1/"));
        assert!(allows(&["::1"], "http://[::1]:8080/"));
        assert!(allows(&["[::1]:8080"], "http://[0:0:0:0:0:0:0:1]:8080/"));
        assert!(!allows(&[], "https://example.com/"));
    }

    #[test]
    fn what_is_no_host_is_no_entry() {
        for wrong in [
            "",
            "*",
            "*.",
            "https://example.com",
            "example.com/path",
            "user@example.com",
            "example.com:port",
            "example.com:99999",
            "*.127.0.0.1",
            "a*.example.com",
            "exam ple.com",
        ] {
            assert!(wrong.parse::<AllowedHost>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_private_address_needs_an_entry_for_the_host_itself() {
        let url = Url::parse("http://db.corp.example/").unwrap_or_else(|error| panic!("{error}"));
        assert!(AllowedHosts::only(url.as_str()).allows(&url));
        let addresses = || {
            ["8.8.8.8", "10.0.0.7"]
                .into_iter()
                .filter_map(|text| text.parse().ok())
        };
        assert!(
            hosts(&["*.corp.example"])
                .check_addresses(&url, addresses())
                .is_err()
        );
        assert!(
            AllowedHosts::only(url.as_str())
                .check_addresses(&url, addresses())
                .is_err()
        );
        assert!(
            hosts(&["db.corp.example"])
                .check_addresses(&url, addresses())
                .is_ok()
        );
    }
}
