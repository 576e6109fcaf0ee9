//! Into queues: to one channel, and to a group, at the cost of two round trips whatever the number of its members.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use futures_util::future::try_join_all;

use super::Queue;
use super::members::whole_seconds;
use super::names::Target;
use crate::event::Event;
use crate::event::envelope::{self, To};
use crate::layer::redis::counters::Counts;
use crate::layer::{ChannelName, GroupName, LayerError, Sent};

/// Puts a message into each queue that has room, without those that waited too long, and says which have none.
const PUT: &str = "\
local full = {}
for i, queue in ipairs(KEYS) do
  local capacity, message = tonumber(ARGV[2 + 2 * i]), ARGV[3 + 2 * i]
  redis.call('ZREMRANGEBYSCORE', queue, 0, ARGV[1])
  if redis.call('ZCARD', queue) < capacity then
    redis.call('ZADD', queue, ARGV[2], message)
    redis.call('EXPIRE', queue, ARGV[3])
  else
    full[#full + 1] = i
  end
end
return full";

/// A message on its way into a queue.
struct Parcel {
    queue: String,
    capacity: usize,
    message: Vec<u8>,
    /// How many channels it is for.
    channels: usize,
}

impl Queue {
    /// Sends an event to one channel.
    pub(super) async fn send_to_channel(
        &self,
        channel: &ChannelName,
        event: &Event,
    ) -> Result<(), LayerError> {
        self.codec.accepts(event)?;
        if self.is_ours(channel) {
            return self.shared.switchboard.send(channel, event);
        }
        // Where its receiver listens: `channels_redis` itself goes by the whole name, and loses some with several shards.
        let (shard, queue, message) = match channel.process() {
            Some(process) => (
                self.shard(process),
                process,
                self.codec
                    .encode(&envelope::seal(event, To::One(channel.as_str())))?,
            ),
            None => (
                self.turn.fetch_add(1, Ordering::Relaxed) % self.shared.links.len(),
                channel.as_str(),
                self.codec.encode(event.as_msgpack())?,
            ),
        };
        let capacity = self.shared.options.limits.capacity_of(channel);
        let parcel = Parcel {
            queue: self.names.queue(queue),
            capacity,
            message,
            channels: 1,
        };
        let full = self.put(shard, &[parcel]).await?;
        if full > 0 {
            return Err(LayerError::ChannelFull {
                channel: channel.clone(),
                capacity,
            });
        }
        Ok(())
    }

    /// Sends an event to all channels of a group: to those of other processes first, because only they can fail.
    pub(super) async fn send_to_group(
        &self,
        group: &GroupName,
        event: &Event,
    ) -> Result<Sent, LayerError> {
        self.codec.accepts(event)?;
        let members = self.members_of(group).await?;
        let mut ours = Vec::new();
        let mut queues: BTreeMap<&str, Vec<&ChannelName>> = BTreeMap::new();
        for member in &members {
            match member.process() {
                Some(process) if process == self.names.process() => ours.push(member),
                Some(process) => queues.entry(process).or_default().push(member),
                None => queues.entry(member.as_str()).or_default().push(member),
            }
        }
        let mut parcels: BTreeMap<usize, Vec<Parcel>> = BTreeMap::new();
        for (queue, channels) in queues {
            let names: Vec<_> = channels.iter().map(|channel| channel.as_str()).collect();
            let parcel = Parcel {
                queue: self.names.queue(queue),
                capacity: self.shared.options.limits.capacity_of(channels[0]),
                message: self
                    .codec
                    .encode(&envelope::seal(event, To::Many(&names)))?,
                channels: channels.len(),
            };
            parcels.entry(self.shard(queue)).or_default().push(parcel);
        }
        let mut sent = Sent::default();
        let put = parcels
            .iter()
            .map(|(shard, parcels)| self.put(*shard, parcels));
        let dropped: usize = try_join_all(put).await?.into_iter().sum();
        let others: usize = parcels
            .values()
            .flatten()
            .map(|parcel| parcel.channels)
            .sum();
        sent.delivered = others - dropped;
        sent.dropped = dropped;
        let here = self.send_here(group, &ours, event);
        sent.delivered += here.delivered;
        sent.dropped += here.dropped;
        Ok(sent)
    }

    async fn members_of(&self, group: &GroupName) -> Result<Vec<ChannelName>, LayerError> {
        let key = self.names.group(group);
        let expired = self.clock.now()
            - self
                .shared
                .options
                .limits
                .group_expires_after()
                .as_secs_f64();
        let mut commands = redis::pipe();
        commands
            .cmd("ZREMRANGEBYSCORE")
            .arg(&key)
            .arg(0)
            .arg(expired.to_string())
            .ignore();
        commands.cmd("ZRANGE").arg(&key).arg(0).arg(-1);
        let (members,): (Vec<Vec<u8>>,) = self.link_of(group.as_str()).query(&commands).await?;
        let name = |member: &Vec<u8>| ChannelName::parse(str::from_utf8(member).ok()?).ok();
        Ok(members.iter().filter_map(name).collect())
    }

    /// To the members in this process, whatever Redis knows of them, and to channels of ours that others put there.
    fn send_here(&self, group: &GroupName, named: &[&ChannelName], event: &Event) -> Sent {
        let switchboard = &self.shared.switchboard;
        let mut sent = switchboard.group_send(group, event);
        for channel in named {
            if let Some(Target::Channel(channel)) = self.names.read(channel.as_str()) {
                match switchboard.send(&channel, event) {
                    Ok(()) => sent.delivered += 1,
                    Err(_) => sent.dropped += 1,
                }
            }
        }
        sent
    }

    /// Puts messages into queues of one shard, and says how many channels did not get theirs.
    async fn put(&self, shard: usize, parcels: &[Parcel]) -> Result<usize, LayerError> {
        let expiry = self.shared.options.limits.expires_after();
        let now = self.clock.now();
        let mut commands = redis::pipe();
        let eval = commands.cmd("EVAL").arg(PUT).arg(parcels.len());
        for parcel in parcels {
            eval.arg(&parcel.queue);
        }
        eval.arg((now - expiry.as_secs_f64()).to_string());
        eval.arg(now.to_string()).arg(whole_seconds(expiry).max(1));
        for parcel in parcels {
            eval.arg(parcel.capacity).arg(&parcel.message);
        }
        let (full,): (Vec<usize>,) = self.shared.links[shard].query(&commands).await?;
        let counts = &self.shared.counts;
        Counts::add(&counts.published, parcels.len() - full.len());
        // Lua counts from one.
        let dropped = full.iter().map(|i| parcels[i - 1].channels).sum();
        Counts::add(&counts.refused, dropped);
        Ok(dropped)
    }
}
