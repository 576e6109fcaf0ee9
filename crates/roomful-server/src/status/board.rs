//! The measurements: taken once a second while somebody watches, by one task for all who do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roomful::audience::{Audience, Seat};
use roomful::{Message, SocketSender};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Access;
use crate::chat::Chat;
use crate::counters::Counts;
use crate::process::resident_bytes;
use crate::protocol::to_json;
use crate::timestamp::Timestamp;

const EVERY: Duration = Duration::from_secs(1);

/// Where measurements are shown. Clones are the same board.
#[derive(Clone)]
pub struct Board {
    chat: Chat,
    access: Arc<Access>,
    /// Guards who watches; `None` while nobody does, and nothing is measured.
    watchers: Arc<Mutex<Option<Audience>>>,
}

/// What a watcher is told first.
#[derive(Serialize)]
#[serde(tag = "type", rename = "status.welcome")]
struct Welcome {
    version: &'static str,
    uptime_seconds: u64,
    every_seconds: f64,
}

/// One measurement.
#[derive(Serialize)]
#[serde(tag = "type", rename = "status.sample")]
struct Sample {
    at: Timestamp,
    /// WebSockets, event streams and held polls.
    connections: u64,
    /// Rooms somebody is in.
    rooms: usize,
    /// Members of all rooms.
    members: usize,
    messages_per_second: f64,
    deliveries_per_second: f64,
    /// 99 of 100 messages were stored within this time after they were heard; null where nothing was said.
    stored_p99_ms: Option<f64>,
    /// What the process has of the machine's memory; null where the system does not say.
    memory_bytes: Option<u64>,
}

impl Board {
    /// A board that shows this chat.
    pub fn new(chat: Chat, access: Access) -> Self {
        Self {
            chat,
            access: Arc::new(access),
            watchers: Arc::default(),
        }
    }

    /// Who may see it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The chat that is shown.
    pub(super) fn chat(&self) -> &Chat {
        &self.chat
    }

    pub(super) fn welcome(&self) -> Message {
        Message::Text(to_json(&Welcome {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.chat.counters().uptime().as_secs(),
            every_seconds: EVERY.as_secs_f64(),
        }))
    }

    /// Watches, as long as the seat is kept.
    pub(super) fn watch(&self, watcher: &SocketSender) -> Seat {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let audience = watchers.get_or_insert_with(|| {
            let audience = Audience::new();
            drop(tokio::spawn(self.clone().measure(audience.clone())));
            audience
        });
        audience.join(watcher)
    }

    /// Measures until nobody watches.
    async fn measure(self, audience: Audience) {
        let mut before = self.chat.counters().now();
        let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            {
                let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
                if audience.is_empty() {
                    *watchers = None;
                    return;
                }
            }
            let now = self.chat.counters().now();
            audience.send(&Message::Text(to_json(&self.sample(&now, &before))));
            before = now;
        }
    }

    fn sample(&self, now: &Counts, before: &Counts) -> Sample {
        let rates = now.since(before);
        let occupied = self.chat.occupancy();
        Sample {
            at: Timestamp::now(),
            connections: now.connections,
            rooms: occupied.rooms,
            members: occupied.members,
            messages_per_second: rates.messages_per_second,
            deliveries_per_second: rates.deliveries_per_second,
            stored_p99_ms: rates.stored_p99.map(|time| time.as_secs_f64() * 1e3),
            memory_bytes: resident_bytes(),
        }
    }
}
