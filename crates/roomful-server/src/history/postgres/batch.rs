//! What becomes of a batch of actions: pure, given what the locked rooms hold.
//!
//! The rooms' rows are locked, so nothing that is decided on here can change before the commit. Later actions of a batch
//! see what earlier ones do.

use std::collections::HashMap;
use std::sync::Arc;

use crate::history::integer::{signed, unsigned};
use crate::history::{Appended, Entry, HistoryError};
use crate::protocol::{Action, EventKind, RoomEvent, RoomName};
use crate::timestamp::Timestamp;

/// A locked room.
pub(super) struct Room {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    /// The newest number given.
    pub(super) head: i64,
    /// The oldest number kept.
    pub(super) first: i64,
    /// When the newest event was stored.
    pub(super) last_at: i64,
    /// Messages that are kept and not deleted.
    pub(super) messages: i64,
    /// The topic, where the batch sets it.
    pub(super) topic: Option<String>,
    /// When the oldest event was stored, where the log begins in this batch.
    pub(super) begun_at: Option<i64>,
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
    pub(super) authors: HashMap<(i64, i64), Arc<str>>,
}

/// An event to be stored.
pub(super) struct New {
    pub(super) room: i64,
    pub(super) event: Arc<RoomEvent>,
    pub(super) at: i64,
}

/// What becomes of each action, and what there is to store.
pub(super) struct Decided {
    pub(super) outcomes: Vec<Result<Appended, HistoryError>>,
    pub(super) new: Vec<New>,
}

/// The message that an entry is about, where it needs one that is there.
pub(super) fn target(entry: &Entry) -> Option<u64> {
    match &entry.action {
        Action::Edit { target, .. } | Action::Delete { target } | Action::React { target, .. } => {
            Some(*target)
        }
        Action::Say { .. } | Action::Topic { .. } => None,
    }
}

pub(super) fn decide(entries: &[Entry], known: &mut Known, now_ms: i64) -> Decided {
    let mut new = Vec::new();
    let outcomes = entries
        .iter()
        .map(|entry| {
            let appended = decide_one(entry, known, now_ms)?;
            if let Some((room, at)) = appended.1 {
                let event = Arc::clone(&appended.0.event);
                new.push(New { room, event, at });
            }
            Ok(appended.0)
        })
        .collect();
    Decided { outcomes, new }
}

/// The outcome, and the room and date of an event that is new.
fn decide_one(
    entry: &Entry,
    known: &mut Known,
    now_ms: i64,
) -> Result<(Appended, Option<(i64, i64)>), HistoryError> {
    // Only what needs a message finds no room.
    let room = known
        .rooms
        .get_mut(&entry.room)
        .ok_or(HistoryError::MessageNotFound)?;
    let key = (
        room.id,
        Arc::clone(&entry.author.id),
        entry.id.clone().into_text(),
    );
    if let Some(event) = known.said.get(&key) {
        let appended = Appended {
            event: Arc::clone(event),
            repeated: true,
        };
        return Ok((appended, None));
    }
    match &entry.action {
        Action::Say {
            reply_to: Some(answered),
            ..
        } if !(1..=room.head).contains(&signed(*answered)) => {
            return Err(HistoryError::MessageNotFound);
        }
        Action::Say { .. } | Action::Topic { .. } => {}
        action @ (Action::Edit { target, .. }
        | Action::Delete { target }
        | Action::React { target, .. }) => {
            let author = known
                .authors
                .get(&(room.id, signed(*target)))
                .ok_or(HistoryError::MessageNotFound)?;
            let needs_own = !matches!(action, Action::React { .. });
            if needs_own && !entry.may_change(author) {
                return Err(HistoryError::Forbidden);
            }
        }
    }

    let at = now_ms.max(room.last_at);
    let event = Arc::new(entry.clone().numbered(
        Arc::clone(&room.name),
        unsigned(room.head + 1),
        Timestamp::from_millis(at),
    ));
    if room.head < room.first {
        room.begun_at = Some(at);
    }
    room.head += 1;
    room.last_at = at;
    room.changed = true;
    let target = (room.id, signed(event.target.unwrap_or_default()));
    match event.kind {
        EventKind::Message => {
            room.messages += 1;
            let author = Arc::clone(&entry.author.id);
            known.authors.insert((room.id, room.head), author);
        }
        EventKind::Deleted => {
            room.messages -= 1;
            known.authors.remove(&target);
        }
        EventKind::Topic => room.topic = event.text.as_deref().map(str::to_owned),
        EventKind::Edited | EventKind::Reacted => {}
    }
    known.said.insert(key, Arc::clone(&event));
    let stored = (room.id, at);
    let appended = Appended {
        event,
        repeated: false,
    };
    Ok((appended, Some(stored)))
}
