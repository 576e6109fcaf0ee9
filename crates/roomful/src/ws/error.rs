//! The ways a peer can break the protocol, each with the close code that answers it (RFC 6455, section 7.4.1).

use bytestring::ByteString;

use crate::{Close, CloseCode};

/// The peer broke the protocol. The connection is to be failed with [`close`](Self::close) (RFC 6455, section 7.1.7).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer broke the websocket protocol: {}", close.reason)]
pub struct ProtocolError {
    /// The Close to send: 1002, 1007 or 1009, with a reason that names the rule.
    pub close: Close,
}

/// What was broken. One byte, so that a decoder which has failed can go on saying why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    ReservedBits,
    ReservedOpcode,
    FragmentedControl,
    LongControl,
    LongLength,
    LengthHighBit,
    NotMasked,
    Masked,
    NothingToContinue,
    MessageInterrupted,
    TooLarge,
    NotUtf8,
    #[cfg(feature = "deflate")]
    NotDeflate,
    HalfCloseCode,
    InvalidCloseCode,
    CloseReasonNotUtf8,
}

impl Violation {
    fn code(self) -> CloseCode {
        match self {
            Self::TooLarge => CloseCode::TOO_LARGE,
            Self::NotUtf8 | Self::CloseReasonNotUtf8 => CloseCode::INVALID_DATA,
            #[cfg(feature = "deflate")]
            Self::NotDeflate => CloseCode::INVALID_DATA,
            _ => CloseCode::PROTOCOL,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::ReservedBits => "a reserved bit is set that no extension has taken",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::FragmentedControl => "a control frame is fragmented",
            Self::LongControl => "a control frame is longer than 125 bytes",
            Self::LongLength => "the length is not written in the fewest bytes",
            Self::LengthHighBit => "the length has its highest bit set",
            Self::NotMasked => "a frame from a client is not masked",
            Self::Masked => "a frame from a server is masked",
            Self::NothingToContinue => "a continuation frame continues nothing",
            Self::MessageInterrupted => "a new message begins inside a fragmented one",
            Self::TooLarge => "the message is too large",
            Self::NotUtf8 => "the text is not utf-8",
            #[cfg(feature = "deflate")]
            Self::NotDeflate => "the compressed message does not inflate",
            Self::HalfCloseCode => "the close frame has half a code",
            Self::InvalidCloseCode => "the close code may not be sent",
            Self::CloseReasonNotUtf8 => "the reason of the close is not utf-8",
        }
    }
}

impl From<Violation> for ProtocolError {
    fn from(violation: Violation) -> Self {
        let reason = ByteString::from_static(violation.reason());
        Self {
            close: Close::new(violation.code(), reason),
        }
    }
}
