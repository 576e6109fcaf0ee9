//! The client's end of a WebSocket, from the handshake to the close.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use http::header::{
    CONNECTION, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Extensions, HeaderMap, HeaderValue, Request, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::in_memory::{TestService, collect, send, within};
#[cfg(feature = "deflate")]
use crate::ws::compression::Deflate;
use crate::ws::{Decoder, Incoming, Opcode, Role, frame, handshake};
use crate::{Close, CloseCode, Message};

/// Large enough that the limit which a test meets is the server's.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// A WebSocket to a service in memory.
///
/// Pings are answered while something is awaited. Dropping the client breaks the connection without a Close, as a lost
/// network does; [`close`](Self::close) ends it as a browser does.
///
/// # Panics
/// Every method that waits panics after five seconds, and where the service breaks the WebSocket protocol.
///
/// # Cancel safety
/// Every method that waits is cancel safe, but for [`close`](Self::close), which takes the client with it.
pub struct Client {
    stream: TokioIo<Upgraded>,
    headers: HeaderMap,
    decoder: Decoder,
    /// What was read and not yet decoded.
    input: BytesMut,
    /// What was encoded and not yet written.
    output: BytesMut,
    /// A message that came while nothing was wanted.
    waiting: Option<Message>,
    /// Nothing may be sent after a Close.
    close_sent: bool,
    /// How the connection ended. Once set, nothing more is read.
    ended: Option<Close>,
}

/// The service answered the handshake with something else than 101.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the handshake was refused with {status}: {}", String::from_utf8_lossy(body).trim_end())]
pub struct Refused {
    /// The status of the answer.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A handshake that is being put together; see [`Client::request`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `connect`"]
pub struct ClientRequest {
    path: String,
    headers: HeaderMap,
    extensions: Extensions,
}

impl ClientRequest {
    /// Offers a subprotocol. The first one offered is the one liked best.
    pub fn subprotocol(self, name: &str) -> Self {
        self.header("sec-websocket-protocol", name)
    }

    /// Says which page asks, as browsers do.
    pub fn origin(mut self, origin: &str) -> Self {
        self.headers.remove(ORIGIN);
        self.header("origin", origin)
    }

    /// Adds a header. `Host` is replaced, and so are those of the handshake, which is thus easily broken.
    ///
    /// # Panics
    /// The name or the value is none.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a valid header name");
        let value = HeaderValue::from_str(value).expect("a valid header value");
        let one_only = [HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION];
        if one_only.contains(&name) {
            self.headers.insert(name, value);
        } else {
            self.headers.append(name, value);
        }
        self
    }

    /// Gives the request an extension, as a layer in front of the service would: a user, a
    /// [`PeerAddr`](crate::PeerAddr).
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions.insert(value);
        self
    }

    /// Offers permessage-deflate. Messages of the client are sent plain all the same.
    #[cfg(feature = "deflate")]
    pub fn deflate(self) -> Self {
        self.header("sec-websocket-extensions", "permessage-deflate")
    }

    /// Sends the request to `service` and waits for its answer.
    ///
    /// # Errors
    /// The answer, if it is not 101.
    ///
    /// # Panics
    /// There is no answer after five seconds, or it is a 101 that a browser would not take.
    pub async fn connect<S: TestService>(self, service: S) -> Result<Client, Refused> {
        let mut request = Request::get(&self.path)
            .body(Body::empty())
            .expect("a valid path");
        request.headers_mut().extend(self.headers);
        let offered = request.headers().clone();

        let response = send(service, request, self.extensions).await;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let response = collect(response).await;
            let (parts, body) = response.into_parts();
            return Err(Refused {
                status: parts.status,
                headers: parts.headers,
                body,
            });
        }
        let headers = response.headers().clone();
        check_answer(&offered, &headers);
        let decoder = Decoder::new(Role::Client, MAX_MESSAGE_BYTES);
        #[cfg(feature = "deflate")]
        let decoder = match Deflate::negotiate(&headers) {
            Some(deflate) => decoder.with_deflate(deflate),
            None => decoder,
        };
        let upgraded = within("the connection after a 101", hyper::upgrade::on(response)).await;
        Ok(Client {
            stream: TokioIo::new(upgraded.expect("the service kept the connection after its 101")),
            headers,
            decoder,
            input: BytesMut::new(),
            output: BytesMut::new(),
            waiting: None,
            close_sent: false,
            ended: None,
        })
    }
}

impl Client {
    /// Opens a WebSocket on `path` of `service`.
    ///
    /// # Errors
    /// The service answers with something else than 101.
    pub async fn connect<S: TestService>(service: S, path: &str) -> Result<Self, Refused> {
        Self::request(path).connect(service).await
    }

    /// A handshake on `path`, to be given headers before it connects. The `Host` is `localhost`.
    ///
    /// ```
    /// # use roomful::testing::{Client, Refused};
    /// # async fn run(service: axum::Router) -> Result<(), Refused> {
    /// let client = Client::request("/room/1/")
    ///     .subprotocol("roomful.v1")
    ///     .origin("http://localhost")
    ///     .header("cookie", "session=1")
    ///     .connect(service)
    ///     .await?;
    /// assert_eq!(client.subprotocol(), Some("roomful.v1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(path: &str) -> ClientRequest {
        let key = handshake::client_key().expect("the operating system gives random bytes");
        let headers = HeaderMap::from_iter([
            (HOST, HeaderValue::from_static("localhost")),
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            (SEC_WEBSOCKET_KEY, key),
        ]);
        ClientRequest {
            path: path.to_owned(),
            headers,
            extensions: Extensions::new(),
        }
    }

    /// The subprotocol that the service chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()
    }

    /// The headers of the 101.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Sends a message. If the connection is gone it is lost, and the next `receive` says why.
    pub async fn send(&mut self, message: impl Into<Message>) {
        let message = message.into();
        self.encode(Opcode::of(&message), message.as_bytes());
        within("the service to read a message", self.flush()).await;
    }

    /// Sends a value as JSON, in a text message.
    ///
    /// # Panics
    /// The value cannot be written as JSON.
    pub async fn send_json(&mut self, value: &(impl Serialize + ?Sized)) {
        let json = serde_json::to_string(value).expect("a value that can be written as JSON");
        self.send(json).await;
    }

    /// The next message.
    ///
    /// # Errors
    /// The service closed: with the code and reason that it sent, 1005 if it sent none, 1006 if the connection broke.
    pub async fn receive(&mut self) -> Result<Message, Close> {
        within("a message", self.next()).await
    }

    /// The next message, which has to be text.
    ///
    /// # Errors
    /// The service closed; as for [`receive`](Self::receive).
    ///
    /// # Panics
    /// The message is binary.
    pub async fn receive_text(&mut self) -> Result<ByteString, Close> {
        match self.receive().await? {
            Message::Text(text) => Ok(text),
            Message::Binary(bytes) => panic!("expected a text message, received binary: {bytes:?}"),
        }
    }

    /// The next message, which has to be text, read as JSON.
    ///
    /// # Errors
    /// The service closed; as for [`receive`](Self::receive).
    ///
    /// # Panics
    /// The message is binary, or not JSON, or not that of a `T`.
    pub async fn receive_json<T: DeserializeOwned>(&mut self) -> Result<T, Close> {
        let text = self.receive_text().await?;
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
            let expected = std::any::type_name::<T>();
            panic!("expected `{expected}` as JSON, received {text:?}: {error}")
        }))
    }

    /// Whether nothing comes for that long: no message and no end. A message that does come is the next received.
    ///
    /// With tokio's clock paused (`start_paused`) this asks whether anything is on its way, and takes no time.
    #[must_use = "asks only: `assert!` it"]
    pub async fn receive_nothing(&mut self, duration: Duration) -> bool {
        match tokio::time::timeout(duration, self.next()).await {
            Ok(Ok(message)) => {
                self.waiting = Some(message);
                false
            }
            Ok(Err(_)) => false,
            Err(_) => true,
        }
    }

    /// The end, with messages before it passed over.
    pub async fn receive_close(&mut self) -> Close {
        let end = async {
            loop {
                if let Err(close) = self.next().await {
                    return close;
                }
            }
        };
        within("the service to close", end).await
    }

    /// Closes as a browser does, and waits for the answer, with messages before it passed over.
    pub async fn close(mut self, code: CloseCode, reason: &str) -> Close {
        let payload = frame::close_payload(&Close::new(code, reason));
        self.encode(Opcode::Close, &payload);
        within("the service to read a Close", self.flush()).await;
        self.receive_close().await
    }

    async fn next(&mut self) -> Result<Message, Close> {
        if let Some(message) = self.waiting.take() {
            return Ok(message);
        }
        loop {
            self.flush().await;
            if let Some(close) = &self.ended {
                return Err(close.clone());
            }
            match self.decode() {
                Some(Incoming::Message(message)) => return Ok(message),
                Some(Incoming::Ping(payload)) => self.encode(Opcode::Pong, &payload),
                Some(Incoming::Pong(_)) => {}
                Some(Incoming::Close(close)) => {
                    let close = close.unwrap_or_else(|| CloseCode::NO_STATUS.into());
                    self.encode(Opcode::Close, &frame::close_payload(&close));
                    self.ended = Some(close);
                }
                None => self.read().await,
            }
        }
    }

    fn decode(&mut self) -> Option<Incoming> {
        let mut rest = &self.input[..];
        let item = self.decoder.decode(&mut rest);
        let taken = self.input.len() - rest.len();
        self.input.advance(taken);
        item.unwrap_or_else(|error| panic!("the service sent what is no WebSocket: {error}"))
    }

    async fn read(&mut self) {
        match self.stream.read_buf(&mut self.input).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => self.ended = Some(CloseCode::ABNORMAL.into()),
        }
    }

    fn encode(&mut self, opcode: Opcode, payload: &[u8]) {
        if self.close_sent {
            return;
        }
        self.close_sent = opcode == Opcode::Close;
        let mask = getrandom::u32().expect("the operating system gives random bytes");
        frame::encode_masked(&mut self.output, opcode, payload, mask.to_ne_bytes());
    }

    /// Writes what is encoded. What cannot be written is given up: what can still be read says how it ended.
    async fn flush(&mut self) {
        while !self.output.is_empty() {
            if self.stream.write_buf(&mut self.output).await.is_err() {
                self.output.clear();
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("headers", &self.headers)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// What a browser checks in a 101 (RFC 6455, section 4.1).
fn check_answer(request: &HeaderMap, answer: &HeaderMap) {
    let accept = answer.get(SEC_WEBSOCKET_ACCEPT);
    let key = request[SEC_WEBSOCKET_KEY].as_bytes();
    assert_eq!(
        accept,
        Some(&handshake::accept_key(key)),
        "`Sec-WebSocket-Accept` does not answer the key"
    );
    assert!(
        handshake::is_websocket_upgrade(answer),
        "the 101 has no `Upgrade: websocket`"
    );
    if let Some(chosen) = answer.get(SEC_WEBSOCKET_PROTOCOL) {
        let lines = request.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let mut offers = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        assert!(
            offers.any(|offer| offer.trim_ascii() == chosen.as_bytes()),
            "the service chose the subprotocol {chosen:?}, which was not offered"
        );
    }
    if let Some(extensions) = answer.get(SEC_WEBSOCKET_EXTENSIONS) {
        assert!(
            request.contains_key(SEC_WEBSOCKET_EXTENSIONS),
            "the service chose the extensions {extensions:?}, and none were offered"
        );
    }
}
