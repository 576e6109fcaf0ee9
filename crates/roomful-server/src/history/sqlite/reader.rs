//! Reading the record. Each read sees one moment of it.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};

use super::rows::{self, Text, event_columns, message_columns};
use crate::history::integer::{signed, unsigned};
use crate::history::queue::{Queue, Taken};
use crate::history::{EventsPage, RoomSummary, grouped_reactions};
use crate::protocol::{MessageView, RoomName};
use crate::timestamp::Timestamp;

/// One read, which answers by itself.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// A reader thread: one read after the other until the queue is closed.
pub(super) fn run(connection: &Connection, reads: &Queue<Read>) {
    let mut next = Vec::with_capacity(1);
    while reads.take(&mut next, 1, None) != Taken::Closed {
        for read in next.drain(..) {
            read(connection);
        }
    }
}

/// What is known of a room before its events are read.
struct Room {
    id: i64,
    head: i64,
    first: i64,
}

fn room(connection: &Connection, name: &RoomName) -> rusqlite::Result<Option<Room>> {
    connection
        .prepare_cached("SELECT id, head, first FROM rooms WHERE name = ?1")?
        .query_row([name.as_str()], |row| {
            Ok(Room {
                id: row.get(0)?,
                head: row.get(1)?,
                first: row.get(2)?,
            })
        })
        .optional()
}

pub(super) fn head(connection: &Connection, name: &RoomName) -> rusqlite::Result<u64> {
    Ok(room(connection, name)?.map_or(0, |room| unsigned(room.head)))
}

pub(super) fn after(
    connection: &Connection,
    name: &RoomName,
    after: u64,
    limit: usize,
) -> rusqlite::Result<EventsPage> {
    let moment = connection.unchecked_transaction()?;
    let Some(room) = room(&moment, name)? else {
        return Ok(EventsPage {
            events: Vec::new(),
            head: 0,
            first: 1,
        });
    };
    let shared: Arc<str> = name.as_str().into();
    let events = moment
        .prepare_cached(concat!(
            "SELECT ",
            event_columns!(),
            " FROM events WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
        ))?
        .query_map((room.id, signed(after), signed(limit as u64)), |row| {
            rows::event(row, &shared).map(Arc::new)
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(EventsPage {
        events,
        head: unsigned(room.head),
        first: unsigned(room.first),
    })
}

pub(super) fn messages_before(
    connection: &Connection,
    name: &RoomName,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<MessageView>> {
    let moment = connection.unchecked_transaction()?;
    let Some(room) = room(&moment, name)? else {
        return Ok(Vec::new());
    };
    let before = signed(before.unwrap_or(u64::MAX));
    let mut messages = moment
        .prepare_cached(concat!(
            "SELECT ",
            message_columns!(),
            " WHERE m.room = ?1 AND m.seq < ?2 ORDER BY m.seq DESC LIMIT ?3"
        ))?
        .query_map((room.id, before, signed(limit as u64)), rows::message)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    messages.reverse();
    add_reactions(&moment, room.id, &mut messages)?;
    Ok(messages)
}

/// Reads the reactions of a page at once; the page is in the order of its numbers.
fn add_reactions(
    connection: &Connection,
    room: i64,
    messages: &mut [MessageView],
) -> rusqlite::Result<()> {
    let (Some(oldest), Some(newest)) = (messages.first(), messages.last()) else {
        return Ok(());
    };
    let range = (room, signed(oldest.seq), signed(newest.seq));
    let mut query = connection.prepare_cached(
        "SELECT seq, emoji, member FROM reactions WHERE room = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq, event",
    )?;
    let reactions = query
        .query_map(range, |row| {
            let seq = unsigned(row.get(0)?);
            Ok((
                seq,
                (row.get::<_, Text>(1)?.0, row.get::<_, Text>(2)?.shared()),
            ))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for of_one in reactions.chunk_by(|a, b| a.0 == b.0) {
        if let Ok(place) = messages.binary_search_by_key(&of_one[0].0, |message| message.seq) {
            messages[place].reactions =
                grouped_reactions(of_one.iter().map(|(_, set)| set.clone()));
        }
    }
    Ok(())
}

pub(super) fn topic(connection: &Connection, name: &RoomName) -> rusqlite::Result<String> {
    let topic = connection
        .prepare_cached("SELECT topic FROM rooms WHERE name = ?1")?
        .query_row([name.as_str()], |row| Ok(row.get::<_, Text>(0)?.0))
        .optional()?;
    Ok(topic.unwrap_or_default())
}

pub(super) fn rooms(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<RoomSummary>> {
    let mut query = connection.prepare_cached(
        "SELECT name, head, last_at, messages, topic FROM rooms WHERE first <= head ORDER BY last_at DESC, id DESC LIMIT ?1",
    )?;
    let found = query.query_map([signed(limit as u64)], |row| {
        let name = row.get::<_, Text>(0)?.0;
        // A damaged name is no reason to hide the other rooms.
        let Ok(room) = RoomName::parse(&name) else {
            return Ok(None);
        };
        Ok(Some(RoomSummary {
            room,
            head: unsigned(row.get(1)?),
            last_at: Timestamp::from_millis(row.get(2)?),
            messages: unsigned(row.get(3)?),
            topic: row.get::<_, Text>(4)?.0,
        }))
    })?;
    found.filter_map(Result::transpose).collect()
}

pub(super) fn ready(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("SELECT 1 FROM store")?
        .query_row([], |_| Ok(()))
}
