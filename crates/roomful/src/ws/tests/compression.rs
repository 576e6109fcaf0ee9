//! permessage-deflate: the negotiation, and messages that shrink, grow, break off or explode.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use http::{HeaderMap, HeaderValue};

use super::super::compression::{self, Deflate};
use super::*;

const FIN_TEXT_DEFLATED: u8 = 0xc1;
const FIN_BINARY_DEFLATED: u8 = 0xc2;

fn negotiate(lines: &[&str]) -> Option<Deflate> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::from_str(line).unwrap();
        headers.append("sec-websocket-extensions", value);
    }
    Deflate::negotiate(&headers)
}

fn agreed() -> Deflate {
    negotiate(&["permessage-deflate"]).unwrap()
}

fn decoder(role: Role) -> Decoder {
    Decoder::new(role, LIMIT).with_deflate(agreed())
}

/// What a server that has agreed makes of `bytes`, whole and byte by byte.
#[track_caller]
fn decode(bytes: &[u8]) -> (Vec<Incoming>, Option<ProtocolError>) {
    let whole = decode_pieces(&mut decoder(Role::Server), [bytes]);
    let slow = decode_pieces(&mut decoder(Role::Server), bytes.chunks(1));
    assert_eq!(whole, slow);
    whole
}

#[track_caller]
fn assert_broken(bytes: &[u8], code: u16) {
    let (items, error) = decode(bytes);
    assert_eq!(items, []);
    assert_eq!(error.expect("it is broken").close.code.get(), code);
}

/// A payload as another implementation would compress it: zlib's default level, with the sync marker taken off.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() * 2 + 100);
    let mut compressor = Compress::new(Compression::default(), false);
    let flush = FlushCompress::Sync;
    compressor.compress_vec(payload, &mut out, flush).unwrap();
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

#[test]
fn an_offer_is_answered_without_context_in_either_direction() {
    let basic = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (offer, answer) in [
        ("permessage-deflate", basic),
        ("permessage-deflate; client_max_window_bits", basic),
        ("permessage-deflate; client_max_window_bits=8", basic),
        ("permessage-deflate;client_no_context_takeover", basic),
        (
            "permessage-deflate; server_no_context_takeover ; client_no_context_takeover",
            basic,
        ),
        (
            "permessage-deflate; server_max_window_bits=10",
            &format!("{basic}; server_max_window_bits=10"),
        ),
        (
            "permessage-deflate; server_max_window_bits=\"15\"",
            &format!("{basic}; server_max_window_bits=15"),
        ),
    ] {
        let agreed = negotiate(&[offer]).expect(offer);
        assert_eq!(agreed.response(), answer, "{offer}");
    }
}

#[test]
fn an_offer_that_cannot_be_kept_is_declined() {
    for offer in [
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=10",
        "permessage-deflate; x-unknown",
        "permessage-bzip2",
        "x-webkit-deflate-frame",
        "Permessage-Deflate",
        "permessage-deflate;",
        "permessage-deflate,",
        "permessage-deflate; server_max_window_bits=9 10",
    ] {
        assert_eq!(negotiate(&[offer]), None, "{offer}");
    }
    assert_eq!(negotiate(&[]), None);
}

#[test]
fn the_first_offer_that_can_be_kept_is_taken() {
    let nine = negotiate(&["permessage-deflate; server_max_window_bits=9"]);
    let line = "x-other, permessage-deflate; x-unknown, permessage-deflate; server_max_window_bits=9, permessage-deflate";
    assert_eq!(negotiate(&[line]), nine);
    let lines = [
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=9",
        "permessage-deflate",
    ];
    assert_eq!(negotiate(&lines), nine);
    assert_eq!(negotiate(&["permessage-deflate", "broken;"]), None);
}

#[test]
fn the_examples_of_rfc_7692_section_7_2_3_are_read() {
    let hello = Incoming::Message(Message::text("Hello"));
    let fixed_codes: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let stored: &[u8] = &[
        0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
    ];
    let final_block: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two_blocks: &[u8] = &[
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ];
    // Not from the RFC: the final block with nothing behind it, as a finished stream of zlib ends.
    let finished: &[u8] = &final_block[..7];
    for payload in [fixed_codes, stored, final_block, two_blocks, finished] {
        let decoded = decode(&masked(FIN_TEXT_DEFLATED, payload));
        assert_eq!(decoded, (vec![hello.clone()], None), "{payload:x?}");
    }

    let fragments = [
        masked(0x41, &fixed_codes[..3]),
        masked(0x80, &fixed_codes[3..]),
    ]
    .concat();
    assert_eq!(decode(&fragments), (vec![hello], None));
    let empty = Incoming::Message(Message::text(""));
    assert_eq!(
        decode(&masked(FIN_TEXT_DEFLATED, &[0])),
        (vec![empty], None)
    );
}

#[test]
fn every_message_starts_without_the_memory_of_the_last() {
    let text = "the same words, ".repeat(20);
    let frame = masked(FIN_TEXT_DEFLATED, &deflated(text.as_bytes()));
    let message = Incoming::Message(Message::text(text));
    let bytes = frame.repeat(3);
    assert_eq!(decode(&bytes), (vec![message; 3], None));

    // After a broken message on this thread, too.
    assert_broken(&masked(FIN_TEXT_DEFLATED, b"\xff\xff\xff"), 1007);
    assert_eq!(decode(&frame).1, None);
}

#[test]
fn compressed_and_plain_messages_may_alternate() {
    let bytes = [
        masked(0x81, b"plain"),
        masked(FIN_TEXT_DEFLATED, &deflated(b"small")),
        masked(0x82, b"plain"),
    ];
    let (items, error) = decode(&bytes.concat());
    assert_eq!((items.len(), error), (3, None));
}

#[test]
fn rsv1_stands_on_the_first_frame_of_a_message_alone() {
    assert_broken(&[masked(0x41, b""), masked(0xc0, b"")].concat(), 1002);
    for control in [0xc8, 0xc9, 0xca] {
        assert_broken(&masked(control, b""), 1002);
    }
}

#[test]
fn a_payload_that_does_not_inflate_is_refused_with_1007() {
    let whole = deflated("a text of some length, to be cut: ".repeat(9).as_bytes());
    assert_broken(
        &masked(FIN_BINARY_DEFLATED, &whole[..whole.len() / 2]),
        1007,
    );
    // A block type that does not exist, a length that does not match, a reference before the beginning.
    for payload in [&[0x07][..], &[0x00, 1, 0, 0, 0], &[0x03 | 0x08, 0xff, 0xff]] {
        assert_broken(&masked(FIN_BINARY_DEFLATED, payload), 1007);
    }
}

#[test]
fn inflated_text_must_be_utf8() {
    assert_broken(&masked(FIN_TEXT_DEFLATED, &deflated(b"caf\xe9")), 1007);
    let binary = decode(&masked(FIN_BINARY_DEFLATED, &deflated(b"caf\xe9")));
    let message = Message::binary(&b"caf\xe9"[..]);
    assert_eq!(binary, (vec![Incoming::Message(message)], None));
}

#[test]
fn the_limit_counts_inflated_bytes_so_that_a_bomb_is_refused_with_1009() {
    let fits = masked(FIN_BINARY_DEFLATED, &deflated(&vec![0; LIMIT]));
    assert_eq!(decode(&fits).1, None);
    assert_broken(
        &masked(FIN_BINARY_DEFLATED, &deflated(&vec![0; LIMIT + 1])),
        1009,
    );

    let bomb = deflated(&vec![0; 16 << 20]);
    assert!(bomb.len() < LIMIT);
    assert_broken(&masked(FIN_BINARY_DEFLATED, &bomb), 1009);
}

#[test]
fn a_compressed_message_that_travels_longer_than_any_allowed_one_is_refused_on_its_header() {
    let mut header = vec![0x42, 0xff];
    header.extend((LIMIT as u64 * 2).to_be_bytes());
    header.extend([0; 4]);
    assert_broken(&header, 1009);

    // One that is allowed but does not compress travels longer than it is.
    let noise = noise(LIMIT);
    let stored = deflated(&noise);
    assert!(stored.len() > LIMIT);
    let (items, error) = decode(&masked(FIN_BINARY_DEFLATED, &stored));
    assert_eq!(
        (items, error),
        (vec![Incoming::Message(Message::binary(noise))], None)
    );
}

#[test]
fn what_would_not_become_shorter_is_sent_as_it_is() {
    for payload in [vec![], b"hi".to_vec(), noise(10_000)] {
        assert_eq!(agreed().compress(&payload), None);
        let message = Message::binary(payload);
        let (mut plain, mut out) = (BytesMut::new(), BytesMut::new());
        frame::encode_message(&mut plain, &message);
        compression::encode_message(&mut out, &message, agreed());
        assert_eq!(out, plain);
    }
}

#[test]
fn nothing_that_we_compress_points_back_further_than_the_window() {
    // Likeness at every distance up to 32 KiB, which a larger window would use.
    let payload = noise(5_000).repeat(8);
    for bits in 9..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let mut rest = &negotiate(&[&offer])
            .unwrap()
            .compress(&[&payload[..], &[0; 9000]].concat())
            .unwrap()[..];
        // In small steps, so that the inflater needs its window and cannot look into the output.
        let mut inflater = Decompress::new_with_window_bits(false, bits);
        let (mut out, mut step) = (Vec::new(), [0; 100]);
        while out.len() < payload.len() {
            let (taken, made) = (inflater.total_in(), inflater.total_out());
            inflater
                .decompress(rest, &mut step, FlushDecompress::None)
                .expect(&offer);
            rest = &rest[(inflater.total_in() - taken) as usize..];
            out.extend_from_slice(&step[..(inflater.total_out() - made) as usize]);
        }
        assert_eq!(out[..payload.len()], payload, "{bits}");
    }
}

proptest! {
    #[test]
    fn what_we_compress_arrives_whatever_the_window(
        messages in prop::collection::vec(any_message(), 1..5),
        bits in 9..=15,
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let deflate = negotiate(&[&offer]).unwrap();
        let mut wire = BytesMut::new();
        for message in &messages {
            compression::encode_message(&mut wire, message, deflate);
        }
        let (items, error) = decode_pieces(&mut decoder(Role::Client), cut(&wire, &cuts));
        prop_assert_eq!(error, None);
        let expected: Vec<_> = messages.into_iter().map(Incoming::Message).collect();
        prop_assert_eq!(items, expected);
    }

    #[test]
    fn what_others_compress_arrives_whatever_the_cuts(
        message in any_message(),
        fragments in prop::collection::vec(any::<usize>(), 0..4),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let payload = deflated(message.as_bytes());
        let pieces = cut(&payload, &fragments);
        let mut wire = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let fin = if i + 1 == pieces.len() { 0x80 } else { 0 };
            let opcode = match (i, &message) {
                (0, Message::Text(_)) => 0x41,
                (0, Message::Binary(_)) => 0x42,
                _ => 0x00,
            };
            wire.extend(masked(fin | opcode, piece));
        }
        let decoded = decode_pieces(&mut decoder(Role::Server), cut(&wire, &cuts));
        prop_assert_eq!(decoded, (vec![Incoming::Message(message)], None));
    }

    #[test]
    fn a_broken_stream_never_panics_and_never_gives_more_than_the_limit(
        mut payload in prop::collection::vec(any::<u8>(), 0..400),
        text in "[a-c]{0,300}",
        broken in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4),
    ) {
        payload.extend(deflated(text.as_bytes()));
        for (at, byte) in broken {
            let at = at % payload.len();
            payload[at] ^= byte;
        }
        let limit = 100;
        let mut decoder = Decoder::new(Role::Server, limit).with_deflate(agreed());
        for start in [0, payload.len().min(400)] {
            let wire = masked(FIN_BINARY_DEFLATED, &payload[start..]);
            let (items, _) = decode_pieces(&mut decoder, [&wire[..]]);
            for item in items {
                let Incoming::Message(message) = item else { panic!("{item:?}") };
                prop_assert!(message.len() <= limit);
            }
        }
    }
}

#[test]
fn what_does_not_compress_leaves_the_compressor_fit_for_what_does() {
    // Noise from a generator that needs no crate.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(300_000)
    .collect();
    let lines = "again and again ".repeat(20_000);
    for _ in 0..4 {
        for payload in [&noise[..], &noise[..40_000], lines.as_bytes()] {
            let mut out = BytesMut::new();
            let message = Message::binary(payload.to_vec());
            compression::encode_message(&mut out, &message, agreed());
            let (items, error) = decode_pieces(&mut decoder_of_any_size(), [&out[..]]);
            assert_eq!((items, error), (vec![Incoming::Message(message)], None));
        }
    }
}

fn decoder_of_any_size() -> Decoder {
    Decoder::new(Role::Client, usize::MAX).with_deflate(agreed())
}
