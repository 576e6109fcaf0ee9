//! What happens in this process, counted: a few relaxed additions per message, none per member.

mod histogram;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::protocol::{ErrorCode, EventKind};

pub use histogram::{Histogram, Times};

/// What is counted since the start. Nothing is ever reset: whoever wants a rate takes two [`Counts`].
#[derive(Debug)]
pub struct Counters {
    started: Instant,
    connections: AtomicU64,
    rooms: AtomicU64,
    members: AtomicU64,
    deliveries: AtomicU64,
    /// What members did, by its kind.
    events: [AtomicU64; EventKind::ALL.len()],
    /// Messages said, by how long they took from being heard to being stored.
    said: Histogram,
    /// Events of other nodes, by how long they took from being said there to being heard here.
    lag: Histogram,
    commits: AtomicU64,
    committed: AtomicU64,
    refusals: [AtomicU64; ErrorCode::ALL.len()],
    slow: AtomicU64,
    resyncs: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Debug)]
pub struct Counts {
    at: Instant,
    /// WebSockets, event streams and long polls that are open.
    pub connections: u64,
    /// Rooms somebody listens to here.
    pub rooms: u64,
    /// Members of all rooms who are on this node.
    pub members: u64,
    /// Messages handed to one reader each.
    pub deliveries: u64,
    /// What members did, by its kind.
    pub events: [(EventKind, u64); EventKind::ALL.len()],
    /// Messages said, by how long they took from being heard to being stored.
    pub said: Times,
    /// Events of other nodes, by how long they took from being said there to being heard here.
    pub lag: Times,
    /// Transactions of the store that brought something new.
    pub commits: u64,
    /// Events in them.
    pub committed: u64,
    /// Refusals, by their reason.
    pub refusals: [(ErrorCode, u64); ErrorCode::ALL.len()],
    /// Connections closed because they took too slowly what was sent to them.
    pub slow: u64,
    /// Times that a reader was told to catch up instead.
    pub resyncs: u64,
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Messages stored.
    pub messages_per_second: f64,
    /// Messages handed to one reader each.
    pub deliveries_per_second: f64,
    /// 99 of 100 messages were stored within this time; `None` where nothing was said.
    pub stored_p99: Option<Duration>,
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub struct Connected(Arc<Counters>);

/// A room that is open until this is dropped.
#[derive(Debug)]
pub struct OpenRoom(Arc<Counters>);

impl Default for Counters {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            connections: AtomicU64::new(0),
            rooms: AtomicU64::new(0),
            members: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            events: [const { AtomicU64::new(0) }; EventKind::ALL.len()],
            said: Histogram::default(),
            lag: Histogram::default(),
            commits: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            refusals: [const { AtomicU64::new(0) }; ErrorCode::ALL.len()],
            slow: AtomicU64::new(0),
            resyncs: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// A connection is open, as long as what this gives is kept.
    pub fn connected(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(self))
    }

    /// A room is open, as long as what this gives is kept.
    pub fn open_room(self: &Arc<Self>) -> OpenRoom {
        self.rooms.fetch_add(1, Ordering::Relaxed);
        OpenRoom(Arc::clone(self))
    }

    /// A member came to this node.
    pub fn member_came(&self) {
        self.members.fetch_add(1, Ordering::Relaxed);
    }

    /// A member left this node.
    pub fn member_left(&self) {
        self.members.fetch_sub(1, Ordering::Relaxed);
    }

    /// A member did something new, which was stored so long after it had been heard.
    pub fn acted(&self, kind: EventKind, after: Duration) {
        self.events[kind as usize].fetch_add(1, Ordering::Relaxed);
        if kind == EventKind::Message {
            self.said.record(after);
        }
    }

    /// An event of another node was heard, so long after it had been said.
    pub fn heard(&self, after: Duration) {
        self.lag.record(after);
    }

    /// Messages were handed to readers.
    pub fn delivered(&self, deliveries: usize) {
        self.deliveries
            .fetch_add(deliveries as u64, Ordering::Relaxed);
    }

    /// One transaction stored so many events.
    pub fn committed(&self, events: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.committed.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Something was refused.
    pub fn refused(&self, code: ErrorCode) {
        self.refusals[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed because it took too slowly what was sent to it.
    pub fn closed_slow(&self) {
        self.slow.fetch_add(1, Ordering::Relaxed);
    }

    /// A reader was told to catch up.
    pub fn resynced(&self) {
        self.resyncs.fetch_add(1, Ordering::Relaxed);
    }

    /// How long there is something to count.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How things stand.
    pub fn now(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            at: Instant::now(),
            connections: read(&self.connections),
            rooms: read(&self.rooms),
            members: read(&self.members),
            deliveries: read(&self.deliveries),
            events: EventKind::ALL.map(|kind| (kind, read(&self.events[kind as usize]))),
            said: self.said.now(),
            lag: self.lag.now(),
            commits: read(&self.commits),
            committed: read(&self.committed),
            refusals: ErrorCode::ALL.map(|code| (code, read(&self.refusals[code as usize]))),
            slow: read(&self.slow),
            resyncs: read(&self.resyncs),
        }
    }
}

impl Counts {
    /// What happened since an earlier moment.
    pub fn since(&self, before: &Self) -> Rates {
        let seconds = self.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let said = self.said.since(&before.said);
        Rates {
            messages_per_second: said.count() as f64 / seconds,
            deliveries_per_second: self.deliveries.saturating_sub(before.deliveries) as f64
                / seconds,
            stored_p99: said.p99(),
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for OpenRoom {
    fn drop(&mut self) {
        self.0.rooms.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_two_moments() {
        let counters = Arc::new(Counters::default());
        counters.acted(EventKind::Message, Duration::from_secs(1));
        let before = counters.now();
        for millis in 1..=100 {
            counters.acted(EventKind::Message, Duration::from_millis(millis));
            counters.acted(EventKind::Reacted, Duration::from_secs(1));
        }
        counters.delivered(250);
        let connected = counters.connected();
        let mut now = counters.now();
        now.at = before.at + Duration::from_secs(2);

        let rates = now.since(&before);

        assert_eq!(rates.messages_per_second, 50.0);
        assert_eq!(rates.deliveries_per_second, 125.0);
        let p99 = rates.stored_p99.unwrap().as_millis();
        assert!((99..112).contains(&p99), "{p99}");
        assert_eq!(now.connections, 1);
        drop(connected);
        assert_eq!(counters.now().connections, 0);
        assert_eq!(now.since(&now).stored_p99, None);
    }
}
