//! A WebSocket client, an independent implementation (tungstenite).

use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Listening, soon};

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The subprotocol that the server chose.
    pub(crate) subprotocol: Option<String>,
}

impl Socket {
    /// Connects, offering subprotocols.
    pub(crate) async fn open(server: &impl Listening, path: &str, offered: &[&str]) -> Self {
        Self::try_open(server, path, offered).await.unwrap()
    }

    /// Connects; the status of the answer where the server refuses.
    pub(crate) async fn try_open(
        server: &impl Listening,
        path: &str,
        offered: &[&str],
    ) -> Result<Self, u16> {
        let mut request = format!("ws://{}{path}", server.address())
            .into_client_request()
            .unwrap();
        if !offered.is_empty() {
            let offered = HeaderValue::try_from(offered.join(", ")).unwrap();
            request
                .headers_mut()
                .insert("sec-websocket-protocol", offered);
        }
        // tungstenite itself refuses to go without the subprotocol it asked for.
        match soon("a handshake", connect_async(request)).await {
            Ok((stream, response)) => Ok(Self {
                stream,
                subprotocol: response
                    .headers()
                    .get("sec-websocket-protocol")
                    .map(|name| name.to_str().unwrap().to_owned()),
            }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Joins a room as plain text.
    pub(crate) async fn plain(server: &impl Listening, room: &str) -> Self {
        Self::open(server, &format!("/room/{room}/"), &[]).await
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        soon("sending", self.stream.send(message)).await.unwrap();
    }

    /// The next text.
    pub(crate) async fn hear(&mut self) -> String {
        match soon("a text", self.receive()).await {
            Message::Text(text) => text.to_string(),
            other => panic!("a text was expected, {other:?} came"),
        }
    }

    /// How the server closes: the code and the reason. Nothing else may come before it.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        match soon("a close", self.receive()).await {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("a close was expected, {other:?} came"),
        }
    }

    /// The close that follows whatever else is on its way.
    pub(crate) async fn closed_at_last(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = soon("a close", self.receive()).await {
                return frame.expect("a close has a code").code.into();
            }
        }
    }

    /// Says goodbye and waits for the answer.
    pub(crate) async fn leave(mut self) {
        soon("closing", self.stream.close(None)).await.unwrap();
        while let Some(Ok(_)) = soon("the end", self.stream.next()).await {}
    }

    async fn receive(&mut self) -> Message {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return message,
                Some(Err(error)) => panic!("the connection broke: {error}"),
                None => panic!("the connection ended without a close"),
            }
        }
    }
}
