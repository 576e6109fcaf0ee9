//! What is encoded decodes to the same, however the bytes are cut; with tungstenite as an independent judge.

use std::io::{self, Cursor, Read, Write};

use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::coding::CloseCode as TheirCode;
use tungstenite::protocol::{CloseFrame, Role as TheirRole, WebSocketConfig};
use tungstenite::{Error, Message as Theirs, WebSocket};

use super::*;

proptest! {
    #[test]
    fn what_a_client_sends_is_received_whatever_the_cuts(
        items in prop::collection::vec(any_item(), 0..8),
        mask: [u8; 4],
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut wire = BytesMut::new();
        for item in &items {
            let (opcode, payload) = parts(item);
            frame::encode_masked(&mut wire, opcode, &payload, mask);
        }
        let decoded = decode_pieces(&mut Decoder::new(Role::Server, LIMIT), cut(&wire, &cuts));
        prop_assert_eq!(decoded, (items, None));
    }

    #[test]
    fn what_a_server_sends_is_received_whatever_the_cuts(
        items in prop::collection::vec(any_item(), 0..8),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut wire = BytesMut::new();
        for item in &items {
            match item {
                Incoming::Message(message) => frame::encode_message(&mut wire, message),
                other => {
                    let (opcode, payload) = parts(other);
                    frame::encode(&mut wire, opcode, &payload);
                }
            }
        }
        let decoded = decode_pieces(&mut Decoder::new(Role::Client, LIMIT), cut(&wire, &cuts));
        prop_assert_eq!(decoded, (items, None));
    }

    #[test]
    fn a_message_may_be_cut_into_any_fragments(
        message in any_message(),
        fragments in prop::collection::vec(any::<usize>(), 0..6),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let pieces = cut(message.as_bytes(), &fragments);
        let mut wire = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let opcode = match (i, &message) {
                (0, Message::Text(_)) => 0x01,
                (0, Message::Binary(_)) => 0x02,
                _ => 0x00,
            };
            let fin = if i + 1 == pieces.len() { 0x80 } else { 0 };
            wire.extend(masked(fin | opcode, piece));
            wire.extend(masked(0x89, b"between"));
        }
        let mut decoder = Decoder::new(Role::Server, LIMIT);
        let (items, error) = decode_pieces(&mut decoder, cut(&wire, &cuts));
        prop_assert_eq!(error, None);
        let messages: Vec<_> = items
            .into_iter()
            .filter(|item| !matches!(item, Incoming::Ping(_)))
            .collect();
        prop_assert_eq!(messages, [Incoming::Message(message)]);
    }

    #[test]
    fn what_tungstenite_sends_as_a_client_we_receive(
        items in prop::collection::vec(any_item(), 0..8),
        close in prop::option::of(any_close()),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut judge = WebSocket::from_raw_socket(Pipe::default(), TheirRole::Client, None);
        for item in &items {
            judge.write(to_theirs(item)).unwrap();
        }
        judge.close(close.as_ref().map(close_to_theirs)).unwrap();
        judge.flush().unwrap();
        let wire = &judge.get_ref().written;

        let decoded = decode_pieces(&mut Decoder::new(Role::Server, LIMIT), cut(wire, &cuts));
        let mut expected = items;
        expected.push(Incoming::Close(close));
        prop_assert_eq!(decoded, (expected, None));
    }

    #[test]
    fn what_we_send_as_a_server_tungstenite_receives(
        items in prop::collection::vec(any_item(), 0..8),
        close in any_close(),
    ) {
        let mut wire = BytesMut::new();
        for item in &items {
            let (opcode, payload) = parts(item);
            frame::encode(&mut wire, opcode, &payload);
        }
        frame::encode_close(&mut wire, &close);

        let pipe = Pipe { input: Cursor::new(wire.to_vec()), written: Vec::new() };
        let mut judge = WebSocket::from_raw_socket(pipe, TheirRole::Client, None);
        for item in &items {
            prop_assert_eq!(judge.read().unwrap(), to_theirs(item));
        }
        prop_assert_eq!(judge.read().unwrap(), Theirs::Close(Some(close_to_theirs(&close))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn we_and_tungstenite_take_and_refuse_the_same(
        frames in prop::collection::vec(any_frame(), 1..12),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let wire = frames.concat();
        let (items, error) = decode_pieces(&mut Decoder::new(Role::Server, 600), cut(&wire, &cuts));
        let ours: Vec<_> = items.iter().map(to_theirs).collect();

        let pipe = Pipe { input: Cursor::new(wire), written: Vec::new() };
        let limits = WebSocketConfig::default()
            .read_buffer_size(4096)
            .max_message_size(Some(600))
            .max_frame_size(Some(600));
        let mut judge = WebSocket::from_raw_socket(pipe, TheirRole::Server, Some(limits));
        let mut theirs = Vec::new();
        let their_error = loop {
            match judge.read() {
                Ok(item) if item.is_close() => {
                    theirs.push(item);
                    break None;
                }
                Ok(item) => theirs.push(item),
                Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break None,
                Err(error) => break Some(error),
            }
        };
        prop_assert_eq!(ours, theirs);
        match (error.map(|error| error.close.code), their_error) {
            (None, None) => {}
            (Some(CloseCode::INVALID_DATA), Some(Error::Utf8(_))) => {}
            (Some(CloseCode::TOO_LARGE), Some(Error::Capacity(_))) => {}
            // A frame may be too large and out of place.
            (Some(CloseCode::PROTOCOL), Some(Error::Protocol(_) | Error::Capacity(_))) => {}
            // Text that breaks before its message is whole: we do not wait for the rest, which here never comes.
            (Some(CloseCode::INVALID_DATA), None) => {}
            (ours, theirs) => prop_assert!(false, "{ours:?} and {theirs:?}"),
        }
    }
}

/// A masked frame that is lawful by itself, mostly.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        10 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => prop::sample::select(vec![0x88, 0x83, 0x8b, 0x09, 0xc1, 0x92]),
    ];
    let payload = prop_oneof![
        4 => "\\PC{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => (0_usize..700).prop_map(|len| vec![b'x'; len]),
    ];
    (first, payload, any_close()).prop_map(|(first, payload, close)| match first {
        0x88 => masked(first, &frame::close_payload(&close)),
        _ => masked(first, &payload),
    })
}

fn any_item() -> impl Strategy<Value = Incoming> {
    let control = || prop::collection::vec(any::<u8>(), 0..=frame::MAX_CONTROL);
    prop_oneof![
        4 => any_message().prop_map(Incoming::Message),
        1 => control().prop_map(|bytes| Incoming::Ping(bytes.into())),
        1 => control().prop_map(|bytes| Incoming::Pong(bytes.into())),
    ]
}

fn parts(item: &Incoming) -> (Opcode, Vec<u8>) {
    match item {
        Incoming::Message(message) => (Opcode::of(message), message.as_bytes().to_vec()),
        Incoming::Ping(payload) => (Opcode::Ping, payload.to_vec()),
        Incoming::Pong(payload) => (Opcode::Pong, payload.to_vec()),
        Incoming::Close(close) => {
            let payload = close.as_ref().map(frame::close_payload);
            (Opcode::Close, payload.unwrap_or_default())
        }
    }
}

fn to_theirs(item: &Incoming) -> Theirs {
    match item {
        Incoming::Message(Message::Text(text)) => Theirs::text(text.to_string()),
        Incoming::Message(Message::Binary(bytes)) => Theirs::binary(bytes.clone()),
        Incoming::Ping(payload) => Theirs::Ping(payload.clone()),
        Incoming::Pong(payload) => Theirs::Pong(payload.clone()),
        Incoming::Close(close) => Theirs::Close(close.as_ref().map(close_to_theirs)),
    }
}

fn close_to_theirs(close: &Close) -> CloseFrame {
    CloseFrame {
        code: TheirCode::from(close.code.get()),
        reason: close.reason.to_string().into(),
    }
}

/// A socket that has received `input` and remembers what is written.
#[derive(Default)]
struct Pipe {
    input: Cursor<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
