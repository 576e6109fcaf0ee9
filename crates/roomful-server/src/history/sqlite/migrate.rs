//! The schema's versions: numbered files, forward only, run at start. `PRAGMA user_version` says which ones a file has had.

use std::error::Error as StdError;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::private::create_private;
use crate::history::OpenError;

/// Migration `n` is the `n`th, from 1. Files in here are never changed once they are released.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/sqlite/0001_rooms.sql")];

/// What the first migration writes into `PRAGMA application_id`: "Room".
const APPLICATION_ID: u32 = 0x526f_6f6d;

/// Refuses files that are not ours or from the future. Changes nothing.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), OpenError> {
    let (found, known) = (version(connection, path)?, number(migrations.len()));
    let path = path.to_owned();
    let failed = |source| OpenError::from_sqlite(&path, source);
    let application: u32 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(failed)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    let ours = application == APPLICATION_ID && found > 0;
    let fresh = application == 0 && found == 0 && tables == 0;
    if !ours && !fresh {
        Err(OpenError::Foreign { path })
    } else if found > known {
        Err(OpenError::Newer {
            copy: copy_path(&path, known + 1),
            path,
            found,
            known,
        })
    } else {
        Ok(())
    }
}

/// Runs what is missing, all of it or nothing. A file that has something in it is copied first.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), OpenError> {
    let found = version(connection, path)?;
    if found == number(migrations.len()) {
        return Ok(());
    }
    let missing = migrations.iter().zip(1..).skip(found as usize);
    if found > 0 {
        let copy = copy_path(path, found + 1);
        save_copy(connection, &copy).map_err(|source| OpenError::Copy { copy, source })?;
    }
    run(connection, missing).map_err(|source| OpenError::from_sqlite(path, source))
}

fn run<'a>(
    connection: &mut Connection,
    missing: impl Iterator<Item = (&'a &'a str, u32)>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (sql, version) in missing {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.commit()
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

fn version(connection: &Connection, path: &Path) -> Result<u32, OpenError> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|source| OpenError::from_sqlite(path, source))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("migrations are counted by hand")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: &str = "ALTER TABLE rooms ADD COLUMN colour TEXT";

    fn migrated(path: &Path, migrations: &[&str]) -> Result<Connection, OpenError> {
        let mut connection = Connection::open(path).unwrap();
        check(&connection, path, migrations)?;
        migrate(&mut connection, path, migrations)?;
        Ok(connection)
    }

    #[test]
    fn an_old_file_is_copied_and_then_brought_up_to_date() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rooms.db");
        let old = migrated(&path, MIGRATIONS).unwrap();
        old.execute(
            "INSERT INTO store (id, epoch, secret) VALUES (1, 'e', x'00')",
            [],
        )
        .unwrap();
        drop(old);
        assert!(!copy_path(&path, 1).exists(), "a new file needs no copy");

        let new = migrated(&path, &[MIGRATIONS[0], SECOND]).unwrap();
        new.execute("INSERT INTO rooms (name, head, first, last_at, messages, colour) VALUES ('a', 0, 1, 0, 0, 't')", [])
            .unwrap();

        let copy = directory.path().join("rooms.db.before-2");
        let copy = migrated(&copy, MIGRATIONS).expect("the copy suits the old version");
        let epoch: String = copy
            .query_row("SELECT epoch FROM store", [], |row| row.get(0))
            .unwrap();
        assert_eq!(epoch, "e");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rooms.db");
        drop(migrated(&path, MIGRATIONS).unwrap());

        migrated(&path, &[MIGRATIONS[0], SECOND, "not SQL"]).unwrap_err();
        let connection = migrated(&path, MIGRATIONS).expect("still the old version");
        connection
            .query_row("SELECT colour FROM rooms", [], |_| Ok(()))
            .unwrap_err();

        // And it can be tried again, over the copy of the first attempt.
        drop(connection);
        migrated(&path, &[MIGRATIONS[0], SECOND]).unwrap();
    }
}
