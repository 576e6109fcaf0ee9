//! A WebSocket in a room: plain text without a subprotocol, `roomful.v1` with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use http::StatusCode;
use roomful::{Accept, Close, CloseCode, Consumer, Deny, Event, Message, Moment, Result, Socket};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::chat::{Attendance, Chat, Position, Room, Said, stopped};
use crate::identity::random_text;
use crate::protocol::{Action, ClientMessage, ErrorCode, Member, RoomName, ServerMessage};
use crate::rate::TokenBucket;
use crate::refusal::Refusal;

/// The subprotocol of the JSON vocabulary.
pub const SUBPROTOCOL: &str = "roomful.v1";
/// How long a `roomful.v1` client may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// What one client may have under way in the store; then its socket is not read.
const IN_FLIGHT: usize = 64;
/// Members named in the welcome; the rest is asked for.
const WELCOME_MEMBERS: usize = 100;

const NO_HELLO: CloseCode = CloseCode::new(4501).expect("in the range of private codes");
const DRAIN: CloseCode = CloseCode::new(4012).expect("in the range of private codes");

/// The consumer behind `/room/{room}/` and `/ws/{room}/`.
#[derive(Clone)]
pub struct RoomConsumer {
    chat: Chat,
}

type Saying = Pin<Box<dyn Future<Output = (Arc<str>, Result<Said, Refusal>)> + Send>>;

impl RoomConsumer {
    /// A consumer of this chat.
    pub fn new(chat: Chat) -> Self {
        Self { chat }
    }
}

impl Consumer for RoomConsumer {
    type Event = Event;

    async fn run(self, socket: &mut Socket) -> Result {
        let name = RoomName::parse(&socket.param("room")?)
            .map_err(|error| Deny::new(StatusCode::NOT_FOUND, format!("{error}\n")))?;
        let room =
            self.chat.room(&name).await.map_err(|error| {
                Deny::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
            })?;
        let stopping = self.chat.stopping();
        if *stopping.borrow() {
            return Err(
                Deny::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n").into(),
            );
        }
        if socket
            .scope()
            .subprotocols()
            .any(|offered| offered == SUBPROTOCOL)
        {
            socket
                .accept_with(Accept::new().subprotocol(SUBPROTOCOL))
                .await?;
            speak_json(&self.chat, &room, socket, stopping).await
        } else {
            let member = self.chat.member(None, None)?;
            let attendance = self
                .chat
                .attend(&room, member, self.chat.limits().presence_grace)
                .map_err(|full| Deny::new(StatusCode::SERVICE_UNAVAILABLE, format!("{full}\n")))?;
            socket.accept().await?;
            speak_plain(&self.chat, attendance, socket, stopping).await
        }
    }
}

/// As in the simplest tutorial: a text frame in is a message said, a text frame out is a message's text.
async fn speak_plain(
    chat: &Chat,
    attendance: Attendance,
    socket: &mut Socket,
    mut stopping: watch::Receiver<bool>,
) -> Result {
    let room = attendance.room();
    let _seat = room.feed().join_plain(&socket.sender());
    let mut under_way = FuturesOrdered::new();
    loop {
        tokio::select! {
            biased;
            Some((_, said)) = under_way.next(), if !under_way.is_empty() => {
                if let Err(refusal) = said {
                    // Plain text has no words for it: the code tells whether to come back.
                    return Err(plain_close(&refusal).into());
                }
            }
            () = stopped(&mut stopping), if under_way.is_empty() => {
                return Err(Close::new(CloseCode::GOING_AWAY, "the server is stopping").into());
            }
            moment = socket.next(), if under_way.len() < IN_FLIGHT => match moment {
                Moment::Message(message) => {
                    let text = message.into_text()?;
                    if text.trim().is_empty() {
                        continue;
                    }
                    while let Err(wait) = chat.count(&attendance.member().id) {
                        // Nothing is lost: the socket is not read until it may say more.
                        tokio::time::sleep(wait).await;
                    }
                    let say = Action::Say { text: text.to_string(), reply_to: None };
                    under_way.push_back(act(chat, room, attendance.member(), random_text().into(), say));
                }
                Moment::Closed(_) => break,
                _ => {}
            },
        }
    }
    // What was said before the farewell is stored.
    while under_way.next().await.is_some() {}
    Ok(())
}

fn plain_close(refusal: &Refusal) -> Close {
    match refusal.code {
        ErrorCode::MessageTooLarge => Close::new(CloseCode::TOO_LARGE, refusal.message.as_str()),
        ErrorCode::StoreUnavailable | ErrorCode::ShuttingDown | ErrorCode::RoomFull => {
            Close::new(CloseCode::TRY_AGAIN, refusal.message.as_str())
        }
        _ => Close::new(CloseCode::POLICY, refusal.message.as_str()),
    }
}

/// The JSON vocabulary: hello, welcome, what was missed, and then live.
async fn speak_json(
    chat: &Chat,
    room: &Arc<Room>,
    socket: &mut Socket,
    mut stopping: watch::Receiver<bool>,
) -> Result {
    let Some((member, position)) = hello(chat, socket).await? else {
        return Ok(());
    };
    let mut attendance = match chat.attend(room, member, chat.limits().presence_grace) {
        Ok(attendance) => attendance,
        Err(full) => {
            let close = plain_close(&full);
            socket.send_json(&full.into_message(None)).await?;
            return Err(close.into());
        }
    };
    // From here on live events wait behind the seat while what came before is read and sent.
    let (head, mut seat) = room.feed().join_json(&socket.sender());
    let caught_up = chat
        .catch_up(room, &position, head)
        .await
        .map_err(|refusal| plain_close(&refusal))?;
    socket
        .send_json(&welcome(
            chat,
            room,
            attendance.member(),
            head,
            caught_up.recovered,
        ))
        .await?;
    for entry in &caught_up.events {
        socket.send(entry.json().clone()).await?;
    }
    drop(caught_up);
    seat.resume();

    let mut typing = TokenBucket::new(1, 2);
    let mut under_way = FuturesOrdered::new();
    loop {
        tokio::select! {
            biased;
            Some((id, said)) = under_way.next(), if !under_way.is_empty() => answer(socket, id, said).await?,
            () = stopped(&mut stopping), if under_way.is_empty() => break,
            moment = socket.next(), if under_way.len() < IN_FLIGHT => match moment {
                Moment::Message(message) => {
                    let (id, action) = match parse(&message)? {
                        Ok(ClientMessage::Say { id, text, reply_to }) => (id, Action::Say { text, reply_to }),
                        Ok(ClientMessage::Edit { id, seq, text }) => (id, Action::Edit { target: seq, text }),
                        Ok(ClientMessage::Delete { id, seq }) => (id, Action::Delete { target: seq }),
                        Ok(ClientMessage::React { id, seq, emoji, on }) => {
                            (id, Action::React { target: seq, emoji, on })
                        }
                        Ok(ClientMessage::Topic { id, text }) => (id, Action::Topic { text }),
                        Ok(ClientMessage::Typing) => {
                            if typing.take().is_ok() {
                                chat.typing(room, attendance.member());
                            }
                            continue;
                        }
                        Ok(ClientMessage::Rename { name }) => {
                            rename(socket, &mut attendance, &mut typing, &name).await?;
                            continue;
                        }
                        Ok(ClientMessage::Ping {}) => {
                            socket.send_json(&ServerMessage::Pong {}).await?;
                            continue;
                        }
                        Ok(ClientMessage::Hello { .. }) => {
                            let refusal = Refusal::new(ErrorCode::BadRequest, "you said hello already");
                            socket.send_json(&refusal.into_message(None)).await?;
                            continue;
                        }
                        Err((refusal, id)) => {
                            socket.send_json(&refusal.into_message(id)).await?;
                            continue;
                        }
                    };
                    match chat.count(&attendance.member().id) {
                        Err(wait) => {
                            socket.send_json(&Refusal::rate_limited(wait).into_message(Some(id))).await?;
                        }
                        Ok(()) => under_way.push_back(act(chat, room, attendance.member(), id.into(), action)),
                    }
                }
                Moment::Lagged(_) => {
                    let seq = chat.is_numbered().then(|| room.feed().head());
                    socket.send_json(&ServerMessage::Resync { seq }).await?;
                }
                Moment::Closed(_) => {
                    while under_way.next().await.is_some() {}
                    return Ok(());
                }
                _ => {}
            },
        }
    }
    let after_ms = spread(chat.limits().drain_spread);
    socket
        .send_json(&ServerMessage::Bye {
            reconnect: true,
            after_ms,
        })
        .await?;
    Err(Close::new(DRAIN, "the server is stopping, come back").into())
}

/// Waits for the first message; answers anything else with an error.
async fn hello(chat: &Chat, socket: &mut Socket) -> Result<Option<(Member, Position)>> {
    let listening = async {
        loop {
            match socket.next().await {
                Moment::Message(message) => match parse(&message)? {
                    Ok(ClientMessage::Hello {
                        name,
                        token,
                        after,
                        epoch,
                    }) => match chat.member(token.as_deref(), name.as_deref()) {
                        Ok(member) => return Ok(Some((member, Position { after, epoch }))),
                        Err(refusal) if refusal.code == ErrorCode::BadToken => {
                            socket
                                .send_json(&refusal.clone().into_message(None))
                                .await?;
                            return Err(Close::new(NO_HELLO, refusal.message).into());
                        }
                        Err(refusal) => socket.send_json(&refusal.into_message(None)).await?,
                    },
                    Ok(ClientMessage::Ping {}) => socket.send_json(&ServerMessage::Pong {}).await?,
                    Ok(_) => {
                        let refusal =
                            Refusal::new(ErrorCode::HelloFirst, "the first message is chat.hello");
                        socket.send_json(&refusal.into_message(None)).await?;
                    }
                    Err((refusal, id)) => socket.send_json(&refusal.into_message(id)).await?,
                },
                Moment::Closed(_) => return Ok(None),
                _ => {}
            }
        }
    };
    match timeout(HELLO_TIMEOUT, listening).await {
        Ok(heard) => heard,
        Err(_) => Err(Close::new(NO_HELLO, "no chat.hello within 10 seconds").into()),
    }
}

fn welcome(chat: &Chat, room: &Room, member: &Member, head: u64, recovered: bool) -> ServerMessage {
    let epoch = chat.history().epoch();
    ServerMessage::Welcome {
        room: room.name().clone(),
        seq: epoch.is_some().then_some(head),
        epoch,
        topic: room.feed().topic(),
        you: chat.you(member),
        members: room.presence().members(WELCOME_MEMBERS),
        member_count: room.presence().count(),
        recovered,
        limits: chat.limits().client,
    }
}

fn act(chat: &Chat, room: &Room, member: &Member, id: Arc<str>, action: Action) -> Saying {
    let (chat, room, member) = (chat.clone(), room.name().clone(), member.clone());
    Box::pin(async move {
        let said = chat.act(&room, &member, Arc::clone(&id), action).await;
        (id, said)
    })
}

async fn answer(socket: &mut Socket, id: Arc<str>, said: Result<Said, Refusal>) -> Result {
    let answer = match said {
        Ok(said) => {
            let seq = (said.event.seq > 0).then_some(said.event.seq);
            ServerMessage::Said {
                id,
                seq,
                at: said.event.at.clone(),
            }
        }
        Err(refusal) => refusal.into_message(Some(id.to_string())),
    };
    socket.send_json(&answer).await
}

async fn rename(
    socket: &mut Socket,
    attendance: &mut Attendance,
    rate: &mut TokenBucket,
    name: &str,
) -> Result {
    let renamed = rate
        .take()
        .map_err(Refusal::rate_limited)
        .and_then(|()| attendance.rename(name));
    match renamed {
        Ok(()) => Ok(()),
        Err(refusal) => socket.send_json(&refusal.into_message(None)).await,
    }
}

/// What a client said: a message of the vocabulary, or why it is none and the id it gave, for the answer.
///
/// # Errors
/// What is no JSON text at all ends the connection: 1003 for binary, 1007 for text.
fn parse(
    message: &Message,
) -> Result<std::result::Result<ClientMessage, (Refusal, Option<String>)>> {
    #[derive(Default, serde::Deserialize)]
    struct Head {
        #[serde(default, rename = "type")]
        kind: serde_json::Value,
        #[serde(default)]
        id: serde_json::Value,
    }
    const KINDS: [&str; 9] = [
        "chat.hello",
        "chat.say",
        "chat.edit",
        "chat.delete",
        "chat.react",
        "chat.topic",
        "chat.typing",
        "chat.rename",
        "chat.ping",
    ];
    let Some(text) = message.as_text() else {
        return Err(Close::new(CloseCode::UNSUPPORTED, "roomful.v1 is JSON in text frames").into());
    };
    // serde would take an array, too, for an object whose keys are left out.
    let is_object = text.trim_start().starts_with('{');
    let error = match serde_json::from_str(text) {
        Ok(message) if is_object => return Ok(Ok(message)),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    // serde stops at a wrong field, before it has seen whether the rest is JSON.
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Err(Close::new(CloseCode::INVALID_DATA, "not JSON").into());
    }
    let Head { kind, id } = match is_object {
        true => serde_json::from_str(text).unwrap_or_default(),
        false => Head::default(),
    };
    let id = id.as_str().map(str::to_owned);
    let refusal = match (kind.as_str(), error) {
        (Some(kind), _) if !KINDS.contains(&kind) => {
            let shown: String = kind.chars().take(40).collect();
            let message = format!("`{shown}` is not a type of roomful.v1");
            Refusal::new(ErrorCode::UnknownType, message)
        }
        (Some(_), Some(error)) => Refusal::new(ErrorCode::BadRequest, error.to_string()),
        _ => Refusal::new(
            ErrorCode::BadRequest,
            "a message is an object with a `type`",
        ),
    };
    Ok(Err((refusal, id)))
}

/// Somewhere within `over`, in milliseconds.
fn spread(over: Duration) -> u64 {
    let mut bytes = [0; 8];
    // Without randomness all come back at once, which only costs a burst.
    let _ = getrandom::fill(&mut bytes);
    let most = u64::try_from(over.as_millis()).unwrap_or(u64::MAX).max(1);
    u64::from_le_bytes(bytes) % most
}
