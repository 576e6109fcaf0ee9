//! The headers of a connection that may live for days and is asked for them rarely: packed after the handshake, and made
//! into a map again when somebody looks.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};

#[derive(Debug)]
pub(super) struct Headers {
    map: OnceLock<Box<HeaderMap>>,
    /// Each header in turn: the name's length (2 bytes), the value's (4 bytes, the highest bit says that it is sensitive),
    /// the name, the value.
    packed: Box<[u8]>,
}

const SENSITIVE: u32 = 1 << 31;

impl Headers {
    pub(super) fn new(map: HeaderMap) -> Self {
        Self {
            map: OnceLock::from(Box::new(map)),
            packed: Box::default(),
        }
    }

    pub(super) fn get(&self) -> &HeaderMap {
        self.map.get_or_init(|| Box::new(unpack(&self.packed)))
    }

    pub(super) fn pack(&mut self) {
        let Some(map) = self.map.take() else { return };
        let size =
            |(name, value): (&HeaderName, &HeaderValue)| 6 + name.as_str().len() + value.len();
        let mut packed = Vec::with_capacity(map.iter().map(size).sum());
        for (name, value) in map.iter() {
            let name = name.as_str().as_bytes();
            let flag = if value.is_sensitive() { SENSITIVE } else { 0 };
            // `http` allows no name over 64 KiB, and no head has a value of 2 GiB.
            packed.extend_from_slice(&(name.len() as u16).to_be_bytes());
            packed.extend_from_slice(&(value.len() as u32 | flag).to_be_bytes());
            packed.extend_from_slice(name);
            packed.extend_from_slice(value.as_bytes());
        }
        self.packed = packed.into();
    }
}

fn unpack(mut packed: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    while let Some((name, value)) = unpack_one(&mut packed) {
        map.append(name, value);
    }
    map
}

/// The next header; what was packed was one, so nothing is lost in the `ok`s.
fn unpack_one(packed: &mut &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name_len = u16::from_be_bytes(*packed.split_off(..2)?.first_chunk()?);
    let value_len = u32::from_be_bytes(*packed.split_off(..4)?.first_chunk()?);
    let name = HeaderName::from_bytes(packed.split_off(..usize::from(name_len))?).ok()?;
    let value = packed.split_off(..(value_len & !SENSITIVE) as usize)?;
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(value_len & SENSITIVE != 0);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_headers_read_as_before() {
        let mut map = HeaderMap::new();
        map.append("cookie", HeaderValue::from_static("a=1"));
        map.append("cookie", HeaderValue::from_static("b=2"));
        map.insert("x-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        map.insert("x-empty", HeaderValue::from_static(""));
        let mut secret = HeaderValue::from_static("Bearer 123");
        secret.set_sensitive(true);
        map.insert("authorization", secret);

        let mut headers = Headers::new(map.clone());
        headers.pack();
        headers.pack();

        assert_eq!(*headers.get(), map);
        assert!(headers.get()["authorization"].is_sensitive());
        assert!(!headers.get()["x-name"].is_sensitive());
    }
}
