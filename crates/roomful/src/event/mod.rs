//! What a channel layer carries: an [`Event`], a map of fields with a string `type`.
//!
//! An event is kept as the MessagePack bytes that `channels_redis` puts on the wire: it is encoded once at its sender,
//! shared by reference count on its way, and decoded by whoever wants to know more of it than its `type`. What cannot
//! travel to every peer (map keys that are not strings, extension types) is refused where the event is made.
//!
//! `msgpack` reads the bytes token by token, `transcode` takes events in and out of other serde formats, `envelope` puts
//! on and takes off what layers between processes add.

#[cfg(feature = "redis")]
pub(crate) mod envelope;
mod msgpack;
mod transcode;

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use serde::de::value::{Error as ValueError, UnitDeserializer};
use serde::de::{Deserialize, DeserializeOwned};

use self::msgpack::{Item, Reader, Token};

/// An event: a map of fields, of which `type` says what it is. Cloning it copies a pointer.
///
/// ```
/// use roomful::{Event, json};
///
/// let event = Event::new(&json!({"type": "chat.message", "text": "hi", "seq": 42}))?;
/// assert_eq!(event.kind(), "chat.message");
/// assert_eq!(event.get::<String>("text")?, "hi");
///
/// #[derive(serde::Deserialize)]
/// #[serde(tag = "type")]
/// enum Chat {
///     #[serde(rename = "chat.message")]
///     Message { text: String, seq: u64 },
/// }
/// let Chat::Message { text, seq } = event.decode()?;
/// assert_eq!((text.as_str(), seq), ("hi", 42));
/// # Ok::<(), roomful::EventError>(())
/// ```
///
/// Values are what MessagePack has in common with Python: null, booleans, integers of 64 bits, floats of 64 bits,
/// strings, bytes, lists, and maps with string keys. An event serializes as its map, into JSON for example; bytes
/// become an array of numbers there, as `serde_json` always writes them, because a base64 string could not be told
/// from text.
///
/// Two events are equal when their bytes are.
#[derive(Clone, PartialEq, Eq)]
pub struct Event(Arc<Encoded>);

/// What all clones of an event share.
#[derive(PartialEq, Eq)]
struct Encoded {
    /// Checked: `Reader` finds only what an event may hold.
    bytes: Bytes,
    /// A slice of `bytes`.
    kind: ByteString,
}

impl Event {
    /// The largest event, in bytes of MessagePack: the 1 MiB that Channels asks every layer to carry.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// The deepest event, in maps and lists inside one another.
    pub const MAX_DEPTH: usize = 128;

    /// An event from a value that serializes as a map with a string `type`: [`json!`](crate::json), a struct, a
    /// `#[serde(tag = "type")]` enum.
    ///
    /// Integers take their shortest form and floats become 64 bits wide, as Python writes them.
    ///
    /// # Errors
    /// Where the value is no such map, or holds what cannot travel to every peer.
    pub fn new(value: &(impl Serialize + ?Sized)) -> Result<Self, EventError> {
        let mut bytes = Vec::with_capacity(128);
        let mut serializer = rmp_serde::Serializer::new(&mut bytes)
            .with_struct_map()
            .with_human_readable();
        value
            .serialize(&mut serializer)
            .map_err(|error| EventError::Encode(error.into()))?;
        let shape = msgpack::check(&bytes)?;
        if shape.narrow_floats.is_empty() {
            return Ok(Self::checked(bytes.into(), shape));
        }
        let bytes = msgpack::widen_floats(&bytes, &shape.narrow_floats);
        let shape = msgpack::check(&bytes)?;
        Ok(Self::checked(bytes.into(), shape))
    }

    /// An event that another process encoded.
    ///
    /// # Errors
    /// Where the bytes are not exactly one map with a string `type` and string keys throughout, or are beyond
    /// [`MAX_BYTES`](Self::MAX_BYTES) or [`MAX_DEPTH`](Self::MAX_DEPTH).
    pub fn from_msgpack(bytes: Bytes) -> Result<Self, EventError> {
        let shape = msgpack::check(&bytes)?;
        Ok(Self::checked(bytes, shape))
    }

    fn checked(bytes: Bytes, shape: msgpack::Shape) -> Self {
        let kind =
            ByteString::try_from(bytes.slice(shape.kind)).expect("the check read it as a string");
        Self(Arc::new(Encoded { bytes, kind }))
    }

    /// The event's `type`.
    #[doc(alias = "type")]
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// One field. A field that is not there is `None` to an `Option`, and an error to anything else.
    ///
    /// # Errors
    /// Where the field is missing, or is not of the type asked for.
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<T, EventError> {
        match self.field(field) {
            Some(value) => {
                T::deserialize(&mut deserializer(value)).map_err(|error| EventError::Field {
                    kind: self.kind().into(),
                    field: field.into(),
                    source: error.into(),
                })
            }
            // Only what may be absent, an `Option` above all, can be made from nothing.
            None => T::deserialize(UnitDeserializer::<ValueError>::new()).map_err(|_| {
                EventError::MissingField {
                    kind: self.kind().into(),
                    field: field.into(),
                }
            }),
        }
    }

    /// The bytes of one field's value. The last one counts where a sender wrote a field twice, as in Python.
    fn field(&self, name: &str) -> Option<&[u8]> {
        let mut reader = Reader::new(&self.0.bytes);
        let Ok(Token::Map(len)) = reader.token() else {
            return None;
        };
        let mut found = None;
        for _ in 0..len {
            let key = reader.token().ok()?;
            let value = reader.value().ok()?;
            if key == Token::Str(name) {
                found = Some(value);
            }
        }
        found
    }

    /// The whole event as another type, which may borrow from it.
    ///
    /// # Errors
    /// Where the event does not fit the type.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T, EventError> {
        T::deserialize(&mut deserializer(&self.0.bytes)).map_err(|error| EventError::Decode {
            kind: self.kind().into(),
            source: error.into(),
        })
    }

    /// The whole event as another type, or as what it is: where `T` is `Event`, this is a clone.
    ///
    /// So one bound serves a consumer that wants its events decoded and one that takes them as they come.
    ///
    /// # Errors
    /// Where the event does not fit the type.
    pub fn decode_owned<T: DeserializeOwned + 'static>(&self) -> Result<T, EventError> {
        let mut copy = Some(self.clone());
        if let Some(event) = (&mut copy as &mut dyn Any)
            .downcast_mut::<Option<T>>()
            .and_then(Option::take)
        {
            return Ok(event);
        }
        self.decode()
    }

    /// The event's bytes: one MessagePack map.
    pub fn as_msgpack(&self) -> &Bytes {
        &self.0.bytes
    }
}

fn deserializer(
    bytes: &[u8],
) -> rmp_serde::Deserializer<
    rmp_serde::decode::ReadRefReader<'_, [u8]>,
    rmp_serde::config::HumanReadableConfig<rmp_serde::config::DefaultConfig>,
> {
    rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable()
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cursor = Cell::new(Reader::new(&self.0.bytes));
        f.debug_tuple("Event").field(&Item(&cursor)).finish()
    }
}

/// Why a value is no event, or an event is not the value asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The value is something else than a map.
    #[error("an event is a map with a field `type`, not {found}")]
    NotAMap {
        /// What it is instead.
        found: &'static str,
    },
    /// There is no `type`.
    #[error(
        "an event needs a field `type`: a string that says what it is, such as \"chat.message\""
    )]
    NoType,
    /// The `type` is not a string, or an empty one, or there are two.
    #[error("the `type` of an event is one string such as \"chat.message\", not {found}")]
    BadType {
        /// What it is instead.
        found: &'static str,
    },
    /// The field `__asgi_channel__`, in which layers say for whom an event is.
    #[error("the field `__asgi_channel__` belongs to the channel layer: give yours another name")]
    Reserved,
    /// Something that not every peer can read.
    #[error(
        "an event cannot carry {found}: use string keys, and strings, numbers, bytes, lists and maps"
    )]
    NotPortable {
        /// What it is.
        found: &'static str,
    },
    /// Too many maps and lists inside one another.
    #[error("an event nests at most {} levels deep", Event::MAX_DEPTH)]
    TooDeep,
    /// Too many bytes.
    #[error(
        "the event has {size} bytes, more than {}: store the data and send where it is",
        Event::MAX_BYTES
    )]
    TooLarge {
        /// How many.
        size: usize,
    },
    /// Something that a layer that writes JSON cannot carry.
    #[error(
        "an event cannot carry {found} over a layer that writes JSON: have it write MessagePack"
    )]
    NotJson {
        /// What it is.
        found: &'static str,
    },
    /// The bytes are not MessagePack.
    #[error("not a MessagePack map: {found} at byte {at}")]
    Malformed {
        /// What is wrong.
        found: &'static str,
        /// Where.
        at: usize,
    },
    /// The value's own `Serialize` failed.
    #[error("the value cannot be written as an event")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The event has no such field.
    #[error("the event `{kind}` has no field `{field}`")]
    MissingField {
        /// The event's `type`.
        kind: String,
        /// The field.
        field: String,
    },
    /// A field is not of the type asked for.
    #[error("the field `{field}` of the event `{kind}` is not of the type asked for")]
    Field {
        /// The event's `type`.
        kind: String,
        /// The field.
        field: String,
        /// What the type says to it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The event is not of the type asked for.
    #[error("the event `{kind}` is not of the type asked for")]
    Decode {
        /// The event's `type`.
        kind: String,
        /// What the type says to it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
