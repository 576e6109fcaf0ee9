//! A record that ends with the process: bounded in rooms, and in events and bytes per room.
//!
//! Two locks a room. `order` is held while an event is numbered *and* announced, so that nobody hears 42 before 41; `log`
//! only while the log is touched, so that readers never wait for listeners, and a listener that waits for a reader cannot
//! wait for itself.

mod log;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use ahash::AHashMap;

use super::decide;
use super::{Appended, Clock, Entry, EventsPage, HistoryError, Listeners, RoomSummary};
use crate::protocol::{MessageView, RoomName};

use log::Log;

/// How much a record in memory keeps. Beyond it the oldest goes first.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// Events kept per room.
    pub events_per_room: usize,
    /// Bytes of text kept per room.
    pub text_bytes_per_room: usize,
    /// Rooms kept; beyond it the ones that were silent longest are forgotten.
    pub rooms: usize,
    /// Where dates come from.
    pub clock: Clock,
}

impl Default for MemoryOptions {
    /// 10,000 events and 4 MiB in each of 10,000 rooms.
    fn default() -> Self {
        Self {
            events_per_room: 10_000,
            text_bytes_per_room: 4 << 20,
            rooms: 10_000,
            clock: Clock::default(),
        }
    }
}

pub(super) struct Memory {
    options: MemoryOptions,
    listeners: Listeners,
    rooms: RwLock<Rooms>,
    /// Times are counted from here, to tell which rooms were silent longest.
    began: Instant,
    closed: AtomicBool,
}

#[derive(Default)]
struct Rooms {
    by_name: AHashMap<RoomName, Arc<Room>>,
    /// No forgotten room has given a higher number. New rooms begin after it, so that a forgotten room which comes back
    /// never uses a number twice.
    floor: u64,
}

struct Room {
    order: Mutex<Order>,
    log: RwLock<Log>,
    /// In nanoseconds since the store began.
    last_used: AtomicU64,
}

/// Guarded by the lock that gives numbers.
#[derive(Default)]
struct Order {
    /// The room is no longer in the list: look it up again.
    forgotten: bool,
}

impl Memory {
    pub(super) fn new(options: MemoryOptions, listeners: Listeners) -> Self {
        Self {
            options,
            listeners,
            rooms: RwLock::default(),
            began: Instant::now(),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn append(&self, entry: Entry) -> Result<Appended, HistoryError> {
        self.ready()?;
        loop {
            let room = match self.room(&entry.room) {
                Some(room) => room,
                None => {
                    decide::begin_room(&entry)?;
                    self.new_room(&entry.room)
                }
            };
            let order = room.order.lock().unwrap_or_else(PoisonError::into_inner);
            if order.forgotten {
                continue;
            }
            room.last_used.store(self.now(), Ordering::Relaxed);
            let appended = room
                .log
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .append(entry, &self.options)?;
            if !appended.repeated {
                self.listeners
                    .committed(std::slice::from_ref(&appended.event));
            }
            return Ok(appended);
        }
    }

    pub(super) fn after(
        &self,
        room: &RoomName,
        after: u64,
        limit: usize,
    ) -> Result<EventsPage, HistoryError> {
        let nothing = |floor: u64| EventsPage {
            events: Vec::new(),
            head: floor,
            first: floor + 1,
        };
        self.read(room, nothing, |log| log.after(after, limit))
    }

    pub(super) fn messages_before(
        &self,
        room: &RoomName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MessageView>, HistoryError> {
        self.read(
            room,
            |_| Vec::new(),
            |log| log.messages_before(before, limit),
        )
    }

    pub(super) fn message(
        &self,
        room: &RoomName,
        seq: u64,
    ) -> Result<Option<MessageView>, HistoryError> {
        self.read(room, |_| None, |log| log.message(seq))
    }

    pub(super) fn head(&self, room: &RoomName) -> Result<u64, HistoryError> {
        self.read(room, |floor| floor, Log::head)
    }

    pub(super) fn topic(&self, room: &RoomName) -> Result<String, HistoryError> {
        self.read(room, |_| String::new(), Log::topic)
    }

    pub(super) fn rooms(&self, limit: usize) -> Result<Vec<RoomSummary>, HistoryError> {
        self.ready()?;
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        let mut latest: Vec<_> = rooms
            .by_name
            .iter()
            .map(|(name, room)| (room.last_used.load(Ordering::Relaxed), name, room))
            .collect();
        latest.sort_unstable_by_key(|&(used, ..)| std::cmp::Reverse(used));
        let summaries = latest.into_iter().filter_map(|(_, name, room)| {
            let log = room.log.read().unwrap_or_else(PoisonError::into_inner);
            log.summary(name)
        });
        Ok(summaries.take(limit).collect())
    }

    pub(super) fn ready(&self) -> Result<(), HistoryError> {
        if self.closed.load(Ordering::Acquire) {
            Err(HistoryError::Closed)
        } else {
            Ok(())
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Reads the room's log, or what is known of a room without one: the number that it would begin after.
    fn read<T>(
        &self,
        name: &RoomName,
        unknown: impl FnOnce(u64) -> T,
        known: impl FnOnce(&Log) -> T,
    ) -> Result<T, HistoryError> {
        self.ready()?;
        let room = {
            let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
            match rooms.by_name.get(name) {
                Some(room) => Arc::clone(room),
                None => return Ok(unknown(rooms.floor)),
            }
        };
        let log = room.log.read().unwrap_or_else(PoisonError::into_inner);
        Ok(known(&log))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn room(&self, name: &RoomName) -> Option<Arc<Room>> {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        rooms.by_name.get(name).cloned()
    }

    fn new_room(&self, name: &RoomName) -> Arc<Room> {
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.by_name.get(name) {
            return Arc::clone(room);
        }
        if rooms.by_name.len() >= self.options.rooms {
            rooms.forget_silent();
        }
        let room = Arc::new(Room {
            order: Mutex::default(),
            log: RwLock::new(Log::new(name, rooms.floor)),
            last_used: AtomicU64::new(self.now()),
        });
        rooms.by_name.insert(name.clone(), Arc::clone(&room));
        room
    }
}

impl Rooms {
    /// Forgets the eighth that was silent longest, so that the search for it is paid once in many new rooms.
    fn forget_silent(&mut self) {
        let mut rooms: Vec<_> = self
            .by_name
            .iter()
            .map(|(name, room)| (room.last_used.load(Ordering::Relaxed), name.clone()))
            .collect();
        rooms.sort_unstable();
        let eighth = rooms.len().div_ceil(8);
        for (_, name) in rooms.into_iter().take(eighth) {
            let Some(room) = self.by_name.get(&name) else {
                continue;
            };
            // Who holds the lock is saying something: not silent after all.
            if let Ok(mut order) = room.order.try_lock() {
                order.forgotten = true;
                let head = room
                    .log
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .head();
                self.floor = self.floor.max(head);
            } else {
                continue;
            }
            self.by_name.remove(&name);
        }
    }
}
