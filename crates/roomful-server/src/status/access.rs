//! Who may see how the server is doing.
//!
//! A proxy on this machine makes everybody's requests look local. So "local" is told by everything a request shows: where
//! it comes from, which host it asks for, and that nobody says to have passed it on.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, HeaderMap};
use sha2::{Digest as _, Sha256};

/// Names of headers by which a proxy says that a request is somebody else's.
const PASSED_ON: &[&str] = &[
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
    "x-original-host",
];

/// Whom the operator lets see it.
#[derive(Clone)]
pub enum Audience {
    /// A browser on this machine, directly.
    Loopback,
    /// Whoever gives this token, from anywhere.
    Token(String),
    /// Nobody.
    Nobody,
}

/// Who may see it.
#[derive(Clone, Debug)]
pub struct Access {
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Loopback,
    /// The token's SHA-256: it is compared with a given one's in a time that says nothing of it, and cannot be shown.
    Token([u8; 32]),
    Nobody,
}

/// What somebody who asks is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// Welcome.
    Welcome,
    /// Welcome with the token.
    NeedsToken,
    /// Not this one: it does not come from this machine.
    Remote,
    /// There is nothing to see.
    Nobody,
}

impl Access {
    /// As the operator says.
    pub fn new(audience: &Audience) -> Self {
        let rule = match audience {
            Audience::Loopback => Rule::Loopback,
            Audience::Token(token) => Rule::Token(Sha256::digest(token).into()),
            Audience::Nobody => Rule::Nobody,
        };
        Self { rule }
    }

    /// What the sender of a request is told; `peer` is the other end of its connection.
    pub fn visitor(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Visitor {
        match self.rule {
            Rule::Nobody => Visitor::Nobody,
            Rule::Token(_) => Visitor::NeedsToken,
            Rule::Loopback if is_local(peer, headers) => Visitor::Welcome,
            Rule::Loopback => Visitor::Remote,
        }
    }

    /// Whether this is the token; no token is an empty one.
    pub fn takes(&self, token: &str) -> bool {
        match &self.rule {
            Rule::Token(digest) => !token.is_empty() && Sha256::digest(token)[..] == digest[..],
            Rule::Loopback | Rule::Nobody => false,
        }
    }
}

fn is_local(peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    let from_here = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let passed_on = headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("x-forwarded") || PASSED_ON.contains(&name)
    });
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    from_here && !passed_on && host.is_some_and(is_this_machine)
}

/// Whether a `Host` header names the machine itself. A name that only resolves to it does not: any site can have one.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::HeaderName;

    use super::*;

    fn asks(peer: &str, headers: &[(&'static str, &'static str)]) -> Visitor {
        let access = Access::new(&Audience::Loopback);
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        access.visitor(Some(peer.parse().unwrap()), &headers.collect())
    }

    #[test]
    fn a_token_is_known_by_who_has_it_and_never_shown() {
        let token = |token: &str| Access::new(&Audience::Token(token.to_owned()));
        let access = token("correct horse battery");
        assert!(access.takes("correct horse battery"));
        assert!(!access.takes("correct horse"));
        assert!(!access.takes(""));
        assert!(!token("").takes(""));
        assert!(!Access::new(&Audience::Loopback).takes(""));
        assert!(!format!("{access:?}").contains("horse"));
    }

    #[test]
    fn local_is_who_asks_this_machine_for_itself() {
        for (peer, host) in [
            ("127.0.0.1:5000", "localhost:8000"),
            ("127.0.0.1:5000", "127.0.0.1:8000"),
            ("[::1]:5000", "[::1]:8000"),
            ("[::ffff:127.0.0.1]:5000", "LOCALHOST"),
        ] {
            assert_eq!(asks(peer, &[("host", host)]), Visitor::Welcome, "{host}");
        }
    }

    #[test]
    fn whoever_comes_from_elsewhere_through_a_proxy_or_by_another_name_is_remote() {
        assert_eq!(
            asks("192.0.2.1:5000", &[("host", "localhost:8000")]),
            Visitor::Remote
        );
        for host in ["chat.example.com", "localhost.example.com", "", "[::2]"] {
            let visitor = asks("127.0.0.1:5000", &[("host", host)]);
            assert_eq!(visitor, Visitor::Remote, "{host:?}");
        }
        for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
            // Also where the proxy says that it was asked from here: the header itself is anybody's.
            let headers = [("host", "localhost:8000"), (name, "127.0.0.1")];
            assert_eq!(asks("127.0.0.1:5000", &headers), Visitor::Remote, "{name}");
        }
    }
}
