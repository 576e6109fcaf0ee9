//! Out of this process's own queue: one task per shard pops for all channels, and nothing ever cancels its pop.
//!
//! The queue is on every shard: `channels_redis` sends to a single channel on whichever shard its whole name leads to.

use std::sync::Arc;

use bytes::Bytes;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::Queue;
use super::names::Target;
use crate::layer::redis::counters::Counts;
use crate::layer::redis::link::{Backoff, POP_SECONDS};
use crate::layer::redis::wire::unix_time;

/// How many messages one round trip takes at most, beside the one it waited for: fewer than a channel
/// holds, so that its reader gets a turn.
const AT_ONCE: usize = 50;

/// A message and when it was sent.
pub(super) type Scored = (Vec<u8>, f64);

impl Queue {
    /// Takes what comes for this process on one shard, for ever.
    pub(super) async fn receive(self: Arc<Self>, shard: usize) {
        let link = &self.shared.links[shard];
        let key = self.names.queue(self.names.process());
        let mut backoff = Backoff::default();
        loop {
            if let Ok(mut connection) = link.connect_for_pops().await {
                backoff = Backoff::default();
                let error = loop {
                    match pop(&mut connection, &key).await {
                        Ok(messages) => self.deliver_all(messages),
                        Err(error) => break error,
                    }
                };
                tracing::debug!(redis.shard = shard, %error, "receiving from shard {shard} is interrupted");
            }
            backoff.pause().await;
        }
    }

    fn deliver_all(&self, messages: Vec<Scored>) {
        for (message, sent) in messages {
            if self.is_too_old(sent) {
                Counts::add(&self.shared.counts.expired, 1);
            } else {
                self.deliver(message.into());
            }
        }
    }

    pub(super) fn is_too_old(&self, sent: f64) -> bool {
        let expiry = self.shared.options.limits.expires_after();
        unix_time().as_secs_f64() - sent > expiry.as_secs_f64()
    }

    fn deliver(&self, message: Bytes) {
        let (counts, switchboard) = (&self.shared.counts, &self.shared.switchboard);
        let Some((event, names)) = self.codec.decode(message) else {
            return self.note_poison();
        };
        if names.is_empty() {
            // It does not say whom it is for.
            return self.note_poison();
        }
        Counts::add(&counts.received, 1);
        for name in &names {
            match self.names.read(name) {
                Some(Target::Group(group)) => {
                    switchboard.group_send(&group, &event);
                }
                // The switchboard counts those that are full.
                Some(Target::Channel(channel)) => drop(switchboard.send(&channel, &event)),
                None => {}
            }
        }
    }

    pub(super) fn note_poison(&self) {
        self.shared.counts.note_poison();
    }
}

/// Waits for a message, and takes what waits behind it.
async fn pop(connection: &mut MultiplexedConnection, key: &str) -> RedisResult<Vec<Scored>> {
    let mut commands = redis::pipe();
    commands.cmd("BZPOPMIN").arg(key).arg(POP_SECONDS);
    commands.cmd("ZPOPMIN").arg(key).arg(AT_ONCE);
    type Answer = (Option<(Vec<u8>, Vec<u8>, f64)>, Vec<Scored>);
    let (first, rest): Answer = commands.query_async(connection).await?;
    let first = first.map(|(_, message, sent)| (message, sent));
    Ok(first.into_iter().chain(rest).collect())
}
