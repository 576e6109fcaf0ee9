//! From a path to a connection: the file is ours alone, is what it should be, has the newest schema and a name.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::migrate::{self, MIGRATIONS, with_suffix};
use super::private::create_private;
use super::{SqliteOptions, Synchronous};
use crate::history::migration::Migrations;
use crate::history::{Identity, OpenError};

/// An open store, before its threads start.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) readers: Vec<Connection>,
    pub(super) identity: Identity,
    pub(super) lock: Lock,
}

/// How long a connection waits for another process (a backup, a shell) to let go of the file.
const BUSY: Duration = Duration::from_secs(5);

pub(super) fn open(
    path: &Path,
    options: &SqliteOptions,
    readers: usize,
) -> Result<Opened, OpenError> {
    let path = &resolved(path)?;
    let lock = lock(path)?;
    let io_failed = |source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly { path: path.clone() }
        }
        _ => OpenError::Io {
            path: path.clone(),
            source,
        },
    };
    // SQLite would make it readable for everyone; it has secrets in it.
    create_private(path).map_err(io_failed)?;

    let failed = |source| OpenError::from_sqlite(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut writer = Connection::open_with_flags(path, flags).map_err(failed)?;
    writer.busy_timeout(BUSY).map_err(failed)?;
    let migrations = Migrations::new(MIGRATIONS, options.later_migrations);
    migrate::check(&writer, path, migrations.known())?;
    if writer.is_readonly("main").map_err(failed)? {
        return Err(OpenError::ReadOnly { path: path.clone() });
    }
    prepare_writer(&writer, options).map_err(failed)?;
    migrate::migrate(&mut writer, path, &migrations)?;
    let identity = identity(&writer).map_err(failed)?;

    let readers = (0..readers)
        .map(|_| open_reader(path).map_err(failed))
        .collect::<Result<_, _>>()?;
    Ok(Opened {
        writer,
        readers,
        identity,
        lock,
    })
}

/// The file itself, so that two paths to it are one: SQLite, too, names its side files after the end of a link.
fn resolved(path: &Path) -> Result<PathBuf, OpenError> {
    let absent = || OpenError::NoDirectory {
        path: path.to_owned(),
    };
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(absent()),
    };
    let name = path.file_name().ok_or_else(absent)?;
    let directory = fs::canonicalize(directory).map_err(|_| absent())?;
    Ok(directory.join(name))
}

/// The file is this process's for as long as this lives; the system lets go of it however the process ends.
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Said and not left to closing the file: a child that is just being started has it open until it runs.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Holds the file for this process.
///
/// The lock is on a file beside the database: SQLite's own locks come and go, and closing any handle of the database
/// would drop them (POSIX locks belong to the process).
fn lock(path: &Path) -> Result<Lock, OpenError> {
    let beside = with_suffix(path, ".lock");
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly {
                path: path.to_owned(),
            }
        }
        _ => OpenError::Io {
            path: beside.clone(),
            source,
        },
    };
    let file = create_private(&beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn prepare_writer(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    // Readers never wait for the writer, and a commit is one append to the log and one flush.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    let synchronous = match options.synchronous {
        Synchronous::Full => "full",
        Synchronous::Normal => "normal",
        Synchronous::Off => "off",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Elsewhere the same as fsync; on macOS what fsync promises.
    connection.pragma_update(None, "fullfsync", options.synchronous == Synchronous::Full)?;
    // Checkpoints write each changed page once, however many commits changed it: 16 MiB between them costs less than SQLite's 4.
    connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // Deleted texts are overwritten, not only forgotten.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    if let Some(bytes) = options.max_file_bytes {
        let page: u64 = connection
            .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))?
            .unsigned_abs();
        let pages = i64::try_from((bytes / page).max(1)).unwrap_or(i64::MAX);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Reads what names the store; a new one gets its name here.
fn identity(connection: &Connection) -> rusqlite::Result<Identity> {
    let stored = connection
        .query_row("SELECT epoch, secret FROM store WHERE id = 1", [], |row| {
            let epoch: String = row.get(0)?;
            Ok(Identity {
                epoch: Some(epoch.into()),
                secret: row.get(1)?,
            })
        })
        .optional()?;
    if let Some(identity) = stored {
        return Ok(identity);
    }
    let identity = Identity::new();
    connection.execute(
        "INSERT INTO store (id, epoch, secret) VALUES (1, ?1, ?2)",
        (&identity.epoch, &identity.secret),
    )?;
    Ok(identity)
}

impl OpenError {
    pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            _ => Self::Sqlite { path, source },
        }
    }
}
