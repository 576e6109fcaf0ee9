//! Where a layer on Redis counts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::layer::Counters;
use crate::layer::local::Drops;

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

    /// With what got lost in this process.
    pub(super) fn read(&self, here: Drops) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            published: read(&self.published),
            received: read(&self.received),
            dropped: read(&self.refused) + here.full,
            expired: read(&self.expired) + here.expired,
            poisoned: read(&self.poisoned),
            reconnects: read(&self.reconnects),
        }
    }
}
