//! The opening handshake (RFC 6455, section 4): what a server must see before it may answer 101, and that answer.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytestring::ByteString;
use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, request};
use sha1::{Digest, Sha1};

#[cfg(feature = "deflate")]
use super::compression::Deflate;
use super::token::is_token;

/// Appended to the key before it is hashed (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The version of the protocol that this is (RFC 6455, section 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Base64 with padding. Bits that fall outside of the sixteen bytes may be anything: clients that draw the key as
/// characters, not as bytes, set them.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A request that may be answered with 101.
#[derive(Clone, Debug)]
pub struct Handshake {
    accept_key: HeaderValue,
    subprotocols: Vec<ByteString>,
    #[cfg(feature = "deflate")]
    offered_deflate: Option<Deflate>,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
}

/// A request that may not, and the answer it should get.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The status: 400, 405, 426 or 505.
    pub status: StatusCode,
    /// Headers of the answer. The connection closes after it: what follows a broken handshake is not HTTP for sure.
    pub headers: HeaderMap,
    /// What is wrong with the request, for the body of the answer.
    pub message: &'static str,
}

impl Rejection {
    fn new(status: StatusCode, message: &'static str) -> Self {
        let headers = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        Self {
            status,
            headers,
            message,
        }
    }

    fn bad_request(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// The subprotocol that was to be chosen is none that the client offered, so the client would fail the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client did not offer the subprotocol `{0}`: choose one that it offered, or none")]
pub struct SubprotocolNotOffered(pub String);

/// Whether a request asks for a WebSocket, well or badly: `Upgrade` has the token `websocket`.
pub fn is_websocket_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket")
}

/// Checks the head of a request that asks for a WebSocket (RFC 6455, section 4.2.1).
///
/// The `Origin` is not looked at: that is [`origin`](crate::origin)'s.
///
/// # Errors
/// The answer that the client should get instead of 101.
pub fn check(parts: &request::Parts) -> Result<Handshake, Rejection> {
    let headers = &parts.headers;
    if parts.method != Method::GET {
        let message = "a websocket handshake is a GET request";
        return Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, message)
            .with(ALLOW, HeaderValue::from_static("GET")));
    }
    if parts.version != Version::HTTP_11 {
        return Err(Rejection::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "a websocket handshake is an HTTP/1.1 request: a proxy in between has to speak HTTP/1.1 to this server",
        ));
    }
    check_host(headers)?;
    check_no_body(headers)?;
    if !is_websocket_upgrade(headers) {
        return Err(Rejection::bad_request(
            "this is a websocket: the request needs `Upgrade: websocket`, which a proxy in between has to pass on",
        ));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(Rejection::bad_request(
            "the request needs `Connection: Upgrade`, which a proxy in between has to pass on",
        ));
    }
    check_version(headers)?;
    let key = only(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key))
        .ok_or_else(|| {
            Rejection::bad_request("the request needs one `Sec-WebSocket-Key`, 16 bytes in base64")
        })?;

    Ok(Handshake {
        accept_key: accept_key(key.as_bytes()),
        subprotocols: offered_subprotocols(headers)?,
        #[cfg(feature = "deflate")]
        offered_deflate: Deflate::negotiate(headers),
        #[cfg(feature = "deflate")]
        deflate: None,
    })
}

impl Handshake {
    /// The value of `Sec-WebSocket-Accept`.
    pub fn accept_key(&self) -> &HeaderValue {
        &self.accept_key
    }

    /// The subprotocols that the client offers, the one it likes best first.
    pub fn subprotocols(&self) -> &[ByteString] {
        &self.subprotocols
    }

    /// Takes up the client's offer of permessage-deflate, if there is one that can be kept. The answer then says so,
    /// and the decoder has to be told [`with_deflate`](super::Decoder::with_deflate).
    #[cfg(feature = "deflate")]
    pub fn accept_deflate(&mut self) -> Option<Deflate> {
        self.deflate = self.offered_deflate;
        self.deflate
    }

    /// The headers of the 101 answer: those of the handshake, and `extra` ones (cookies, say) which cannot replace them.
    ///
    /// # Errors
    /// The client did not offer `subprotocol`.
    pub fn response_headers(
        &self,
        subprotocol: Option<&str>,
        extra: &HeaderMap,
    ) -> Result<HeaderMap, SubprotocolNotOffered> {
        let mut headers = extra.clone();
        for ours in [
            CONNECTION,
            UPGRADE,
            SEC_WEBSOCKET_ACCEPT,
            SEC_WEBSOCKET_PROTOCOL,
            SEC_WEBSOCKET_EXTENSIONS,
            SEC_WEBSOCKET_VERSION,
            // A 101 has no body (RFC 9110, section 15.2).
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
            TRAILER,
        ] {
            headers.remove(ours);
        }
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept_key.clone());
        if let Some(chosen) = subprotocol {
            if !self.subprotocols.iter().any(|offered| offered == chosen) {
                return Err(SubprotocolNotOffered(chosen.to_owned()));
            }
            let chosen = HeaderValue::from_str(chosen).expect("what was offered is a token");
            headers.insert(SEC_WEBSOCKET_PROTOCOL, chosen);
        }
        #[cfg(feature = "deflate")]
        if let Some(deflate) = self.deflate {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, deflate.response());
        }
        Ok(headers)
    }
}

/// A new random `Sec-WebSocket-Key`, for a client.
///
/// # Errors
/// The operating system gives no random bytes.
pub fn client_key() -> Result<HeaderValue, getrandom::Error> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    Ok(base64_value(&nonce))
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455, section 4.2.2).
pub fn accept_key(key: &[u8]) -> HeaderValue {
    base64_value(&Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn base64_value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::try_from(STANDARD.encode(bytes)).expect("base64 is a valid header value")
}

/// Exactly one `Host`, which is a host with or without a port (RFC 9112, section 3.2).
fn check_host(headers: &HeaderMap) -> Result<(), Rejection> {
    let host = only(headers, &HOST)
        .and_then(|host| Authority::try_from(host.as_bytes()).ok())
        .filter(|host| host.port().is_some() || host.as_str() == host.host())
        .filter(|host| !host.as_str().contains('@'));
    match host {
        Some(_) => Ok(()),
        None => Err(Rejection::bad_request(
            "the request needs one `Host` header with a host and, if need be, a port",
        )),
    }
}

/// A handshake has no body: its bytes would be read as frames, or as the next request.
fn check_no_body(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if headers.contains_key(TRANSFER_ENCODING) || lengths.any(|length| length != "0") {
        return Err(Rejection::bad_request(
            "a websocket handshake has no body: send the first message once the socket is open",
        ));
    }
    Ok(())
}

/// Exactly one `Sec-WebSocket-Version`, of 13; another one is told which would do (RFC 6455, section 4.4).
fn check_version(headers: &HeaderMap) -> Result<(), Rejection> {
    match only(headers, &SEC_WEBSOCKET_VERSION) {
        Some(version) if *version == VERSION => Ok(()),
        Some(_) => {
            let message = "this server speaks version 13 of the websocket protocol";
            Err(Rejection::new(StatusCode::UPGRADE_REQUIRED, message)
                .with(SEC_WEBSOCKET_VERSION, VERSION)
                // RFC 9110, section 15.5.22: a 426 names the protocol, and `Upgrade` is hop by hop.
                .with(UPGRADE, HeaderValue::from_static("websocket"))
                .with(CONNECTION, HeaderValue::from_static("close, upgrade")))
        }
        None => Err(
            Rejection::bad_request("the request needs one `Sec-WebSocket-Version: 13`")
                .with(SEC_WEBSOCKET_VERSION, VERSION),
        ),
    }
}

fn is_key(key: &HeaderValue) -> bool {
    // 16 bytes are 24 characters, and a longer value is not worth decoding.
    key.len() == 24
        && KEY_BASE64
            .decode(key.as_bytes())
            .is_ok_and(|nonce| nonce.len() == 16)
}

/// The names in `Sec-WebSocket-Protocol`: tokens, none of them twice (RFC 6455, section 4.1, item 10).
fn offered_subprotocols(headers: &HeaderMap) -> Result<Vec<ByteString>, Rejection> {
    let mut offered: Vec<ByteString> = Vec::new();
    for line in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        for name in line.as_bytes().split(|&byte| byte == b',') {
            let name = std::str::from_utf8(name).unwrap_or_default();
            let name = name.trim_matches([' ', '\t']);
            if !is_token(name) || offered.iter().any(|other| other == name) {
                return Err(Rejection::bad_request(
                    "`Sec-WebSocket-Protocol` is a list of names (tokens) separated by commas, each of them once",
                ));
            }
            offered.push(ByteString::from(name));
        }
    }
    Ok(offered)
}

/// The value of a header that stands there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a header, over all its lines, is a list that has `token` (RFC 9110, section 5.6.1). Case does not count.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
