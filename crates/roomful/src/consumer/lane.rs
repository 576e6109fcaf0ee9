//! The fast lane of consumers: what all members of a group hear alike is encoded once for them.

use std::sync::{Arc, Mutex, MutexGuard};

use ahash::AHashMap;
use tokio::runtime::Handle;

use super::Consumer;
use crate::audience::{Audience, Flusher, Seat};
use crate::layer::{GroupName, Lane};
use crate::socket::SeatLane;
use crate::{Event, SocketSender};

/// The fast lane of one consumer type: an audience for each group its connections here are in.
pub(super) struct RenderLane<C> {
    /// Guards which groups have an audience.
    groups: Mutex<Groups>,
    _consumer: std::marker::PhantomData<fn() -> C>,
}

#[derive(Default)]
struct Groups {
    /// Kept as long as a group has a seat, or a little longer.
    audiences: AHashMap<GroupName, Audience>,
    /// All audiences of a runtime are written by one task.
    flushers: Vec<Flusher>,
}

impl<C> Default for RenderLane<C> {
    fn default() -> Self {
        Self {
            groups: Mutex::default(),
            _consumer: std::marker::PhantomData,
        }
    }
}

impl<C> RenderLane<C> {
    fn lock(&self) -> MutexGuard<'_, Groups> {
        self.groups
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Groups {
    /// The group's audience, on the current runtime if it is new.
    fn audience(&mut self, group: &GroupName) -> &Audience {
        let flushers = &mut self.flushers;
        self.audiences.entry(group.clone()).or_insert_with(|| {
            let home = Handle::current();
            let known = flushers.iter().find(|known| known.home().id() == home.id());
            let flusher = known.cloned().unwrap_or_else(|| {
                flushers.push(Flusher::new(home));
                flushers[flushers.len() - 1].clone()
            });
            Audience::of(flusher)
        })
    }
}

impl<C: Consumer> SeatLane for RenderLane<C> {
    fn sit(&self, group: &GroupName, sender: &SocketSender) -> Seat {
        let mut groups = self.lock();
        if groups.audiences.len() > 64 && groups.audiences.len() == groups.audiences.capacity() {
            // Before the map grows, groups that nobody is in any more make room.
            groups.audiences.retain(|_, audience| !audience.is_empty());
        }
        groups.audience(group).join(sender)
    }

    fn lane(self: Arc<Self>) -> Arc<dyn Lane> {
        self
    }
}

impl<C: Consumer> Lane for RenderLane<C> {
    fn offer(&self, group: &GroupName, event: &Event) -> Option<usize> {
        let message = C::render(&event.decode_owned().ok()?)?;
        let audience = self.lock().audiences.get(group)?.clone();
        Some(audience.send_with(|| message))
    }
}
