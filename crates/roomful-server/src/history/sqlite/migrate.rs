//! Brings the schema of a file up to date, at start.
//!
//! `PRAGMA user_version` is the number of the last step that a file has had. The table `migrations`, which an early file has
//! not, says by which versions it may be used since.

use std::error::Error as StdError;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};

use super::SqliteOptions;
use super::private::create_private;
use crate::history::OpenError;
use crate::history::migration::{Age, Migration, Migrations, StoreSchema};

/// Every step, from the first. Files in here are never changed once they are released.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    schema: 1,
    readable_by: 1,
    sql: include_str!("../../../migrations/sqlite/0001_rooms.sql"),
}];

/// What the first migration writes into `PRAGMA application_id`: "Room".
const APPLICATION_ID: u32 = 0x526f_6f6d;

/// Says what opening a file that exists would do, without changing it.
pub(crate) fn look(path: &Path) -> Result<String, OpenError> {
    let failed = |source| OpenError::from_sqlite(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // A file that was closed is read as it is, because SQLite would make two more beside it. Where there is a log, what
    // counts may be in that.
    let connection = match with_suffix(path, "-wal").exists() {
        true => Connection::open_with_flags(path, flags),
        false => Connection::open_with_flags(
            format!("file:{}?immutable=1", percent_encoded(path)),
            flags | OpenFlags::SQLITE_OPEN_URI,
        ),
    };
    let known = SqliteOptions::SCHEMA;
    let found = check(&connection.map_err(failed)?, path, known)?;
    Ok(match found.schema {
        0 => "is empty".to_owned(),
        _ => format!("is there{}", found.outlook(found.age(known), known)),
    })
}

/// A path in a URI (sqlite.org/uri.html).
fn percent_encoded(path: &Path) -> String {
    let path = path.as_os_str().as_encoded_bytes();
    percent_encoding::percent_encode(path, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2F", "/")
}

/// Refuses files that are not ours, or that a newer version made unreadable for us. Changes nothing.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    known: u32,
) -> Result<StoreSchema, OpenError> {
    let path = path.to_owned();
    let failed = |source| OpenError::from_sqlite(&path, source);
    let found = read(connection).map_err(failed)?;
    let application: u32 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(failed)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    let ours = application == APPLICATION_ID && found.schema > 0;
    let fresh = application == 0 && found.schema == 0 && tables == 0;
    if !ours && !fresh {
        Err(OpenError::Foreign { path })
    } else if found.age(known) == Age::NewerUnreadable {
        Err(OpenError::Newer {
            copy: copy_path(&path, known + 1),
            path,
            found: found.schema,
            readable_by: found.readable_by,
            known,
        })
    } else {
        Ok(found)
    }
}

/// Runs what is missing, all of it or nothing. A file that has something in it is copied first.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &Migrations,
) -> Result<(), OpenError> {
    let failed = |source| OpenError::from_sqlite(path, source);
    let found = read(connection).map_err(failed)?;
    let shown = path.display();
    match found.age(migrations.known()) {
        Age::Older if found.schema == 0 => {
            run(connection, found.schema, migrations).map_err(failed)
        }
        Age::Older => {
            let (from, to) = (found.schema, migrations.known());
            let copy = copy_path(path, from + 1);
            let kept = copy.display();
            tracing::info!(
                schema = to,
                "migrating the history {shown} from schema {from} to {to}; {kept} is made first, a copy of it"
            );
            let started = Instant::now();
            save_copy(connection, &copy).map_err(|source| OpenError::Copy {
                copy: copy.clone(),
                source,
            })?;
            run(connection, from, migrations).map_err(failed)?;
            tracing::info!(
                schema = to,
                "the history {shown} is at schema {to}, after {:.1} s",
                started.elapsed().as_secs_f64()
            );
            Ok(())
        }
        Age::NewerReadable => {
            found.log_newer(migrations.known(), &shown.to_string());
            Ok(())
        }
        Age::Current | Age::NewerUnreadable => Ok(()),
    }
}

fn run(connection: &mut Connection, schema: u32, migrations: &Migrations) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let steps = migrations.after(schema);
    for (step, number) in steps.iter().zip(1..) {
        let started = Instant::now();
        transaction.execute_batch(step.sql)?;
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS migrations (schema INTEGER PRIMARY KEY, readable_by INTEGER NOT NULL) STRICT",
        )?;
        transaction.execute(
            "INSERT INTO migrations (schema, readable_by) VALUES (?1, ?2)",
            (step.schema, step.readable_by),
        )?;
        transaction.pragma_update(None, "user_version", step.schema)?;
        // A file that is only being made has no story yet.
        if schema > 0 {
            tracing::info!(
                schema = step.schema,
                "step {number} of {}, to schema {}, done after {:.1} s",
                steps.len(),
                step.schema,
                started.elapsed().as_secs_f64()
            );
        }
    }
    transaction.commit()
}

/// What a file has had.
fn read(connection: &Connection) -> rusqlite::Result<StoreSchema> {
    let schema = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let told = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'",
        [],
        |row| row.get::<_, u32>(0),
    )?;
    // A file with user_version 0 that has such a table is another program's.
    let readable_by = match told > 0 && schema > 0 {
        true => connection.query_row(
            "SELECT coalesce(max(readable_by), 1) FROM migrations",
            [],
            |row| row.get(0),
        )?,
        false => 1,
    };
    Ok(StoreSchema {
        schema,
        readable_by,
    })
}

/// Writes the whole database to `copy`, which is there complete or not at all.
fn save_copy(connection: &Connection, copy: &Path) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let unfinished = with_suffix(copy, ".unfinished");
    // Left over from an attempt that was cut off.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = create_private(&unfinished)?;
    let name = unfinished.to_str().ok_or("its path is not UTF-8")?;
    connection.execute("VACUUM INTO ?1", [name])?;
    file.sync_all()?;
    fs::rename(&unfinished, copy)?;
    Ok(())
}

fn copy_path(path: &Path, version: u32) -> PathBuf {
    with_suffix(path, &format!(".before-{version}"))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOUR: &str = "ALTER TABLE rooms ADD COLUMN colour TEXT";

    /// A file opened by a version that has these steps after today's.
    fn migrated(path: &Path, later: &[&'static str]) -> Result<Connection, OpenError> {
        let steps = later.iter().zip(SqliteOptions::SCHEMA + 1..);
        let later: Vec<_> = steps
            .map(|(&sql, schema)| Migration {
                schema,
                readable_by: 1,
                sql,
            })
            .collect();
        let migrations = Migrations::new(MIGRATIONS, &later);
        let mut connection = Connection::open(path).unwrap();
        check(&connection, path, migrations.known())?;
        migrate(&mut connection, path, &migrations)?;
        Ok(connection)
    }

    #[test]
    fn an_old_file_is_copied_and_then_brought_up_to_date() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rooms.db");
        let old = migrated(&path, &[]).unwrap();
        old.execute(
            "INSERT INTO store (id, epoch, secret) VALUES (1, 'e', x'00')",
            [],
        )
        .unwrap();
        drop(old);
        assert!(!copy_path(&path, 1).exists(), "a new file needs no copy");

        let new = migrated(&path, &[COLOUR]).unwrap();
        new.execute("INSERT INTO rooms (name, head, first, last_at, messages, colour) VALUES ('a', 0, 1, 0, 0, 't')", [])
            .unwrap();

        let copy = copy_path(&path, SqliteOptions::SCHEMA + 1);
        let copy = migrated(&copy, &[]).expect("the copy suits the old version");
        let epoch: String = copy
            .query_row("SELECT epoch FROM store", [], |row| row.get(0))
            .unwrap();
        assert_eq!(epoch, "e");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rooms.db");
        drop(migrated(&path, &[]).unwrap());

        migrated(&path, &[COLOUR, "not SQL"]).unwrap_err();
        let connection = migrated(&path, &[]).expect("still the old version");
        connection
            .query_row("SELECT colour FROM rooms", [], |_| Ok(()))
            .unwrap_err();

        // And it can be tried again, over the copy of the first attempt.
        drop(connection);
        migrated(&path, &[COLOUR]).unwrap();
    }
}
