//! Brings the schema up to date: at start, by whichever node comes first, while the others wait for it.
//!
//! All of it is in the schema `roomful`, so that the database may be shared with another program. The table
//! `roomful.migrations` says which steps the database has had. They run in one transaction, all or nothing, in a session
//! without time limits: an index over a large table takes what it takes. An advisory lock of that session keeps other nodes
//! out. They ask for it again and again instead of waiting inside a statement, whose snapshot would hold up the step itself.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_postgres::Client;

use super::StoreError;
use crate::history::migration::{Age, Migration, Migrations, StoreSchema};

/// Every step, from the first. Files in here are never changed once they are released.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    schema: 1,
    readable_by: 1,
    sql: include_str!("../../../migrations/postgres/0001_rooms.sql"),
}];

/// Nodes that start together take turns by this lock: "Room" as a number.
const LOCK: i64 = 0x526f_6f6d;
/// How often a node that waits asks for the lock.
const ASK: Duration = Duration::from_millis(200);
/// How often a node that waits, or runs a step, says so.
const REPORT: Duration = Duration::from_secs(5);

/// Who has the lock. A key of 64 bits is listed as two halves.
const HOLDER: &str = "\
    SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'a local socket') \
    FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND (l.classid::bigint << 32 | l.objid::bigint) = $1";

/// What a database has had. Changes nothing.
pub(super) async fn read(client: &Client) -> Result<StoreSchema, StoreError> {
    let ours = client
        .query_one("SELECT to_regclass('roomful.migrations') IS NOT NULL", &[])
        .await?;
    if !ours.try_get::<_, bool>(0)? {
        return Ok(StoreSchema {
            schema: 0,
            readable_by: 1,
        });
    }
    // By way of JSON, because early databases have no such column.
    let row = client
        .query_one(
            "SELECT coalesce(max(version), 0), coalesce(max((to_jsonb(m) ->> 'readable_by')::integer), 1) \
             FROM roomful.migrations m",
            &[],
        )
        .await?;
    let number = |column| -> Result<u32, StoreError> {
        let number: i32 = row.try_get(column)?;
        number
            .try_into()
            .map_err(|_| StoreError::Unexpected("a number in roomful.migrations is negative"))
    };
    Ok(StoreSchema {
        schema: number(0)?,
        readable_by: number(1)?,
    })
}

/// Runs what is missing, all of it or nothing, or waits for the node that does. `client` is a session without time limits,
/// and of no use after an error. Gives what the database has then.
pub(super) async fn migrate(
    client: &Client,
    migrations: &Migrations,
    shown: &str,
) -> Result<StoreSchema, StoreError> {
    wait_for_lock(client, shown).await?;
    let found = read(client).await?;
    if found.age(migrations.known()) == Age::Older {
        // In a transaction of its own: other nodes look at this table while the steps run.
        prepare_table(client).await?;
        client.batch_execute("BEGIN").await?;
        run(client, found.schema, migrations, shown).await?;
        client.batch_execute("COMMIT").await?;
        let now = migrations.known();
        tracing::info!(schema = now, "the history {shown} is at schema {now}");
    }
    let reached = read(client).await?;
    client
        .execute("SELECT pg_advisory_unlock($1)", &[&LOCK])
        .await?;
    Ok(reached)
}

async fn wait_for_lock(client: &Client, shown: &str) -> Result<(), StoreError> {
    let since = Instant::now();
    let mut report_at = since;
    loop {
        let locked = client
            .query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])
            .await?;
        if locked.try_get(0)? {
            return Ok(());
        }
        if Instant::now() >= report_at {
            report_at = Instant::now() + REPORT;
            let holder = holder(client).await?;
            let waited = since.elapsed().as_secs();
            tracing::info!(
                "another node brings the history {shown} up to date: waiting for it since {waited} s ({holder})"
            );
        }
        sleep(ASK).await;
    }
}

/// Who has the lock, in words. It may just be gone.
async fn holder(client: &Client) -> Result<String, StoreError> {
    let rows = client.query(HOLDER, &[&LOCK]).await?;
    let Some(row) = rows.first() else {
        return Ok("its session just ended".to_owned());
    };
    let (session, name, from): (i32, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(format!("session {session}, \"{name}\", from {from}"))
}

/// Makes the table that counts the steps, and gives an early one its second number.
async fn prepare_table(client: &Client) -> Result<(), StoreError> {
    // Who may not create schemas can be given one: `CREATE SCHEMA roomful AUTHORIZATION …`.
    let there = client
        .query_one("SELECT to_regnamespace('roomful') IS NOT NULL", &[])
        .await?;
    if !there.try_get::<_, bool>(0)? {
        client.batch_execute("CREATE SCHEMA roomful").await?;
    }
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS roomful.migrations \
             (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    let complete = client
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'roomful.migrations'::regclass \
             AND attname = 'readable_by' AND NOT attisdropped)",
            &[],
        )
        .await?;
    if !complete.try_get::<_, bool>(0)? {
        client
            .batch_execute(
                "ALTER TABLE roomful.migrations ADD COLUMN readable_by integer NOT NULL DEFAULT 1",
            )
            .await?;
    }
    Ok(())
}

/// Runs the steps after `schema`, within a transaction.
async fn run(
    client: &Client,
    schema: u32,
    migrations: &Migrations,
    shown: &str,
) -> Result<(), StoreError> {
    let steps = migrations.after(schema);
    for (step, number) in steps.iter().zip(1..) {
        let (count, to) = (steps.len(), step.schema);
        let which = format!("step {number} of {count}, to schema {to}");
        tracing::info!(schema = to, "migrating the history {shown}: {which}");
        let started = Instant::now();
        reporting(client.batch_execute(step.sql), |elapsed| {
            tracing::info!(
                schema = to,
                "migrating the history {shown}: {which}, running for {} s",
                elapsed.as_secs()
            );
        })
        .await?;
        client
            .execute(
                "INSERT INTO roomful.migrations (version, readable_by) VALUES ($1, $2)",
                &[&signed(to), &signed(step.readable_by)],
            )
            .await?;
        tracing::info!(
            schema = to,
            "migrating the history {shown}: {which}, done after {:.1} s",
            started.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// Does `work`, and calls `report` every few seconds with how long it has taken.
async fn reporting<T>(work: impl Future<Output = T>, report: impl Fn(Duration)) -> T {
    let started = Instant::now();
    let mut due = interval_at(started + REPORT, REPORT);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = due.tick() => report(started.elapsed()),
        }
    }
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).expect("migrations are counted by hand")
}
