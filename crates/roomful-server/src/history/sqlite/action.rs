//! One action in the writer's transaction: is it a repeat, is it allowed, and what does it change.
//!
//! Everything that can refuse comes before the first write, so that a refused action leaves no trace in the transaction it
//! shares with others.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};

use super::rooms::{Room, Rooms};
use super::rows::{self, Text, event_columns};
use crate::history::integer::{signed, unsigned};
use crate::history::{Appended, Entry, HistoryError};
use crate::protocol::{Action, EventKind, RoomEvent};
use crate::timestamp::Timestamp;

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
    entry: &Entry,
    now_ms: i64,
) -> Result<Appended, Failure> {
    let name = &entry.room;
    if rooms.find(connection, name)?.is_none() {
        // Nothing in a new room can be answered or changed yet.
        if !entry.may_begin_room() {
            return Err(Failure::Refused(HistoryError::MessageNotFound));
        }
        rooms.create(connection, name)?;
    }
    let Some(room) = rooms.find(connection, name)? else {
        return Err(Failure::Store(rusqlite::Error::QueryReturnedNoRows));
    };

    // What is said is nearly never a repeat, so the insertion itself finds out. What has a target has to know before it looks
    // there: the repeat of a deletion finds it deleted.
    let has_target = !matches!(entry.action, Action::Say { reply_to: None, .. });
    if has_target && let Some(event) = repeated(connection, room, entry)? {
        return Ok(event);
    }
    if let Some(refusal) = refusal(connection, room, entry)? {
        return Err(Failure::Refused(refusal));
    }
    let at = now_ms.max(room.last_at);
    let event = entry.clone().numbered(
        Arc::clone(&room.name),
        unsigned(room.head + 1),
        Timestamp::from_millis(at),
    );
    if !insert(connection, room, &event, at)? {
        return repeated(connection, room, entry)?
            .ok_or(Failure::Store(rusqlite::Error::QueryReturnedNoRows));
    }
    project(connection, room, &event)?;
    rooms.advance(name, at);
    Ok(Appended {
        event: Arc::new(event),
        repeated: false,
    })
}

/// The event that the same author's same id made before.
fn repeated(
    connection: &Connection,
    room: &Room,
    entry: &Entry,
) -> rusqlite::Result<Option<Appended>> {
    let event = connection
        .prepare_cached(concat!(
            "SELECT ",
            event_columns!(),
            " FROM events WHERE room = ?1 AND author = ?2 AND client_id = ?3"
        ))?
        .query_row((room.id, &entry.author.id, entry.id.as_str()), |row| {
            rows::event(row, &room.name)
        })
        .optional()?;
    Ok(event.map(|event| Appended {
        event: Arc::new(event),
        repeated: true,
    }))
}

/// Why the entry may not be stored.
fn refusal(
    connection: &Connection,
    room: &Room,
    entry: &Entry,
) -> rusqlite::Result<Option<HistoryError>> {
    let target = match &entry.action {
        Action::Say { reply_to, .. } => {
            let given = reply_to.is_none_or(|target| (1..=room.head).contains(&signed(target)));
            return Ok((!given).then_some(HistoryError::MessageNotFound));
        }
        Action::Topic { .. } => return Ok(None),
        Action::Edit { target, .. } | Action::Delete { target } | Action::React { target, .. } => {
            *target
        }
    };
    let author = connection
        .prepare_cached(
            "SELECT e.author FROM messages m CROSS JOIN events e ON e.room = m.room AND e.seq = m.seq \
             WHERE m.room = ?1 AND m.seq = ?2 AND m.deleted IS NULL",
        )?
        .query_row((room.id, signed(target)), |row| Ok(row.get::<_, Text>(0)?.0))
        .optional()?;
    let needs_own = !matches!(entry.action, Action::React { .. });
    Ok(match author {
        None => Some(HistoryError::MessageNotFound),
        Some(author) if needs_own && !entry.may_change(&author) => Some(HistoryError::Forbidden),
        Some(_) => None,
    })
}

/// Writes the event into the log, unless its author and id are there already.
fn insert(
    connection: &Connection,
    room: &Room,
    event: &RoomEvent,
    at: i64,
) -> rusqlite::Result<bool> {
    let kind = match event.kind {
        EventKind::Message => rows::MESSAGE,
        EventKind::Edited => rows::EDITED,
        EventKind::Deleted => rows::DELETED,
        EventKind::Reacted => rows::REACTED,
        EventKind::Topic => rows::TOPIC,
    };
    let inserted = connection
        .prepare_cached(
            "INSERT INTO events (room, seq, kind, author, client_id, name, at, text, reply_to, target, emoji, is_on) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (room, author, client_id) DO NOTHING",
        )?
        .execute((
            room.id,
            signed(event.seq),
            kind,
            &event.from.id,
            &event.id,
            &event.from.name,
            at,
            event.text.as_deref(),
            event.reply_to.map(signed),
            event.target.map(signed),
            &event.emoji,
            event.on,
        ))?;
    Ok(inserted == 1)
}

/// Changes how messages read now.
fn project(connection: &Connection, room: &mut Room, event: &RoomEvent) -> rusqlite::Result<()> {
    let seq = signed(event.seq);
    let target = signed(event.target.unwrap_or_default());
    match event.kind {
        EventKind::Message => {
            room.messages += 1;
            connection
                .prepare_cached("INSERT INTO messages (room, seq) VALUES (?1, ?2)")?
                .execute((room.id, seq))?;
        }
        EventKind::Edited => {
            connection
                .prepare_cached("UPDATE messages SET edited = ?3 WHERE room = ?1 AND seq = ?2")?
                .execute((room.id, target, seq))?;
        }
        EventKind::Deleted => {
            room.messages -= 1;
            delete(connection, room, target, seq)?;
        }
        EventKind::Reacted if event.on == Some(true) => {
            connection
                .prepare_cached(
                    "INSERT INTO reactions (room, seq, emoji, member, event) VALUES (?1, ?2, ?3, ?4, ?5) \
                     ON CONFLICT DO NOTHING",
                )?
                .execute((room.id, target, &event.emoji, &event.from.id, seq))?;
        }
        EventKind::Reacted => {
            connection
                .prepare_cached("DELETE FROM reactions WHERE room = ?1 AND seq = ?2 AND emoji = ?3 AND member = ?4")?
                .execute((room.id, target, &event.emoji, &event.from.id))?;
        }
        EventKind::Topic => {
            connection
                .prepare_cached("UPDATE rooms SET topic = ?2 WHERE id = ?1")?
                .execute((room.id, event.text.as_deref()))?;
        }
    }
    Ok(())
}

/// Marks the message and wipes its text from the log, in all versions.
fn delete(connection: &Connection, room: &Room, target: i64, seq: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE messages SET deleted = ?3 WHERE room = ?1 AND seq = ?2")?
        .execute((room.id, target, seq))?;
    connection
        .prepare_cached("UPDATE events SET text = '' WHERE room = ?1 AND seq = ?2")?
        .execute((room.id, target))?;
    // Without the name of the index SQLite would rather read the whole room.
    connection
        .prepare_cached(
            "UPDATE events INDEXED BY edits_by_target SET text = '' WHERE room = ?1 AND target = ?2 AND kind = 2",
        )?
        .execute((room.id, target))?;
    connection
        .prepare_cached("DELETE FROM reactions WHERE room = ?1 AND seq = ?2")?
        .execute((room.id, target))?;
    Ok(())
}
