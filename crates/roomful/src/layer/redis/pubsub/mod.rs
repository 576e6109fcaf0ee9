//! The pub/sub dialect, `RedisPubSubChannelLayer` of `channels_redis`: events go to whoever listens at the moment.
//!
//! | Redis channel | is |
//! | --- | --- |
//! | `asgi__group__NAME` | a group |
//! | the channel's own name | a channel |
//!
//! Nothing is stored. Each process has one subscription a group, one for all channels of its own (`specific.HEX!*`), and one
//! for each general channel that is listened to. Events of this process come back to it the same way, so that all
//! processes see a group's events in the same order.
//!
//! `subscribe` holds a shard's subscriptions and hands on what comes.

mod subscribe;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shared;
use super::counters::Counts;
use super::link::unavailable;
use super::options::RedisOptions;
use super::roll::{Roll, all_settled};
use super::wire::{Codec, shard_of};
use crate::event::Event;
use crate::layer::local::{Joined, Left, Switchboard, Watch};
use crate::layer::{Backend, BoxFuture, ChannelName, GroupName, Inbox, LayerError, Open, Sent};

/// A process's end of the pub/sub dialect.
pub(super) struct PubSub {
    pub(super) shared: Arc<Shared>,
    codec: Codec,
    rolls: Arc<[Roll<Topic>]>,
    /// By shard, whether its subscriber had its first try.
    tried: Box<[watch::Sender<bool>]>,
    prefix: Arc<str>,
}

/// What is subscribed to, besides this process's own channels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Topic {
    Group(GroupName),
    Channel(ChannelName),
}

impl Topic {
    /// The Redis channel.
    fn name(&self, prefix: &str) -> String {
        match self {
            Self::Group(group) => format!("{prefix}__group__{group}"),
            Self::Channel(channel) => channel.to_string(),
        }
    }

    fn shard(&self, prefix: &str, shards: usize) -> usize {
        shard_of(&self.name(prefix), shards)
    }
}

/// Hears what happens in this process.
struct Ear {
    rolls: Arc<[Roll<Topic>]>,
    prefix: Arc<str>,
}

impl Ear {
    fn changed(&self, topic: &Topic) {
        self.rolls[topic.shard(&self.prefix, self.rolls.len())].changed(topic);
    }
}

impl Watch for Ear {
    fn emptied(&self, group: &GroupName) {
        self.changed(&Topic::Group(group.clone()));
    }

    fn unattended(&self, channel: &ChannelName) {
        if channel.process().is_none() {
            self.changed(&Topic::Channel(channel.clone()));
        }
    }
}

pub(super) fn start(
    options: RedisOptions,
    shared: impl FnOnce(RedisOptions, Switchboard) -> Arc<Shared>,
    tasks: &mut JoinSet<()>,
) -> Arc<PubSub> {
    let shards = options.url.shards().len();
    let rolls: Arc<[Roll<Topic>]> = (0..shards).map(|_| Roll::default()).collect();
    let prefix: Arc<str> = (*options.prefix).into();
    let ear = Ear {
        rolls: Arc::clone(&rolls),
        prefix: Arc::clone(&prefix),
    };
    let switchboard = Switchboard::watched_by(options.limits.clone(), ear);
    let pubsub = Arc::new(PubSub {
        codec: Codec::pubsub(options.serializer, &options.secrets),
        rolls,
        tried: (0..shards).map(|_| watch::Sender::new(false)).collect(),
        prefix,
        shared: shared(options, switchboard),
    });
    for shard in 0..shards {
        tasks.spawn(Arc::clone(&pubsub).subscribe(shard));
    }
    pubsub
}

impl PubSub {
    fn shard(&self, topic: &Topic) -> usize {
        topic.shard(&self.prefix, self.rolls.len())
    }

    fn is_ours(&self, channel: &ChannelName) -> bool {
        channel.process() == Some(self.shared.switchboard.process())
    }

    /// Waits until this process's own channels can be heard, or the first try has failed: then they will be.
    async fn first_try(&self) -> Result<(), LayerError> {
        for tried in &self.tried {
            let mut tried = tried.subscribe();
            tried.wait_for(|tried| *tried).await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn listen_to(&self, channel: &ChannelName) -> Result<Inbox, LayerError> {
        let switchboard = &self.shared.switchboard;
        if channel.process().is_some() {
            return match self.is_ours(channel) {
                true => switchboard.listen(channel),
                false => Err(LayerError::Elsewhere(channel.clone())),
            };
        }
        let inbox = switchboard.listen(channel)?;
        let topic = Topic::Channel(channel.clone());
        self.rolls[self.shard(&topic)].settled(&topic).await?;
        Ok(inbox)
    }

    async fn join(&self, group: &GroupName, channel: &ChannelName) -> Result<(), LayerError> {
        if channel.process().is_some() && !self.is_ours(channel) {
            return Err(LayerError::Elsewhere(channel.clone()));
        }
        let switchboard = &self.shared.switchboard;
        let joined = switchboard.join(group, channel)?;
        let topic = Topic::Group(group.clone());
        let roll = &self.rolls[self.shard(&topic)];
        let settled = roll.settled(&topic).await;
        if settled.is_err() && joined != Joined::Again {
            switchboard.leave(group, channel);
            roll.changed(&topic);
        }
        settled
    }

    async fn leave(&self, group: &GroupName, channel: &ChannelName) -> Result<(), LayerError> {
        if self.shared.switchboard.leave(group, channel) != Left::Last {
            return Ok(());
        }
        let topic = Topic::Group(group.clone());
        let roll = &self.rolls[self.shard(&topic)];
        roll.changed(&topic);
        roll.settled(&topic).await
    }

    /// Publishes, and says how many subscribers there were.
    async fn publish(&self, name: &str, event: &Event) -> Result<usize, LayerError> {
        let message = self.codec.encode(event.as_msgpack())?;
        let mut commands = redis::pipe();
        commands.cmd("PUBLISH").arg(name).arg(message);
        let shard = shard_of(name, self.shared.links.len());
        let (subscribers,): (usize,) = self.shared.links[shard].query(&commands).await?;
        Counts::add(&self.shared.counts.published, 1);
        Ok(subscribers)
    }

    async fn send_to_group(&self, group: &GroupName, event: &Event) -> Result<Sent, LayerError> {
        let topic = Topic::Group(group.clone());
        let subscribed = self.rolls[self.shard(&topic)].may_know(&topic);
        let subscribers = self.publish(&topic.name(&self.prefix), event).await?;
        // What is full here will be counted when it comes back.
        let here = self.shared.switchboard.group_len(group);
        Ok(Sent {
            delivered: here + subscribers.saturating_sub(usize::from(subscribed)),
            dropped: 0,
        })
    }
}

impl Backend for Arc<PubSub> {
    fn open(&self, options: Open) -> BoxFuture<'_, Result<Inbox, LayerError>> {
        Box::pin(async {
            self.first_try().await?;
            Ok(self.shared.switchboard.open(options))
        })
    }

    fn listen<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Inbox, LayerError>> {
        Box::pin(self.listen_to(channel))
    }

    fn new_channel(&self) -> BoxFuture<'_, Result<ChannelName, LayerError>> {
        Box::pin(async {
            self.first_try().await?;
            Ok(self.shared.switchboard.new_channel())
        })
    }

    fn send<'a>(
        &'a self,
        channel: &'a ChannelName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        Box::pin(async { self.publish(channel.as_str(), event).await.map(drop) })
    }

    fn group_add<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        Box::pin(self.join(group, channel))
    }

    fn group_discard<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        Box::pin(self.leave(group, channel))
    }

    fn group_send<'a>(
        &'a self,
        group: &'a GroupName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Sent, LayerError>> {
        Box::pin(self.send_to_group(group, event))
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), LayerError>> {
        Box::pin(async {
            self.shared.switchboard.flush();
            Ok(())
        })
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), LayerError>> {
        Box::pin(all_settled(&self.rolls))
    }
}
