//! What becomes of a batch of actions: pure, given what the locked rooms hold.
//!
//! The rooms' rows are locked, so nothing that is decided on here can change before the commit. Later actions of a batch
//! see what earlier ones do.

use std::collections::HashMap;
use std::sync::Arc;

use crate::history::appending::Outcome;
use crate::history::decide::{self, Change, LogState};
use crate::history::{Entry, HistoryError};
use crate::protocol::{RoomEvent, RoomName};

/// A locked room.
pub(super) struct Room {
    pub(super) id: i64,
    pub(super) state: LogState,
    /// The topic, where the batch sets it.
    pub(super) topic: Option<String>,
    /// Whether the row has to be written.
    pub(super) changed: bool,
}

/// An author's client id in a room.
pub(super) type Key = (i64, Arc<str>, Arc<str>);

/// What the database holds that matters to a batch.
#[derive(Default)]
pub(super) struct Known {
    pub(super) rooms: HashMap<RoomName, Room>,
    /// Events whose author and client id come again in the batch.
    pub(super) said: HashMap<Key, Arc<RoomEvent>>,
    /// Who said the messages that the batch is about; those that are deleted are not here.
    pub(super) authors: HashMap<(i64, u64), Arc<str>>,
}

/// An event to be stored.
pub(super) struct New {
    pub(super) room: i64,
    pub(super) event: Arc<RoomEvent>,
}

/// What becomes of each action, and what there is to store.
pub(super) struct Decided {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) new: Vec<New>,
}

pub(super) fn decide(entries: &[Entry], known: &mut Known, now_ms: i64) -> Decided {
    let mut new = Vec::new();
    let outcomes = entries
        .iter()
        .map(|entry| decide_one(entry, known, now_ms, &mut new))
        .collect();
    Decided { outcomes, new }
}

fn decide_one(entry: &Entry, known: &mut Known, now_ms: i64, new: &mut Vec<New>) -> Outcome {
    let Some(room) = known.rooms.get_mut(&entry.room) else {
        // A room is made for every action that may be its first.
        return Err(HistoryError::MessageNotFound);
    };
    let (author, id) = (&entry.author.id, entry.id.clone().into_text());
    let key = (room.id, Arc::clone(author), id);
    let target_author =
        decide::target(&entry.action).and_then(|target| known.authors.get(&(room.id, target)));
    let found = decide::Found {
        repeated: known.said.get(&key),
        target_author: target_author.map(|author| &**author),
    };
    let appended = room.state.decide(entry.clone(), found, now_ms)?;
    if appended.repeated {
        return Ok(appended);
    }

    let event = &appended.event;
    room.state.advance(event);
    room.changed = true;
    match Change::of(event) {
        Change::Said => {
            let message = (room.id, event.seq);
            known.authors.insert(message, Arc::clone(author));
        }
        Change::Deleted { target } => {
            known.authors.remove(&(room.id, target));
        }
        Change::Topic { text } => room.topic = Some(text.to_owned()),
        Change::Edited { .. } | Change::ReactionSet { .. } | Change::ReactionTakenBack { .. } => {}
    }
    known.said.insert(key, Arc::clone(event));
    new.push(New {
        room: room.id,
        event: Arc::clone(event),
    });
    Ok(appended)
}
