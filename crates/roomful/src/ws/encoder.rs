//! How one connection's messages are written: plain, or compressed as was negotiated.

use bytes::BytesMut;

use super::frame;
use crate::Message;

/// Writes messages as a connection negotiated it. Connections with equal encoders take the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoder {
    #[cfg(feature = "deflate")]
    deflate: Option<super::compression::Deflate>,
}

impl Encoder {
    /// Writes messages as they are; every connection takes that, whatever it negotiated (RFC 7692, section 6).
    pub const PLAIN: Self = Self {
        #[cfg(feature = "deflate")]
        deflate: None,
    };

    /// Compresses what gets shorter by it.
    #[cfg(feature = "deflate")]
    pub fn deflating(deflate: super::compression::Deflate) -> Self {
        Self {
            deflate: Some(deflate),
        }
    }

    /// Whether messages may be compressed.
    pub fn compresses(self) -> bool {
        self != Self::PLAIN
    }

    /// Appends a message as one unmasked frame.
    pub fn encode(self, out: &mut BytesMut, message: &Message) {
        #[cfg(feature = "deflate")]
        if let Some(deflate) = self.deflate {
            super::compression::encode_message(out, message, deflate);
            return;
        }
        frame::encode_message(out, message);
    }
}
