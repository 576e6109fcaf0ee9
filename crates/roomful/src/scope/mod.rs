//! What is known of a connection before it is accepted: the request's head, the URL's parameters, the extensions.

mod headers;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Uri};

use headers::Headers;

/// The parameters that routers took from the URL, kept in the request's extensions.
///
/// Inner routers add to what outer ones found; an inner name wins (as Channels merges `url_route`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlParams {
    /// Named groups and path parameters, percent-decoded, in the order they were found.
    pub named: Vec<(Arc<str>, String)>,
    /// Unnamed groups of patterns that have no named ones; empty for one that took no part in the match.
    pub args: Vec<String>,
}

impl UrlParams {
    /// The value of a named parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named
            .iter()
            .rev()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Adds a parameter, replacing one of the same name.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.named.push((name, value)),
        }
    }

    /// Adds what an inner router found: unnamed groups behind those here, named ones over those here.
    pub fn merge(&mut self, inner: Self) {
        self.args.extend(inner.args);
        for (name, value) in inner.named {
            self.insert(name, value);
        }
    }
}

/// What a router left of the path behind its match, percent-decoded, kept in the request's extensions.
///
/// A router that finds this in a request goes on with it instead of the URL's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRemaining(pub Arc<str>);

/// The name of the route that matched, kept in the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteName(pub Arc<str>);

/// The address of the other end, kept in the request's extensions by [`serve`](crate::serve); a consumer finds it with
/// [`Scope::peer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The head of the request that asked for a connection.
#[derive(Debug)]
pub struct Scope {
    method: Method,
    uri: Uri,
    headers: Headers,
    extensions: Extensions,
    params: UrlParams,
    peer: Option<SocketAddr>,
}

/// A parameter that the route does not have.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the route has no parameter `{0}`: name it in the pattern, as in r\"room/(?P<{0}>\\w+)/$\""
)]
pub struct MissingParam(String);

impl Scope {
    /// A scope from a request's head and the parameters of its route.
    pub fn new(parts: Parts, params: UrlParams) -> Self {
        let mut extensions = parts.extensions;
        let peer = extensions.remove::<PeerAddr>();
        extensions.remove::<PathRemaining>();
        if extensions.is_empty() {
            // An empty map keeps its memory.
            extensions = Extensions::new();
        }
        Self {
            method: parts.method,
            uri: parts.uri,
            headers: Headers::new(parts.headers),
            extensions,
            params,
            peer: peer.map(|peer| peer.0),
        }
    }

    /// Lets go of the buffer that the head was read into, and packs what was in it: it would live as long as the
    /// connection, and be most of it.
    pub(crate) fn compact(&mut self) {
        self.headers.pack();
        self.params.named.shrink_to_fit();
        self.params.args.shrink_to_fit();
        let uri = Bytes::from(self.uri.to_string());
        if let Ok(uri) = Uri::from_maybe_shared(uri) {
            self.uri = uri;
        }
    }

    /// A parameter of the URL, percent-decoded.
    ///
    /// # Errors
    /// [`MissingParam`] where the route that matched has no such name: a mistake of the program, not of the client.
    pub fn param(&self, name: &str) -> Result<String, MissingParam> {
        self.params
            .get(name)
            .map(String::from)
            .ok_or_else(|| MissingParam(name.into()))
    }

    /// All parameters of the URL.
    pub fn params(&self) -> &UrlParams {
        &self.params
    }

    /// The path as it was asked for, percent-encoded.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The first value of a query parameter, decoded as a form field (`+` is a space).
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.uri.query()?;
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_form(key) == name).then(|| decode_form(value))
        })
    }

    /// The request's method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request's target.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap<HeaderValue> {
        self.headers.get()
    }

    /// What middleware attached to the request. What this library found out itself is behind [`params`](Self::params),
    /// [`peer`](Self::peer) and [`route_name`](Self::route_name).
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The name of the route that matched, where it has one.
    pub fn route_name(&self) -> Option<&str> {
        self.extensions.get::<RouteName>().map(|name| &*name.0)
    }

    /// The address of the other end, where the server that accepted it says so.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The subprotocols the client offers, in its order of preference (`Sec-WebSocket-Protocol`).
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.headers()
            .get_all(http::header::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
    }
}

fn decode_form(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
}
