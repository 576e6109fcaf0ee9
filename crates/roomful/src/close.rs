//! Why a WebSocket ends: a code and a reason (RFC 6455, sections 5.5.1 and 7.4).

use std::fmt;

use bytestring::ByteString;

/// A close code: one that may stand in a Close frame, or one of the two that only report how a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server stops, or the page was left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the WebSocket protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: this kind of data is not taken here (binary at a text endpoint).
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: the peer closed without a code. Never sent, only reported.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection broke without a Close frame. Never sent, only reported.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: the data is not what its type says (text that is not UTF-8, JSON that does not parse).
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: against the rules of this server, where no other code says it better.
    pub const POLICY: Self = Self(1008);
    /// 1009: the message is too large.
    pub const TOO_LARGE: Self = Self(1009);
    /// 1010: the client needs an extension that the server did not negotiate.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// 1011: something went wrong on our side.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts; come back.
    pub const RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN: Self = Self(1013);
    /// 4008: the reader was too slow for what it was sent; come back and catch up.
    pub const SLOW: Self = Self(4008);

    /// A code that may be sent in a Close frame: 1000 to 1003, 1007 to 1014, and 3000 to 4999 (RFC 6455, section 7.4.2).
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A code and a reason. As an error it ends the connection with both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("websocket closed with {code}{}{reason}", if reason.is_empty() { "" } else { ": " })]
pub struct Close {
    /// Why, as a number.
    pub code: CloseCode,
    /// Why, in words; at most 123 bytes, so that it fits into a control frame.
    pub reason: ByteString,
}

impl Close {
    /// The longest reason that fits into a Close frame, in bytes (RFC 6455, section 5.5).
    pub const MAX_REASON: usize = 123;

    /// A close with `code` and `reason`; a reason over [`MAX_REASON`](Self::MAX_REASON) bytes is cut at a character.
    pub fn new(code: CloseCode, reason: impl Into<ByteString>) -> Self {
        let mut reason = reason.into();
        if reason.len() > Self::MAX_REASON {
            let end = reason.floor_char_boundary(Self::MAX_REASON);
            reason = ByteString::from(&reason[..end]);
        }
        Self { code, reason }
    }

    /// A close with `code` and no reason.
    pub fn code(code: CloseCode) -> Self {
        Self::new(code, ByteString::new())
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self::code(code)
    }
}
