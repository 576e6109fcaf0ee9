//! Who hears of every commit: the process's feeds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use crate::protocol::RoomEvent;

type Listener = Arc<dyn Fn(&[Arc<RoomEvent>]) + Send + Sync>;

/// The listeners of one store. They are called in the order of commits, by whoever commits.
#[derive(Clone, Default)]
pub(super) struct Listeners {
    /// Guards the list, never a call.
    list: Arc<RwLock<Arc<[Listener]>>>,
}

impl Listeners {
    pub(super) fn add(&self, listener: Listener) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        *list = list.iter().cloned().chain([listener]).collect();
    }

    /// Listeners often hold what holds the history: a closed history must not keep that circle alive.
    pub(super) fn clear(&self) {
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// Tells everyone. The events are stored: a listener that panics must not keep their authors from hearing so.
    pub(super) fn committed(&self, events: &[Arc<RoomEvent>]) {
        if events.is_empty() {
            return;
        }
        let list = Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner));
        for listener in list.iter() {
            if catch_unwind(AssertUnwindSafe(|| listener(events))).is_err() {
                tracing::error!(
                    "a listener panicked on committed events; its rooms catch up from the history"
                );
            }
        }
    }
}
