//! The rooms that somebody listens to, and who is in those that nobody listens to here.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use ahash::AHashMap;
use roomful::serve::{Home, Shards};
use tokio::sync::{Notify, OnceCell};
use tokio::task::AbortHandle;

use super::departures::Departures;
use crate::counters::{Counters, OpenRoom};
use crate::feed::Feed;
use crate::presence::{Changes, Presence};
use crate::protocol::{RoomEvent, RoomName};

/// The rooms somebody listens to; others exist only in the log.
pub struct Rooms {
    pub(super) shards: Shards,
    pub(super) counters: Arc<Counters>,
    /// Guards which rooms are open, and who is elsewhere.
    known: Mutex<Known>,
    /// Some room's feed misses events.
    pub(super) gap: Notify,
    /// Events that feeds missed and read from the log.
    pub(super) gaps_filled: AtomicU64,
    /// What other nodes have to hear of; `None` where there are none.
    pub(super) changes: Option<Arc<Changes>>,
}

#[derive(Default)]
pub(super) struct Known {
    pub(super) open: AHashMap<RoomName, Weak<Room>>,
    /// Rooms with members on other nodes, open here or not.
    pub(super) elsewhere: AHashMap<RoomName, Arc<Presence>>,
}

/// A room that somebody listens to; what is in it is read by an [`Access`](super::Access).
pub(super) struct Room {
    pub(super) name: RoomName,
    pub(super) feed: Feed,
    pub(super) presence: Arc<Presence>,
    pub(super) departures: Departures,
    pub(super) home: Home,
    pub(super) started: OnceCell<()>,
    /// Hears what other nodes and programs say here.
    pub(super) ear: OnceLock<AbortHandle>,
    _open: OpenRoom,
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(ear) = self.ear.get() {
            ear.abort();
        }
    }
}

impl Rooms {
    /// No rooms yet.
    pub fn new(shards: Shards) -> Self {
        Self {
            shards,
            counters: Arc::default(),
            known: Mutex::default(),
            gap: Notify::new(),
            gaps_filled: AtomicU64::new(0),
            changes: None,
        }
    }

    /// Rooms of one node among several: who comes and goes here is kept for the others.
    pub fn among_nodes(shards: Shards) -> Self {
        Self {
            changes: Some(Arc::default()),
            ..Self::new(shards)
        }
    }

    /// Events were committed, in this order: those who listen hear them. Called by the store, before it acknowledges.
    pub fn committed(&self, events: &[Arc<RoomEvent>]) {
        self.counters.committed(events.len());
        let mut known: Option<Arc<Room>> = None;
        for event in events {
            if known
                .as_ref()
                .is_none_or(|room| room.name.as_str() != &*event.room)
            {
                known = self.lock().open.get(&*event.room).and_then(Weak::upgrade);
            }
            if let Some(room) = &known
                && room.feed.offer(event)
            {
                self.gap.notify_one();
            }
        }
    }

    pub(super) fn room(&self, name: &RoomName) -> Arc<Room> {
        let mut known = self.lock();
        if let Some(room) = known.open.get(name).and_then(Weak::upgrade) {
            return room;
        }
        let open = &mut known.open;
        if open.len() >= 64 && open.len() == open.capacity() {
            // Before the map grows, rooms that everybody left make room.
            open.retain(|_, room| room.strong_count() > 0);
        }
        let home = self.shards.home(name);
        let presence = match known.elsewhere.get(name) {
            Some(presence) => Arc::clone(presence),
            None => self.presence(name),
        };
        let room = Arc::new(Room {
            name: name.clone(),
            feed: Feed::counting(&home, Arc::clone(&self.counters)),
            presence,
            departures: Departures::default(),
            home,
            started: OnceCell::new(),
            ear: OnceLock::new(),
            _open: self.counters.open_room(),
        });
        known.open.insert(name.clone(), Arc::downgrade(&room));
        room
    }

    fn presence(&self, room: &RoomName) -> Arc<Presence> {
        let changes = self.changes.as_ref();
        let told = changes.map(|changes| (room.clone(), Arc::clone(changes)));
        Arc::new(Presence::new(told, Arc::clone(&self.counters)))
    }

    /// A room, if somebody listens to it.
    pub(super) fn if_open(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.lock().open.get(name).and_then(Weak::upgrade)
    }

    /// Who is in a room, if anybody may be.
    pub(super) fn presence_in(&self, name: &RoomName) -> Option<Arc<Presence>> {
        let known = self.lock();
        let open = known.open.get(name).and_then(Weak::upgrade);
        match open {
            Some(room) => Some(Arc::clone(&room.presence)),
            None => known.elsewhere.get(name).cloned(),
        }
    }

    /// Where members on other nodes are counted; made where nobody was before.
    pub(super) fn presence_elsewhere(&self, name: &RoomName) -> Arc<Presence> {
        let mut known = self.lock();
        if let Some(presence) = known.elsewhere.get(name) {
            return Arc::clone(presence);
        }
        if known.elsewhere.len() >= 64 && known.elsewhere.len() == known.elsewhere.capacity() {
            // Before the map grows: rooms whose last members left by another door.
            known.elsewhere.retain(|_, presence| presence.count() > 0);
        }
        let open = known.open.get(name).and_then(Weak::upgrade);
        let presence = match open {
            Some(room) => Arc::clone(&room.presence),
            None => self.presence(name),
        };
        known.elsewhere.insert(name.clone(), Arc::clone(&presence));
        presence
    }

    /// Forgets a room that nobody is in, here or elsewhere.
    pub(super) fn forget_empty(&self, name: &RoomName) {
        let mut known = self.lock();
        if known
            .elsewhere
            .get(name)
            .is_some_and(|presence| presence.count() == 0)
        {
            known.elsewhere.remove(name);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Room>> {
        self.lock()
            .open
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// How many members are in which room, on all nodes; rooms without any are left out.
    pub(super) fn members(&self) -> AHashMap<RoomName, usize> {
        let presences: Vec<_> = {
            let known = self.lock();
            let open = known.open.values().filter_map(Weak::upgrade);
            let open = open.map(|room| (room.name.clone(), Arc::clone(&room.presence)));
            let elsewhere = known.elsewhere.iter();
            let elsewhere = elsewhere.map(|(name, presence)| (name.clone(), Arc::clone(presence)));
            open.chain(elsewhere).collect()
        };
        presences
            .into_iter()
            .map(|(name, presence)| (name, presence.count()))
            .filter(|(_, members)| *members > 0)
            .collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
