//! The codec as a whole. What belongs to one file alone is tested at its foot.

use bytes::BytesMut;
use proptest::prelude::*;

use super::{Decoder, Incoming, Opcode, ProtocolError, Role, frame};
use crate::{Close, CloseCode, Message};

mod attack;
#[cfg(feature = "deflate")]
mod compression;
mod handshake;
mod round_trip;
mod rules;

const LIMIT: usize = 64 * 1024;

/// Everything that `pieces`, read one after the other, decode to; and how it ended, if it failed.
fn decode_pieces<'a>(
    decoder: &mut Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Incoming>, Option<ProtocolError>) {
    let mut items = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
        }
        assert!(piece.is_empty(), "`None` means that all is taken");
    }
    (items, None)
}

/// Everything that a server makes of `bytes`.
fn decode(bytes: &[u8]) -> (Vec<Incoming>, Option<ProtocolError>) {
    decode_pieces(&mut Decoder::new(Role::Server, LIMIT), [bytes])
}

/// One masked frame with any first byte, lawful or not.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::encode_masked(&mut out, Opcode::Binary, payload, [7, 200, 33, 129]);
    out[0] = first;
    out.to_vec()
}

/// Cuts `bytes` at every place that `cuts` name, taken modulo the length.
fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any::<String>().prop_map(Message::text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Message::binary),
        (0_usize..70_000, any::<u8>())
            .prop_map(|(len, byte)| Message::binary(vec![byte; len.min(LIMIT)])),
    ]
}

fn any_close() -> impl Strategy<Value = Close> {
    // Not 1014, which tungstenite does not know.
    let code = prop_oneof![1000_u16..=1003, 1007_u16..=1013, 3000_u16..=4999];
    (code, "\\PC{0,60}")
        .prop_map(|(code, reason)| Close::new(CloseCode::new(code).unwrap(), reason))
}

/// Bytes that do not compress, the same every time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}
