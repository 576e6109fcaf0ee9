//! One vocabulary for every transport: what members send, what the server says, and the events that make up a room.
//!
//! The same objects travel in WebSocket frames, Server-Sent Events and HTTP answers, and in the channel layer. This file
//! knows their shape and nothing else. All of it is a promise: fields may be added, never renamed or given another meaning.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// A room's name: 1 to 64 characters, letters and digits of any script, `_`, `-` and `.`, but not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 64;

    /// A name as it stands in a URL (already percent-decoded), brought to NFC so that twins are one room.
    ///
    /// # Errors
    /// [`BadRoomName`] where it has a character that is not allowed, or too many of them.
    pub fn parse(name: &str) -> Result<Self, BadRoomName> {
        use unicode_normalization::UnicodeNormalization as _;
        // Four bytes a character at most: a longer one is not worth normalizing.
        if name.len() > Self::MAX_CHARS * 4 {
            return Err(BadRoomName);
        }
        let name: Cow<'_, str> = match name.is_ascii() {
            true => name.into(),
            false => name.nfc().collect::<String>().into(),
        };
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.') || is_mark(c);
        let good = !name.is_empty()
            && name.chars().count() <= Self::MAX_CHARS
            && name.chars().all(allowed)
            && !name.chars().next().is_some_and(is_mark)
            && name != "."
            && name != "..";
        if good {
            Ok(Self(name.as_ref().into()))
        } else {
            Err(BadRoomName)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for RoomName {
    /// A name that another node wrote.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

/// Combining marks belong to the letters of many scripts (Devanagari, Thai); alone they are no name.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

impl Borrow<str> for RoomName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that no room can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room's name has 1 to 64 letters or digits of any script, `_`, `-` or `.`")]
pub struct BadRoomName;

/// Who said something: a stable id, and the name shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Stable over connections and transports: `m-` and 22 characters.
    pub id: Arc<str>,
    /// As the member wants to be called; not unique.
    pub name: Arc<str>,
}

/// An event that is part of what a room has said: it has a number, and the log keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Where.
    pub room: Arc<str>,
    /// The room's number for it: from 1, without holes. 0, and not written, where nothing is numbered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seq: u64,
    /// The client's own id for it; a repeat with the same id is the same event.
    pub id: Arc<str>,
    /// Who did it.
    pub from: Member,
    /// When it was stored.
    pub at: Timestamp,
    /// The message's text: of a message, or as it reads after an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<ByteString>,
    /// The number of the message that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// The number of the message that was edited, deleted or reacted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u64>,
    /// The reaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// Whether the reaction was set (`true`) or taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<bool>,
}

/// A message that another program said without an id: shown to those who are here now, and not kept. It has no number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unsaved<'a> {
    /// The message.
    #[serde(flatten)]
    pub event: &'a RoomEvent,
    /// Always `true`.
    pub unsaved: bool,
}

/// The kinds of event that are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// Somebody said something.
    #[serde(rename = "chat.message")]
    Message,
    /// `target` reads `text` now.
    #[serde(rename = "chat.edited")]
    Edited,
    /// `target` is gone; its number stays.
    #[serde(rename = "chat.deleted")]
    Deleted,
    /// `from` set or took back `emoji` at `target`.
    #[serde(rename = "chat.reacted")]
    Reacted,
    /// The room is about `text` now.
    #[serde(rename = "chat.topic")]
    Topic,
}

impl EventKind {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 5] = [
        Self::Message,
        Self::Edited,
        Self::Deleted,
        Self::Reacted,
        Self::Topic,
    ];
}

/// What a member wants to do to the record; it becomes a [`RoomEvent`] when it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Say something.
    Say {
        /// The text.
        text: ByteString,
        /// The message that is answered.
        reply_to: Option<u64>,
    },
    /// Replace the text of one's own message.
    Edit {
        /// The message.
        target: u64,
        /// The new text.
        text: ByteString,
    },
    /// Remove one's own message.
    Delete {
        /// The message.
        target: u64,
    },
    /// Set a reaction or take it back.
    React {
        /// The message.
        target: u64,
        /// The reaction: one to sixteen characters.
        emoji: String,
        /// Set, or take back.
        on: bool,
    },
    /// Say what the room is about.
    Topic {
        /// The topic; empty for none.
        text: ByteString,
    },
}

/// A message as it reads now: what `GET …/messages` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageView {
    /// The message's number.
    pub seq: u64,
    /// The client's id for it.
    pub id: Arc<str>,
    /// Who said it.
    pub from: Member,
    /// When.
    pub at: Timestamp,
    /// The text as it reads now; empty where it was deleted.
    pub text: ByteString,
    /// The message that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// When it was last edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// Whether it was deleted; what is left is its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Reactions, in the order they first came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionView>,
}

/// Who reacted to a message, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReactionView {
    /// The reaction.
    pub emoji: String,
    /// The ids of the members who set it.
    pub members: Vec<Arc<str>>,
}

/// What a `roomful.v1` client sends.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type")]
pub enum ClientMessage {
    /// The first message: who I am, and what I have seen.
    #[serde(rename = "chat.hello")]
    Hello {
        /// The name to be shown.
        name: Option<String>,
        /// The token of an earlier `chat.welcome`.
        token: Option<String>,
        /// The last number the client has.
        after: Option<u64>,
        /// The epoch that number belongs to.
        epoch: Option<String>,
    },
    /// Say something.
    #[serde(rename = "chat.say")]
    Say {
        /// The client's id for it: 1 to 64 characters of ASCII letters, digits, `-`, `_`, `.`, `:`.
        id: String,
        /// The text.
        text: ByteString,
        /// The message that is answered.
        reply_to: Option<u64>,
    },
    /// Replace the text of one's own message.
    #[serde(rename = "chat.edit")]
    Edit {
        /// The client's id for this action.
        id: String,
        /// The message.
        seq: u64,
        /// The new text.
        text: ByteString,
    },
    /// Remove one's own message.
    #[serde(rename = "chat.delete")]
    Delete {
        /// The client's id for this action.
        id: String,
        /// The message.
        seq: u64,
    },
    /// Set a reaction or take it back.
    #[serde(rename = "chat.react")]
    React {
        /// The client's id for this action.
        id: String,
        /// The message.
        seq: u64,
        /// The reaction.
        emoji: String,
        /// Set, or take back.
        on: bool,
    },
    /// Say what the room is about.
    #[serde(rename = "chat.topic")]
    Topic {
        /// The client's id for this action.
        id: String,
        /// The topic; empty for none.
        text: ByteString,
    },
    /// I am typing.
    #[serde(rename = "chat.typing")]
    Typing,
    /// Call me something else.
    #[serde(rename = "chat.rename")]
    Rename {
        /// The new name.
        name: String,
    },
    /// Are you there?
    #[serde(rename = "chat.ping")]
    Ping {},
}

/// What the server says to `roomful.v1` clients besides numbered events; SSE and long polls carry the same objects.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum ServerMessage {
    /// You are in.
    #[serde(rename = "chat.welcome")]
    Welcome {
        /// The room.
        room: RoomName,
        /// The life of the room's numbering; `null` where nothing is numbered.
        epoch: Option<Arc<str>>,
        /// The newest number; `null` where nothing is numbered.
        seq: Option<u64>,
        /// What the room is about; empty where nobody said so.
        topic: String,
        /// The member you are, and the token that proves it next time.
        you: You,
        /// Who is here, at most the first hundred.
        members: Vec<Member>,
        /// How many members are here.
        member_count: usize,
        /// `true`: everything after your position follows. `false`: it is not known here; the newest page follows.
        recovered: bool,
        /// What you may do.
        limits: Limits,
    },
    /// What you said is stored.
    #[serde(rename = "chat.said")]
    Said {
        /// Your id for it.
        id: Arc<str>,
        /// Its number; `null` where nothing is numbered.
        seq: Option<u64>,
        /// When it was stored.
        at: Timestamp,
    },
    /// A member came (its first connection).
    #[serde(rename = "chat.joined")]
    Joined {
        /// Who.
        member: Member,
    },
    /// A member left (its last connection is gone).
    #[serde(rename = "chat.left")]
    Left {
        /// Who.
        member: Member,
    },
    /// A member is called something else now.
    #[serde(rename = "chat.renamed")]
    Renamed {
        /// Who, by the new name.
        member: Member,
        /// The old name.
        was: Arc<str>,
    },
    /// A member is typing; valid for five seconds.
    #[serde(rename = "chat.typing")]
    Typing {
        /// Who.
        member: Member,
    },
    /// Something you sent was not taken; the connection lives.
    #[serde(rename = "chat.error")]
    Error {
        /// A code of [`ErrorCode`].
        code: ErrorCode,
        /// The code in words, for a developer's eyes.
        message: String,
        /// Your id of the action, where it has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// When to try again, where that helps, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// You were too slow; what was waiting for you is dropped. Catch up after your position over HTTP or by a new hello.
    #[serde(rename = "chat.resync")]
    Resync {
        /// The newest number.
        seq: Option<u64>,
    },
    /// The server closes the connection next.
    #[serde(rename = "chat.bye")]
    Bye {
        /// Whether to come back.
        reconnect: bool,
        /// How long to wait before that, spread out over the members, in milliseconds.
        after_ms: u64,
    },
    /// Here I am.
    #[serde(rename = "chat.pong")]
    Pong {},
}

/// The member you are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct You {
    /// Your id.
    pub id: Arc<str>,
    /// Your name.
    pub name: Arc<str>,
    /// Proves next time that you are this member; keep it secret, never put it into a URL.
    pub token: String,
}

/// What a client may do, so that it can tell its user beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// The longest text, in bytes of UTF-8.
    pub message_bytes: usize,
    /// Messages a second, over time.
    pub messages_per_second: u32,
    /// Messages at once.
    pub burst: u32,
}

/// Why something was refused. The words on the wire never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not JSON, not an object, or fields of the wrong kind.
    BadRequest,
    /// A `type` this server does not know.
    UnknownType,
    /// The first message must be `chat.hello`.
    HelloFirst,
    /// The client's id of an action is missing or not allowed.
    BadId,
    /// A name that is empty, too long or has characters that are not allowed.
    BadName,
    /// A token this server did not give.
    BadToken,
    /// The path or method has nothing here.
    NotFound,
    /// The method is not allowed here.
    MethodNotAllowed,
    /// No room can have this name.
    RoomNotFound,
    /// There is no such message, or it is deleted.
    MessageNotFound,
    /// Not yours.
    Forbidden,
    /// The page's origin may not speak here.
    OriginNotAllowed,
    /// A message without text.
    EmptyMessage,
    /// The message is too long.
    MessageTooLarge,
    /// A topic that is too long.
    BadTopic,
    /// An emoji that is empty or too long.
    BadEmoji,
    /// The request's body did not come, or not to its end; nothing was done; try again.
    IncompleteRequest,
    /// Too much in too short a time.
    RateLimited,
    /// The room has as many members as it may.
    RoomFull,
    /// The content type is not one of JSON, form and plain text.
    UnsupportedMediaType,
    /// This server keeps no history (`--history none`).
    NoHistory,
    /// The store cannot take it now; nothing was stored; try again.
    StoreUnavailable,
    /// The server stops; come back.
    ShuttingDown,
    /// Our fault.
    InternalError,
}

impl ErrorCode {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 24] = [
        Self::BadRequest,
        Self::UnknownType,
        Self::HelloFirst,
        Self::BadId,
        Self::BadName,
        Self::BadToken,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RoomNotFound,
        Self::MessageNotFound,
        Self::Forbidden,
        Self::OriginNotAllowed,
        Self::EmptyMessage,
        Self::MessageTooLarge,
        Self::BadTopic,
        Self::BadEmoji,
        Self::IncompleteRequest,
        Self::RateLimited,
        Self::RoomFull,
        Self::UnsupportedMediaType,
        Self::NoHistory,
        Self::StoreUnavailable,
        Self::ShuttingDown,
        Self::InternalError,
    ];
}

/// A value of the protocol as JSON text.
pub fn to_json(value: &impl Serialize) -> ByteString {
    serde_json::to_string(value)
        .expect("the protocol's types are plain data")
        .into()
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_all_and_each_at_its_place() {
        assert!(
            (0..)
                .zip(EventKind::ALL)
                .all(|(i, kind)| kind as usize == i)
        );
        assert!(
            (0..)
                .zip(ErrorCode::ALL)
                .all(|(i, code)| code as usize == i)
        );
        // The last ones declared: whoever adds one behind them sees this, and adds it above.
        assert_eq!(EventKind::Topic as usize + 1, EventKind::ALL.len());
        assert_eq!(ErrorCode::InternalError as usize + 1, ErrorCode::ALL.len());
    }
}
