//! Reads MessagePack token by token: checks what comes in, finds fields, walks events for `Debug` and `Serialize`.
//!
//! <https://github.com/msgpack/msgpack/blob/master/spec.md>. Nothing here allocates for a length it only read about.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;

use rmp::Marker;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Event, EventError};

/// The field in which layers say for whom an event is.
pub(super) const RESERVED: &str = "__asgi_channel__";

/// The next thing in the bytes. Lists and maps are announced by their length, their items follow.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float32(f32),
    Float(f64),
    Str(&'a str),
    Bytes(&'a [u8]),
    List(u32),
    Map(u32),
}

impl Token<'_> {
    fn describe(self) -> &'static str {
        match self {
            Self::Nil => "null",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Signed(_) => "an integer",
            Self::Float32(_) | Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// A place in MessagePack bytes.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(whole: &'a [u8]) -> Self {
        Self { whole, at: 0 }
    }

    /// How many bytes were read.
    #[cfg(feature = "redis")]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Reads one token.
    pub(super) fn token(&mut self) -> Result<Token<'a>, EventError> {
        let [marker] = self.array()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Token::Nil,
            Marker::False => Token::Bool(false),
            Marker::True => Token::Bool(true),
            Marker::FixPos(n) => Token::Unsigned(n.into()),
            Marker::U8 => Token::Unsigned(u8::from_be_bytes(self.array()?).into()),
            Marker::U16 => Token::Unsigned(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => Token::Unsigned(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => Token::Unsigned(u64::from_be_bytes(self.array()?)),
            Marker::FixNeg(n) => Token::Signed(n.into()),
            Marker::I8 => Token::Signed(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => Token::Signed(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => Token::Signed(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => Token::Signed(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Token::Float32(f32::from_be_bytes(self.array()?)),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(len) => self.str(len.into())?,
            Marker::Str8 => self.len8().and_then(|len| self.str(len))?,
            Marker::Str16 => self.len16().and_then(|len| self.str(len))?,
            Marker::Str32 => self.len32().and_then(|len| self.str(len))?,
            Marker::Bin8 => self.len8().and_then(|len| self.bytes(len))?,
            Marker::Bin16 => self.len16().and_then(|len| self.bytes(len))?,
            Marker::Bin32 => self.len32().and_then(|len| self.bytes(len))?,
            Marker::FixArray(len) => Token::List(len.into()),
            Marker::Array16 => Token::List(self.len16()?),
            Marker::Array32 => Token::List(self.len32()?),
            Marker::FixMap(len) => Token::Map(len.into()),
            Marker::Map16 => Token::Map(self.len16()?),
            Marker::Map32 => Token::Map(self.len32()?),
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => {
                return Err(EventError::NotPortable {
                    found: "a MessagePack extension",
                });
            }
            Marker::Reserved => return Err(self.malformed("the unused marker 0xc1")),
        })
    }

    /// Passes one value with all that is in it, and gives its bytes.
    pub(super) fn value(&mut self) -> Result<&'a [u8], EventError> {
        let start = self.at;
        // Counts values still to be read instead of recursing.
        let mut left = 1_u64;
        while left > 0 {
            left -= 1;
            left += match self.token()? {
                Token::List(len) => u64::from(len),
                Token::Map(len) => u64::from(len) * 2,
                _ => 0,
            };
        }
        Ok(&self.whole[start..self.at])
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], EventError> {
        let taken = self.whole[self.at..]
            .get(..len)
            .ok_or_else(|| self.malformed("the bytes end too early"))?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EventError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("`take` gives what was asked for"))
    }

    fn len8(&mut self) -> Result<u32, EventError> {
        self.array().map(u8::from_be_bytes).map(u32::from)
    }

    fn len16(&mut self) -> Result<u32, EventError> {
        self.array().map(u16::from_be_bytes).map(u32::from)
    }

    fn len32(&mut self) -> Result<u32, EventError> {
        self.array().map(u32::from_be_bytes)
    }

    fn bytes(&mut self, len: u32) -> Result<Token<'a>, EventError> {
        self.take(len as usize).map(Token::Bytes)
    }

    fn str(&mut self, len: u32) -> Result<Token<'a>, EventError> {
        let bytes = self.take(len as usize)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Token::Str(text)),
            Err(_) => Err(self.malformed("a string that is not UTF-8")),
        }
    }

    fn malformed(&self, found: &'static str) -> EventError {
        EventError::Malformed { found, at: self.at }
    }
}

/// What a check found out about an event's bytes.
pub(super) struct Shape {
    /// Where the text of its `type` is.
    pub(super) kind: Range<usize>,
    /// Where floats of 32 bits begin.
    pub(super) narrow_floats: Vec<usize>,
}

/// Whether the bytes are an event, whole and with nothing after it.
pub(super) fn check(bytes: &[u8]) -> Result<Shape, EventError> {
    if bytes.len() > Event::MAX_BYTES {
        return Err(EventError::TooLarge { size: bytes.len() });
    }
    let mut reader = Reader::new(bytes);
    let fields = match reader.token()? {
        Token::Map(len) => len,
        other => {
            return Err(EventError::NotAMap {
                found: other.describe(),
            });
        }
    };
    let mut kind = None;
    let mut narrow_floats = Vec::new();
    for _ in 0..fields {
        match key(&mut reader)? {
            RESERVED => return Err(EventError::Reserved),
            "type" => {
                let found = match reader.token()? {
                    Token::Str("") => "an empty one",
                    Token::Str(_) if kind.is_some() => "two of them",
                    Token::Str(text) => {
                        kind = Some(reader.at - text.len()..reader.at);
                        continue;
                    }
                    other => other.describe(),
                };
                return Err(EventError::BadType { found });
            }
            _ => check_value(&mut reader, 1, &mut narrow_floats)?,
        }
    }
    if reader.at < bytes.len() {
        return Err(reader.malformed("something after the end of the map"));
    }
    Ok(Shape {
        kind: kind.ok_or(EventError::NoType)?,
        narrow_floats,
    })
}

/// One value inside `depth` maps and lists; the limit on them is what bounds the recursion.
fn check_value(
    reader: &mut Reader<'_>,
    depth: usize,
    narrow_floats: &mut Vec<usize>,
) -> Result<(), EventError> {
    let start = reader.at;
    let token = reader.token()?;
    if matches!(token, Token::List(_) | Token::Map(_)) && depth == Event::MAX_DEPTH {
        return Err(EventError::TooDeep);
    }
    match token {
        Token::List(len) => {
            for _ in 0..len {
                check_value(reader, depth + 1, narrow_floats)?;
            }
        }
        Token::Map(len) => {
            for _ in 0..len {
                key(reader)?;
                check_value(reader, depth + 1, narrow_floats)?;
            }
        }
        Token::Float32(_) => narrow_floats.push(start),
        _ => {}
    }
    Ok(())
}

/// A map's key. Python packs other keys than strings, and then fails to unpack them.
fn key<'a>(reader: &mut Reader<'a>) -> Result<&'a str, EventError> {
    match reader.token()? {
        Token::Str(text) => Ok(text),
        _ => Err(EventError::NotPortable {
            found: "a map key that is not a string",
        }),
    }
}

/// The same bytes with the 32-bit floats at `places` made 64 bits wide, the only width that Python writes.
pub(super) fn widen_floats(bytes: &[u8], places: &[usize]) -> Vec<u8> {
    // Lists and maps count their items and not their bytes, so values may grow where they stand.
    let mut wide = Vec::with_capacity(bytes.len() + 4 * places.len());
    let mut done = 0;
    for &place in places {
        wide.extend_from_slice(&bytes[done..place]);
        let mut reader = Reader {
            whole: bytes,
            at: place,
        };
        if let Ok(Token::Float32(float)) = reader.token() {
            wide.push(Marker::F64.to_u8());
            wide.extend_from_slice(&f64::from(float).to_be_bytes());
        }
        done = reader.at;
    }
    wide.extend_from_slice(&bytes[done..]);
    wide
}

/// The next value at a place that moves on as it is read: what serde and `Debug` ask for one after the other.
pub(super) struct Item<'c, 'a>(pub(super) &'c Cell<Reader<'a>>);

impl<'a> Item<'_, 'a> {
    /// Reads a token of bytes that were checked.
    fn token(&self) -> Token<'a> {
        let mut reader = self.0.get();
        let token = reader
            .token()
            .expect("an event's bytes were checked when it was made");
        self.0.set(reader);
        token
    }
}

impl Serialize for Item<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.token() {
            Token::Nil => serializer.serialize_unit(),
            Token::Bool(value) => serializer.serialize_bool(value),
            Token::Unsigned(value) => serializer.serialize_u64(value),
            Token::Signed(value) => serializer.serialize_i64(value),
            Token::Float32(value) => serializer.serialize_f64(value.into()),
            Token::Float(value) => serializer.serialize_f64(value),
            Token::Str(value) => serializer.serialize_str(value),
            Token::Bytes(value) => serializer.serialize_bytes(value),
            Token::List(len) => {
                let mut list = serializer.serialize_seq(Some(len as usize))?;
                for _ in 0..len {
                    list.serialize_element(&Item(self.0))?;
                }
                list.end()
            }
            Token::Map(len) => {
                let mut map = serializer.serialize_map(Some(len as usize))?;
                for _ in 0..len {
                    map.serialize_key(&Item(self.0))?;
                    map.serialize_value(&Item(self.0))?;
                }
                map.end()
            }
        }
    }
}

impl fmt::Debug for Item<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.token() {
            Token::Nil => f.write_str("null"),
            Token::Bool(value) => value.fmt(f),
            Token::Unsigned(value) => value.fmt(f),
            Token::Signed(value) => value.fmt(f),
            Token::Float32(value) => value.fmt(f),
            Token::Float(value) => value.fmt(f),
            Token::Str(value) => value.fmt(f),
            Token::Bytes(value) => write!(f, "b\"{}\"", value.escape_ascii()),
            Token::List(len) => f
                .debug_list()
                .entries((0..len).map(|_| Item(self.0)))
                .finish(),
            Token::Map(len) => {
                let mut map = f.debug_map();
                for _ in 0..len {
                    map.key(&Item(self.0)).value(&Item(self.0));
                }
                map.finish()
            }
        }
    }
}
