//! `roomful.v1`: the JSON vocabulary.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use roomful::audience::Seat;
use roomful::{Close, CloseCode, Message, Moment, Result, Socket};
use tokio::sync::watch;
use tokio::time::timeout;

use super::under_way::{Outcome, UnderWay};
use super::{client, note_end, plain_close};
use crate::chat::{Attendance, Chat, Position, Transport, Who, stopped};
use crate::protocol::{Action, ClientMessage, ErrorCode, Member, RoomName, ServerMessage, to_json};
use crate::rate::TokenBucket;
use crate::refusal::Refusal;

/// How long a client may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Members named in the welcome; the rest is asked for.
const WELCOME_MEMBERS: usize = 100;

const NO_HELLO: CloseCode = CloseCode::new(4501).expect("in the range of private codes");
const DRAIN: CloseCode = CloseCode::new(4012).expect("in the range of private codes");

/// Hello, welcome, what was missed. `None` if the client left before it said hello.
pub(super) async fn enter(
    chat: &Chat,
    room: &RoomName,
    socket: &mut Socket,
) -> Result<Option<(Attendance, Seat)>> {
    let Some((member, position)) = hello(chat, socket).await? else {
        return Ok(None);
    };
    let attendance = match attend(chat, room, member, socket).await {
        Ok(attendance) => attendance,
        Err(refusal) => {
            let close = plain_close(chat, &refusal);
            socket.send_json(&refusal.into_message(None)).await?;
            return Err(close.into());
        }
    };
    let reader = attendance.reader();
    chat.reach(reader, &position)
        .await
        .map_err(|refusal| plain_close(chat, &refusal))?;
    // From here on live events wait behind the seat while what came before is read and sent.
    let (head, mut seat) = reader.feed().join_json(&socket.sender());
    let mut caught_up = chat
        .catch_up(reader, &position, head)
        .await
        .map_err(|refusal| plain_close(chat, &refusal))?;
    socket
        .send_json(&welcome(chat, &attendance, head, caught_up.recovered))
        .await?;
    for entry in &mut caught_up.events {
        socket.send(entry.json().clone()).await?;
    }
    seat.resume();
    Ok(Some((attendance, seat)))
}

/// Takes a member into a room that is open already.
async fn attend(
    chat: &Chat,
    room: &RoomName,
    member: Member,
    socket: &Socket,
) -> std::result::Result<Attendance, Refusal> {
    let from = client(socket, Transport::JsonWebSocket);
    let access = chat.enter(room, Who::Member(member), from)?;
    let reader = chat.open(access).await?;
    chat.attend(reader, chat.limits().presence_grace)
}

/// Live, until one of both goes.
pub(super) async fn speak(
    chat: &Chat,
    attendance: &mut Attendance,
    seat: &Seat,
    socket: &mut Socket,
    stopping: &mut watch::Receiver<bool>,
) -> Result {
    let mut typing = TokenBucket::new(1, 2);
    let mut stopping = pin!(stopped(stopping));
    let mut under_way = UnderWay::new();
    let ended = loop {
        let answer = tokio::select! {
            biased;
            outcome = under_way.next(), if !under_way.is_empty() => Some(answer(chat, outcome)),
            moment = socket.next(), if under_way.has_room() => match moment {
                Moment::Message(message) => {
                    match hear(chat, attendance, &mut typing, &mut under_way, &message) {
                        Ok(answer) => answer,
                        Err(error) => break Some(Err(error)),
                    }
                }
                Moment::Lagged(_) => {
                    chat.counters().resynced();
                    let head = attendance.reader().feed().head();
                    let seq = chat.is_numbered().then_some(head);
                    Some(ServerMessage::Resync { seq })
                }
                Moment::Closed(close) => {
                    note_end(chat, &close);
                    break Some(Ok(()));
                }
                _ => None,
            },
            () = &mut stopping, if under_way.is_empty() => break None,
        };
        // As text at once: a message of the vocabulary is large to be kept while this waits.
        if let Some(json) = answer.as_ref().map(to_json) {
            let is_said = matches!(answer, Some(ServerMessage::Said { .. }));
            drop(answer);
            if let Err(error) = socket.send(json).await {
                break Some(Err(error));
            }
            if is_said {
                // Everybody is about to hear it, its author too.
                seat.hold_step();
            }
        }
    };
    // What was said before the farewell is stored.
    under_way.finish().await;
    if let Some(ended) = ended {
        return ended;
    }
    let after_ms = spread(chat.limits().drain_spread);
    let bye = to_json(&ServerMessage::Bye {
        reconnect: true,
        after_ms,
    });
    socket.send(bye).await?;
    Err(Close::new(DRAIN, "the server is stopping, come back").into())
}

/// Does what a message asks for, or puts it under way. What is known at once is answered at once.
fn hear<'a>(
    chat: &'a Chat,
    attendance: &mut Attendance,
    typing: &mut TokenBucket,
    under_way: &mut UnderWay<'a, Arc<str>>,
    message: &Message,
) -> Result<Option<ServerMessage>> {
    let (id, action) = match parse(message)? {
        Ok(ClientMessage::Say { id, text, reply_to }) => (id, Action::Say { text, reply_to }),
        Ok(ClientMessage::Edit { id, seq, text }) => (id, Action::Edit { target: seq, text }),
        Ok(ClientMessage::Delete { id, seq }) => (id, Action::Delete { target: seq }),
        Ok(ClientMessage::React { id, seq, emoji, on }) => {
            let target = seq;
            (id, Action::React { target, emoji, on })
        }
        Ok(ClientMessage::Topic { id, text }) => (id, Action::Topic { text }),
        Ok(ClientMessage::Typing) => {
            // Too much of it is dropped: it is gone in five seconds anyway.
            let told = typing.take().map_or(Ok(()), |()| chat.typing(attendance));
            return Ok(told.err().map(|refusal| refuse(chat, refusal, None)));
        }
        Ok(ClientMessage::Rename { name }) => {
            let renamed = typing.take().map_err(Refusal::rate_limited);
            return Ok(
                match renamed.and_then(|()| chat.rename(attendance, &name)) {
                    Ok(()) => None,
                    Err(refusal) => Some(refuse(chat, refusal, None)),
                },
            );
        }
        Ok(ClientMessage::Ping {}) => return Ok(Some(ServerMessage::Pong {})),
        Ok(ClientMessage::Hello { .. }) => {
            let refusal = Refusal::new(ErrorCode::BadRequest, "you said hello already");
            return Ok(Some(refuse(chat, refusal, None)));
        }
        Err((refusal, id)) => return Ok(Some(refuse(chat, refusal, id))),
    };
    if let Err(wait) = chat.count(&attendance.member().id) {
        return Ok(Some(refuse(chat, Refusal::rate_limited(wait), Some(id))));
    }
    let id: Arc<str> = id.into();
    let acting = chat.act(attendance.access(), Arc::clone(&id).into(), action);
    Ok(under_way
        .push(id, acting)
        .map(|outcome| answer(chat, outcome)))
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
                                .send_json(&refuse(chat, refusal.clone(), None))
                                .await?;
                            return Err(Close::new(NO_HELLO, refusal.message).into());
                        }
                        Err(refusal) => socket.send_json(&refuse(chat, refusal, None)).await?,
                    },
                    Ok(ClientMessage::Ping {}) => socket.send_json(&ServerMessage::Pong {}).await?,
                    Ok(_) => {
                        let refusal =
                            Refusal::new(ErrorCode::HelloFirst, "the first message is chat.hello");
                        socket.send_json(&refuse(chat, refusal, None)).await?;
                    }
                    Err((refusal, id)) => socket.send_json(&refuse(chat, refusal, id)).await?,
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

fn welcome(chat: &Chat, attendance: &Attendance, head: u64, recovered: bool) -> ServerMessage {
    let epoch = chat.epoch();
    let access = attendance.access();
    // Whoever may not see the others is told of nobody.
    let members = chat.members(access, WELCOME_MEMBERS).unwrap_or_default();
    ServerMessage::Welcome {
        room: access.room().clone(),
        seq: epoch.is_some().then_some(head),
        epoch,
        topic: attendance.reader().feed().topic(),
        you: chat.you(attendance.member()),
        members: members.members,
        member_count: members.count,
        recovered,
        limits: chat.limits().client,
    }
}

/// A refusal as a message, counted.
fn refuse(chat: &Chat, refusal: Refusal, id: Option<String>) -> ServerMessage {
    chat.counters().refused(refusal.code);
    refusal.into_message(id)
}

/// What the author is told.
fn answer(chat: &Chat, (id, said): Outcome<Arc<str>>) -> ServerMessage {
    match said {
        Ok(said) => ServerMessage::Said {
            id,
            seq: (said.event.seq > 0).then_some(said.event.seq),
            at: said.event.at,
        },
        Err(refusal) => refuse(chat, refusal, Some(id.to_string())),
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
