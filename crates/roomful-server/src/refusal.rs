//! Why something was refused: a code for programs, words for people, and when to try again.

use std::time::Duration;

use crate::history::HistoryError;
use crate::protocol::{ErrorCode, ServerMessage};

/// Why something was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The code, for programs.
    pub code: ErrorCode,
    /// The reason, for people.
    pub message: String,
    /// When to try again, where that helps.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Too much in too short a time.
    pub fn rate_limited(wait: Duration) -> Self {
        let message = "too many messages in too short a time: wait a moment";
        Self {
            retry_after: Some(wait),
            ..Self::new(ErrorCode::RateLimited, message)
        }
    }

    /// No place for another member.
    pub fn room_full() -> Self {
        let message = "this room has as many members as it may: try again later";
        Self::new(ErrorCode::RoomFull, message)
    }

    /// Nothing that was said is kept, so nothing of it can be changed.
    pub fn no_history() -> Self {
        let message = "this server keeps no history: there is nothing to change";
        Self::new(ErrorCode::NoHistory, message)
    }

    /// For those who said who they are.
    pub fn members_only() -> Self {
        let message = "this is for members: say who you are first";
        Self::new(ErrorCode::Forbidden, message)
    }

    /// The server stops.
    pub fn stopping() -> Self {
        let message = "the server is stopping: connect again in a moment";
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(ErrorCode::ShuttingDown, message)
        }
    }

    /// The refusal as a message of the protocol.
    pub fn into_message(self, id: Option<String>) -> ServerMessage {
        let retry_after_ms = self
            .retry_after
            .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        ServerMessage::Error {
            code: self.code,
            message: self.message,
            id,
            retry_after_ms,
        }
    }
}

impl From<HistoryError> for Refusal {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::MessageNotFound => {
                Self::new(ErrorCode::MessageNotFound, "there is no such message here")
            }
            HistoryError::Forbidden => {
                Self::new(ErrorCode::Forbidden, "this message is somebody else's")
            }
            error => {
                let message = "the history cannot be reached: nothing was said, try again";
                tracing::debug!(%error, "the store refused");
                Self {
                    retry_after: Some(Duration::from_secs(1)),
                    ..Self::new(ErrorCode::StoreUnavailable, message)
                }
            }
        }
    }
}
