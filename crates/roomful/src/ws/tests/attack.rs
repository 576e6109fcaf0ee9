//! Hostile input: garbage, frames that are nearly right, floods of tiny ones. Nothing panics, nothing is held without
//! need, and how the bytes are cut never changes what they mean.

#[cfg(feature = "deflate")]
use std::time::{Duration, Instant};

use super::*;

/// More than any message: what is held may be twice the limit while a buffer grows, and a control frame.
const MAX_HELD: usize = 2 * SMALL_LIMIT + 512;

/// Small, so that random lengths fall on both sides of it.
const SMALL_LIMIT: usize = 1000;

fn small_decoder(role: Role) -> Decoder {
    let decoder = Decoder::new(role, SMALL_LIMIT);
    #[cfg(feature = "deflate")]
    let decoder = {
        let offer = http::HeaderValue::from_static("permessage-deflate");
        let headers = http::HeaderMap::from_iter([(http::header::SEC_WEBSOCKET_EXTENSIONS, offer)]);
        decoder.with_deflate(super::super::compression::Deflate::negotiate(&headers).unwrap())
    };
    decoder
}

/// Decodes `bytes` in one piece and in others, and compares; checks what is held after every piece.
fn attack(role: Role, bytes: &[u8], pieces: &[&[u8]]) -> (Vec<Incoming>, Option<ProtocolError>) {
    let whole = decode_pieces(&mut small_decoder(role), [bytes]);

    let mut decoder = small_decoder(role);
    let mut cut = (Vec::new(), None);
    for piece in pieces {
        let (items, error) = decode_pieces(&mut decoder, [*piece]);
        assert!(decoder.buffered_bytes() <= MAX_HELD);
        cut.0.extend(items);
        cut.1 = error;
        if cut.1.is_some() {
            break;
        }
    }
    assert_eq!(whole, cut);
    for item in &whole.0 {
        match item {
            Incoming::Message(message) => assert!(message.len() <= SMALL_LIMIT),
            Incoming::Ping(payload) | Incoming::Pong(payload) => assert!(payload.len() <= 125),
            Incoming::Close(_) => {}
        }
    }
    whole
}

proptest! {
    #[test]
    fn garbage_never_panics_and_means_the_same_however_it_is_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        client: bool,
    ) {
        let role = if client { Role::Client } else { Role::Server };
        attack(role, &bytes, &cut(&bytes, &cuts));
    }
}

/// A small generator of random numbers (xorshift64*), so that a failing round can be run again by its number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A frame that is mostly lawful after `open` (whether a fragmented message is in progress).
    fn frame(&mut self, role: Role, open: &mut bool) -> Vec<u8> {
        let fin = if self.one_in(3) { 0 } else { 0x80 };
        let first = match self.below(10) {
            0 => 0x89,
            1 => 0x8a,
            2 if self.one_in(4) => 0x88,
            3 if self.one_in(8) => self.next() as u8,
            _ if *open => fin,
            _ => fin | self.pick(&[0x01, 0x02, 0x01, 0x02, 0x41, 0x42]),
        };
        if first & 0x08 == 0 {
            *open = first & 0x80 == 0;
        }
        let len = match self.below(8) {
            _ if first & 0x08 != 0 => self.below(126),
            0 => 0,
            1 => self.pick(&[124, 125, 126, 127, SMALL_LIMIT, SMALL_LIMIT + 1]),
            _ => self.below(60),
        };
        let payload: Vec<u8> = match self.below(16) {
            0 => (0..len).map(|_| self.next() as u8).collect(),
            1 => "zażółć gęślą jaźń 😀 ".bytes().cycle().take(len).collect(),
            2 if first & 0x0f == 0x08 => vec![0x03, 0xe8, b'o', b'k'],
            _ => vec![b'a'; len],
        };
        let mut frame = BytesMut::new();
        let masked = (role == Role::Server) != self.one_in(60);
        if masked {
            let mask = self.next().to_le_bytes();
            let mask = [mask[0], mask[1], mask[2], mask[3]];
            frame::encode_masked(&mut frame, Opcode::Binary, &payload, mask);
        } else {
            frame::encode(&mut frame, Opcode::Binary, &payload);
        }
        frame[0] = first;
        if self.one_in(20) {
            let at = self.below(frame.len().min(14));
            frame[at] ^= 1 << self.below(8);
        }
        frame.to_vec()
    }
}

#[test]
fn a_long_attack_with_nearly_lawful_frames_changes_nothing_but_the_connection_it_comes_on() {
    let (mut items_seen, mut codes_seen) = (0, std::collections::BTreeSet::new());
    for round in 1..=30_000_u64 {
        let mut random = Random(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let role = random.pick(&[Role::Server, Role::Server, Role::Client]);
        let (mut bytes, mut open) = (Vec::new(), false);
        for _ in 0..1 + random.below(20) {
            bytes.extend(random.frame(role, &mut open));
        }
        let cuts: Vec<usize> = match random.below(3) {
            0 => (0..bytes.len()).collect(),
            _ => (0..random.below(10))
                .map(|_| random.below(bytes.len()))
                .collect(),
        };
        let pieces = cut(&bytes, &cuts);

        let outcome = std::panic::catch_unwind(|| attack(role, &bytes, &pieces));
        let (items, error) = outcome.unwrap_or_else(|_| panic!("round {round} failed"));
        items_seen += items.len();
        codes_seen.extend(error.map(|error| error.close.code.get()));
    }
    // The attack reached what it is for.
    assert!(items_seen > 40_000, "{items_seen}");
    assert_eq!(Vec::from_iter(codes_seen), [1002, 1007, 1009]);
}

#[test]
fn tiny_fragments_cost_what_they_carry() {
    let mut decoder = Decoder::new(Role::Server, LIMIT);
    let mut bytes = masked(0x01, b"a");
    let fragment = masked(0x00, b"b");
    bytes.extend(fragment.repeat(65_534));
    let (items, error) = decode_pieces(&mut decoder, bytes.chunks(4096));
    assert_eq!((items.len(), error), (0, None));
    assert!(decoder.buffered_bytes() <= 2 * LIMIT);

    let (items, error) = decode_pieces(&mut decoder, [&masked(0x80, b"c")[..]]);
    assert_eq!(error, None);
    let text = format!("a{}c", "b".repeat(65_534));
    assert_eq!(items, [Incoming::Message(Message::text(text))]);
}

#[test]
fn empty_fragments_cost_nothing() {
    let mut decoder = Decoder::new(Role::Server, LIMIT);
    let bytes = [masked(0x02, b""), masked(0x00, b"").repeat(200_000)].concat();
    let (items, error) = decode_pieces(&mut decoder, bytes.chunks(64 * 1024));
    assert_eq!((items.len(), error), (0, None));
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn nothing_is_allocated_by_a_length_that_is_only_declared() {
    let mut decoder = Decoder::new(Role::Server, usize::MAX);
    let mut bytes = vec![0x82, 0xff];
    bytes.extend((u64::MAX >> 1).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([1; 100]);
    let (_, error) = decode_pieces(&mut decoder, [&bytes[..]]);
    assert_eq!(error, None);
    assert!(decoder.buffered_bytes() <= 256);
}

#[cfg(feature = "deflate")]
#[test]
fn a_message_of_nothing_but_final_blocks_is_over_in_a_moment() {
    use super::super::compression::inflate;

    let started = Instant::now();
    assert_eq!(inflate([0x03, 0x00].repeat(LIMIT / 2), LIMIT), Ok(vec![]));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}
