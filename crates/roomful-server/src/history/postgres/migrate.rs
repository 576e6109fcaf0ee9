//! The schema's versions: numbered files, forward only, run at start by whichever node comes first.
//!
//! All of it is in the schema `roomful`, so that the database may be shared with another program. The table
//! `roomful.migrations` says which versions it has had.

use tokio_postgres::Client;

use super::StoreError;

/// Migration `n` is the `n`th, from 1. Files in here are never changed once they are released.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("../../../migrations/postgres/0001_rooms.sql")];

/// Nodes that start together take turns by this lock: "Room" as a number.
const LOCK: i64 = 0x526f_6f6d;

/// How far a database is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Migrated {
    /// It has all versions that we know.
    Current,
    /// It has more.
    Newer { found: i32, known: i32 },
}

/// Runs what is missing, all of it or nothing.
pub(super) async fn migrate(
    client: &mut Client,
    migrations: &[&str],
) -> Result<Migrated, StoreError> {
    let known = i32::try_from(migrations.len()).expect("migrations are counted by hand");
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let found = version(transaction.client()).await?;
    if found > known {
        return Ok(Migrated::Newer { found, known });
    }
    if found == 0 {
        // Who may not create schemas can be given one: `CREATE SCHEMA roomful AUTHORIZATION …`.
        let schema = transaction
            .query_one("SELECT to_regnamespace('roomful') IS NOT NULL", &[])
            .await?;
        if !schema.try_get::<_, bool>(0)? {
            transaction.batch_execute("CREATE SCHEMA roomful").await?;
        }
        transaction
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS roomful.migrations \
                 (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())",
            )
            .await?;
    }
    for (sql, version) in migrations
        .iter()
        .zip(1..)
        .skip(found.unsigned_abs() as usize)
    {
        transaction.batch_execute(sql).await?;
        transaction
            .execute(
                "INSERT INTO roomful.migrations (version) VALUES ($1)",
                &[&version],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(Migrated::Current)
}

/// The newest version that a database has had; 0 for one that is not ours yet. Changes nothing.
pub(super) async fn version(client: &Client) -> Result<i32, StoreError> {
    let ours = client
        .query_one("SELECT to_regclass('roomful.migrations') IS NOT NULL", &[])
        .await?;
    if !ours.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let row = client
        .query_one(
            "SELECT coalesce(max(version), 0) FROM roomful.migrations",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}
