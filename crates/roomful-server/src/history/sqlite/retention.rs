//! Letting go of old events: a bite at a time, between batches, so that nobody who says something waits for it.
//!
//! A room's row keeps its newest number, so no number is given twice, and its oldest, so that readers can tell. Pages that
//! become free are used again; the file does not shrink.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _};

use super::Retention;
use super::rooms::{Room, Rooms};
use crate::history::integer::signed;

/// Events that one bite takes at most: a few milliseconds of the writer's time.
const BITE: i64 = 500;
/// Rooms with events that are too old, looked up at a time.
const LOOKED_UP: i64 = 64;

pub(super) struct Pruner {
    keep: Option<i64>,
    age_ms: Option<i64>,
    interval: Duration,
    /// Rooms that have too much.
    due: VecDeque<i64>,
    next_look: Instant,
    /// Whether all rooms have to be counted: at the start, and after a failure.
    recount: bool,
}

impl Pruner {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            keep: retention.events_per_room.map(signed),
            age_ms: retention
                .age
                .map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
            interval: retention.interval,
            due: VecDeque::new(),
            next_look: Instant::now(),
            recount: true,
        }
    }

    /// When there is something to do; `None` where everything is kept.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.keep.is_none() && self.age_ms.is_none() {
            None
        } else if self.due.is_empty() {
            Some(self.next_look)
        } else {
            Some(Instant::now())
        }
    }

    /// A room has grown. A tenth over what is kept may gather, so that a busy room is not pruned in every batch.
    pub(super) fn grown(&mut self, room: &Room) {
        if let Some(keep) = self.keep
            && room.head - room.first + 1 > keep.saturating_add(keep / 10)
            && !self.due.contains(&room.id)
        {
            self.due.push_back(room.id);
        }
    }

    /// Takes one bite, where one is due.
    pub(super) fn prune(
        &mut self,
        connection: &mut Connection,
        rooms: &mut Rooms,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        let result = self.bite(connection, rooms, now_ms);
        if result.is_err() {
            // Not at once again: the disk may be full for hours.
            self.due.clear();
            self.recount = true;
            self.next_look = Instant::now() + self.interval;
        }
        result
    }

    fn bite(
        &mut self,
        connection: &mut Connection,
        rooms: &mut Rooms,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        let too_old = self.age_ms.map(|age| now_ms.saturating_sub(age));
        if self.due.is_empty() && self.next_look <= Instant::now() {
            self.look(connection, too_old)?;
        }
        let Some(&room) = self.due.front() else {
            return Ok(());
        };

        let transaction = connection.transaction()?;
        let Some(state) = state(&transaction, room)? else {
            self.due.pop_front();
            return Ok(());
        };
        let end = self.end(&transaction, room, &state, too_old)?;
        if end < state.first + BITE {
            // The last bite; the room comes back when it has grown.
            self.due.pop_front();
        }
        if end <= state.first {
            return Ok(());
        }
        let messages = state.messages - drop_before(&transaction, room, end)?;
        transaction
            .prepare_cached(
                "UPDATE rooms SET first = ?2, messages = ?3, \
                 first_at = (SELECT at FROM events WHERE room = ?1 AND seq = ?2) WHERE id = ?1",
            )?
            .execute((room, end, messages))?;
        transaction.commit()?;
        rooms.pruned(room, end, messages);
        Ok(())
    }

    /// Finds rooms that have too much.
    fn look(&mut self, connection: &Connection, too_old: Option<i64>) -> rusqlite::Result<()> {
        let mut full = false;
        if let Some(too_old) = too_old {
            let mut query = connection.prepare_cached(
                "SELECT id FROM rooms WHERE first_at < ?1 ORDER BY first_at LIMIT ?2",
            )?;
            for id in query.query_map([too_old, LOOKED_UP], |row| row.get(0))? {
                self.due.push_back(id?);
            }
            full = self.due.len() as i64 == LOOKED_UP;
        }
        if let Some(keep) = self.keep
            && self.recount
        {
            let mut query =
                connection.prepare("SELECT id FROM rooms WHERE head - first + 1 > ?1")?;
            for id in query.query_map([keep], |row| row.get(0))? {
                self.due.push_back(id?);
            }
        }
        self.recount = false;
        // Where there may be more, look again as soon as these are done.
        if !full {
            self.next_look = Instant::now() + self.interval;
        }
        Ok(())
    }

    /// The number before which this bite takes everything.
    fn end(
        &self,
        connection: &Connection,
        room: i64,
        state: &State,
        too_old: Option<i64>,
    ) -> rusqlite::Result<i64> {
        let mut end = self.keep.map_or(0, |keep| state.head - keep + 1);
        if let Some(too_old) = too_old {
            // Dates never go back, so all that is too old comes first.
            let old: i64 = connection
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT at FROM events WHERE room = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3) \
                     WHERE at < ?4",
                )?
                .query_row((room, state.first, BITE, too_old), |row| row.get(0))?;
            end = end.max(state.first + old);
        }
        Ok(end.min(state.first + BITE).min(state.head + 1))
    }
}

struct State {
    head: i64,
    first: i64,
    messages: i64,
}

fn state(connection: &Connection, room: i64) -> rusqlite::Result<Option<State>> {
    connection
        .prepare_cached("SELECT head, first, messages FROM rooms WHERE id = ?1")?
        .query_row([room], |row| {
            Ok(State {
                head: row.get(0)?,
                first: row.get(1)?,
                messages: row.get(2)?,
            })
        })
        .optional()
}

/// Removes what is before `end`, and answers how many messages that could be read.
fn drop_before(connection: &Connection, room: i64, end: i64) -> rusqlite::Result<i64> {
    let readable = connection
        .prepare_cached(
            "SELECT count(*) FROM messages WHERE room = ?1 AND seq < ?2 AND deleted IS NULL",
        )?
        .query_row((room, end), |row| row.get(0))?;
    for sql in [
        "DELETE FROM events WHERE room = ?1 AND seq < ?2",
        "DELETE FROM messages WHERE room = ?1 AND seq < ?2",
        "DELETE FROM reactions WHERE room = ?1 AND seq < ?2",
        // A message that is gone can no longer be deleted: its text must not live on in edits.
        "UPDATE events INDEXED BY edits_by_target SET text = '' \
         WHERE room = ?1 AND target < ?2 AND kind = 2 AND text <> ''",
    ] {
        connection.prepare_cached(sql)?.execute((room, end))?;
    }
    Ok(readable)
}
