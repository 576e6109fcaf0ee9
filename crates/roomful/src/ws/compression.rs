//! permessage-deflate (RFC 7692), without context takeover in either direction.
//!
//! No context means that a message is compressed once for everybody who negotiated the same, and that the compressor
//! and the inflater belong to the thread: an idle connection costs nothing, where a context of its own would cost tens
//! of kilobytes. What it gives away is the likeness between messages.

use std::cell::RefCell;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

use super::error::Violation;
use super::extensions::{self, Extension};
use super::frame::{self, FrameHeader, Opcode};
use crate::Message;

const NAME: &str = "permessage-deflate";

/// zlib writes no smaller window than 2^9; an offer of 2^8 is declined rather than broken.
const MIN_WINDOW_BITS: u8 = 9;
const MAX_WINDOW_BITS: u8 = 15;

/// What a sync flush ends with. It does not travel (RFC 7692, section 7.2.1).
const SYNC_MARKER: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The marker again, and an empty final block: only a stream that was at the end of a block ends with it.
const STREAM_END: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

thread_local! {
    /// One compressor for each size of window, made when it is first needed (about 300 KiB for the largest).
    static COMPRESSORS: RefCell<[Option<Compress>; 7]> = const { RefCell::new([const { None }; 7]) };
    /// Inflates every window, as it is the largest.
    static INFLATER: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// An agreement on permessage-deflate. Members with equal ones can be sent the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deflate {
    /// How far back, as a power of two, what we compress may point: 9 to 15.
    window_bits: u8,
    /// Whether the answer has to repeat the window, because the offer named one.
    window_offered: bool,
}

impl Deflate {
    /// The first offer among `Sec-WebSocket-Extensions` that can be kept to the letter.
    ///
    /// An offer with unknown, doubled or senseless parameters is passed over (RFC 7692, section 7), a header that does
    /// not follow the grammar altogether.
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let mut offers = Vec::new();
        for line in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            offers.extend(extensions::parse(line.to_str().ok()?)?);
        }
        offers.iter().find_map(Self::accept)
    }

    fn accept(offer: &Extension<'_>) -> Option<Self> {
        if offer.name != NAME {
            return None;
        }
        let mut agreed = Self {
            window_bits: MAX_WINDOW_BITS,
            window_offered: false,
        };
        for (i, (name, value)) in offer.params.iter().enumerate() {
            if offer.params[..i].iter().any(|(earlier, _)| earlier == name) {
                return None;
            }
            match (*name, value.as_deref()) {
                // We keep no context, and ask the same of the client, whether it offers it or not.
                ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
                // A hint that we may limit the client's window. Ours takes every window, so it is not answered.
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => {
                    parse_window_bits(bits)?;
                }
                ("server_max_window_bits", Some(bits)) => {
                    agreed.window_bits =
                        parse_window_bits(bits).filter(|bits| *bits >= MIN_WINDOW_BITS)?;
                    agreed.window_offered = true;
                }
                _ => return None,
            }
        }
        Some(agreed)
    }

    /// The value of `Sec-WebSocket-Extensions` that agrees to this.
    pub fn response(self) -> HeaderValue {
        let mut value = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        if self.window_offered {
            value.push_str("; server_max_window_bits=");
            value.push_str(&self.window_bits.to_string());
        }
        HeaderValue::try_from(value).expect("names and a number are a valid header value")
    }

    /// Compresses a payload, with the thread's compressor; `None` if that would not make it shorter.
    pub fn compress(self, payload: &[u8]) -> Option<Bytes> {
        COMPRESSORS.with_borrow_mut(|compressors| {
            let index = usize::from(self.window_bits - MIN_WINDOW_BITS);
            let compressor = compressors[index].get_or_insert_with(|| {
                Compress::new_with_window_bits(Compression::fast(), false, self.window_bits)
            });
            compressor.reset();
            // Room for the worst case, a ninth bit for each byte: zlib-rs panics in what follows a `reset` of a
            // compressor that had to hold bytes back.
            let mut out = Vec::with_capacity(payload.len() + payload.len() / 8 + 64);
            compressor
                .compress_vec(payload, &mut out, FlushCompress::Sync)
                .ok()?;
            let complete = compressor.total_in() == payload.len() as u64;
            // zlib may hold bytes back whenever it has filled the room that it was given.
            if !complete || out.len() == out.capacity() || !out.ends_with(&SYNC_MARKER) {
                compressors[index] = None;
                return None;
            }
            out.truncate(out.len() - SYNC_MARKER.len());
            (out.len() < payload.len()).then(|| out.into())
        })
    }
}

/// 8 to 15, in decimal without leading zeros (RFC 7692, section 7.1.2).
fn parse_window_bits(value: &str) -> Option<u8> {
    match value {
        "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15" => value.parse().ok(),
        _ => None,
    }
}

/// Appends a message as one unmasked frame, compressed if that makes it shorter.
pub fn encode_message(out: &mut BytesMut, message: &Message, deflate: Deflate) {
    match deflate.compress(message.as_bytes()) {
        Some(payload) => {
            let header = FrameHeader::new(Opcode::of(message), payload.len()).compressed();
            out.reserve(header.len() + payload.len());
            out.put_slice(&header);
            out.put_slice(&payload);
        }
        None => frame::encode_message(out, message),
    }
}

/// Inflates a whole message with the thread's inflater, and stops as soon as it has more than `max_bytes`.
pub(super) fn inflate(mut compressed: Vec<u8>, max_bytes: usize) -> Result<Vec<u8>, Violation> {
    let body_len = compressed.len();
    compressed.extend_from_slice(&STREAM_END);
    // One byte more than allowed tells a message that is too large from one that just fits.
    let max_room = max_bytes.saturating_add(1);
    let mut out = Vec::with_capacity(
        body_len
            .saturating_mul(4)
            .clamp(64, 64 * 1024)
            .min(max_room),
    );
    let mut input = &compressed[..];

    INFLATER.with_borrow_mut(|inflater| {
        inflater.reset(false);
        loop {
            if out.len() == out.capacity() {
                out.reserve_exact(out.len().max(64).min(max_room - out.len()));
            }
            let (taken_before, len_before) = (inflater.total_in(), out.len());
            let status = inflater
                .decompress_vec(input, &mut out, FlushDecompress::None)
                .map_err(|_| Violation::NotDeflate)?;
            let taken = (inflater.total_in() - taken_before) as usize;
            input = &input[taken..];
            if out.len() > max_bytes {
                return Err(Violation::TooLarge);
            }

            let body_left = input.len().saturating_sub(STREAM_END.len());
            match status {
                Status::StreamEnd if input.is_empty() => return Ok(out),
                // A final block inside of the message is allowed, and another one may follow it (RFC 7692, 7.2.3.4).
                // Where it is the very end, the byte that should stand for its flush is missing; zlib's users do so.
                Status::StreamEnd if input.len() == STREAM_END.len() => return Ok(out),
                Status::StreamEnd if body_left > 0 => inflater.reset(false),
                Status::StreamEnd => return Err(Violation::NotDeflate),
                Status::Ok | Status::BufError => {
                    // Nothing moved though there is room: the message breaks off in the middle of a block.
                    if taken == 0 && out.len() == len_before {
                        return Err(Violation::NotDeflate);
                    }
                }
            }
        }
    })
}
