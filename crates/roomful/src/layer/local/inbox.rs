//! The receiving end of a channel.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::coop::poll_proceed;

use super::Switchboard;
use super::mailbox::Mailbox;
use crate::event::Event;
use crate::layer::ChannelName;

/// The receiving end of a channel, from [`ChannelLayer::open`](crate::ChannelLayer::open) or
/// [`listen`](crate::ChannelLayer::listen).
///
/// An inbox that was opened owns its channel: when it is dropped, by a panic too, the channel leaves its groups and ends.
/// One that listens shares its channel with others, and what is unread stays there when it is dropped.
pub struct Inbox {
    mailbox: Arc<Mailbox>,
    switchboard: Switchboard,
    /// Tells the listeners of a shared channel apart; 0 for an owner, who is alone.
    reader: u32,
}

impl Inbox {
    pub(super) fn owner(mailbox: Arc<Mailbox>, switchboard: Switchboard) -> Self {
        Self::reader(mailbox, switchboard, 0)
    }

    pub(super) fn reader(mailbox: Arc<Mailbox>, switchboard: Switchboard, reader: u32) -> Self {
        Self {
            mailbox,
            switchboard,
            reader,
        }
    }

    /// The channel's name: what others send to and add to groups.
    pub fn channel(&self) -> &ChannelName {
        &self.mailbox.name
    }

    /// Waits for the next event. Those that waited longer than the layer's expiry are passed over.
    ///
    /// # Cancel safety
    /// Cancel safe: an event is taken out only when it is returned.
    pub async fn receive(&mut self) -> Event {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// [`receive`](Self::receive) for those who write their futures by hand. The task of the last call is woken.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        // A mailbox that is always full must not keep its task from giving others a turn.
        let turn = ready!(poll_proceed(cx));
        let (event, expired) = self.mailbox.poll_pop(self.reader, cx);
        self.note(expired);
        match event {
            Poll::Ready(_) => turn.made_progress(),
            Poll::Pending => self.switchboard.note_waiting(&self.mailbox),
        }
        event
    }

    /// The next event if there is one now.
    pub fn try_receive(&mut self) -> Option<Event> {
        let (event, expired) = self.mailbox.try_pop();
        self.note(expired);
        event
    }

    /// How many events this channel lost because it was full or they waited too long. A reader that sees it grow has
    /// missed something, and can look where the whole story is kept.
    pub fn lost(&self) -> u32 {
        self.mailbox.lost()
    }

    fn note(&self, expired: usize) {
        self.switchboard.board.note_expired(&self.mailbox, expired);
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if self.mailbox.is_owned() {
            self.switchboard.board.close(&self.mailbox);
        } else {
            self.switchboard.remove_reader(&self.mailbox, self.reader);
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("channel", self.channel())
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}
