//! The decoder: bytes in, messages and control frames out (RFC 6455, sections 5 to 8).
//!
//! A [`Decoder`] keeps only what has arrived of a frame or message that is not complete: a header in place, the
//! payload in one buffer for all fragments, which grows as bytes come and never by a length that a peer declares.
//! What lies whole in the input is copied and unmasked once, straight into the allocation that is handed out.

use std::{fmt, mem};

use bytes::Bytes;
use bytestring::ByteString;

use super::error::{ProtocolError, Violation};
use super::frame::{IncomingHeader, MAX_HEADER, Opcode, apply_mask};
use crate::{Close, CloseCode, Message};

/// Which end of the connection decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A server, whose peer must mask its frames.
    Server,
    /// A client, whose peer must not mask its frames.
    Client,
}

/// One thing that a peer has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message.
    Message(Message),
    /// A ping, to be answered by a pong with the same payload.
    Ping(Bytes),
    /// A pong, asked for or not.
    Pong(Bytes),
    /// The end; `None` if the Close frame was empty. Nothing is decoded after it.
    Close(Option<Close>),
}

/// Decodes one direction of one connection.
///
/// The driver reads into a buffer of its own, which many connections may share, and calls [`decode`](Self::decode)
/// until it has taken everything.
pub struct Decoder {
    max_message_bytes: usize,
    /// All that has arrived of the data message in progress, over all its fragments.
    payload: Vec<u8>,
    /// How much of `payload` is known to be UTF-8, if the message is text.
    valid_utf8: usize,
    /// What has arrived of a control frame, which may stand between the fragments of a message.
    control: Vec<u8>,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// The data message whose fragments are arriving.
    message: Option<MessageKind>,
    /// What has arrived of a header that is not complete.
    header: [u8; MAX_HEADER],
    header_len: u8,
    state: State,
    role: Role,
    deflate: bool,
}

#[derive(Clone, Copy)]
enum State {
    Open,
    Closed,
    Failed(Violation),
}

#[derive(Clone, Copy)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// Turned so that its first byte is for the next byte of payload.
    mask: Option<[u8; 4]>,
    remaining: usize,
}

#[derive(Clone, Copy)]
struct MessageKind {
    text: bool,
    compressed: bool,
}

impl Decoder {
    /// A decoder for a connection on which nothing has arrived, which takes messages of up to `max_message_bytes`.
    pub fn new(role: Role, max_message_bytes: usize) -> Self {
        Self {
            max_message_bytes,
            payload: Vec::new(),
            valid_utf8: 0,
            control: Vec::new(),
            frame: None,
            message: None,
            header: [0; MAX_HEADER],
            header_len: 0,
            state: State::Open,
            role,
            deflate: false,
        }
    }

    /// Takes compressed messages too, as was negotiated in the handshake.
    #[cfg(feature = "deflate")]
    pub fn with_deflate(mut self, _negotiated: super::compression::Deflate) -> Self {
        // Nothing of it matters here: the peer keeps no context, and we inflate any window.
        self.deflate = true;
        self
    }

    /// Takes bytes from the front of `input` until one item is complete.
    ///
    /// `None` means that all of `input` is taken and more is needed. After a Close everything is taken and ignored.
    ///
    /// # Errors
    /// The peer broke the protocol. What was buffered is freed, and every further call gives the same error.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, ProtocolError> {
        match self.state {
            State::Open => {}
            State::Closed => {
                *input = &[];
                return Ok(None);
            }
            State::Failed(violation) => return Err(violation.into()),
        }
        let item = self.advance(input);
        match item {
            Err(violation) => self.end(State::Failed(violation)),
            Ok(Some(Incoming::Close(_))) => self.end(State::Closed),
            Ok(_) => {}
        }
        Ok(item?)
    }

    /// How many bytes of memory are held for what is not complete; 0 when idle.
    pub fn buffered_bytes(&self) -> usize {
        self.payload.capacity() + self.control.capacity()
    }

    fn end(&mut self, state: State) {
        self.state = state;
        self.payload = Vec::new();
        self.control = Vec::new();
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, Violation> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.take_header(input)? {
                    Some(header) => self.begin_frame(header)?,
                    None => return Ok(None),
                },
            };
            let frame = self.take_payload(frame, input)?;
            if frame.remaining > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            let item = match frame.opcode {
                Opcode::Close => Some(Incoming::Close(parse_close(&mem::take(&mut self.control))?)),
                Opcode::Ping => Some(Incoming::Ping(mem::take(&mut self.control).into())),
                Opcode::Pong => Some(Incoming::Pong(mem::take(&mut self.control).into())),
                Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                    match self.message.take_if(|_| frame.fin) {
                        Some(message) => Some(Incoming::Message(self.finish_message(message)?)),
                        None => None,
                    }
                }
            };
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    fn take_header(&mut self, input: &mut &[u8]) -> Result<Option<IncomingHeader>, Violation> {
        let kept = usize::from(self.header_len);
        let fresh = input.len().min(MAX_HEADER - kept);
        self.header[kept..kept + fresh].copy_from_slice(&input[..fresh]);
        match IncomingHeader::parse(&self.header[..kept + fresh])? {
            Some((header, size)) => {
                // `kept` bytes were not a whole header, so `size` is more than that.
                *input = &input[size - kept..];
                self.header_len = 0;
                Ok(Some(header))
            }
            None => {
                *input = &input[fresh..];
                self.header_len += fresh as u8;
                Ok(None)
            }
        }
    }

    /// Checks a header against the connection: who masks, which extension is on, what came before, what fits.
    fn begin_frame(&mut self, header: IncomingHeader) -> Result<Frame, Violation> {
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(Violation::NotMasked),
            (Role::Client, Some(_)) => return Err(Violation::Masked),
            _ => {}
        }
        let starts_message = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        // RSV1 says "compressed" and stands on the first frame of a message alone (RFC 7692, section 6).
        if header.rsv1 && !(self.deflate && starts_message) {
            return Err(Violation::ReservedBits);
        }
        if !header.opcode.is_control() {
            match (self.message, starts_message) {
                (None, false) => return Err(Violation::NothingToContinue),
                (Some(_), true) => return Err(Violation::MessageInterrupted),
                _ => {}
            }
            let message = *self.message.get_or_insert(MessageKind {
                text: header.opcode == Opcode::Text,
                compressed: header.rsv1,
            });
            let room = self.max_on_wire(message) - self.payload.len();
            if header.payload_len > room as u64 {
                return Err(Violation::TooLarge);
            }
        }
        Ok(Frame {
            opcode: header.opcode,
            fin: header.fin,
            mask: header.mask,
            remaining: header.payload_len as usize,
        })
    }

    /// How many bytes a message may have as it travels.
    ///
    /// What does not compress grows: by an eighth where it is written in the fixed Huffman codes, and by some bytes
    /// for each flush. More than that is no message of the allowed size; its inflated bytes are counted later.
    fn max_on_wire(&self, message: MessageKind) -> usize {
        let max = self.max_message_bytes;
        if message.compressed {
            max.saturating_add(max / 8).saturating_add(256)
        } else {
            max
        }
    }

    /// Takes what `input` has of the frame's payload, and gives the frame back with what then remains.
    fn take_payload(&mut self, mut frame: Frame, input: &mut &[u8]) -> Result<Frame, Violation> {
        let (bytes, rest) = input.split_at(frame.remaining.min(input.len()));
        *input = rest;
        frame.remaining -= bytes.len();
        let ends_here = frame.fin && frame.remaining == 0;

        let target = if frame.opcode.is_control() {
            &mut self.control
        } else {
            &mut self.payload
        };
        let start = target.len();
        if ends_here {
            // Nothing will be added to it: a message that came in one piece gets the allocation that it needs.
            target.reserve_exact(bytes.len());
        }
        target.extend_from_slice(bytes);
        if let Some(mask) = &mut frame.mask {
            apply_mask(&mut target[start..], *mask);
            mask.rotate_left(bytes.len() % 4);
        }

        // A message that is complete is checked as a whole, once.
        if !ends_here && !frame.opcode.is_control() {
            self.check_text_so_far()?;
        }
        Ok(frame)
    }

    /// Fails as soon as no further byte could make the text UTF-8, even in the middle of a frame (RFC 6455, 8.1).
    fn check_text_so_far(&mut self) -> Result<(), Violation> {
        if !self.message.is_some_and(|it| it.text && !it.compressed) {
            return Ok(());
        }
        match std::str::from_utf8(&self.payload[self.valid_utf8..]) {
            Ok(_) => self.valid_utf8 = self.payload.len(),
            Err(error) if error.error_len().is_some() => return Err(Violation::NotUtf8),
            // A character may be cut in two; its first bytes are looked at again when more has come.
            Err(error) => self.valid_utf8 += error.valid_up_to(),
        }
        Ok(())
    }

    fn finish_message(&mut self, message: MessageKind) -> Result<Message, Violation> {
        let payload = mem::take(&mut self.payload);
        self.valid_utf8 = 0;
        #[cfg(feature = "deflate")]
        let payload = if message.compressed {
            super::compression::inflate(payload, self.max_message_bytes)?
        } else {
            payload
        };
        if message.text {
            let text = ByteString::try_from(payload).map_err(|_| Violation::NotUtf8)?;
            Ok(Message::Text(text))
        } else {
            Ok(Message::Binary(payload.into()))
        }
    }
}

/// The code and the reason in the body of a Close frame; `None` if it is empty (RFC 6455, section 5.5.1).
fn parse_close(payload: &[u8]) -> Result<Option<Close>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (code, reason) = (payload.split_first_chunk()).ok_or(Violation::HalfCloseCode)?;
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::InvalidCloseCode)?;
    let reason = ByteString::try_from(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
    Ok(Some(Close::new(code, reason)))
}

// Never shows a payload: what people say does not belong into a log.
impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("role", &self.role)
            .field("max_message_bytes", &self.max_message_bytes)
            .field("buffered_bytes", &self.buffered_bytes())
            .finish_non_exhaustive()
    }
}
