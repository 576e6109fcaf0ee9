//! What `channels_redis` 4.x puts on the wire: which shard, how a message's bytes are made and read.
//!
//! ```text
//! 12 bytes that make it unique (core layer only) | Fernet( MessagePack or JSON ), or that without Fernet
//! ```
//!
//! Nothing here speaks to Redis.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::fernet::Fernet;
use super::options::Serializer;
use crate::event::{Event, EventError, envelope};

/// The length of what makes a message of the core layer unique among equal ones.
const PREFIX: usize = 12;

/// Makes bytes of messages, and messages of bytes.
pub(super) struct Codec {
    serializer: Serializer,
    /// The first encrypts, each may decrypt.
    keys: Vec<Fernet>,
    /// Of the core layer, which has a prefix, and refuses tokens that are older than messages live.
    unique: Option<Unique>,
    ttl: Option<u64>,
}

impl Codec {
    /// As the core layer has it.
    pub(super) fn core(serializer: Serializer, secrets: &[String], expiry: Duration) -> Self {
        Self {
            unique: Some(Unique::default()),
            ttl: Some(expiry.as_secs().saturating_add(10)),
            ..Self::pubsub(serializer, secrets)
        }
    }

    /// As the pub/sub layer has it.
    pub(super) fn pubsub(serializer: Serializer, secrets: &[String]) -> Self {
        let keys = secrets.iter().map(|secret| Fernet::from_secret(secret));
        Self {
            serializer,
            keys: keys.collect(),
            unique: None,
            ttl: None,
        }
    }

    /// Whether all of an event can be written.
    pub(super) fn accepts(&self, event: &Event) -> Result<(), EventError> {
        match self.serializer {
            Serializer::MessagePack => Ok(()),
            Serializer::Json => envelope::fits_json(event.as_msgpack()),
        }
    }

    /// A message of an event's MessagePack.
    pub(super) fn encode(&self, msgpack: &[u8]) -> Result<Vec<u8>, EventError> {
        let mut message = Vec::with_capacity(PREFIX + msgpack.len());
        if let Some(unique) = &self.unique {
            message.extend_from_slice(&unique.next());
        }
        let json;
        let body = match self.serializer {
            Serializer::MessagePack => msgpack,
            Serializer::Json => {
                json = envelope::to_json(msgpack)?;
                &json
            }
        };
        match self.keys.first() {
            Some(key) => message.extend_from_slice(&key.seal(body, unix_time().as_secs())),
            None => message.extend_from_slice(body),
        }
        Ok(message)
    }

    /// The event in a message, and for whom it is; `None` where the message is not one.
    pub(super) fn decode(&self, mut message: Bytes) -> Option<(Event, Vec<String>)> {
        if self.unique.is_some() {
            if message.len() < PREFIX {
                return None;
            }
            message = message.slice(PREFIX..);
        }
        if !self.keys.is_empty() {
            let now = unix_time().as_secs();
            let mut opened = self
                .keys
                .iter()
                .map(|key| key.open(&message, now, self.ttl));
            message = opened.find_map(|body| body)?.into();
        }
        let msgpack = match self.serializer {
            Serializer::MessagePack => message,
            Serializer::Json => envelope::from_json(&message).ok()?.into(),
        };
        envelope::open(msgpack).ok()
    }
}

/// Bytes that no other message has: random ones of the process, then a counter.
struct Unique {
    process: [u8; 6],
    counter: AtomicU64,
}

impl Default for Unique {
    fn default() -> Self {
        let mut process = [0; 6];
        getrandom::fill(&mut process).expect("the operating system has random bytes");
        Self {
            process,
            counter: AtomicU64::new(0),
        }
    }
}

impl Unique {
    fn next(&self) -> [u8; PREFIX] {
        let count = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut unique = [0; PREFIX];
        unique[..6].copy_from_slice(&self.process);
        unique[6..].copy_from_slice(&count[2..]);
        unique
    }
}

/// The time in Unix seconds, never the same twice: Redis sorts messages by it.
#[derive(Default)]
pub(super) struct Clock {
    /// The bits of the last one: positive floats sort as their bits do.
    last: AtomicU64,
}

impl Clock {
    pub(super) fn now(&self) -> f64 {
        let now = unix_time().as_secs_f64().to_bits();
        let later = |last: u64| now.max(last + 1);
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(later(last))
            });
        f64::from_bits(later(last.unwrap_or_else(|last| last)))
    }
}

pub(super) fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Which of `shards` has a key: a consistent hash over 4096 places.
pub(super) fn shard_of(key: &str, shards: usize) -> usize {
    (crc32(key.as_bytes()) & 0xfff) as usize * shards / 4096
}

/// The CRC-32 of zlib and of Python's `binascii`, bit by bit: names have under a hundred bytes.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 * low);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn keys_are_spread_over_shards_as_by_channels_redis() {
        for (key, shards, shard) in [
            ("key_one", 1, 0),
            ("key_two", 1, 0),
            ("key_one", 2, 1),
            ("key_two", 2, 0),
            ("key_one", 10, 6),
            ("key_two", 10, 4),
            ("room-1", 3, 1),
            ("specific.0123456789abcdef0123456789abcdef!", 4, 1),
        ] {
            assert_eq!(shard_of(key, shards), shard, "{key} of {shards}");
        }
        assert_eq!(crc32(b"room-1") & 0xfff, 0xbef4_0806 & 0xfff);
    }

    #[test]
    fn times_strictly_rise() {
        let clock = Clock::default();
        let times: Vec<f64> = (0..10_000).map(|_| clock.now()).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        assert!((times[0] - unix_time().as_secs_f64()).abs() < 60.0);
    }

    #[test]
    fn a_message_of_the_core_layer_is_its_bytes_after_twelve_others() {
        let codec = Codec::core(Serializer::MessagePack, &[], Duration::from_secs(60));
        let event = Event::new(&json!({"type": "x"})).unwrap();
        let (one, two) = (
            codec.encode(event.as_msgpack()).unwrap(),
            codec.encode(event.as_msgpack()).unwrap(),
        );
        assert_eq!(one[12..], *b"\x81\xa4type\xa1x");
        assert_ne!(one, two);
        assert_eq!(codec.decode(one.into()).unwrap().0, event);
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let secrets = ["a".to_owned()];
        for codec in [
            Codec::core(Serializer::MessagePack, &[], Duration::from_secs(60)),
            Codec::core(Serializer::Json, &secrets, Duration::from_secs(60)),
            Codec::pubsub(Serializer::Json, &[]),
            Codec::pubsub(Serializer::MessagePack, &secrets),
        ] {
            for bad in [
                &b""[..],
                b"short",
                b"0123456789ab",
                b"0123456789ab\x81\x01\x02",
            ] {
                assert!(codec.decode(Bytes::from_static(bad)).is_none());
            }
        }
    }

    #[test]
    fn the_first_key_encrypts_and_each_decrypts() {
        let codec = |secrets: &[&str]| {
            let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
            Codec::pubsub(Serializer::MessagePack, &secrets)
        };
        let event = Event::new(&json!({"type": "x"})).unwrap();
        let message = || Bytes::from(codec(&["new", "old"]).encode(event.as_msgpack()).unwrap());
        assert!(codec(&["other", "new"]).decode(message()).is_some());
        assert!(codec(&["old"]).decode(message()).is_none());
        assert!(codec(&[]).decode(message()).is_none());
    }

    #[test]
    fn what_channels_redis_wrote_is_read() {
        let text = "你好 🎉";
        let value = json!({
            "type": "chat.message", "text": text, "n": [0, -1, 127, 128, -33, 65536, u64::MAX, i64::MIN],
            "f": [0.5, -1e300], "none": null, "yes": true, "deep": {"a": [{"b": []}]},
        });
        let lines = include_str!("golden.txt").lines().skip(1);
        assert_eq!(lines.clone().count(), 8);
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            let [serializer, encrypted, prefix, hex] = words[..] else {
                panic!("{line}");
            };
            let is_json = serializer == "json";
            let format = if is_json {
                Serializer::Json
            } else {
                Serializer::MessagePack
            };
            let secrets: &[String] = match encrypted {
                "True" => &["another".to_owned(), "a-test-key".to_owned()],
                _ => &[],
            };
            let codec = match prefix {
                "12" => Codec::core(format, secrets, Duration::from_secs(1 << 40)),
                _ => Codec::pubsub(format, secrets),
            };
            let bytes = (0..hex.len()).step_by(2);
            let message: Vec<u8> = bytes
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();

            let (event, names) = codec.decode(message.clone().into()).expect(line);

            let mut read = serde_json::to_value(&event).unwrap();
            if !is_json {
                // JSON shows bytes as a list.
                let raw = read.as_object_mut().unwrap().remove("raw").unwrap();
                assert_eq!(raw, json!([0, 255]));
            }
            assert_eq!(read, value, "{line}");
            assert_eq!(names.len(), usize::from(prefix == "12"));
            // And what we write of it is theirs again, but for the prefix.
            if !is_json && encrypted != "True" {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let again = match prefix {
                    "12" => envelope::seal(&event, envelope::To::Many(&names)),
                    _ => event.as_msgpack().to_vec(),
                };
                assert!(
                    message.ends_with(&again) && message.len() - again.len() <= 12,
                    "{line}"
                );
            }
        }
    }
}
