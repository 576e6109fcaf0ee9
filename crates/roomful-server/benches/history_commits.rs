//! Acknowledged messages a second with `synchronous=FULL`, on 1 room and on 100, beside a bare loop that commits the same
//! rows one by one.
//!
//! ```sh
//! cargo bench -p roomful-server --bench history_commits -- [seconds] [directory]
//! ```
//!
//! Each writer says its next message when the last one is acknowledged, as people do. The bare loop has a connection with the
//! same settings and nothing else: no queue, no other thread, no check of who may do what. Both lie in the same directory,
//! and each figure is the best of three turns that alternate, so that a busy machine hurts both.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use roomful_server::history::{History, SqliteOptions};
use roomful_server::protocol::{Action, Member, RoomName};
use rusqlite::Connection;

const TEXT: &str =
    "a message of about the length that people write when they talk, which is not long";
const TURNS: usize = 3;

fn main() -> anyhow::Result<()> {
    // What cargo adds itself begins with a dash.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'));
    let seconds = arguments
        .next()
        .map_or(Ok(3.0), |seconds| seconds.parse())
        .context("seconds is a number")?;
    let turn = Duration::from_secs_f64(seconds);
    let directory = match arguments.next() {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    println!(
        "{:>6} {:>8} {:>14} {:>14} {:>7} {:>10} {:>10}",
        "rooms", "writers", "one by one/s", "roomful/s", "ratio", "p50", "p99"
    );
    for (rooms, writers) in [
        (1, 1),
        (1, 16),
        (1, 64),
        (1, 256),
        (1, 1024),
        (100, 100),
        (100, 256),
        (100, 1024),
    ] {
        let (mut bare, mut best) = (0.0_f64, Run::default());
        for number in 0..TURNS {
            let path = directory
                .path()
                .join(format!("bare-{rooms}-{writers}-{number}.db"));
            bare = bare.max(one_by_one(&path, rooms, turn)?);
            let path = directory
                .path()
                .join(format!("roomful-{rooms}-{writers}-{number}.db"));
            let run = roomful(&path, rooms, writers, turn)?;
            if run.per_second > best.per_second {
                best = run;
            }
        }
        println!(
            "{rooms:>6} {writers:>8} {bare:>14.0} {:>14.0} {:>7.1} {:>8.2}ms {:>8.2}ms",
            best.per_second,
            best.per_second / bare,
            best.p50.as_secs_f64() * 1e3,
            best.p99.as_secs_f64() * 1e3,
        );
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Run {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// Writers that wait for their acknowledgements, through the server's store.
fn roomful(path: &Path, rooms: usize, writers: usize, turn: Duration) -> anyhow::Result<Run> {
    let history = History::open_sqlite(path, SqliteOptions::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let writing: Vec<_> = (0..writers)
            .map(|writer| tokio::spawn(write(history.clone(), writer, rooms, Arc::clone(&stop))))
            .collect();
        tokio::time::sleep(turn).await;
        stop.store(true, Ordering::Relaxed);
        let mut waits = Vec::new();
        for writer in writing {
            waits.extend(writer.await??);
        }
        let elapsed = started.elapsed();
        history.close().await;
        waits.sort_unstable();
        Ok(Run {
            per_second: waits.len() as f64 / elapsed.as_secs_f64(),
            p50: waits[waits.len() / 2],
            p99: waits[waits.len() * 99 / 100],
        })
    })
}

/// Says one message after the other until it is told to stop; answers how long each acknowledgement took.
async fn write(
    history: History,
    writer: usize,
    rooms: usize,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Vec<Duration>> {
    let room = RoomName::parse(&format!("room-{}", writer % rooms))?;
    let member = Member {
        id: format!("m-{writer:022}").into(),
        name: "somebody".into(),
    };
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let id = format!("c-{:020}", waits.len()).into();
        let action = Action::Say {
            text: TEXT.into(),
            reply_to: None,
        };
        let asked = Instant::now();
        history.append(&room, member.clone(), id, action).await?;
        waits.push(asked.elapsed());
    }
    Ok(waits)
}

/// The rows that a message becomes, each message in a transaction of its own.
fn one_by_one(path: &Path, rooms: usize, turn: Duration) -> anyhow::Result<f64> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
    connection.execute_batch(include_str!("../migrations/sqlite/0001_rooms.sql"))?;
    for room in 0..rooms {
        connection.execute(
            "INSERT INTO rooms (id, name, head, first, last_at, messages) VALUES (?1, ?2, 0, 1, 0, 0)",
            (room as i64, format!("room-{room}")),
        )?;
    }
    let started = Instant::now();
    let mut stored = 0;
    while started.elapsed() < turn {
        let (room, seq) = (stored % rooms as i64, stored / rooms as i64 + 1);
        let transaction = connection.transaction()?;
        transaction
            .prepare_cached(
                "INSERT INTO events (room, seq, kind, author, client_id, name, at, text) VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((room, seq, format!("m-{room:022}"), format!("c-{seq:020}"), "somebody", stored, TEXT))?;
        transaction
            .prepare_cached("INSERT INTO messages (room, seq) VALUES (?1, ?2)")?
            .execute((room, seq))?;
        transaction
            .prepare_cached(
                "UPDATE rooms SET head = ?2, last_at = ?3, messages = ?2 WHERE id = ?1",
            )?
            .execute((room, seq, stored))?;
        transaction.commit()?;
        stored += 1;
    }
    Ok(stored as f64 / started.elapsed().as_secs_f64())
}
