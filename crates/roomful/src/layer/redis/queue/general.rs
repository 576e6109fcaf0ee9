//! Out of the queues of general channels: popped only while a listener here waits, because others may listen elsewhere.
//!
//! Each channel that is listened to has a worker per shard with a connection of its own. Pops are not cancelled here
//! either: what comes when nobody listens any more is put back with the time it was sent, so it is next in line again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Queue;
use super::members::whole_seconds;
use super::receive::Scored;
use crate::event::Event;
use crate::layer::ChannelName;
use crate::layer::local::Attention;
use crate::layer::redis::counters::Counts;
use crate::layer::redis::link::{Backoff, POP_SECONDS};

/// How long a worker without listeners keeps its connection.
const IDLE: Duration = Duration::from_secs(30);

/// The channels whose listeners came to wait, or left.
#[derive(Default)]
pub(super) struct Demand {
    /// No more than there are channels in use.
    asked: Mutex<HashSet<ChannelName>>,
    wake: Notify,
}

impl Demand {
    /// Something changed about a channel's listeners. Called whenever one waits, so it is cheap.
    pub(super) fn ask(&self, channel: &ChannelName) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.insert(channel.clone()) {
            drop(asked);
            self.wake.notify_one();
        }
    }

    async fn take(&self) -> HashSet<ChannelName> {
        loop {
            let asked =
                std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
            if !asked.is_empty() {
                return asked;
            }
            self.wake.notified().await;
        }
    }
}

/// Pops from one channel's queue on one shard.
#[derive(Default)]
struct Worker {
    wake: Notify,
    /// What it handed to the listeners here last, to be put back if they leave it unread.
    handed: Mutex<Option<(Event, Scored)>>,
}

impl Queue {
    /// Has workers for all general channels that are listened to here, for ever.
    pub(super) async fn serve_general(self: Arc<Self>) {
        let mut workers: HashMap<(ChannelName, usize), Arc<Worker>> = HashMap::new();
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                asked = self.demand.take() => {
                    for channel in asked {
                        match self.shared.switchboard.attention(&channel) {
                            Attention::Nobody => self.put_back_unread(&channel, &workers).await,
                            Attention::Busy => {}
                            Attention::Waiting => {
                                for shard in 0..self.shared.links.len() {
                                    let worker = workers.entry((channel.clone(), shard)).or_insert_with(|| {
                                        let worker = Arc::new(Worker::default());
                                        running.spawn(Arc::clone(&self).work(channel.clone(), shard, Arc::clone(&worker)));
                                        worker
                                    });
                                    worker.wake.notify_one();
                                }
                            }
                        }
                    }
                }
                Some(ended) = running.join_next() => {
                    if let Ok((channel, shard)) = ended {
                        workers.remove(&(channel.clone(), shard));
                        // Somebody may have come to wait while it ended.
                        self.demand.ask(&channel);
                    }
                }
            }
        }
    }

    async fn work(
        self: Arc<Self>,
        channel: ChannelName,
        shard: usize,
        worker: Arc<Worker>,
    ) -> (ChannelName, usize) {
        let key = self.names.queue(channel.as_str());
        let mut backoff = Backoff::default();
        loop {
            let mut connection = match self.shared.links[shard].connect_for_pops().await {
                Ok(connection) => connection,
                Err(_) => {
                    backoff.pause().await;
                    continue;
                }
            };
            loop {
                while self.attention(&channel) != Attention::Waiting {
                    let woken = timeout(IDLE, worker.wake.notified()).await.is_ok();
                    if !woken && self.attention(&channel) == Attention::Nobody {
                        return (channel, shard);
                    }
                }
                match self.fetch(&mut connection, &channel, &key, &worker).await {
                    Ok(()) => backoff = Backoff::default(),
                    Err(error) => {
                        tracing::debug!(channel.name = %channel, %error, "receiving from channel {channel} is interrupted");
                        break;
                    }
                }
            }
            backoff.pause().await;
        }
    }

    fn attention(&self, channel: &ChannelName) -> Attention {
        self.shared.switchboard.attention(channel)
    }

    /// Pops one message and hands it to the listeners, if one comes.
    async fn fetch(
        &self,
        connection: &mut MultiplexedConnection,
        channel: &ChannelName,
        key: &str,
        worker: &Worker,
    ) -> RedisResult<()> {
        let popped: Option<(Vec<u8>, Vec<u8>, f64)> = redis::cmd("BZPOPMIN")
            .arg(key)
            .arg(POP_SECONDS)
            .query_async(connection)
            .await?;
        let Some((_, message, sent)) = popped else {
            return Ok(());
        };
        if self.is_too_old(sent) {
            Counts::add(&self.shared.counts.expired, 1);
            return Ok(());
        }
        let Some((event, _)) = self.codec.decode(message.clone().into()) else {
            self.note_poison();
            return Ok(());
        };
        if self.attention(channel) == Attention::Nobody {
            return put_back(connection, self.expiry(), key, &(message, sent)).await;
        }
        Counts::add(&self.shared.counts.received, 1);
        *worker.handed.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((event.clone(), (message, sent)));
        // Full it can only be if listeners left and others came; the switchboard counts it.
        let _ = self.shared.switchboard.send(channel, &event);
        Ok(())
    }

    /// The last listener left: what it did not read is for others.
    async fn put_back_unread(
        &self,
        channel: &ChannelName,
        workers: &HashMap<(ChannelName, usize), Arc<Worker>>,
    ) {
        let key = self.names.queue(channel.as_str());
        for event in self.shared.switchboard.take_unread(channel) {
            let handed = (0..self.shared.links.len()).find_map(|shard| {
                let worker = workers.get(&(channel.clone(), shard))?;
                let mut handed = worker.handed.lock().unwrap_or_else(PoisonError::into_inner);
                let (_, message) = handed.take_if(|(it, _)| *it == event)?;
                Some((shard, message))
            });
            let Some((shard, (message, sent))) = handed else {
                continue;
            };
            let mut commands = redis::pipe();
            commands
                .cmd("ZADD")
                .arg(&key)
                .arg(sent.to_string())
                .arg(message)
                .ignore();
            commands.cmd("EXPIRE").arg(&key).arg(self.expiry()).ignore();
            if let Err(error) = self.shared.links[shard].query::<()>(&commands).await {
                tracing::warn!(channel.name = %channel, %error, "an event that nobody read of channel {channel} is lost");
            }
        }
    }

    fn expiry(&self) -> u64 {
        whole_seconds(self.shared.options.limits.expires_after()).max(1)
    }
}

async fn put_back(
    connection: &mut MultiplexedConnection,
    expiry: u64,
    key: &str,
    (message, sent): &Scored,
) -> RedisResult<()> {
    let mut commands = redis::pipe();
    commands
        .cmd("ZADD")
        .arg(key)
        .arg(sent.to_string())
        .arg(message)
        .ignore();
    commands.cmd("EXPIRE").arg(key).arg(expiry).ignore();
    commands.query_async(connection).await
}
