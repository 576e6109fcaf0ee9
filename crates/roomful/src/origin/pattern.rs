//! Patterns of hosts and origins, as configuration writes them: those of Channels' `OriginValidator` and Django's
//! `ALLOWED_HOSTS`.

use std::net::Ipv6Addr;

use super::host::{Host, HostPort, Origin, default_port};

/// A pattern of hosts or origins that means nothing, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern of hosts: {reason}")]
pub struct BadHostPattern {
    pattern: String,
    reason: &'static str,
}

/// A set of hosts: `example.com`, `.example.com`, `example.com:8443`, `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    Any,
    /// This host, at this port if one is written.
    One(HostPort),
    /// This name and all that end in it behind a dot, at this port if one is written.
    Subdomains {
        of: String,
        port: Option<u16>,
    },
}

impl HostPattern {
    pub(super) fn parse(pattern: &str) -> Result<Self, BadHostPattern> {
        Self::parse_part(pattern).map_err(|reason| BadHostPattern {
            pattern: pattern.into(),
            reason,
        })
    }

    fn parse_part(pattern: &str) -> Result<Self, &'static str> {
        if pattern == "*" {
            return Ok(Self::Any);
        }
        if pattern.contains('*') {
            return Err(
                "`*` stands alone, for everything; write `.example.com` for a host and its subdomains",
            );
        }
        if !pattern.is_ascii() {
            return Err("browsers send names in ASCII; write the `xn--` form");
        }
        if pattern.parse::<Ipv6Addr>().is_ok() {
            return Err("an IPv6 address stands in brackets, as in `[::1]`");
        }
        if pattern.contains('/') {
            return Err("it ends with host and port; drop the slash");
        }
        let (name, subdomains) = match pattern.strip_prefix('.') {
            Some(name) => (name, true),
            None => (pattern, false),
        };
        match (HostPort::parse(name), subdomains) {
            (Some(one), false) => Ok(Self::One(one)),
            (
                Some(HostPort {
                    host: Host::Name(of),
                    port,
                }),
                true,
            ) => Ok(Self::Subdomains { of, port }),
            _ => Err(
                "write a host as in `example.com`, `.example.com`, `example.com:8443` or `[::1]`",
            ),
        }
    }

    /// Whether the pattern takes what stands in `Host`. A port that is not there may be 80 as well as 443.
    pub(super) fn takes(&self, host: &HostPort) -> bool {
        let port = self.port();
        let right_port = match host.port {
            Some(_) => host.port == port,
            None => matches!(port, Some(80 | 443)),
        };
        (port.is_none() || right_port) && self.takes_name(&host.host)
    }

    fn takes_name(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::One(one), _) => one.host == *host,
            (Self::Subdomains { of, .. }, Host::Name(name)) => name
                .strip_suffix(of.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
            (Self::Subdomains { .. }, Host::Ipv6(_)) => false,
        }
    }

    fn port(&self) -> Option<u16> {
        match self {
            Self::Any => None,
            Self::One(one) => one.port,
            Self::Subdomains { port, .. } => *port,
        }
    }
}

/// A set of origins: a host pattern, of one scheme if one is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OriginPattern {
    scheme: Option<String>,
    host: HostPattern,
}

impl OriginPattern {
    pub(super) fn parse(pattern: &str) -> Result<Self, BadHostPattern> {
        let (scheme, host) = match pattern.split_once("://") {
            Some((scheme, host)) => (Some(scheme.to_ascii_lowercase()), host),
            None => (None, pattern),
        };
        let bad = |reason| BadHostPattern {
            pattern: pattern.into(),
            reason,
        };
        if pattern.eq_ignore_ascii_case("null") {
            return Err(bad(
                "every page can make its origin `null`; write `*` if that is meant",
            ));
        }
        let host = HostPattern::parse_part(host).map_err(bad)?;
        if scheme.is_some() && host == HostPattern::Any {
            return Err(bad(
                "`*` stands alone, for everything; write `https://.example.com` for a host and its subdomains",
            ));
        }
        Ok(Self { scheme, host })
    }

    /// Whether the pattern takes every request, even one whose `Origin` is none.
    pub(super) fn takes_all(&self) -> bool {
        self.host == HostPattern::Any
    }

    /// Whether the pattern takes `origin`. With a scheme, a port that is not written is the scheme's default; without
    /// one, it is any.
    pub(super) fn takes(&self, origin: &Origin) -> bool {
        let port = self.host.port();
        let right_place = match &self.scheme {
            Some(scheme) => {
                *scheme == origin.scheme && port.or(default_port(scheme)) == origin.port()
            }
            None => port.is_none() || port == origin.port(),
        };
        right_place && self.host.takes_name(&origin.at.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_it_says_and_nothing_like_it() {
        for (pattern, origin, taken) in [
            ("*", "http://anything.at.all", true),
            ("example.com", "http://example.com", true),
            ("example.com", "https://example.com:8443", true),
            ("Example.COM", "http://eXample.com", true),
            ("example.com", "http://www.example.com", false),
            ("example.com", "http://example.com.evil.org", false),
            ("example.com", "http://notexample.com", false),
            (".example.com", "http://example.com", true),
            (".example.com", "http://a.b.example.com", true),
            (".example.com", "http://evilexample.com", false),
            (".example.com", "http://example.com.evil.org", false),
            ("example.com:8443", "https://example.com:8443", true),
            ("example.com:8443", "https://example.com", false),
            ("example.com:443", "https://example.com", true),
            ("https://example.com", "https://example.com:443", true),
            ("https://example.com:443", "https://example.com", true),
            ("https://example.com", "http://example.com", false),
            ("https://example.com", "https://example.com:8443", false),
            ("https://.example.com", "https://www.example.com", true),
            ("https://.example.com", "http://www.example.com", false),
            ("HTTPS://example.com", "https://example.com", true),
            ("[::1]", "http://[0:0:0:0:0:0:0:1]:8000", true),
            ("http://[::1]:8000", "http://[::1]:8000", true),
            (
                "chrome-extension://abcdef",
                "chrome-extension://abcdef",
                true,
            ),
            (
                "chrome-extension://abcdef",
                "chrome-extension://other",
                false,
            ),
        ] {
            let parsed = OriginPattern::parse(pattern).unwrap();
            let origin_parsed = Origin::parse(origin).unwrap();
            assert_eq!(
                parsed.takes(&origin_parsed),
                taken,
                "{pattern} for {origin}"
            );
        }
    }

    #[test]
    fn a_pattern_that_means_nothing_is_refused_with_what_to_write() {
        for (pattern, sentence) in [
            ("*.example.com", "write `.example.com`"),
            ("https://*", "stands alone"),
            ("null", "write `*`"),
            ("https://example.com/", "drop the slash"),
            ("::1", "stands in brackets"),
            ("例え.jp", "`xn--` form"),
            ("http://", "write a host"),
            ("", "write a host"),
            (".", "write a host"),
            (".[::1]", "write a host"),
            ("example.com:http", "write a host"),
        ] {
            let error = OriginPattern::parse(pattern).unwrap_err().to_string();
            assert!(error.contains(sentence), "{pattern}: {error}");
        }
    }
}
