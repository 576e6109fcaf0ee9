//! Each rule of RFC 6455, what keeps it and what breaks it.

use bytes::Bytes;

use super::*;

const FIN_TEXT: u8 = 0x81;
const FIN_BINARY: u8 = 0x82;
const FIN_CONTINUATION: u8 = 0x80;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

fn text(text: &str) -> Incoming {
    Incoming::Message(Message::text(text))
}

/// The header of a masked frame as it is written here, before anything that checks it.
fn header(first: u8, length: &[u8]) -> Vec<u8> {
    [&[first, length[0] | 0x80], &length[1..], &[0; 4]].concat()
}

#[track_caller]
fn assert_broken(bytes: &[u8], code: u16) {
    let (items, error) = decode(bytes);
    let close = error.expect("the rule is broken").close;
    assert_eq!(close.code.get(), code, "{close}");
    assert_eq!(items, []);
    // However slowly it comes.
    let mut decoder = Decoder::new(Role::Server, LIMIT);
    let (_, error) = decode_pieces(&mut decoder, bytes.chunks(1));
    assert_eq!(error.expect("the rule is broken").close, close);
}

#[test]
fn reserved_bits_are_refused_with_1002() {
    for bit in [0x40, 0x20, 0x10] {
        for opcode in [FIN_TEXT, FIN_BINARY, CLOSE, PING, PONG] {
            assert_broken(&masked(opcode | bit, b""), 1002);
        }
    }
}

#[test]
fn reserved_opcodes_are_refused_with_1002() {
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        assert_broken(&masked(0x80 | opcode, b""), 1002);
        assert_broken(&masked(opcode, b"data"), 1002);
    }
}

#[test]
fn control_frames_are_short_and_whole() {
    for opcode in [CLOSE, PING, PONG] {
        assert_broken(&masked(opcode & 0x0f, b""), 1002);
        assert_broken(&masked(opcode, &[0; 126]), 1002);
        assert_broken(&header(opcode, &[127, 0, 0, 0, 0, 0, 1, 0, 0]), 1002);
    }
    let (items, error) = decode(&masked(PING, &[b'x'; 125]));
    assert_eq!(error, None);
    assert_eq!(items, [Incoming::Ping(Bytes::from(vec![b'x'; 125]))]);
}

#[test]
fn a_server_wants_masked_frames_and_a_client_plain_ones() {
    assert_broken(&[FIN_TEXT, 0], 1002);
    assert_broken(&[PING, 0], 1002);

    let mut client = Decoder::new(Role::Client, LIMIT);
    let (items, error) = decode_pieces(&mut client, [&masked(FIN_TEXT, b"hi")[..]]);
    assert_eq!(items, []);
    assert_eq!(error.unwrap().close.code, CloseCode::PROTOCOL);
}

#[test]
fn lengths_are_written_in_the_fewest_bytes_without_the_highest_bit() {
    for length in [
        &[126, 0, 0][..],
        &[126, 0, 125],
        &[127, 0, 0, 0, 0, 0, 0, 0, 1],
        &[127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        &[127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        &[127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_broken(&header(FIN_BINARY, length), 1002);
    }
    for len in [0, 1, 125, 126, 127, 128, 65_535, 65_536] {
        let message = Message::binary(vec![5; len]);
        let (items, error) = decode(&masked(FIN_BINARY, message.as_bytes()));
        assert_eq!((items, error), (vec![Incoming::Message(message)], None));
    }
}

#[test]
fn a_message_over_the_limit_is_refused_on_its_header_with_1009() {
    assert_broken(&header(FIN_BINARY, &[127, 0, 0, 0, 0, 0, 1, 0, 1]), 1009);
    assert_broken(
        &header(
            FIN_BINARY,
            &[127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        1009,
    );
}

#[test]
fn the_limit_counts_all_fragments_of_a_message_and_no_control_frame() {
    let half = vec![0; LIMIT / 2];
    let mut bytes = masked(0x02, &half);
    bytes.extend(masked(PING, b"does not count"));
    bytes.extend(masked(0x00, &half));
    let (items, error) = decode(&bytes);
    assert_eq!((items.len(), error), (1, None));

    let last = header(FIN_CONTINUATION, &[1]);
    let (items, error) = decode(&[&bytes[..], &last].concat());
    assert_eq!(items.len(), 1);
    assert_eq!(error.unwrap().close.code, CloseCode::TOO_LARGE);

    bytes.extend(masked(FIN_CONTINUATION, b""));
    let (items, error) = decode(&[bytes, masked(FIN_TEXT, b"next")].concat());
    assert_eq!(error, None);
    assert_eq!(items[1], Incoming::Message(Message::binary(vec![0; LIMIT])));
    assert_eq!(items[2], text("next"));
}

#[test]
fn fragments_follow_each_other_and_control_frames_may_stand_between() {
    let bytes = [
        masked(0x01, b"a"),
        masked(PING, b"ping"),
        masked(0x00, b""),
        masked(PONG, b"pong"),
        masked(FIN_CONTINUATION, b"b"),
    ]
    .concat();
    let (items, error) = decode(&bytes);
    assert_eq!(error, None);
    let ping = Incoming::Ping(Bytes::from_static(b"ping"));
    let pong = Incoming::Pong(Bytes::from_static(b"pong"));
    assert_eq!(items, [ping, pong, text("ab")]);
}

#[test]
fn fragments_out_of_order_are_refused_with_1002() {
    assert_broken(&masked(FIN_CONTINUATION, b"nothing before"), 1002);
    assert_broken(&masked(0x00, b"nothing before"), 1002);
    for first in [0x01, 0x02] {
        for second in [0x01, 0x02, FIN_TEXT, FIN_BINARY] {
            assert_broken(
                &[masked(first, b"begun"), masked(second, b"again")].concat(),
                1002,
            );
        }
    }
    // A message that has ended cannot be continued.
    let (items, error) = decode(
        &[
            masked(FIN_TEXT, b"whole"),
            masked(FIN_CONTINUATION, b"more"),
        ]
        .concat(),
    );
    assert_eq!(items, [text("whole")]);
    assert_eq!(error.unwrap().close.code, CloseCode::PROTOCOL);
}

#[test]
fn a_close_says_why_or_nothing_at_all() {
    let close = |payload: &[u8]| decode(&masked(CLOSE, payload));
    assert_eq!(close(b""), (vec![Incoming::Close(None)], None));

    let normal = Close::new(CloseCode::NORMAL, "bye");
    let with_reason = close(b"\x03\xe8bye");
    assert_eq!(with_reason, (vec![Incoming::Close(Some(normal))], None));

    for code in (1000..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999])
    {
        let (items, error) = close(&u16::to_be_bytes(code));
        let expected = Close::code(CloseCode::new(code).unwrap());
        assert_eq!(
            (items, error),
            (vec![Incoming::Close(Some(expected))], None)
        );
    }
}

#[test]
fn a_close_that_may_not_be_is_refused() {
    assert_broken(&masked(CLOSE, b"\x03"), 1002);
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16,
    ] {
        assert_broken(&masked(CLOSE, &code.to_be_bytes()), 1002);
    }
    assert_broken(&masked(CLOSE, b"\x03\xe8\xff"), 1007);
    assert_broken(&masked(CLOSE, b"\x03\xe8cut \xe2\x82"), 1007);
}

#[test]
fn nothing_is_decoded_after_a_close() {
    let mut decoder = Decoder::new(Role::Server, LIMIT);
    let unfinished = masked(0x01, b"an unfinished message");
    let close = masked(CLOSE, b"");
    let (items, error) = decode_pieces(
        &mut decoder,
        [
            &unfinished[..],
            &close,
            &masked(FIN_TEXT, b"late"),
            &[0xff; 40],
        ],
    );
    assert_eq!((items, error), (vec![Incoming::Close(None)], None));
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn nothing_is_decoded_after_an_error_and_it_is_repeated() {
    let mut decoder = Decoder::new(Role::Server, LIMIT);
    let bytes = [masked(0x01, b"begun"), masked(0x83, b"")].concat();
    let (_, first) = decode_pieces(&mut decoder, [&bytes[..]]);
    let (items, second) = decode_pieces(&mut decoder, [&masked(FIN_TEXT, b"fine")[..]]);
    assert_eq!(items, []);
    assert!(first.is_some());
    assert_eq!(first, second);
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn a_character_may_be_cut_in_two_by_fragments_and_by_reads() {
    let word = "κόσμε€😀";
    for at in 0..=word.len() {
        let (first, second) = word.as_bytes().split_at(at);
        let bytes = [masked(0x01, first), masked(FIN_CONTINUATION, second)].concat();
        for size in [1, 2, 3, 7, 100] {
            let mut decoder = Decoder::new(Role::Server, LIMIT);
            let decoded = decode_pieces(&mut decoder, bytes.chunks(size));
            assert_eq!(decoded, (vec![text(word)], None));
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_with_1007() {
    for bad in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe2\x82",
        b"caf\xe9",
    ] {
        assert_broken(&masked(FIN_TEXT, bad), 1007);
        assert_broken(
            &[masked(0x01, bad), masked(FIN_CONTINUATION, b"")].concat(),
            1007,
        );
    }
    // Binary messages may be anything.
    let (items, _) = decode(&masked(FIN_BINARY, b"\xff"));
    assert_eq!(items, [Incoming::Message(Message::binary(&b"\xff"[..]))]);
}

#[test]
fn text_fails_at_the_first_byte_that_cannot_be_utf8_while_its_frame_is_still_arriving() {
    // U+110000 would be F4 90 80 80: the second byte gives it away.
    let frame = masked(FIN_TEXT, b"\xce\xba\xe1\xbd\xb9\xf4\x90\x80\x80edited");
    let fatal = 6 + 6;
    let mut decoder = Decoder::new(Role::Server, LIMIT);
    let (_, error) = decode_pieces(&mut decoder, [&frame[..fatal]]);
    assert_eq!(error, None);
    let (_, error) = decode_pieces(&mut decoder, [&frame[fatal..=fatal]]);
    assert_eq!(error.unwrap().close.code, CloseCode::INVALID_DATA);
}

#[test]
fn an_idle_decoder_is_small_and_holds_no_memory() {
    assert!(size_of::<Decoder>() <= 128, "{}", size_of::<Decoder>());

    let mut decoder = Decoder::new(Role::Server, LIMIT);
    let bytes = [
        masked(0x01, b"one "),
        masked(PING, b"?"),
        masked(0x80, b"two"),
    ]
    .concat();
    let (items, _) = decode_pieces(&mut decoder, bytes.chunks(2));
    assert_eq!(items.len(), 2);
    assert_eq!(decoder.buffered_bytes(), 0);
}

#[test]
fn a_decoder_does_not_show_what_people_say() {
    let mut decoder = Decoder::new(Role::Server, LIMIT);
    decode_pieces(&mut decoder, [&masked(0x01, b"secret")[..]]);
    assert!(!format!("{decoder:?}").contains("secret"));
}
