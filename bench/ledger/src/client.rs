//! What speakers and readers share: HTTP, a `roomful.v1` connection, and waiting before coming back.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;

/// How long a server that is there may take for one answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// An HTTP client that goes where it is told, and keeps its connections.
pub(crate) fn http() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(PATIENCE)
        .tcp_nodelay(true);
    client.build().context("making an HTTP client")
}

/// A room's log after a cursor; held for `wait` seconds where there is nothing.
pub(crate) fn events_url(port: u16, room: &str, cursor: &Cursor, wait: Option<u64>) -> String {
    let after = cursor.after.unwrap_or_default();
    let mut url =
        format!("http://127.0.0.1:{port}/api/rooms/{room}/events?limit=500&after={after}");
    if let Some(epoch) = &cursor.epoch {
        url.push_str("&epoch=");
        url.push_str(epoch);
    }
    if let Some(wait) = wait {
        url.push_str(&format!("&wait={wait}"));
    }
    url
}

/// Where messages are said by POST.
pub(crate) fn messages_url(port: u16, room: &str) -> String {
    format!("http://127.0.0.1:{port}/api/rooms/{room}/messages")
}

/// How long to wait before coming back: full jitter, and longer each time.
pub(crate) struct Backoff {
    chance: fastrand::Rng,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(chance: fastrand::Rng) -> Self {
        Self {
            chance,
            longest: FIRST_BACKOFF,
        }
    }

    pub(crate) async fn wait(&mut self) {
        let wait = self.longest.mul_f64(self.chance.f64());
        self.longest = (self.longest * 2).min(LONGEST_BACKOFF);
        tokio::time::sleep(wait).await;
    }

    /// It went well again.
    pub(crate) fn reset(&mut self) {
        self.longest = FIRST_BACKOFF;
    }
}

/// The server has closed a connection, with this code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed(pub(crate) u16);

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "closed with {}", self.0)
    }
}

impl std::error::Error for Closed {}

/// A `roomful.v1` connection.
pub(crate) struct Connection {
    socket: WebSocketStream<TcpStream>,
}

/// A position in a room's log, as hello tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) after: Option<u64>,
    pub(crate) epoch: Option<String>,
}

impl Connection {
    /// Connects and says hello. Answers with the welcome.
    pub(crate) async fn open(
        port: u16,
        room: &str,
        name: &str,
        token: Option<&str>,
        cursor: &Cursor,
    ) -> Result<(Self, Value)> {
        let opening = async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.set_nodelay(true)?;
            let socket = upgrade(stream, port, room, Some("roomful.v1")).await?;
            let mut connection = Self { socket };
            let hello = json!({
                "type": "chat.hello", "name": name, "token": token,
                "after": cursor.after, "epoch": cursor.epoch,
            });
            connection.send(&hello).await?;
            let welcome = connection.next().await?;
            if welcome["type"] != "chat.welcome" {
                bail!("hello was answered with {welcome}");
            }
            Ok((connection, welcome))
        };
        tokio::time::timeout(PATIENCE, opening)
            .await
            .context("no welcome in time")?
    }

    pub(crate) async fn send(&mut self, message: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// What the server says next. Cancel safe.
    ///
    /// # Errors
    /// When the connection has ended; [`Closed`] where the server said so.
    pub(crate) async fn next(&mut self) -> Result<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).context("the server speaks JSON");
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(Closed(frame.code.into()).into());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => bail!("closed"),
            }
        }
    }
}

/// Makes a WebSocket of a connection.
pub(crate) async fn upgrade(
    stream: TcpStream,
    port: u16,
    room: &str,
    subprotocol: Option<&'static str>,
) -> Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://127.0.0.1:{port}/ws/{room}/").into_client_request()?;
    if let Some(subprotocol) = subprotocol {
        let value = subprotocol.parse().context("a subprotocol is a token")?;
        request
            .headers_mut()
            .insert("sec-websocket-protocol", value);
    }
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    Ok(socket)
}
