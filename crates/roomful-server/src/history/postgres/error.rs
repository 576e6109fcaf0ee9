//! What can go wrong between us and the database, in one line.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::history::NewerStore;

/// Why the database did not do what it was asked.
#[derive(Debug)]
pub(super) enum StoreError {
    /// It said so, or the connection broke.
    Postgres(tokio_postgres::Error),
    /// It said nothing for so long.
    Silent(Duration),
    /// It could not be reached a moment ago; it is asked again soon.
    Away,
    /// A newer node changed it in a way that this version must not ignore.
    Newer(NewerStore),
    /// It holds what we never wrote.
    Unexpected(&'static str),
}

impl StoreError {
    /// Whether nothing is wrong but that somebody else was in the way: the same transaction may pass now.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            Self::Postgres(error) => error.code().is_some_and(|code| {
                [
                    &SqlState::T_R_DEADLOCK_DETECTED,
                    &SqlState::T_R_SERIALIZATION_FAILURE,
                ]
                .contains(&code)
            }),
            _ => false,
        }
    }

    /// Whether it was the connection, not the database, that failed.
    pub(super) fn is_cut(&self) -> bool {
        match self {
            Self::Postgres(error) => {
                error.is_closed()
                    || error.as_db_error().is_none()
                    // The server goes, and says so: administrator's commands, crashes of others, start-up.
                    || error.code().is_some_and(|code| code.code().starts_with("57P"))
            }
            _ => false,
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(error) => {
                // "db error" alone helps nobody: the reason is its source.
                write!(f, "{error}")?;
                let mut source = error.source();
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
            Self::Silent(time) => write!(f, "the database did not answer within {time:?}"),
            Self::Away => f.write_str("the database could not be reached a moment ago"),
            Self::Newer(newer) => newer.fmt(f),
            Self::Unexpected(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {}
