//! Why a store does not open, and why it refuses.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::migration::StoreSchema;
use crate::protocol::ErrorCode;

/// Why an action was not stored, or the record not read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HistoryError {
    /// No message has this number, or it is deleted or pruned.
    #[error("there is no such message, or it is deleted")]
    MessageNotFound,
    /// The message is somebody else's.
    #[error("only its author may change a message")]
    Forbidden,
    /// The store failed: the disk is full, or broken. Nothing was shown to anyone; the same action with the same id may be
    /// tried again, also where the failure hid that it was stored.
    #[error("the history cannot be reached now: try again with the same id")]
    Unavailable {
        /// What the store said.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// More is waiting than the store is willing to hold; nothing was taken.
    #[error("too much is waiting for the history: try again in a moment")]
    Overloaded,
    /// The history was closed: the server stops.
    #[error("the history is closed because the server stops")]
    Closed,
    /// This server keeps none.
    #[error("this server keeps no history")]
    NoHistory,
}

impl HistoryError {
    /// What a client hears.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MessageNotFound => ErrorCode::MessageNotFound,
            Self::Forbidden => ErrorCode::Forbidden,
            Self::Unavailable { .. } | Self::Overloaded => ErrorCode::StoreUnavailable,
            Self::Closed => ErrorCode::ShuttingDown,
            Self::NoHistory => ErrorCode::NoHistory,
        }
    }

    pub(super) fn unavailable(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Unavailable {
            source: Arc::new(source),
        }
    }

    /// Whether the same action, with the same id, may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Overloaded | Self::Closed => true,
            Self::MessageNotFound | Self::Forbidden | Self::NoHistory => false,
        }
    }
}

/// A later version of Roomful changed the store in a way that this one must not ignore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a newer roomful brought the history to schema {found}, which takes one that knows schema {readable_by} (this one knows {known}): start that version, or put back a backup from before"
)]
pub struct NewerStore {
    /// The schema it has.
    pub found: u32,
    /// The oldest schema that a binary has to know to use it.
    pub readable_by: u32,
    /// The newest schema this version knows.
    pub known: u32,
}

impl NewerStore {
    pub(super) fn new(found: StoreSchema, known: u32) -> Self {
        Self {
            found: found.schema,
            readable_by: found.readable_by,
            known,
        }
    }
}

/// Why a store cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no directory to keep the file in.
    #[error("the directory of `{}` does not exist: create it, or choose another path for the history", path.display())]
    NoDirectory {
        /// The database.
        path: PathBuf,
    },
    /// Another process has it, or this one already.
    #[error(
        "`{}` is in use by another roomful: stop that one, or give this one a file of its own (nodes share a history in PostgreSQL, not in SQLite)",
        path.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A later version of Roomful changed it in a way that this one must not ignore.
    #[error(
        "`{}` was brought to schema {found} by a newer roomful, which takes one that knows schema {readable_by} (this one knows {known}): start that version, or put back the copy it made first, `{}`",
        path.display(),
        copy.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema it has.
        found: u32,
        /// The oldest schema that a binary has to know to use it.
        readable_by: u32,
        /// The newest schema this version knows.
        known: u32,
        /// What the newer version saved before it changed the file.
        copy: PathBuf,
    },
    /// An SQLite database with somebody else's tables.
    #[error("`{}` is the database of another program: choose another path for the history", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// Some other file.
    #[error("`{}` is not an SQLite database: choose another path for the history, or move that file away", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A broken database.
    #[error(
        "`{}` is damaged: put back a backup, or save what can be read with `sqlite3 {} .recover`",
        path.display(),
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        #[source]
        source: rusqlite::Error,
    },
    /// The file, or its directory, may not be written.
    #[error("`{}` cannot be written: check who owns the file and its directory, and whether the disk is mounted for writing", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The copy that is kept before a migration could not be made; the database is as it was.
    #[error("the copy `{}` that is kept before the history is changed cannot be made: make room for it", copy.display())]
    Copy {
        /// Where it should go.
        copy: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The operating system refused.
    #[error("`{}` cannot be opened", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The URL of a PostgreSQL database means nothing, or this machine cannot follow it.
    #[error(
        "`{url}` is no PostgreSQL database that can be spoken to: write it as postgres://user:password@host/database"
    )]
    PostgresUrl {
        /// The URL, its secret hidden.
        url: Arc<str>,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// PostgreSQL cannot be reached, or refused.
    #[error("the history `{url}` cannot be opened")]
    Postgres {
        /// The URL, its secret hidden.
        url: Arc<str>,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A PostgreSQL database that cannot hold text of every script.
    #[error(
        "the database of `{url}` is in {encoding}: make one in UTF8 (createdb --encoding=UTF8 --template=template0)"
    )]
    Encoding {
        /// The URL, its secret hidden.
        url: Arc<str>,
        /// What it is in.
        encoding: String,
    },
    /// A later version of Roomful changed the tables in a way that this one must not ignore.
    #[error("`{url}` cannot be used by this version")]
    NewerPostgres {
        /// The URL, its secret hidden.
        url: Arc<str>,
        /// What it has, and what it takes.
        #[source]
        source: NewerStore,
    },
    /// A step to a newer schema failed; the database is as it was.
    #[error("the tables in `{url}` could not be brought up to date, and are as they were")]
    Migration {
        /// The URL, its secret hidden.
        url: Arc<str>,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The operating system gives no thread to work in.
    #[error("the history has no thread to work in")]
    Thread {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite refused.
    #[error("the history `{}` cannot be opened", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}
