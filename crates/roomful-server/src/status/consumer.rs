//! One watcher's WebSocket: shows the token where one is asked for, hears measurements, and is not listened to after that.

use std::time::Duration;

use http::StatusCode;
use roomful::{Close, CloseCode, Consumer, Deny, Event, Moment, Result, Socket};
use serde::Deserialize;
use tokio::time::timeout;

use super::{Board, Visitor};
use crate::chat::stopped;

/// How long a watcher may take to show the token.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
const BAD_TOKEN: CloseCode = CloseCode::new(4501).expect("in the range of private codes");

/// The consumer behind `/status/`.
#[derive(Clone)]
pub struct StatusConsumer {
    board: Board,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename = "status.hello")]
struct Hello {
    token: String,
}

impl StatusConsumer {
    /// A consumer that shows this board.
    pub fn new(board: Board) -> Self {
        Self { board }
    }

    async fn let_in(&self, socket: &mut Socket) -> Result {
        socket.send(r#"{"type":"status.token_wanted"}"#).await?;
        let shown = match timeout(HELLO_TIMEOUT, socket.next()).await {
            Ok(Moment::Message(message)) => message.into_text().ok(),
            _ => None,
        };
        let hello = shown.and_then(|text| serde_json::from_str::<Hello>(&text).ok());
        match hello {
            Some(hello) if self.board.access().takes(&hello.token) => Ok(()),
            _ => Err(Close::new(BAD_TOKEN, "this is not the status page's token").into()),
        }
    }
}

impl Consumer for StatusConsumer {
    type Event = Event;

    async fn run(self, socket: &mut Socket) -> Result {
        let visitor = self.board.access().visitor(socket.peer(), socket.headers());
        let refused = match visitor {
            Visitor::Welcome | Visitor::NeedsToken => None,
            Visitor::Remote => Some(Deny::forbidden()),
            Visitor::Nobody => Some(Deny::new(StatusCode::NOT_FOUND, "not found\n")),
        };
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        let mut stopping = self.board.chat().stopping();
        socket.accept().await?;
        if visitor == Visitor::NeedsToken {
            self.let_in(socket).await?;
        }
        socket.send(self.board.welcome()).await?;
        let _seat = self.board.watch(&socket.sender());
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => {
                    return Err(Close::new(CloseCode::GOING_AWAY, "the server is stopping").into());
                }
                moment = socket.next() => {
                    // Whatever else it says: the board shows, and takes no orders.
                    if let Moment::Closed(_) = moment {
                        return Ok(());
                    }
                }
            }
        }
    }
}
