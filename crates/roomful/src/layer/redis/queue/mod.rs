//! The core dialect, `RedisChannelLayer` of `channels_redis`: messages wait in sorted sets, each process pops its own.
//!
//! | key | is | score |
//! | --- | --- | --- |
//! | `asgi:group:NAME` | the group's channels | when each joined |
//! | `asgispecific.HEX!` | what waits for a process | when it was sent |
//! | `asgiNAME` | what waits for a general channel | when it was sent |
//!
//! A group has one channel of ours in it, the process's *seat*; what is sent there is handed to the group's members here.
//! Events of this process to its own channels do not go through Redis: `group_send` looks up who else is in the group,
//! sends to those, and then to its own members.
//!
//! - `names`: keys and seats; `members`: who is in groups, in Redis;
//! - `send`: into queues; `receive`: out of the process's own; `general`: out of those of general channels.

mod general;
mod members;
mod names;
mod receive;
mod send;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::task::JoinSet;

use self::general::Demand;
use self::members::Guests;
use self::names::Names;
use super::Shared;
use super::link::Link;
use super::options::RedisOptions;
use super::roll::{Roll, all_settled};
use super::wire::{Clock, Codec, shard_of};
use crate::event::Event;
use crate::layer::local::{Joined, Left, Switchboard, Watch};
use crate::layer::{Backend, BoxFuture, ChannelName, GroupName, Inbox, LayerError, Open, Sent};

/// A process's end of the core dialect.
pub(super) struct Queue {
    pub(super) shared: Arc<Shared>,
    codec: Codec,
    clock: Clock,
    names: Names,
    rolls: Arc<[Roll<GroupName>]>,
    guests: Guests,
    demand: Arc<Demand>,
    /// Which shard gets the next event for a general channel.
    turn: AtomicUsize,
}

/// Hears what happens in this process.
struct Ear {
    rolls: Arc<[Roll<GroupName>]>,
    demand: Arc<Demand>,
}

impl Watch for Ear {
    fn emptied(&self, group: &GroupName) {
        self.rolls[shard_of(group.as_str(), self.rolls.len())].changed(group);
    }

    fn waiting(&self, channel: &ChannelName) {
        if channel.process().is_none() {
            self.demand.ask(channel);
        }
    }

    fn unattended(&self, channel: &ChannelName) {
        if channel.process().is_none() {
            self.demand.ask(channel);
        }
    }
}

pub(super) fn start(
    options: RedisOptions,
    shared: impl FnOnce(RedisOptions, Switchboard) -> Arc<Shared>,
    tasks: &mut JoinSet<()>,
) -> Arc<Queue> {
    let shards = options.url.shards().len();
    let rolls: Arc<[Roll<GroupName>]> = (0..shards).map(|_| Roll::default()).collect();
    let demand = Arc::new(Demand::default());
    let ear = Ear {
        rolls: Arc::clone(&rolls),
        demand: Arc::clone(&demand),
    };
    let switchboard = Switchboard::watched_by(options.limits.clone(), ear);
    let expiry = options.limits.expires_after();
    let queue = Arc::new(Queue {
        codec: Codec::core(options.serializer, &options.secrets, expiry),
        clock: Clock::default(),
        names: Names::new(&options.prefix, switchboard.process()),
        rolls,
        guests: Guests::default(),
        demand,
        turn: AtomicUsize::new(0),
        shared: shared(options, switchboard),
    });
    for shard in 0..shards {
        tasks.spawn(Arc::clone(&queue).receive(shard));
        tasks.spawn(Arc::clone(&queue).keep_members(shard));
    }
    tasks.spawn(Arc::clone(&queue).serve_general());
    queue
}

impl Queue {
    /// Which shard has a key's name.
    fn shard(&self, name: &str) -> usize {
        shard_of(name, self.shared.links.len())
    }

    fn link_of(&self, name: &str) -> &Arc<Link> {
        &self.shared.links[self.shard(name)]
    }

    fn is_ours(&self, channel: &ChannelName) -> bool {
        channel.process() == Some(self.shared.switchboard.process())
    }

    async fn join(&self, group: &GroupName, channel: &ChannelName) -> Result<(), LayerError> {
        if !self.is_ours(channel) {
            return self.add_guest(group, channel).await;
        }
        let switchboard = &self.shared.switchboard;
        let joined = switchboard.join(group, channel)?;
        self.names.learn(group);
        let roll = &self.rolls[self.shard(group.as_str())];
        let settled = roll.settled(group).await;
        if settled.is_err() && joined != Joined::Again {
            switchboard.leave(group, channel);
            roll.changed(group);
        }
        settled
    }

    async fn leave(&self, group: &GroupName, channel: &ChannelName) -> Result<(), LayerError> {
        if !self.is_ours(channel) {
            return self.remove_guest(group, channel).await;
        }
        match self.shared.switchboard.leave(group, channel) {
            Left::Others => Ok(()),
            Left::Last => {
                let roll = &self.rolls[self.shard(group.as_str())];
                roll.changed(group);
                roll.settled(group).await
            }
            // Another process may have put it there by its name.
            Left::Absent => self.remove_guest(group, channel).await,
        }
    }

    async fn forget_everything(&self) -> Result<(), LayerError> {
        self.shared.switchboard.flush();
        self.guests.clear();
        for (link, roll) in self.shared.links.iter().zip(&*self.rolls) {
            self.names.delete_all(link).await?;
            roll.forget();
        }
        Ok(())
    }
}

impl Backend for Arc<Queue> {
    fn open(&self, options: Open) -> BoxFuture<'_, Result<Inbox, LayerError>> {
        Box::pin(async { Ok(self.shared.switchboard.open(options)) })
    }

    fn listen<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Inbox, LayerError>> {
        Box::pin(async {
            if channel.process().is_some() && !self.is_ours(channel) {
                return Err(LayerError::Elsewhere(channel.clone()));
            }
            self.shared.switchboard.listen(channel)
        })
    }

    fn new_channel(&self) -> BoxFuture<'_, Result<ChannelName, LayerError>> {
        Box::pin(async { Ok(self.shared.switchboard.new_channel()) })
    }

    fn send<'a>(
        &'a self,
        channel: &'a ChannelName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        Box::pin(self.send_to_channel(channel, event))
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
        Box::pin(self.forget_everything())
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), LayerError>> {
        Box::pin(all_settled(&self.rolls))
    }
}
