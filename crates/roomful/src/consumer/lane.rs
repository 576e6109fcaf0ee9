//! The fast lane of consumers: what all members of a group hear alike is encoded once for them.

use std::sync::{Arc, Mutex};

use ahash::AHashMap;

use super::Consumer;
use crate::audience::{Audience, Seat};
use crate::layer::{GroupName, Lane};
use crate::socket::SeatLane;
use crate::{Event, SocketSender};

/// The fast lane of one consumer type: an audience for each group its connections here are in.
pub(super) struct RenderLane<C> {
    /// Guards which groups have an audience. Kept as long as a group has a seat, or a little longer.
    audiences: Mutex<AHashMap<GroupName, Audience>>,
    _consumer: std::marker::PhantomData<fn() -> C>,
}

impl<C> Default for RenderLane<C> {
    fn default() -> Self {
        Self {
            audiences: Mutex::default(),
            _consumer: std::marker::PhantomData,
        }
    }
}

impl<C: Consumer> SeatLane for RenderLane<C> {
    fn sit(&self, group: &GroupName, sender: &SocketSender) -> Seat {
        let mut audiences = self
            .audiences
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if audiences.len() > 64 && audiences.len() == audiences.capacity() {
            // Before the map grows, groups that nobody is in any more make room.
            audiences.retain(|_, audience| !audience.is_empty());
        }
        audiences.entry(group.clone()).or_default().join(sender)
    }

    fn lane(self: Arc<Self>) -> Arc<dyn Lane> {
        self
    }
}

impl<C: Consumer> Lane for RenderLane<C> {
    fn offer(&self, group: &GroupName, event: &Event) -> Option<usize> {
        let message = C::render(&event.decode_owned().ok()?)?;
        let audience = {
            let audiences = self
                .audiences
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            audiences.get(group)?.clone()
        };
        audience.send(&message);
        Some(audience.len())
    }
}
