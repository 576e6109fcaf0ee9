//! What a layer on Redis counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened since the layer was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages this process gave to Redis.
    pub published: u64,
    /// Messages this process took from Redis, and could read.
    pub received: u64,
    /// Events that did not reach a channel because it was full, here or in Redis.
    pub dropped: u64,
    /// Messages that had waited in Redis for too long.
    pub expired: u64,
    /// Messages that could not be read: written by somebody else, with another key or serializer.
    pub poisoned: u64,
    /// Connections made anew after one was lost.
    pub reconnects: u64,
}

/// Where it is counted.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) published: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) poisoned: AtomicU64,
    pub(super) reconnects: AtomicU64,
}

impl Counts {
    pub(super) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// A message could not be read: told the first time, and counted from then on.
    pub(super) fn note_poison(&self) {
        if self.poisoned.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                "the channel layer has a message that cannot be read: do all processes have the same serializer and encryption keys?"
            );
        }
    }

    /// With what was full in this process.
    pub(super) fn read(&self, full: u64) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            published: read(&self.published),
            received: read(&self.received),
            dropped: read(&self.refused) + full,
            expired: read(&self.expired),
            poisoned: read(&self.poisoned),
            reconnects: read(&self.reconnects),
        }
    }
}
