//! How a consumer's `?` ends a connection: [`Close`] and [`Deny`] choose the outcome, anything else is our fault.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::Close;

/// The result of a consumer's methods.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Any error that `?` may carry out of a consumer.
///
/// [`Close`] ends the connection with its code and reason. [`Deny`] refuses the handshake with its status and body.
/// Any other error is logged once and ends the connection with 1011, or the handshake with 500; the peer hears
/// "internal error" and no more.
pub struct Error(Box<dyn StdError + Send + Sync>);

impl Error {
    /// An error from a sentence.
    pub fn msg(message: impl Into<String>) -> Self {
        Self(message.into().into())
    }

    /// The close this error asks for, if it is one.
    pub fn as_close(&self) -> Option<&Close> {
        self.0.downcast_ref()
    }

    /// The refusal this error asks for, if it is one.
    pub fn as_deny(&self) -> Option<&Deny> {
        self.0.downcast_ref()
    }

    /// The error inside.
    pub fn as_dyn(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0
    }
}

// `Error` is no `std::error::Error` itself: that is what lets every other error become one by `?`.
impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// A refusal of the handshake: the client gets an HTTP answer instead of a WebSocket.
#[derive(Clone, Debug, thiserror::Error)]
#[error("handshake refused with {status}")]
pub struct Deny {
    /// The status; 403 unless chosen.
    pub status: StatusCode,
    /// Headers of the answer.
    pub headers: HeaderMap,
    /// The body, sent as `text/plain` unless `headers` say otherwise.
    pub body: Bytes,
}

impl Deny {
    /// A refusal with `status` and a body of text.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    /// 403, what Channels answers to a consumer that does not accept.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden\n")
    }
}
