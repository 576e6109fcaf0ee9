//! What a WebSocket carries: one whole message, text or binary (RFC 6455, section 5.6).

use bytes::Bytes;
use bytestring::ByteString;

use crate::{Close, CloseCode};

/// One WebSocket message. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message; what arrives has been checked to be UTF-8.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// The text, if this is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload, whichever kind it is.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message.
    ///
    /// # Errors
    /// A binary message becomes a [`Close`] with code 1003 (unsupported data), so that `?` in
    /// [`receive`](crate::Consumer::receive) ends the connection as RFC 6455 asks of a text endpoint.
    pub fn into_text(self) -> std::result::Result<ByteString, Close> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(Close::new(
                CloseCode::UNSUPPORTED,
                "this endpoint takes text",
            )),
        }
    }

    /// The payload as shared bytes, whichever kind it is.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty. An empty message is still a message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<ByteString> for Message {
    fn from(text: ByteString) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::binary(bytes)
    }
}
