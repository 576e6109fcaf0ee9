//! What a server wants to hear, and which of its messages count.

use clap::ValueEnum;

/// How members and the server talk.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Dialect {
    /// A text in, the same text out, to everybody in the room.
    Plain,
    /// Roomful's JSON.
    #[value(name = "roomful.v1")]
    RoomfulV1,
    /// Socket.IO over Engine.IO 4, on the WebSocket from the start; the event is `m`.
    #[value(name = "socket.io")]
    SocketIo,
}

impl Dialect {
    pub(crate) fn path(self, room: usize) -> String {
        match self {
            Self::SocketIo => format!("/socket.io/?EIO=4&transport=websocket&room={room}"),
            _ => format!("/room/{room}/"),
        }
    }

    /// Further lines of the handshake.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::RoomfulV1 => "Sec-WebSocket-Protocol: roomful.v1\r\n",
            _ => "",
        }
    }

    /// What a new member says first; it is here once the server has answered that.
    pub(crate) fn hello(self, index: usize) -> Option<String> {
        match self {
            Self::Plain => None,
            Self::RoomfulV1 => Some(format!(
                r#"{{"type":"chat.hello","name":"member {index}"}}"#
            )),
            Self::SocketIo => Some("40".to_owned()),
        }
    }

    pub(crate) fn welcomes(self, start: &[u8]) -> bool {
        match self {
            Self::Plain => true,
            Self::RoomfulV1 => start.starts_with(br#"{"type":"chat.welcome""#),
            Self::SocketIo => start.starts_with(b"40"),
        }
    }

    /// A message of a room.
    pub(crate) fn say(self, room: usize, number: usize, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::RoomfulV1 => {
                format!(r#"{{"type":"chat.say","id":"l{room}-{number}","text":"{text}"}}"#)
            }
            Self::SocketIo => format!(r#"42["m","{text}"]"#),
        }
    }

    /// Whether a frame delivers a text of `size` bytes.
    pub(crate) fn delivers(self, start: &[u8], len: usize, size: usize) -> bool {
        match self {
            Self::Plain => len == size,
            Self::RoomfulV1 => len > size && start.starts_with(br#"{"type":"chat.message""#),
            Self::SocketIo => len > size && start.starts_with(b"42"),
        }
    }

    /// Whether who speaks is told that it is stored.
    pub(crate) fn is_acknowledged(self) -> bool {
        self == Self::RoomfulV1
    }

    /// Whether a frame tells who spoke that it is stored; they come in the order in which it spoke.
    pub(crate) fn acknowledges(self, start: &[u8]) -> bool {
        self.is_acknowledged() && start.starts_with(br#"{"type":"chat.said""#)
    }

    /// What has to be answered for the connection to stay.
    pub(crate) fn answer(self, start: &[u8]) -> Option<&'static str> {
        (self == Self::SocketIo && start == b"2").then_some("3")
    }
}
