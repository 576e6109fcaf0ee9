//! Removes old events, a batch at a time, between the batches of what is said. Pages that become free are used again; the
//! file does not shrink.

use std::collections::VecDeque;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _};

use super::rooms::{Room, Rooms};
use crate::history::integer::{signed, unsigned};
use crate::history::retention::{BATCH, LOOKED_UP, Retention};

pub(super) struct Pruner {
    retention: Retention,
    /// Rooms that have too much.
    due: VecDeque<i64>,
    next_look: Instant,
    /// Whether all rooms have to be counted: at the start, and after a failure.
    recount: bool,
}

impl Pruner {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            due: VecDeque::new(),
            next_look: Instant::now(),
            recount: true,
        }
    }

    /// When there is something to do; `None` where everything is kept.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.retention.keeps_all() {
            None
        } else if self.due.is_empty() {
            Some(self.next_look)
        } else {
            Some(Instant::now())
        }
    }

    /// A room has grown.
    pub(super) fn grown(&mut self, room: &Room) {
        if self.retention.is_over(room.state.first, room.state.head) && !self.due.contains(&room.id)
        {
            self.due.push_back(room.id);
        }
    }

    /// Removes one batch, where one is due.
    pub(super) fn prune(
        &mut self,
        connection: &mut Connection,
        rooms: &mut Rooms,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        let result = self.remove_batch(connection, rooms, now_ms);
        if result.is_err() {
            // Not at once again: the disk may be full for hours.
            self.due.clear();
            self.recount = true;
            self.next_look = Instant::now() + self.retention.interval;
        }
        result
    }

    fn remove_batch(
        &mut self,
        connection: &mut Connection,
        rooms: &mut Rooms,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        let too_old = self.retention.too_old(now_ms);
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
        let old = too_old.map_or(Ok(0), |date| count_old(&transaction, room, &state, date))?;
        let removed = self.retention.next_batch(state.first, state.head, old);
        if removed.is_none_or(|removed| !removed.may_be_more) {
            // The room comes back when it has grown.
            self.due.pop_front();
        }
        let Some(removed) = removed else {
            return Ok(());
        };
        let end = removed.before;
        let messages = state.messages - drop_before(&transaction, room, signed(end))?;
        transaction
            .prepare_cached(
                "UPDATE rooms SET first = ?2, messages = ?3, \
                 first_at = (SELECT at FROM events WHERE room = ?1 AND seq = ?2) WHERE id = ?1",
            )?
            .execute((room, signed(end), signed(messages)))?;
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
        if let Some(most) = self.retention.most()
            && self.recount
        {
            let mut query =
                connection.prepare("SELECT id FROM rooms WHERE head - first + 1 > ?1")?;
            for id in query.query_map([signed(most)], |row| row.get(0))? {
                self.due.push_back(id?);
            }
        }
        self.recount = false;
        // Where there may be more, look again as soon as these are done.
        if !full {
            self.next_look = Instant::now() + self.retention.interval;
        }
        Ok(())
    }
}

struct State {
    head: u64,
    first: u64,
    messages: u64,
}

fn state(connection: &Connection, room: i64) -> rusqlite::Result<Option<State>> {
    connection
        .prepare_cached("SELECT head, first, messages FROM rooms WHERE id = ?1")?
        .query_row([room], |row| {
            Ok(State {
                head: unsigned(row.get(0)?),
                first: unsigned(row.get(1)?),
                messages: unsigned(row.get(2)?),
            })
        })
        .optional()
}

/// How many of the room's oldest events were stored before `date`; counted up to a batch.
fn count_old(
    connection: &Connection,
    room: i64,
    state: &State,
    date: i64,
) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT at FROM events WHERE room = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3) \
             WHERE at < ?4",
        )?
        .query_row((room, signed(state.first), signed(BATCH), date), |row| {
            row.get(0).map(unsigned)
        })
}

/// Removes what is before `end`, and answers how many messages that could be read.
fn drop_before(connection: &Connection, room: i64, end: i64) -> rusqlite::Result<u64> {
    let readable = connection
        .prepare_cached(
            "SELECT count(*) FROM messages WHERE room = ?1 AND seq < ?2 AND deleted IS NULL",
        )?
        .query_row((room, end), |row| row.get(0).map(unsigned))?;
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
