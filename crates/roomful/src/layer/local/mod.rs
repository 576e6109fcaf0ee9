//! One process's switchboard: which channels are open here, who is in which group, and what waits to be read.
//!
//! Every backend has one; what differs between backends is how events reach the switchboards of other processes.
//!
//! - A sender never waits. A full mailbox does not get the event, and that is counted.
//! - Each call locks one table for a lookup, then the one group or mailbox it is about. Receivers are woken and lanes
//!   called with no lock held. Locks nest in this order only: channels, mailbox, groups, group.
//! - Joining and leaving touch one group; sending to a group walks its members, and no one else's.
//! - What nobody has open is kept as long as Channels keeps it, and looked over by later calls, a few at a time: there
//!   is no background task.

mod board;
mod by;
mod group;
mod inbox;
mod mailbox;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use self::board::Board;
use self::mailbox::{Mailbox, Origin, Outcome};
use super::{ChannelName, GroupName, LayerError, Limits, Open, Sent};
use crate::event::Event;

pub use self::inbox::Inbox;

/// A process's mailboxes and groups. Cloning it copies a pointer.
///
/// For authors of a [`Backend`](super::Backend): everything here is about this process, done when the call returns.
#[derive(Clone)]
pub struct Switchboard {
    board: Arc<Board>,
}

/// What became of a group when a channel joined it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The channel is the group's first in this process.
    First,
    /// The group has others here.
    Another,
    /// The channel was in it already; its stay is renewed.
    Again,
}

/// What became of a group when a channel left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The channel was the group's last in this process.
    Last,
    /// The group has others here.
    Others,
    /// The channel was not in it.
    Absent,
}

/// Who is told what this process makes of its groups and of the channels it shares with others.
///
/// All of it is called with no lock held, and must not block.
pub trait Watch: Send + Sync + 'static {
    /// A group lost its last member here by another way than [`leave`](Switchboard::leave): its inbox was dropped, it
    /// expired, or all was flushed. By the time one looks the group may have members again, so what counts is
    /// [`group_len`](Switchboard::group_len).
    fn emptied(&self, group: &GroupName);

    /// A listener of a shared channel waits, and there is nothing here for it.
    fn waiting(&self, channel: &ChannelName) {
        let _ = channel;
    }

    /// A shared channel lost its last listener here.
    fn unattended(&self, channel: &ChannelName) {
        let _ = channel;
    }
}

/// A watch that only wants to know of groups.
struct OnEmptied<F>(F);

impl<F: Fn(&GroupName) + Send + Sync + 'static> Watch for OnEmptied<F> {
    fn emptied(&self, group: &GroupName) {
        (self.0)(group);
    }
}

/// Who attends to a channel here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Nobody has it open.
    Nobody,
    /// Somebody has, and is busy or has enough to read.
    Busy,
    /// Somebody waits for the next event, and there is none here.
    Waiting,
}

/// Events that were not delivered, since the switchboard was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// The channel was full.
    pub full: u64,
    /// Nobody read them in time.
    pub expired: u64,
    /// They were sent to a channel of this process whose inbox was dropped.
    pub closed: u64,
}

impl Switchboard {
    /// An empty switchboard.
    pub fn new(limits: Limits) -> Self {
        Self {
            board: Arc::new(Board::new(limits, None)),
        }
    }

    /// An empty switchboard that calls `emptied` where a watch is told of [`Watch::emptied`].
    pub fn watched(limits: Limits, emptied: impl Fn(&GroupName) + Send + Sync + 'static) -> Self {
        Self::watched_by(limits, OnEmptied(emptied))
    }

    /// An empty switchboard that tells `watch` what happens.
    pub fn watched_by(limits: Limits, watch: impl Watch) -> Self {
        Self {
            board: Arc::new(Board::new(limits, Some(Box::new(watch)))),
        }
    }

    /// How the names of this process's channels begin: `specific.`, 32 hexadecimal digits, `!`.
    pub fn process(&self) -> &str {
        &self.board.process
    }

    /// The limits it was made with.
    pub fn limits(&self) -> &Limits {
        &self.board.limits
    }

    /// Opens a mailbox under a fresh name.
    pub fn open(&self, options: Open) -> Inbox {
        Inbox::owner(self.board.open(options), self.clone())
    }

    /// A fresh name for [`listen`](Self::listen), kept for the group expiry and then as long as it is in use.
    pub fn new_channel(&self) -> ChannelName {
        self.board.reserve(Instant::now()).name.clone()
    }

    /// Opens a channel by its name, beside whoever else listens to it.
    ///
    /// # Errors
    /// Where an inbox owns the channel, or did.
    pub fn listen(&self, channel: &ChannelName) -> Result<Inbox, LayerError> {
        let now = Instant::now();
        loop {
            let mailbox = self
                .board
                .find_or_make(channel, now)
                .ok_or_else(|| LayerError::Closed(channel.clone()))?;
            if mailbox.is_owned() {
                return Err(LayerError::InUse(channel.clone()));
            }
            // What waited too long while nobody listened must not look attended to afterwards.
            let expired = mailbox.prune(now);
            self.board.note_expired(&mailbox, expired);
            if let Some(reader) = mailbox.add_reader() {
                return Ok(Inbox::reader(mailbox, self.clone(), reader));
            }
        }
    }

    /// Sends an event to one channel. A general channel need not be open: the event waits there.
    ///
    /// # Errors
    /// [`LayerError::ChannelFull`].
    pub fn send(&self, channel: &ChannelName, event: &Event) -> Result<(), LayerError> {
        let moment = self.board.moment();
        loop {
            let Some(mailbox) = self.board.find_or_make(channel, moment.now) else {
                self.board.closed.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            };
            match self.board.push(&mailbox, event, moment, Origin::Sender) {
                Outcome::Taken => return Ok(()),
                // It was freed after it was found; the name is free again or closed.
                Outcome::Closed | Outcome::Stale => {}
                Outcome::Full => {
                    self.board.full.fetch_add(1, Ordering::Relaxed);
                    return Err(LayerError::ChannelFull {
                        channel: channel.clone(),
                        capacity: mailbox.capacity(),
                    });
                }
            }
        }
    }

    /// Sends an event to all members that a group has here.
    pub fn group_send(&self, group: &GroupName, event: &Event) -> Sent {
        let Some(members) = self.board.groups.find(group.as_str()) else {
            return Sent::default();
        };
        let moment = self.board.moment();
        let plan = self.board.plan(&members, moment.now);
        let mut sent = Sent::default();
        for part in &plan.parts {
            let taken = part.lane.as_ref().and_then(|lane| lane.offer(group, event));
            if let Some(delivered) = taken {
                sent.delivered += delivered;
                sent.dropped += part.len.saturating_sub(delivered);
                continue;
            }
            for mailbox in part.mailboxes(&members) {
                match self.board.push(mailbox, event, moment, Origin::Group) {
                    Outcome::Taken => sent.delivered += 1,
                    Outcome::Full => sent.dropped += 1,
                    Outcome::Closed | Outcome::Stale => {}
                }
            }
        }
        if sent.dropped > 0 {
            self.board
                .full
                .fetch_add(sent.dropped as u64, Ordering::Relaxed);
            let total = sent.delivered + sent.dropped;
            tracing::info!(
                group.name = %group,
                dropped = sent.dropped,
                "{} of {total} channels over capacity in group {group}",
                sent.dropped
            );
        }
        sent
    }

    /// Puts a channel of this process, or a general one, into a group.
    ///
    /// # Errors
    /// [`LayerError::Closed`] where the channel's inbox was dropped.
    pub fn join(&self, group: &GroupName, channel: &ChannelName) -> Result<Joined, LayerError> {
        let now = Instant::now();
        loop {
            let mailbox = self
                .board
                .find_or_make(channel, now)
                .ok_or_else(|| LayerError::Closed(channel.clone()))?;
            if let Some(joined) = mailbox.join(&self.board.groups, group, now) {
                return Ok(joined);
            }
        }
    }

    /// Takes a channel out of a group.
    pub fn leave(&self, group: &GroupName, channel: &ChannelName) -> Left {
        let Some(mailbox) = self.board.find(channel) else {
            return Left::Absent;
        };
        let left = mailbox.leave(&self.board.groups, group);
        self.board.free_if_idle(&mailbox, Instant::now());
        left
    }

    /// How many members a group has here.
    pub fn group_len(&self, group: &GroupName) -> usize {
        self.board
            .groups
            .find(group.as_str())
            .map_or(0, |group| group.len())
    }

    /// The groups that have members here.
    pub fn groups(&self) -> Vec<GroupName> {
        self.board.groups.names()
    }

    /// Who attends to a channel here.
    pub fn attention(&self, channel: &ChannelName) -> Attention {
        self.board
            .find(channel)
            .map_or(Attention::Nobody, |mailbox| mailbox.attention())
    }

    /// The shared channels that somebody listens to here.
    pub fn listened(&self) -> Vec<ChannelName> {
        self.board.listened()
    }

    /// Takes what waits unread in a channel, to carry it where it will be read.
    pub fn take_unread(&self, channel: &ChannelName) -> Vec<Event> {
        let Some(mailbox) = self.board.find(channel) else {
            return Vec::new();
        };
        let unread = std::iter::from_fn(|| mailbox.try_pop().0).collect();
        self.board.free_if_idle(&mailbox, Instant::now());
        unread
    }

    /// How many channels are known here: open, listened to, reserved, in a group, or with events waiting.
    pub fn channel_count(&self) -> usize {
        self.board.channel_count()
    }

    /// The events that were not delivered.
    pub fn drops(&self) -> Drops {
        Drops {
            full: self.board.full.load(Ordering::Relaxed),
            expired: self.board.expired.load(Ordering::Relaxed),
            closed: self.board.closed.load(Ordering::Relaxed),
        }
    }

    /// Forgets all events and groups; what is open stays open.
    pub fn flush(&self) {
        self.board.flush(Instant::now());
    }

    /// A listener of a shared channel waits for what is not here.
    fn note_waiting(&self, mailbox: &Mailbox) {
        if let Some(watch) = &self.board.watch
            && !mailbox.is_owned()
        {
            watch.waiting(&mailbox.name);
        }
    }

    /// A listener of a shared channel is dropped.
    fn remove_reader(&self, mailbox: &Arc<Mailbox>, reader: u32) {
        mailbox.remove_reader(reader);
        self.board.free_if_idle(mailbox, Instant::now());
        if let Some(watch) = &self.board.watch
            && !mailbox.is_open()
        {
            watch.unattended(&mailbox.name);
        }
    }
}

impl Default for Switchboard {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switchboard")
            .field("process", &self.board.process)
            .field("channels", &self.channel_count())
            .field("drops", &self.drops())
            .finish_non_exhaustive()
    }
}

/// A lock that a panic elsewhere does not spread through: nothing here is left half done by one.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
