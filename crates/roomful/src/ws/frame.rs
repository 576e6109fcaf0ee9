//! Frames as they lie on the wire, written and read (RFC 6455, section 5.2).
//!
//! ```text
//! byte 0   FIN RSV1 RSV2 RSV3 opcode(4)
//! byte 1   MASK length(7); 126: two more bytes hold the length, 127: eight more
//! then     four bytes of mask if MASK is set, then the payload
//! ```
//!
//! A server's frames are not masked, so one encoded message may be sent to any number of clients.

use std::ops::Deref;

use bytes::{BufMut, BytesMut};

use super::error::Violation;
use crate::{Close, CloseCode, Message};

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// The longest payload of a control frame (RFC 6455, section 5.5).
pub const MAX_CONTROL: usize = 125;

/// The longest header: two bytes, eight of length, four of mask.
pub(super) const MAX_HEADER: usize = 14;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation,
    /// A text message, or its first fragment.
    Text,
    /// A binary message, or its first fragment.
    Binary,
    /// The end, with a code and a reason.
    Close,
    /// A question whether the peer is there.
    Ping,
    /// The answer to a ping.
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether this is a control frame: at most [`MAX_CONTROL`] bytes, never fragmented, allowed inside a message.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// The opcode of a whole message.
    pub const fn of(message: &Message) -> Self {
        match message {
            Message::Text(_) => Self::Text,
            Message::Binary(_) => Self::Binary,
        }
    }
}

/// The header of an unmasked frame that is whole in itself (FIN set), for payloads that are shared and not copied.
///
/// ```
/// use roomful::ws::{Opcode, frame::FrameHeader};
///
/// assert_eq!(*FrameHeader::new(Opcode::Text, 5), [0x81, 5]);
/// assert_eq!(*FrameHeader::new(Opcode::Binary, 256).compressed(), [0xc2, 126, 1, 0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FrameHeader {
    bytes: [u8; 10],
    len: u8,
}

impl FrameHeader {
    /// The header before a payload of `payload_len` bytes.
    pub const fn new(opcode: Opcode, payload_len: usize) -> Self {
        let mut bytes = [0; 10];
        bytes[0] = FIN | opcode.bits();
        let len = if payload_len <= 125 {
            bytes[1] = payload_len as u8;
            2
        } else if payload_len <= u16::MAX as usize {
            bytes[1] = 126;
            let length = (payload_len as u16).to_be_bytes();
            (bytes[2], bytes[3]) = (length[0], length[1]);
            4
        } else {
            let [a, b, c, d, e, f, g, h] = (payload_len as u64).to_be_bytes();
            bytes = [bytes[0], 127, a, b, c, d, e, f, g, h];
            10
        };
        Self { bytes, len }
    }

    /// The same with RSV1 set: the payload is compressed (RFC 7692, section 6).
    pub const fn compressed(mut self) -> Self {
        self.bytes[0] |= RSV1;
        self
    }
}

impl Deref for FrameHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Appends one unmasked frame with FIN, as a server sends it.
///
/// The payload of a control frame has at most [`MAX_CONTROL`] bytes; the caller sees to that.
pub fn encode(out: &mut BytesMut, opcode: Opcode, payload: &[u8]) {
    debug_assert!(!opcode.is_control() || payload.len() <= MAX_CONTROL);
    let header = FrameHeader::new(opcode, payload.len());
    out.reserve(header.len() + payload.len());
    out.put_slice(&header);
    out.put_slice(payload);
}

/// Appends a message as one unmasked frame, not compressed.
pub fn encode_message(out: &mut BytesMut, message: &Message) {
    encode(out, Opcode::of(message), message.as_bytes());
}

/// Appends an unmasked Close frame.
///
/// Codes that only report how a connection ended (1005 and 1006) may not be sent and give an empty body.
pub fn encode_close(out: &mut BytesMut, close: &Close) {
    encode(out, Opcode::Close, &close_payload(close));
}

/// Appends one masked frame with FIN, as a client sends it. The mask should come from a good source of randomness
/// (RFC 6455, section 5.3).
pub fn encode_masked(out: &mut BytesMut, opcode: Opcode, payload: &[u8], mask: [u8; 4]) {
    debug_assert!(!opcode.is_control() || payload.len() <= MAX_CONTROL);
    let mut header = FrameHeader::new(opcode, payload.len());
    header.bytes[1] |= MASK;
    out.reserve(header.len() + mask.len() + payload.len());
    out.put_slice(&header);
    out.put_slice(&mask);
    let start = out.len();
    out.put_slice(payload);
    apply_mask(&mut out[start..], mask);
}

/// The body of a Close frame: the code and the reason, or nothing for a code that may not be sent.
pub fn close_payload(close: &Close) -> Vec<u8> {
    if CloseCode::new(close.code.get()).is_none() {
        return Vec::new();
    }
    // The fields are public: the reason may be longer than a constructor would have let through.
    let end = close.reason.floor_char_boundary(Close::MAX_REASON);
    [
        &close.code.get().to_be_bytes(),
        close.reason[..end].as_bytes(),
    ]
    .concat()
}

/// Masks or unmasks in place, eight bytes a step; the compiler makes wider steps of it.
pub(super) fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The header of a frame that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IncomingHeader {
    pub(super) fin: bool,
    pub(super) rsv1: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) payload_len: u64,
}

impl IncomingHeader {
    /// Reads the header at the front of `bytes`; `None` while it is not all there. Gives its size too.
    ///
    /// Checks what a frame must obey by itself, as soon as the bytes that tell are there. What depends on the
    /// connection (role, extensions, frames before) is the decoder's.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        if first & RSV2_RSV3 != 0 {
            return Err(Violation::ReservedBits);
        }
        let fin = first & FIN != 0;
        let opcode = Opcode::from_bits(first & OPCODE).ok_or(Violation::ReservedOpcode)?;
        if opcode.is_control() && !fin {
            return Err(Violation::FragmentedControl);
        }

        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let (payload_len, rest) = match second & LENGTH {
            126 | 127 if opcode.is_control() => return Err(Violation::LongControl),
            126 => {
                let Some((length, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let length = u64::from(u16::from_be_bytes(*length));
                if length < 126 {
                    return Err(Violation::LongLength);
                }
                (length, rest)
            }
            127 => {
                let Some((length, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let length = u64::from_be_bytes(*length);
                if length >> 63 != 0 {
                    return Err(Violation::LengthHighBit);
                }
                if length <= u64::from(u16::MAX) {
                    return Err(Violation::LongLength);
                }
                (length, rest)
            }
            length => (u64::from(length), rest),
        };
        let (mask, rest) = if second & MASK == 0 {
            (None, rest)
        } else {
            let Some((mask, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(*mask), rest)
        };

        let header = Self {
            fin,
            rsv1: first & RSV1 != 0,
            opcode,
            mask,
            payload_len,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close_frame(close: &Close) -> Vec<u8> {
        let mut out = BytesMut::new();
        encode_close(&mut out, close);
        out.to_vec()
    }

    #[test]
    fn lengths_are_written_in_the_fewest_bytes() {
        for (len, header) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(*FrameHeader::new(Opcode::Binary, len), *header, "{len}");
        }
    }

    #[test]
    fn the_examples_of_rfc_6455_section_5_7_are_written_as_they_stand_there() {
        let mut out = BytesMut::new();
        encode(&mut out, Opcode::Text, b"Hello");
        assert_eq!(out[..], [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);

        out.clear();
        encode_masked(&mut out, Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        let masked = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(out[..], masked);
    }

    #[test]
    fn a_close_that_only_reports_has_an_empty_body() {
        for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL] {
            assert_eq!(close_frame(&Close::new(code, "gone")), [0x88, 0]);
        }
        let normal = close_frame(&Close::new(CloseCode::NORMAL, "ok"));
        assert_eq!(normal, [0x88, 4, 0x03, 0xe8, b'o', b'k']);
    }

    #[test]
    fn a_reason_that_is_too_long_is_cut_at_a_character() {
        let close = Close {
            code: CloseCode::NORMAL,
            reason: "é".repeat(100).into(),
        };
        let frame = close_frame(&close);
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }

    #[test]
    fn masking_is_the_same_for_every_length_and_offset() {
        let bytes: Vec<u8> = (0..100).collect();
        let mask = [1, 20, 255, 77];
        for start in 0..9 {
            for end in start..bytes.len() {
                let mut fast = bytes[start..end].to_vec();
                apply_mask(&mut fast, mask);
                let plain = bytes[start..end].iter().enumerate();
                let slow: Vec<u8> = plain.map(|(i, byte)| byte ^ mask[i % 4]).collect();
                assert_eq!(fast, slow);
            }
        }
    }
}
