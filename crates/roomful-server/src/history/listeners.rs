//! Who hears of every commit: the process's feeds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::protocol::RoomEvent;

pub(super) type Listener = Arc<dyn Fn(&[Arc<RoomEvent>]) + Send + Sync>;

/// The listeners of one store. They are called in the order of commits, by whoever commits.
#[derive(Clone, Default)]
pub(super) struct Listeners {
    /// Read by every commit of every thread, so without a lock.
    list: Arc<ArcSwap<Vec<Listener>>>,
}

impl Listeners {
    pub(super) fn add(&self, listener: &Listener) {
        self.list.rcu(|list| {
            let listeners = list.iter().chain([listener]);
            listeners.cloned().collect::<Vec<_>>()
        });
    }

    /// Listeners often hold what holds the history: a closed history must not keep that circle alive.
    pub(super) fn clear(&self) {
        self.list.store(Arc::default());
    }

    /// Tells everyone. The events are stored: a listener that panics must not keep their authors from hearing so.
    pub(super) fn committed(&self, events: &[Arc<RoomEvent>]) {
        if events.is_empty() {
            return;
        }
        for listener in self.list.load().iter() {
            if catch_unwind(AssertUnwindSafe(|| listener(events))).is_err() {
                tracing::error!(
                    "a listener panicked on committed events; its rooms catch up from the history"
                );
            }
        }
    }
}
