//! A WebSocket in a room: plain text without a subprotocol, `roomful.v1` with it.
//!
//! - `plain`, `json`: what is spoken;
//! - `under_way`: what one client has under way in the store.

mod json;
mod plain;
mod under_way;

use std::pin::Pin;
use std::time::Duration;

use http::StatusCode;
use roomful::audience::Seat;
use roomful::{Accept, Close, CloseCode, Consumer, Deny, Event, Result, Socket};
use tokio::sync::watch;

use crate::chat::{Attendance, Chat, Client, Transport, Who};
use crate::counters::Connected;
use crate::protocol::{ErrorCode, RoomName};
use crate::refusal::Refusal;

/// The subprotocol of the JSON vocabulary.
pub const SUBPROTOCOL: &str = "roomful.v1";

/// The consumer behind `/room/{room}/` and `/ws/{room}/`.
#[derive(Clone)]
pub struct RoomConsumer {
    chat: Chat,
}

/// A connection that is in its room.
struct Present {
    attendance: Attendance,
    speaks: Dialect,
    seat: Seat,
    _counted: Connected,
}

#[derive(Clone, Copy)]
enum Dialect {
    Plain,
    Json,
}

impl RoomConsumer {
    /// A consumer of this chat.
    pub fn new(chat: Chat) -> Self {
        Self { chat }
    }
}

impl Consumer for RoomConsumer {
    type Event = Event;

    async fn run(self, socket: &mut Socket) -> Result {
        let chat = &self.chat;
        let mut stopping = chat.stopping();
        // Boxed: what it takes to enter is not carried along while the member is here.
        let Some(mut present) = Box::pin(enter(chat, socket, &stopping)).await? else {
            return Ok(());
        };
        // Boxed, too, or a member that speaks plain text would be as large as one that speaks JSON.
        let life: Pin<Box<dyn Future<Output = Result> + Send + '_>> = match present.speaks {
            Dialect::Plain => Box::pin(plain::speak(
                chat,
                &present.attendance,
                socket,
                &mut stopping,
            )),
            Dialect::Json => Box::pin(json::speak(
                chat,
                &mut present.attendance,
                &present.seat,
                socket,
                &mut stopping,
            )),
        };
        life.await
    }
}

/// Lets the connection into its room. `None` if the client left before it said hello.
async fn enter(
    chat: &Chat,
    socket: &mut Socket,
    stopping: &watch::Receiver<bool>,
) -> Result<Option<Box<Present>>> {
    let name = RoomName::parse(&socket.param("room")?)
        .map_err(|error| Deny::new(StatusCode::NOT_FOUND, format!("{error}\n")))?;
    let _prepared = chat
        .prepare(&name)
        .await
        .map_err(|error| unavailable(chat, &error))?;
    if *stopping.borrow() {
        chat.counters().refused(ErrorCode::ShuttingDown);
        let deny = Deny::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n");
        return Err(deny.into());
    }
    let counted = chat.counters().connected();
    let speaks_json = socket
        .scope()
        .subprotocols()
        .any(|offered| offered == SUBPROTOCOL);
    if speaks_json {
        let accept = Accept::new().subprotocol(SUBPROTOCOL);
        socket.accept_with(accept).await?;
        let entered = json::enter(chat, &name, socket).await?;
        return Ok(entered.map(|(attendance, seat)| {
            Box::new(Present {
                attendance,
                speaks: Dialect::Json,
                seat,
                _counted: counted,
            })
        }));
    }
    // Without a token nobody comes back as this member: who goes has left.
    let member = chat.member(None, None)?;
    let from = client(socket, Transport::PlainWebSocket);
    let entered = chat.enter(&name, Who::Member(member), from);
    let access = entered.map_err(|refusal| unavailable(chat, &refusal))?;
    let reader = chat.open(access).await;
    let attendance = reader
        .and_then(|reader| chat.attend(reader, Duration::ZERO))
        .map_err(|refusal| unavailable(chat, &refusal))?;
    // Seated first: who is answered hears everything from then on.
    let seat = attendance.reader().feed().join_plain(&socket.sender());
    socket.accept().await?;
    Ok(Some(Box::new(Present {
        attendance,
        speaks: Dialect::Plain,
        seat,
        _counted: counted,
    })))
}

/// Where a WebSocket comes from.
fn client(socket: &Socket, transport: Transport) -> Client {
    Client {
        address: socket.peer().map(|peer| peer.ip()),
        transport,
    }
}

fn unavailable(chat: &Chat, refusal: &Refusal) -> Deny {
    chat.counters().refused(refusal.code);
    let status = match refusal.code {
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Deny::new(status, format!("{refusal}\n"))
}

/// The connection is over: those who were too slow are counted.
fn note_end(chat: &Chat, close: &Close) {
    if close.code == CloseCode::SLOW {
        chat.counters().closed_slow();
    }
}

/// How a refusal ends a connection that has no words for it.
fn plain_close(chat: &Chat, refusal: &Refusal) -> Close {
    chat.counters().refused(refusal.code);
    match refusal.code {
        ErrorCode::MessageTooLarge => Close::new(CloseCode::TOO_LARGE, refusal.message.as_str()),
        ErrorCode::StoreUnavailable | ErrorCode::ShuttingDown | ErrorCode::RoomFull => {
            Close::new(CloseCode::TRY_AGAIN, refusal.message.as_str())
        }
        _ => Close::new(CloseCode::POLICY, refusal.message.as_str()),
    }
}
