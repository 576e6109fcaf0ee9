//! What a channel layer between processes adds to an event: for whom it is, and another format.
//!
//! The core layer of `channels_redis` puts the channels an event is for into one more field of its map. It is written
//! behind the others and cut out again, so that what a consumer sees is the event its sender made.

use std::cell::Cell;

use bytes::Bytes;
use rmp::encode;
use serde::de::DeserializeSeed as _;

use super::msgpack::{Item, RESERVED, Reader, Token};
use super::transcode::Encode;
use super::{Event, EventError};

/// For whom an event is, as its bytes say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'a> {
    /// One channel: how a `send` to a process-local channel says it.
    One(&'a str),
    /// Several: how a `group_send` says it, even where it is one.
    Many(&'a [&'a str]),
}

/// An event's bytes with one field more.
pub(crate) fn seal(event: &Event, to: To<'_>) -> Vec<u8> {
    const HOLDS: &str = "an event's bytes are a map, and a vector takes all that is written to it";
    let bytes = event.as_msgpack();
    let mut reader = Reader::new(bytes);
    let Ok(Token::Map(fields)) = reader.token() else {
        unreachable!("{HOLDS}");
    };
    let names = match to {
        To::One(_) => 1,
        To::Many(names) => names.len(),
    };
    let mut sealed = Vec::with_capacity(bytes.len() + 32 + names * 80);
    encode::write_map_len(&mut sealed, fields + 1).expect(HOLDS);
    sealed.extend_from_slice(&bytes[reader.at()..]);
    encode::write_str(&mut sealed, RESERVED).expect(HOLDS);
    match to {
        To::One(name) => encode::write_str(&mut sealed, name).expect(HOLDS),
        To::Many(names) => {
            let len = u32::try_from(names.len()).expect("a group has fewer members than that");
            encode::write_array_len(&mut sealed, len).expect(HOLDS);
            for name in names {
                encode::write_str(&mut sealed, name).expect(HOLDS);
            }
        }
    }
    sealed
}

/// The event in bytes that another process wrote, and for whom it is; nobody, where they do not say.
pub(crate) fn open(bytes: Bytes) -> Result<(Event, Vec<String>), EventError> {
    let mut reader = Reader::new(&bytes);
    let Token::Map(fields) = reader.token()? else {
        return Err(EventError::NotAMap {
            found: "something else",
        });
    };
    let first = reader.at();
    let mut field = None;
    for _ in 0..fields {
        let start = reader.at();
        let is_it = reader.token()? == Token::Str(RESERVED);
        reader.value()?;
        if is_it {
            field = Some(start..reader.at());
        }
    }
    let Some(field) = field else {
        return Ok((Event::from_msgpack(bytes)?, Vec::new()));
    };
    let names = names(&bytes[field.clone()])?;
    let mut rest = Vec::with_capacity(bytes.len());
    encode::write_map_len(&mut rest, fields - 1).expect("a vector takes all that is written to it");
    rest.extend_from_slice(&bytes[first..field.start]);
    rest.extend_from_slice(&bytes[field.end..]);
    Ok((Event::from_msgpack(rest.into())?, names))
}

/// The field's value, after its key.
fn names(field: &[u8]) -> Result<Vec<String>, EventError> {
    let mut reader = Reader::new(field);
    reader.token()?;
    let mut name = || match reader.token()? {
        Token::Str(name) => Ok(vec![name.to_owned()]),
        Token::List(len) => (0..len)
            .map(|_| match reader.token()? {
                Token::Str(name) => Ok(name.to_owned()),
                _ => Err(BAD_NAMES),
            })
            .collect(),
        _ => Err(BAD_NAMES),
    };
    name()
}

const BAD_NAMES: EventError = EventError::NotPortable {
    found: "a receiver that is no channel's name",
};

/// Whether JSON has words for all of it.
pub(crate) fn fits_json(msgpack: &[u8]) -> Result<(), EventError> {
    let mut reader = Reader::new(msgpack);
    while reader.at() < msgpack.len() {
        let found = match reader.token()? {
            Token::Bytes(_) => "bytes",
            Token::Float(float) if !float.is_finite() => "a float that is not finite",
            _ => continue,
        };
        return Err(EventError::NotJson { found });
    }
    Ok(())
}

/// MessagePack as JSON.
pub(crate) fn to_json(msgpack: &[u8]) -> Result<Vec<u8>, EventError> {
    fits_json(msgpack)?;
    serde_json::to_vec(&Item(&Cell::new(Reader::new(msgpack))))
        .map_err(|error| EventError::Encode(error.into()))
}

/// JSON as MessagePack.
pub(crate) fn from_json(json: &[u8]) -> Result<Vec<u8>, EventError> {
    let mut msgpack = Vec::with_capacity(json.len());
    let mut reader = serde_json::Deserializer::from_slice(json);
    Encode(&mut msgpack)
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| EventError::Encode(error.into()))?;
    Ok(msgpack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn event(value: &serde_json::Value) -> Event {
        Event::new(value).unwrap()
    }

    #[test]
    fn the_field_stands_behind_the_others_as_python_writes_it() {
        let event = event(&json!({"type": "x.y"}));
        assert_eq!(
            seal(&event, To::One("a!b")),
            b"\x82\xa4type\xa3x.y\xb0__asgi_channel__\xa3a!b"
        );
        assert_eq!(
            seal(&event, To::Many(&["a!b", "c"])),
            b"\x82\xa4type\xa3x.y\xb0__asgi_channel__\x92\xa3a!b\xa1c"
        );
    }

    #[test]
    fn what_was_put_in_comes_out_wherever_it_stands() {
        let first = b"\x82\xb0__asgi_channel__\xa3a!b\xa4type\xa3x.y";
        let (opened, names) = open(Bytes::from_static(first)).unwrap();
        assert_eq!(opened, event(&json!({"type": "x.y"})));
        assert_eq!(names, ["a!b"]);

        // With one more field the map's head is another kind.
        let mut full = serde_json::Map::new();
        for n in 0..15 {
            full.insert(format!("f{n}"), n.into());
        }
        full.insert("type".into(), "x".into());
        let full = event(&full.into());
        let (opened, names) = open(seal(&full, To::Many(&["a", "b"])).into()).unwrap();
        assert_eq!(opened, full);
        assert_eq!(names, ["a", "b"]);

        let (opened, names) = open(full.as_msgpack().clone()).unwrap();
        assert_eq!((opened, names.len()), (full, 0));
    }

    #[test]
    fn receivers_that_are_no_names_are_refused() {
        for bad in [
            &b"\x82\xb0__asgi_channel__\x07\xa4type\xa3x.y"[..],
            b"\x82\xb0__asgi_channel__\x91\x07\xa4type\xa3x.y",
            b"\x93\x01\x02\x03",
            b"\x82\xb0__asgi_channel__",
        ] {
            assert!(open(Bytes::from_static(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn json_says_the_same_but_for_what_it_has_no_words_for() {
        let value = json!({"type": "x", "text": "你好", "n": u64::MAX, "f": -0.5, "l": [null, {"deep": true}]});
        let json = to_json(event(&value).as_msgpack()).unwrap();
        let back = Event::from_msgpack(from_json(&json).unwrap().into()).unwrap();
        assert_eq!(back, event(&value));

        let bytes = Event::from_msgpack(Bytes::from_static(b"\x82\xa4type\xa1x\xa1b\xc4\x01\x00"));
        assert!(to_json(bytes.unwrap().as_msgpack()).is_err());
        assert!(from_json(b"{\"type\": \"x\"} more").is_err());
        assert!(from_json(b"{\"type\": NaN}").is_err());
    }
}
