//! One shard's subscriptions: told to Redis in batches, told again after a failure; and what comes in by them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::time::{Duration, interval, timeout};

use super::{PubSub, Topic};
use crate::layer::local::Attention;
use crate::layer::redis::counters::Counts;
use crate::layer::redis::link::Backoff;
use crate::layer::redis::roll::{Roll, Round};
use crate::layer::{ChannelName, GroupName};

/// How many subscriptions one command is about.
const BATCH: usize = 500;
/// How many events are handed on without a turn for those who read them: fewer than a channel holds.
const AT_ONCE: usize = 50;
/// How long Redis may take to confirm one, and how often a silent connection is asked whether it lives.
const PATIENCE: Duration = Duration::from_secs(5);

impl PubSub {
    /// Keeps one shard's subscriptions and takes what comes, for ever.
    pub(super) async fn subscribe(self: Arc<Self>, shard: usize) {
        let roll = &self.rolls[shard];
        let mut backoff = Backoff::default();
        let mut connected_before = false;
        loop {
            let connecting = self.connect(shard);
            let tried = *self.tried[shard].borrow();
            let connected = tokio::select! {
                connected = connecting => connected,
                // Nobody waits for a Redis that is away.
                () = self.refuse_all(roll), if tried => unreachable!("it refuses for ever"),
            };
            let error = match connected {
                Ok((sink, stream)) => {
                    backoff = Backoff::default();
                    if connected_before {
                        Counts::add(&self.shared.counts.reconnects, 1);
                    }
                    connected_before = true;
                    roll.forget();
                    roll.doubt(self.topics(shard));
                    self.tried[shard].send_replace(true);
                    tokio::select! {
                        () = self.receive(stream) => RedisError::from((ErrorKind::Io, "the connection was closed")),
                        error = self.keep_subscriptions(roll, sink) => error,
                    }
                }
                Err(error) => error,
            };
            tracing::debug!(redis.shard = shard, %error, "subscriptions on shard {shard} are interrupted");
            self.tried[shard].send_replace(true);
            tokio::select! {
                () = backoff.pause() => {}
                () = self.refuse_all(roll) => {}
            }
        }
    }

    async fn connect(&self, shard: usize) -> RedisResult<(PubSubSink, PubSubStream)> {
        let (mut sink, stream) = self.shared.links[shard]
            .connect_for_subscriptions()
            .await?
            .split();
        let own = format!("{}*", self.shared.switchboard.process());
        in_time(sink.psubscribe(own)).await?;
        Ok((sink, stream))
    }

    async fn refuse_all(&self, roll: &Roll<Topic>) {
        loop {
            let round = roll.round(|topic| self.wants(topic)).await;
            roll.done(round, &Err("its connection is lost".into()));
        }
    }

    async fn keep_subscriptions(&self, roll: &Roll<Topic>, mut sink: PubSubSink) -> RedisError {
        let mut alive = interval(PATIENCE);
        loop {
            let told = tokio::select! {
                round = roll.round(|topic| self.wants(topic)) => {
                    let told = self.tell(&mut sink, &round).await;
                    let result = told.as_ref().map(drop).map_err(ToString::to_string);
                    roll.done(round, &result);
                    told
                }
                _ = alive.tick() => in_time(sink.ping::<redis::Value>()).await.map(drop),
            };
            if let Err(error) = told {
                return error;
            }
        }
    }

    async fn tell(&self, sink: &mut PubSubSink, round: &Round<Topic>) -> RedisResult<()> {
        let names = |topics: &[Topic]| -> Vec<String> {
            topics
                .iter()
                .map(|topic| topic.name(&self.prefix))
                .collect()
        };
        for topics in round.leave.chunks(BATCH) {
            in_time(sink.unsubscribe(names(topics))).await?;
        }
        for topics in round.enter.chunks(BATCH) {
            in_time(sink.subscribe(names(topics))).await?;
        }
        Ok(())
    }

    /// Hands on what comes, until the connection ends.
    async fn receive(&self, mut stream: PubSubStream) {
        let mut taken = 0_usize;
        while let Some(message) = stream.next().await {
            let payload = Bytes::copy_from_slice(message.get_payload_bytes());
            self.deliver(message.get_channel_name(), payload);
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn deliver(&self, name: &str, payload: Bytes) {
        let switchboard = &self.shared.switchboard;
        let Some((event, _)) = self.codec.decode(payload) else {
            return self.shared.counts.note_poison();
        };
        Counts::add(&self.shared.counts.received, 1);
        let group = name
            .strip_prefix(&*self.prefix)
            .and_then(|rest| rest.strip_prefix("__group__"))
            .and_then(|group| GroupName::parse(group).ok());
        if let Some(group) = group {
            switchboard.group_send(&group, &event);
        } else if let Ok(channel) = ChannelName::parse(name) {
            // The switchboard counts what is full.
            let _ = switchboard.send(&channel, &event);
        }
    }

    fn wants(&self, topic: &Topic) -> bool {
        let switchboard = &self.shared.switchboard;
        match topic {
            Topic::Group(group) => switchboard.group_len(group) > 0,
            Topic::Channel(channel) => switchboard.attention(channel) != Attention::Nobody,
        }
    }

    /// Everything that is to be subscribed to on a shard.
    fn topics(&self, shard: usize) -> impl Iterator<Item = Topic> {
        let switchboard = &self.shared.switchboard;
        let groups = switchboard.groups().into_iter().map(Topic::Group);
        let channels = switchboard
            .listened()
            .into_iter()
            .filter(|channel| channel.process().is_none());
        let topics = groups.chain(channels.map(Topic::Channel));
        topics.filter(move |topic| self.shard(topic) == shard)
    }
}

async fn in_time<T>(answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = || RedisError::from((ErrorKind::Io, "Redis does not answer"));
    timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| Err(late()))
}
