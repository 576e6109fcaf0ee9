//! Hosts and origins as headers write them.
//!
//! Everything is compared as a browser would write it: lower case, IPv6 addresses in their shortest form. Whatever a
//! browser would not write is no host.

use std::net::Ipv6Addr;

use http::Request;
use http::header::HOST;

/// A host, and a port where one is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
}

/// A host as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name or an IPv4 address, in lower case.
    Name(String),
    /// What stands in brackets.
    Ipv6(Ipv6Addr),
}

impl HostPort {
    /// Reads `host[:port]`; `None` for anything else, user names, paths and empty ports included.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (address, behind) = bracketed.split_once(']')?;
                let port = match behind {
                    "" => None,
                    _ => Some(behind.strip_prefix(':')?),
                };
                (Host::Ipv6(address.parse().ok()?), port)
            }
            None => {
                let (name, port) = match text.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (text, None),
                };
                (Host::name(name)?, port)
            }
        };
        let port = match port {
            None => None,
            // `u16::from_str` alone would take `+80`.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { host, port })
    }

    /// The host a request is for: that of an absolute target, or else of its one `Host` header (RFC 9112, section 3.2.2).
    pub(super) fn of_request<B>(request: &Request<B>) -> Option<Self> {
        if let Some(authority) = request.uri().authority() {
            return Self::parse(authority.as_str());
        }
        let mut headers = request.headers().get_all(HOST).iter();
        match (headers.next(), headers.next()) {
            (Some(host), None) => Self::parse(host.to_str().ok()?),
            _ => None,
        }
    }
}

impl Host {
    fn name(text: &str) -> Option<Self> {
        let good = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        good.then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

/// An origin: where a page came from (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// In lower case.
    pub(super) scheme: String,
    pub(super) at: HostPort,
}

impl Origin {
    /// Reads `scheme://host[:port]`; `None` for anything else, `null` and `file://` included.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, at) = text.split_once("://")?;
        let good = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        good.then_some(Self {
            scheme: scheme.to_ascii_lowercase(),
            at: HostPort::parse(at)?,
        })
    }

    /// The port, written or not; `None` for a scheme without a default.
    pub(super) fn port(&self) -> Option<u16> {
        self.at.port.or(default_port(&self.scheme))
    }

    /// Whether the page came from the host that its request is for.
    ///
    /// A `Host` without a port means the default one of the origin's scheme: behind a proxy that ends TLS, this server
    /// cannot know its own.
    pub(super) fn is_at(&self, host: &HostPort) -> bool {
        let web = matches!(self.scheme.as_str(), "http" | "https");
        web && self.at.host == host.host && self.port() == host.port.or(default_port(&self.scheme))
    }
}

pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_a_browser_would_write() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.com:80", "example.com", Some(80)),
            ("127.0.0.1:8000", "127.0.0.1", Some(8000)),
            ("my_host", "my_host", None),
        ] {
            let expected = HostPort {
                host: Host::Name(host.into()),
                port,
            };
            assert_eq!(HostPort::parse(text), Some(expected), "{text}");
        }
        assert_eq!(HostPort::parse("[0:0::1]:80"), HostPort::parse("[::1]:80"));
        for text in [
            "", ":80", "a:", "a:+80", "a:65536", "a:b", "a:1:2", "u@a", "a/b", "a b", "a,b", "::1",
            "[::1", "[]", "[::1]80", "[x]", "ä.de", "a\0",
        ] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_names_no_host_is_no_origin() {
        assert!(Origin::parse("https://example.com").is_some());
        assert!(Origin::parse("chrome-extension://abcdef").is_some());
        for text in [
            "",
            "null",
            "file://",
            "example.com",
            "://a",
            "1http://a",
            "http:/a",
            "http://",
            "http://a/",
            "http://a?b",
            "http://a#b",
            "http://u@a",
            "http://a http://b",
            "http://a, http://b",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }
}
