//! Events in other serde formats: an [`Event`] serializes as its map, and is read from any format that describes itself.

use std::cell::Cell;
use std::fmt;

use rmp::encode;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::msgpack::{Item, Reader, check};
use super::{Event, EventError};

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Item(&Cell::new(Reader::new(self.as_msgpack()))).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = Vec::new();
        Encode(&mut bytes).deserialize(deserializer)?;
        let shape = check(&bytes).map_err(|error: EventError| D::Error::custom(error))?;
        Ok(Self::checked(bytes.into(), shape))
    }
}

/// Writes whatever value comes to the end of the bytes, as MessagePack.
pub(super) struct Encode<'o>(pub(super) &'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Encode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Encode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that an event can carry")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        encode::write_bool(self.0, value).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        encode::write_sint(self.0, value).map_err(E::custom)?;
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        encode::write_uint(self.0, value).map_err(E::custom)?;
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        encode::write_f64(self.0, value).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        encode::write_str(self.0, value).map_err(E::custom)
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<(), E> {
        encode::write_bin(self.0, value).map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        encode::write_nil(self.0).map_err(E::custom)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    // The length stands before the items and is known after them, so these are written aside first.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        let mut len = 0;
        while list.next_element_seed(Encode(&mut items))?.is_some() {
            len += 1;
        }
        encode::write_array_len(self.0, len).map_err(A::Error::custom)?;
        self.0.append(&mut items);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        let mut len = 0;
        while map.next_key_seed(Encode(&mut items))?.is_some() {
            map.next_value_seed(Encode(&mut items))?;
            len += 1;
        }
        encode::write_map_len(self.0, len).map_err(A::Error::custom)?;
        self.0.append(&mut items);
        Ok(())
    }
}
