//! The layer within one process: a switchboard and nothing else.

use std::time::Duration;

use super::local::Switchboard;
use super::{
    Backend, BoxFuture, ChannelName, Counters, GroupName, Inbox, LayerError, Limits, Open, Pattern,
    Sent,
};
use crate::event::Event;

/// A backend that serves one process, as Channels' `InMemoryChannelLayer` does.
///
/// ```
/// use std::time::Duration;
/// use roomful::ChannelLayer;
/// use roomful::layer::Memory;
///
/// let memory = Memory::builder().capacity(200).expiry(Duration::from_secs(30)).build();
/// let layer = ChannelLayer::new(memory);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    switchboard: Switchboard,
}

impl Memory {
    /// A memory backend with other limits than the default ones.
    pub fn builder() -> MemoryBuilder {
        MemoryBuilder::default()
    }

    /// What connects this process's channels: for counting what is there.
    pub fn switchboard(&self) -> &Switchboard {
        &self.switchboard
    }
}

impl From<Limits> for Memory {
    fn from(limits: Limits) -> Self {
        Self {
            switchboard: Switchboard::new(limits),
        }
    }
}

/// Chooses the limits of a [`Memory`].
#[derive(Clone, Debug, Default)]
pub struct MemoryBuilder {
    limits: Limits,
}

impl MemoryBuilder {
    /// See [`Limits::capacity`].
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.limits = self.limits.capacity(events);
        self
    }

    /// See [`Limits::channel_capacity`].
    #[must_use]
    pub fn channel_capacity(mut self, pattern: impl Into<Pattern>, events: usize) -> Self {
        self.limits = self.limits.channel_capacity(pattern, events);
        self
    }

    /// See [`Limits::expiry`].
    #[must_use]
    pub fn expiry(mut self, expiry: Duration) -> Self {
        self.limits = self.limits.expiry(expiry);
        self
    }

    /// See [`Limits::group_expiry`].
    #[must_use]
    pub fn group_expiry(mut self, expiry: Duration) -> Self {
        self.limits = self.limits.group_expiry(expiry);
        self
    }

    /// The backend.
    pub fn build(self) -> Memory {
        Memory::from(self.limits)
    }
}

// Nothing here ever waits: each future is done at its first poll.
impl Backend for Memory {
    fn open(&self, options: Open) -> BoxFuture<'_, Result<Inbox, LayerError>> {
        Box::pin(async { Ok(self.switchboard.open(options)) })
    }

    fn listen<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Inbox, LayerError>> {
        Box::pin(async { self.switchboard.listen(channel) })
    }

    fn new_channel(&self) -> BoxFuture<'_, Result<ChannelName, LayerError>> {
        Box::pin(async { Ok(self.switchboard.new_channel()) })
    }

    fn send<'a>(
        &'a self,
        channel: &'a ChannelName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        Box::pin(async { self.switchboard.send(channel, event) })
    }

    fn group_add<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        Box::pin(async { self.switchboard.join(group, channel).map(drop) })
    }

    fn group_discard<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        Box::pin(async {
            self.switchboard.leave(group, channel);
            Ok(())
        })
    }

    fn group_send<'a>(
        &'a self,
        group: &'a GroupName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Sent, LayerError>> {
        Box::pin(async { Ok(self.switchboard.group_send(group, event)) })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), LayerError>> {
        Box::pin(async {
            self.switchboard.flush();
            Ok(())
        })
    }

    fn counters(&self) -> Counters {
        let drops = self.switchboard.drops();
        Counters {
            dropped: drops.full,
            expired: drops.expired,
            ..Counters::default()
        }
    }
}
