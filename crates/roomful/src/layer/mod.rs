//! Channel layers: events between consumers, tasks and processes, to one channel or to a group of them.
//!
//! A [`ChannelLayer`] is a cheap handle over a [`Backend`]: [`Memory`] serves one process, `redis::Redis` (with the
//! feature `redis`) several, Django's among them. What a process does for
//! itself, whatever carries events between processes, is the [`local`] switchboard's: mailboxes, groups, capacity, expiry.
//!
//! ```text
//! mod (ChannelLayer, Backend, LayerError) <- memory, redis/ -> local (Switchboard, Inbox) -> limits, name
//! ```
//!
//! Delivery is at most once. A sender never waits for a receiver: a mailbox that is full does not get the event, and
//! that is counted. Who must not miss anything keeps a log and takes the layer as a hint to read it.

mod counters;
mod limits;
pub mod local;
mod memory;
mod name;
#[cfg(feature = "redis")]
pub mod redis;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::event::{Event, EventError};

pub use self::counters::Counters;
pub use self::limits::{Limits, Pattern};
pub use self::local::Inbox;
pub use self::memory::{Memory, MemoryBuilder};
pub use self::name::{ChannelName, GroupName, InvalidName};

/// Sends events to channels and groups of channels. Cloning it copies a pointer.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use roomful::{ChannelLayer, json};
///
/// let layer = ChannelLayer::memory();
/// let mut inbox = layer.open().await?;
/// layer.group_add("room-1", inbox.channel().as_str()).await?;
///
/// layer.group_send("room-1", &json!({"type": "chat.message", "text": "hi"})).await?;
/// assert_eq!(inbox.receive().await.get::<String>("text")?, "hi");
/// # Ok::<(), roomful::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ChannelLayer {
    backend: Arc<dyn Backend>,
}

impl ChannelLayer {
    /// A layer over a backend.
    pub fn new(backend: impl Backend) -> Self {
        Self {
            backend: Arc::new(backend),
        }
    }

    /// A layer within this process, with the limits of Channels.
    #[doc(alias = "InMemoryChannelLayer")]
    pub fn memory() -> Self {
        Self::new(Memory::default())
    }

    /// Opens a mailbox of this process under a fresh name.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] where the backend cannot be reached.
    pub async fn open(&self) -> Result<Inbox, LayerError> {
        self.open_with(Open::default()).await
    }

    /// Opens a mailbox of this process under a fresh name, with options.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] where the backend cannot be reached.
    pub async fn open_with(&self, options: Open) -> Result<Inbox, LayerError> {
        self.backend.open(options).await
    }

    /// Opens a channel by its name: a general one such as `worker-1`, or one of [`new_channel`](Self::new_channel).
    ///
    /// Whoever else listens to it competes: each event goes to one of them. Dropping the inbox leaves what is unread to
    /// the next listener, and the channel in its groups.
    ///
    /// # Errors
    /// Where the name is not valid, belongs to an inbox that is open or was dropped, or the backend cannot be reached.
    #[doc(alias = "receive")]
    pub async fn listen(&self, channel: &str) -> Result<Inbox, LayerError> {
        self.backend.listen(&ChannelName::parse(channel)?).await
    }

    /// A fresh name of a process-local channel, for [`listen`](Self::listen).
    ///
    /// [`open`](Self::open) is the better way: it gives a name and the receiver in one, and cleans up after itself. A
    /// name without a receiver is forgotten when it has been out of use for the group expiry.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] where the backend cannot be reached.
    pub async fn new_channel(&self) -> Result<ChannelName, LayerError> {
        self.backend.new_channel().await
    }

    /// Sends an event to one channel.
    ///
    /// A channel that nobody has open keeps it until it expires, but for one whose inbox in this process was dropped:
    /// nobody can ever open that again, so the event is dropped, as it would be in another process.
    ///
    /// # Errors
    /// [`LayerError::ChannelFull`] where the channel has no room; otherwise where the name or the event is not valid,
    /// or the backend cannot be reached.
    pub async fn send(
        &self,
        channel: &str,
        event: &(impl Serialize + ?Sized),
    ) -> Result<(), LayerError> {
        let (channel, event) = (ChannelName::parse(channel)?, Event::new(event)?);
        self.backend.send(&channel, &event).await
    }

    /// Puts a channel into a group, or renews its stay there.
    ///
    /// # Errors
    /// Where a name is not valid, the channel's inbox in this process was dropped, or the backend cannot be reached.
    pub async fn group_add(&self, group: &str, channel: &str) -> Result<(), LayerError> {
        let (group, channel) = (GroupName::parse(group)?, ChannelName::parse(channel)?);
        self.backend.group_add(&group, &channel).await
    }

    /// Takes a channel out of a group; one that is not in it stays out.
    ///
    /// # Errors
    /// Where a name is not valid, or the backend cannot be reached.
    pub async fn group_discard(&self, group: &str, channel: &str) -> Result<(), LayerError> {
        let (group, channel) = (GroupName::parse(group)?, ChannelName::parse(channel)?);
        self.backend.group_discard(&group, &channel).await
    }

    /// Sends an event to all channels of a group. Those that are full do not get it, and are counted.
    ///
    /// # Errors
    /// Where the name or the event is not valid, or the backend cannot be reached; never because of a full channel.
    pub async fn group_send(
        &self,
        group: &str,
        event: &(impl Serialize + ?Sized),
    ) -> Result<Sent, LayerError> {
        let (group, event) = (GroupName::parse(group)?, Event::new(event)?);
        self.backend.group_send(&group, &event).await
    }

    /// Forgets all events and groups. Inboxes stay open, empty and in no group.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] where the backend cannot be reached.
    pub async fn flush(&self) -> Result<(), LayerError> {
        self.backend.flush().await
    }

    /// Waits until it is known wherever the backend keeps it which groups this process is in by now: an inbox that is
    /// dropped leaves its groups, and nobody waits for that.
    ///
    /// For a process that is about to end: whoever sends to a group goes on sending to those that ended without this,
    /// until the group expiry.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] where the backend cannot be reached.
    pub async fn settled(&self) -> Result<(), LayerError> {
        self.backend.settled().await
    }

    /// What happened so far in this process; reading it locks nothing. What a backend does not count is zero.
    pub fn counters(&self) -> Counters {
        self.backend.counters()
    }

    /// Whether what carries events between processes can be reached, as far as this process knows now. Never waits.
    pub fn is_up(&self) -> bool {
        self.backend.is_up()
    }

    /// The backend itself, which takes names already parsed and events already made: the way to send one event to many
    /// groups and encode it once.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }
}

impl fmt::Debug for ChannelLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelLayer").finish_non_exhaustive()
    }
}

/// A boxed future, so that [`Backend`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What carries events: [`ChannelLayer`] checks names and events, a backend moves them.
///
/// An [`Inbox`] is opened by a [`local::Switchboard`], so a backend has one of these per process and carries events
/// from one to another.
pub trait Backend: Send + Sync + 'static {
    /// Opens a mailbox of this process under a fresh name.
    fn open(&self, options: Open) -> BoxFuture<'_, Result<Inbox, LayerError>>;

    /// Opens a channel by its name.
    fn listen<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Inbox, LayerError>>;

    /// A fresh name of a process-local channel.
    fn new_channel(&self) -> BoxFuture<'_, Result<ChannelName, LayerError>>;

    /// Sends an event to one channel.
    fn send<'a>(
        &'a self,
        channel: &'a ChannelName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<(), LayerError>>;

    /// Puts a channel into a group, or renews its stay there.
    fn group_add<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>>;

    /// Takes a channel out of a group.
    fn group_discard<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>>;

    /// Sends an event to all channels of a group.
    fn group_send<'a>(
        &'a self,
        group: &'a GroupName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Sent, LayerError>>;

    /// Forgets all events and groups.
    fn flush(&self) -> BoxFuture<'_, Result<(), LayerError>>;

    /// Waits until it is known everywhere which groups this process is in. Where groups are the process's own there is
    /// nothing to wait for.
    fn settled(&self) -> BoxFuture<'_, Result<(), LayerError>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether what carries events between processes can be reached, as far as is known. Must not block.
    fn is_up(&self) -> bool {
        true
    }

    /// What happened so far. Must not block.
    fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// How to open an inbox.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Open {
    /// Who may take a group's events in the inbox's place.
    pub lane: Option<Arc<dyn Lane>>,
}

impl Open {
    /// Lets `lane` take a group's events in the inbox's place.
    #[must_use]
    pub fn lane(mut self, lane: Arc<dyn Lane>) -> Self {
        self.lane = Some(lane);
        self
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("lane", &self.lane.is_some())
            .finish()
    }
}

/// The fast lane: one object that may take an event for all members of a group that were opened with it, at once.
///
/// It is offered each `group_send` once, however many of the group's inboxes share it. What is sent to a single channel
/// goes to that channel's inbox.
pub trait Lane: Send + Sync + 'static {
    /// Takes the event for all its members of the group and says to how many it went, or leaves it (`None`) to each
    /// member's inbox.
    ///
    /// Called by the sender and without any lock held; it must not block.
    fn offer(&self, group: &GroupName, event: &Event) -> Option<usize>;
}

/// What a `group_send` knows of its outcome when it returns: about this process, and about others what they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Channels that have it.
    pub delivered: usize,
    /// Channels that should have had it and were full.
    pub dropped: usize,
}

/// Why a layer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The channel has no room; its reader is slow or gone. Trying again later may help.
    #[error("the channel `{channel}` is full: {capacity} events wait in it unread")]
    ChannelFull {
        /// The channel.
        channel: ChannelName,
        /// How many events it holds.
        capacity: usize,
    },
    /// No channel or group can have this name.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The value is no event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The channel belonged to this process, and its inbox was dropped.
    #[error("the channel `{0}` is closed: its inbox was dropped, open a new one")]
    Closed(ChannelName),
    /// The channel belongs to an inbox that is open: only that receives from it.
    #[error("the channel `{0}` has an inbox already: receive from that one")]
    InUse(ChannelName),
    /// The channel belongs to another process: only that can receive from it, and with some backends put it into groups.
    #[error("the channel `{0}` belongs to another process: receive from it there")]
    Elsewhere(ChannelName),
    /// What carries the events cannot be reached. Trying again later may help.
    #[error("the channel layer cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl LayerError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::ChannelFull { .. } | Self::Unavailable(_))
    }
}
