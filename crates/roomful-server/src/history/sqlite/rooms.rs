//! The writer's memory of rooms: where each log ends, so that it need not be looked up for every event.
//!
//! It runs ahead of the file while a transaction is open, so it is forgotten when one fails.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _};

use crate::history::decide::LogState;
use crate::history::integer::{signed, unsigned};
use crate::protocol::{RoomEvent, RoomName};

/// Rooms remembered; beyond it all that the last batch did not touch are forgotten, at the cost of looking them up again.
const REMEMBERED: usize = 10_000;

pub(super) struct Room {
    pub(super) id: i64,
    pub(super) state: LogState,
    /// Whether the row has to be written.
    changed: bool,
}

#[derive(Default)]
pub(super) struct Rooms {
    known: HashMap<RoomName, Room>,
    changed: Vec<RoomName>,
}

impl Rooms {
    /// Reads the room, where it is not known yet, and answers whether there is one.
    pub(super) fn find(
        &mut self,
        connection: &Connection,
        name: &RoomName,
    ) -> rusqlite::Result<Option<&mut Room>> {
        if !self.known.contains_key(name) {
            let found = connection
                .prepare_cached(
                    "SELECT id, head, first, last_at, messages FROM rooms WHERE name = ?1",
                )?
                .query_row([name.as_str()], |row| {
                    Ok(Room {
                        id: row.get(0)?,
                        state: LogState {
                            name: name.as_str().into(),
                            head: unsigned(row.get(1)?),
                            first: unsigned(row.get(2)?),
                            last_at: row.get(3)?,
                            begun_at: None,
                            messages: unsigned(row.get(4)?),
                        },
                        changed: false,
                    })
                })
                .optional()?;
            match found {
                Some(room) => self.known.insert(name.clone(), room),
                None => return Ok(None),
            };
        }
        Ok(self.known.get_mut(name))
    }

    pub(super) fn create(
        &mut self,
        connection: &Connection,
        name: &RoomName,
    ) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "INSERT INTO rooms (name, head, first, last_at, messages) VALUES (?1, 0, 1, 0, 0)",
            )?
            .execute([name.as_str()])?;
        Ok(())
    }

    /// Counts an event that was written into `room`.
    pub(super) fn advance(&mut self, name: &RoomName, event: &RoomEvent) {
        let Some(room) = self.known.get_mut(name) else {
            return;
        };
        room.state.advance(event);
        if !std::mem::replace(&mut room.changed, true) {
            self.changed.push(name.clone());
        }
    }

    /// Writes the rows of the rooms that changed, once for the whole batch.
    pub(super) fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut save = connection.prepare_cached(
            "UPDATE rooms SET head = ?2, last_at = ?3, messages = ?4 WHERE id = ?1",
        )?;
        let mut begin =
            connection.prepare_cached("UPDATE rooms SET first_at = ?2 WHERE id = ?1")?;
        for room in self.changed.iter().filter_map(|name| self.known.get(name)) {
            let state = &room.state;
            save.execute((
                room.id,
                signed(state.head),
                state.last_at,
                signed(state.messages),
            ))?;
            if let Some(at) = state.begun_at {
                begin.execute((room.id, at))?;
            }
        }
        Ok(())
    }

    /// The transaction is committed: answers the rooms it changed.
    pub(super) fn saved(&mut self) -> impl Iterator<Item = &Room> {
        if self.known.len() > REMEMBERED {
            self.known.retain(|_, room| room.changed);
        }
        for name in &self.changed {
            if let Some(room) = self.known.get_mut(name) {
                room.changed = false;
                room.state.begun_at = None;
            }
        }
        let names = std::mem::take(&mut self.changed);
        names.into_iter().filter_map(|name| self.known.get(&name))
    }

    /// Events of room `id` were pruned.
    pub(super) fn pruned(&mut self, id: i64, first: u64, messages: u64) {
        if let Some(room) = self.known.values_mut().find(|room| room.id == id) {
            room.state.first = first;
            room.state.messages = messages;
        }
    }

    /// The transaction failed: what is remembered may never have happened.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.changed.clear();
    }
}
