//! Events as JSON, bytes too, and back without a doubt.
//!
//! Bytes are `{"__bytes__": "base64"}`. A map that looks like that because it has one field of this name, or of the next
//! one, is written `{"__map__": {…}}`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roomful::{Event, EventError};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};

const BYTES: &str = "__bytes__";
const MAP: &str = "__map__";

/// The event that a line's JSON means.
pub(super) fn event_of(json: &Value) -> Result<Event, EventError> {
    Event::new(&Meant(json))
}

/// An event as JSON.
pub(super) fn value_of(event: &Event) -> Result<Value, EventError> {
    event.decode().map(|Shown(value)| value)
}

/// The only field of a map that has one.
fn only(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut fields = map.iter();
    match (fields.next(), fields.next()) {
        (Some((name, value)), None) => Some((name, value)),
        _ => None,
    }
}

/// A value as it is meant.
struct Meant<'a>(&'a Value);

impl Serialize for Meant<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Meant)),
            Value::Object(map) => match only(map) {
                Some((BYTES, Value::String(text))) => {
                    let bytes = STANDARD.decode(text);
                    serializer.serialize_bytes(&bytes.map_err(S::Error::custom)?)
                }
                Some((MAP, Value::Object(map))) => Fields(map).serialize(serializer),
                _ => Fields(map).serialize(serializer),
            },
            other => other.serialize(serializer),
        }
    }
}

struct Fields<'a>(&'a Map<String, Value>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, &Meant(value))?;
        }
        map.end()
    }
}

/// A value as it is shown.
struct Shown(Value);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Shown)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of an event")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Map::from_iter([(BYTES.to_owned(), STANDARD.encode(value).into())]).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Shown(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Shown(value))) = fields.next_entry::<String, _>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("an event cannot have a field twice"));
            }
        }
        Ok(match only(&map) {
            Some((BYTES | MAP, _)) => Map::from_iter([(MAP.to_owned(), map.into())]).into(),
            _ => map.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_means_what_was_shown() {
        for value in [
            json!({"type": "t", "b": {"__bytes__": "AP8="}}),
            json!({"type": "t", "b": {"__map__": {"__bytes__": "AP8="}}}),
            json!({"type": "t", "b": {"__map__": {"__map__": {"x": [1]}}}}),
            json!({"type": "t", "b": {"__bytes__": 1.5, "more": [u64::MAX, i64::MIN, null, true, "你好"]}}),
        ] {
            let event = event_of(&value).unwrap();
            assert_eq!(value_of(&event).unwrap(), value);
        }
        let bytes = event_of(&json!({"type": "t", "b": {"__bytes__": "AP8="}})).unwrap();
        let field = b"\xa1b\xc4\x02\x00\xff";
        assert!(bytes.as_msgpack().windows(6).any(|part| part == field));
    }
}
