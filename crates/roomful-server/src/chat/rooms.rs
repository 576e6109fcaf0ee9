//! The rooms that somebody listens to.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use ahash::AHashMap;
use roomful::serve::{Home, Shards};
use tokio::sync::{Notify, OnceCell};

use crate::counters::Counters;
use crate::feed::Feed;
use crate::presence::Presence;
use crate::protocol::{RoomEvent, RoomName};

/// The rooms somebody listens to; others exist only in the log.
pub struct Rooms {
    pub(super) shards: Shards,
    pub(super) counters: Arc<Counters>,
    /// Guards which rooms are open.
    open: Mutex<AHashMap<RoomName, Weak<Room>>>,
    /// Some room's feed misses events.
    pub(super) gap: Notify,
}

/// A room that somebody listens to.
pub struct Room {
    pub(super) name: RoomName,
    pub(super) feed: Feed,
    pub(super) presence: Presence,
    pub(super) home: Home,
    pub(super) started: OnceCell<()>,
}

impl Rooms {
    /// No rooms yet.
    pub fn new(shards: Shards) -> Self {
        Self {
            shards,
            counters: Arc::default(),
            open: Mutex::default(),
            gap: Notify::new(),
        }
    }

    /// Events were committed, in this order: those who listen hear them. Called by the store, before it acknowledges.
    pub fn committed(&self, events: &[Arc<RoomEvent>]) {
        let mut known: Option<Arc<Room>> = None;
        for event in events {
            if known
                .as_ref()
                .is_none_or(|room| room.name.as_str() != &*event.room)
            {
                known = self.lock().get(&*event.room).and_then(Weak::upgrade);
            }
            if let Some(room) = &known
                && room.feed.offer(event)
            {
                self.gap.notify_one();
            }
        }
    }

    pub(super) fn room(&self, name: &RoomName) -> Arc<Room> {
        let mut open = self.lock();
        if let Some(room) = open.get(name).and_then(Weak::upgrade) {
            return room;
        }
        if open.len() >= 64 && open.len() == open.capacity() {
            // Before the map grows, rooms that everybody left make room.
            open.retain(|_, room| room.strong_count() > 0);
        }
        let home = self.shards.home(name);
        let room = Arc::new(Room {
            name: name.clone(),
            feed: Feed::counting(&home, Arc::clone(&self.counters)),
            presence: Presence::default(),
            home,
            started: OnceCell::new(),
        });
        open.insert(name.clone(), Arc::downgrade(&room));
        room
    }

    pub(super) fn all(&self) -> Vec<Arc<Room>> {
        self.lock().values().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, AHashMap<RoomName, Weak<Room>>> {
        self.open
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Room {
    /// The room's name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// What is said here.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Who is here.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }
}
