//! Who of this process is in groups, in Redis: told in one go, renewed in time, told again after a failure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Queue;
use crate::layer::local::Attention;
use crate::layer::{ChannelName, GroupName, LayerError};

/// How many groups one round trip is about.
const BATCH: usize = 500;

/// Channels that are not this process's own, and that it put into groups: renewed while somebody listens here.
#[derive(Default)]
pub(super) struct Guests {
    /// When each was put there, or last seen with a listener; forgotten after the group expiry.
    seen: Mutex<HashMap<(GroupName, ChannelName), Instant>>,
}

impl Guests {
    pub(super) fn clear(&self) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn add(&self, group: &GroupName, channel: &ChannelName) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert((group.clone(), channel.clone()), Instant::now());
    }

    fn remove(&self, group: &GroupName, channel: &ChannelName) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.remove(&(group.clone(), channel.clone()));
    }

    /// Those with a listener; forgets those that expired.
    fn attended(
        &self,
        expiry: Duration,
        has_listener: impl Fn(&ChannelName) -> bool,
    ) -> Vec<(GroupName, ChannelName)> {
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(_, channel), at| {
            if has_listener(channel) {
                *at = now;
            }
            now.duration_since(*at) < expiry
        });
        let attended = seen.iter().filter(|(_, at)| **at == now);
        attended.map(|(guest, _)| guest.clone()).collect()
    }
}

impl Queue {
    /// Keeps what Redis knows of our groups on one shard as it should be, for ever.
    pub(super) async fn keep_members(self: Arc<Self>, shard: usize) {
        let (roll, link) = (&self.rolls[shard], &self.shared.links[shard]);
        let switchboard = &self.shared.switchboard;
        let ours = || {
            let groups = switchboard.groups().into_iter();
            groups.filter(|group| self.shard(group.as_str()) == shard)
        };
        let mut generations = link.generations();
        // Three times before the time is over, so that one failure is none.
        let expiry = self.shared.options.limits.group_expires_after();
        let mut renewal = interval((expiry / 3).max(Duration::from_millis(100)));
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        renewal.reset();
        loop {
            tokio::select! {
                round = roll.round(|group| switchboard.group_len(group) > 0) => {
                    let result = self.tell(shard, &round.enter, &round.leave).await;
                    for group in &round.leave {
                        self.names.unlearn(group, || switchboard.group_len(group) == 0);
                    }
                    roll.done(round, &result.map_err(|error| with_cause(&error)));
                }
                () = generations.next() => roll.doubt(ours()),
                _ = renewal.tick() => {
                    roll.doubt(ours());
                    self.renew_guests(shard).await;
                }
            }
        }
    }

    async fn tell(
        &self,
        shard: usize,
        enter: &[GroupName],
        leave: &[GroupName],
    ) -> Result<(), LayerError> {
        let link = &self.shared.links[shard];
        for groups in leave.chunks(BATCH) {
            let mut commands = redis::pipe();
            for group in groups {
                let (key, seat) = (self.names.group(group), self.names.seat(group));
                commands.cmd("ZREM").arg(key).arg(seat).ignore();
            }
            let () = link.query(&commands).await?;
        }
        for groups in enter.chunks(BATCH) {
            let mut commands = redis::pipe();
            for group in groups {
                self.add(&mut commands, group, &self.names.seat(group));
            }
            let () = link.query(&commands).await?;
        }
        Ok(())
    }

    fn add(&self, commands: &mut redis::Pipeline, group: &GroupName, channel: &str) {
        let key = self.names.group(group);
        let now = self.clock.now().to_string();
        commands
            .cmd("ZADD")
            .arg(&key)
            .arg(now)
            .arg(channel)
            .ignore();
        let expiry = self.shared.options.limits.group_expires_after();
        commands
            .cmd("EXPIRE")
            .arg(key)
            .arg(whole_seconds(expiry))
            .ignore();
    }

    /// Puts a channel that is not this process's own into a group.
    pub(super) async fn add_guest(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError> {
        let mut commands = redis::pipe();
        self.add(&mut commands, group, channel.as_str());
        let () = self.link_of(group.as_str()).query(&commands).await?;
        if channel.process().is_none() {
            self.guests.add(group, channel);
        }
        Ok(())
    }

    /// Takes a channel out of a group by its own name.
    pub(super) async fn remove_guest(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError> {
        self.guests.remove(group, channel);
        let mut commands = redis::pipe();
        let key = self.names.group(group);
        commands.cmd("ZREM").arg(key).arg(channel.as_str()).ignore();
        self.link_of(group.as_str()).query(&commands).await
    }

    async fn renew_guests(&self, shard: usize) {
        let switchboard = &self.shared.switchboard;
        let expiry = self.shared.options.limits.group_expires_after();
        let attended = self.guests.attended(expiry, |channel| {
            switchboard.attention(channel) != Attention::Nobody
        });
        let here = attended
            .iter()
            .filter(|(group, _)| self.shard(group.as_str()) == shard);
        for (group, channel) in here {
            let key = self.names.group(group);
            let now = self.clock.now().to_string();
            let mut commands = redis::pipe();
            // Somebody else may have taken it out meanwhile.
            commands
                .cmd("ZADD")
                .arg(&key)
                .arg("XX")
                .arg(now)
                .arg(channel.as_str())
                .ignore();
            commands
                .cmd("EXPIRE")
                .arg(&key)
                .arg(whole_seconds(expiry))
                .ignore();
            let renewed: Result<(), LayerError> = self.shared.links[shard].query(&commands).await;
            if let Err(error) = renewed {
                tracing::debug!(group.name = %group, %error, "a channel's stay in group {group} is not renewed, and will be later");
            }
        }
    }
}

/// As Redis counts it, and never too short.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn with_cause(error: &LayerError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}
