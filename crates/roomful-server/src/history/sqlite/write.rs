//! One action in the writer's transaction: looks up what is to be known, has [`decide`] decide, and writes what came out.
//!
//! Everything that can refuse comes before the first write, so that a refused action leaves no trace in the transaction it
//! shares with others.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};

use super::rooms::{Room, Rooms};
use super::rows::{self, Text, event_columns};
use crate::history::decide::{self, Change, Found};
use crate::history::integer::signed;
use crate::history::kind;
use crate::history::{Appended, Entry, HistoryError};
use crate::protocol::{Action, RoomEvent};

/// Why an action was not applied.
pub(super) enum Failure {
    /// It is not allowed; the transaction goes on without it.
    Refused(HistoryError),
    /// The store failed, and the transaction with it.
    Store(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

pub(super) fn apply(
    connection: &Connection,
    rooms: &mut Rooms,
    entry: Entry,
    now_ms: i64,
) -> Result<Appended, Failure> {
    let name = entry.room.clone();
    if rooms.find(connection, &name)?.is_none() {
        decide::begin_room(&entry).map_err(Failure::Refused)?;
        rooms.create(connection, &name)?;
    }
    let Some(room) = rooms.find(connection, &name)? else {
        return Err(Failure::Store(rusqlite::Error::QueryReturnedNoRows));
    };

    // What is said is nearly never a repeat, so the insertion itself finds out. What has a target has to know before it looks
    // there: the repeat of a deletion finds it deleted.
    let said = match entry.action {
        Action::Say { reply_to: None, .. } => None,
        _ => repeated(connection, room, &entry.author.id, entry.id.as_str())?,
    };
    let target_author = match decide::target(&entry.action) {
        Some(target) if said.is_none() => author_of(connection, room, target)?,
        Some(_) | None => None,
    };
    let found = Found {
        repeated: said.as_ref(),
        target_author: target_author.as_deref(),
    };
    let appended = room
        .state
        .decide(entry, found, now_ms)
        .map_err(Failure::Refused)?;
    if appended.repeated {
        return Ok(appended);
    }
    let event = &appended.event;
    if !insert(connection, room, event)? {
        let event = repeated(connection, room, &event.from.id, &event.id)?
            .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        return Ok(Appended {
            event,
            repeated: true,
        });
    }
    project(connection, room, event)?;
    rooms.advance(&name, event);
    Ok(appended)
}

/// The event that the same author's same id made before.
fn repeated(
    connection: &Connection,
    room: &Room,
    author: &str,
    id: &str,
) -> rusqlite::Result<Option<Arc<RoomEvent>>> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            event_columns!(),
            " FROM events WHERE room = ?1 AND author = ?2 AND client_id = ?3"
        ))?
        .query_row((room.id, author, id), |row| {
            rows::event(row, &room.state.name).map(Arc::new)
        })
        .optional()
}

/// Who said the message `target`, unless it is deleted.
fn author_of(
    connection: &Connection,
    room: &Room,
    target: u64,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT e.author FROM messages m CROSS JOIN events e ON e.room = m.room AND e.seq = m.seq \
             WHERE m.room = ?1 AND m.seq = ?2 AND m.deleted IS NULL",
        )?
        .query_row((room.id, signed(target)), |row| Ok(row.get::<_, Text>(0)?.0))
        .optional()
}

/// Writes the event into the log, unless its author and id are there already.
fn insert(connection: &Connection, room: &Room, event: &RoomEvent) -> rusqlite::Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO events (room, seq, kind, author, client_id, name, at, text, reply_to, target, emoji, is_on) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (room, author, client_id) DO NOTHING",
        )?
        .execute((
            room.id,
            signed(event.seq),
            kind::number(event.kind),
            &event.from.id,
            &event.id,
            &event.from.name,
            event.at.as_millis(),
            event.text.as_deref(),
            event.reply_to.map(signed),
            event.target.map(signed),
            &event.emoji,
            event.on,
        ))?;
    Ok(inserted == 1)
}

/// Changes how the room reads now.
fn project(connection: &Connection, room: &Room, event: &RoomEvent) -> rusqlite::Result<()> {
    let (room, seq) = (room.id, signed(event.seq));
    match Change::of(event) {
        Change::Said => {
            connection
                .prepare_cached("INSERT INTO messages (room, seq) VALUES (?1, ?2)")?
                .execute((room, seq))?;
        }
        Change::Edited { target } => {
            connection
                .prepare_cached("UPDATE messages SET edited = ?3 WHERE room = ?1 AND seq = ?2")?
                .execute((room, signed(target), seq))?;
        }
        Change::Deleted { target } => delete(connection, room, signed(target), seq)?,
        Change::ReactionSet {
            target,
            emoji,
            member,
        } => {
            connection
                .prepare_cached(
                    "INSERT INTO reactions (room, seq, emoji, member, event) VALUES (?1, ?2, ?3, ?4, ?5) \
                     ON CONFLICT DO NOTHING",
                )?
                .execute((room, signed(target), emoji, member, seq))?;
        }
        Change::ReactionTakenBack {
            target,
            emoji,
            member,
        } => {
            connection
                .prepare_cached("DELETE FROM reactions WHERE room = ?1 AND seq = ?2 AND emoji = ?3 AND member = ?4")?
                .execute((room, signed(target), emoji, member))?;
        }
        Change::Topic { text } => {
            connection
                .prepare_cached("UPDATE rooms SET topic = ?2 WHERE id = ?1")?
                .execute((room, text))?;
        }
    }
    Ok(())
}

/// Marks the message and wipes its text from the log, in all versions.
fn delete(connection: &Connection, room: i64, target: i64, seq: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE messages SET deleted = ?3 WHERE room = ?1 AND seq = ?2")?
        .execute((room, target, seq))?;
    connection
        .prepare_cached("UPDATE events SET text = '' WHERE room = ?1 AND seq = ?2")?
        .execute((room, target))?;
    // Without the name of the index SQLite would rather read the whole room.
    connection
        .prepare_cached(
            "UPDATE events INDEXED BY edits_by_target SET text = '' WHERE room = ?1 AND target = ?2 AND kind = 2",
        )?
        .execute((room, target))?;
    connection
        .prepare_cached("DELETE FROM reactions WHERE room = ?1 AND seq = ?2")?
        .execute((room, target))?;
    Ok(())
}
