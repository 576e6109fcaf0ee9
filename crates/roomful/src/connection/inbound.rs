//! What was read of one WebSocket and waits for its consumer.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::transport::Reader;
use crate::{Close, Message};

/// Messages that may wait for a busy consumer before the socket is no longer read. One read may overshoot it.
const MAX_WAITING: usize = 32;

/// What was read and waits for the consumer. What is there once in a connection's life is boxed.
#[derive(Default)]
pub(crate) struct Inbound {
    messages: VecDeque<Message>,
    /// How many writes were dropped, which the consumer hears of first.
    lagged: u64,
    /// How the connection ended; comes after the messages.
    closed: Option<Box<Close>>,
    /// The consumer has been told how the connection ended.
    told: bool,
    /// The accepted connection on its way from the handshake to the driver, with what was already read of it.
    accepted: Option<Box<(Reader, Bytes)>>,
    consumer: Option<Waker>,
}

impl Inbound {
    pub(super) fn open(&mut self, reader: Reader, first_bytes: Bytes) {
        self.accepted = Some(Box::new((reader, first_bytes)));
    }

    /// Whether the connection has ended and every message was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.closed.is_some() && self.messages.is_empty()
    }

    /// The next message, or how the connection ended.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Close>> {
        if let Some(message) = self.messages.pop_front() {
            return Poll::Ready(Ok(message));
        }
        if self.messages.capacity() > MAX_WAITING {
            self.messages = VecDeque::new();
        }
        if let Some(close) = &self.closed {
            self.told = true;
            return Poll::Ready(Err(Close::clone(close)));
        }
        self.consumer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn push(&mut self, message: Message, current: &Waker) {
        self.messages.push_back(message);
        self.wake_unless(Some(current));
    }

    /// Whether more may be read for the consumer.
    pub(super) fn has_room(&self) -> bool {
        self.messages.len() < MAX_WAITING
    }

    pub(super) fn take_accepted(&mut self) -> Option<(Reader, Bytes)> {
        self.accepted.take().map(|accepted| *accepted)
    }

    /// How the connection ended, if it has.
    pub(super) fn closed(&self) -> Option<Close> {
        self.closed.as_deref().cloned()
    }

    /// Whether the consumer knows that it ended.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    pub(super) fn end(&mut self, close: Close) {
        self.closed.get_or_insert_with(|| Box::new(close));
        self.wake();
    }

    /// Writes were dropped because the peer was too slow for them.
    pub(super) fn lag(&mut self, dropped_writes: u64) {
        self.lagged += dropped_writes;
        self.wake();
    }

    /// How many writes were dropped since this was asked last.
    pub(crate) fn take_lagged(&mut self) -> u64 {
        std::mem::take(&mut self.lagged)
    }

    fn wake(&mut self) {
        self.wake_unless(None);
    }

    /// Wakes the consumer unless it runs in the task that is being polled: then its turn comes anyway.
    fn wake_unless(&mut self, current: Option<&Waker>) {
        if let Some(consumer) = self.consumer.take()
            && !current.is_some_and(|waker| waker.will_wake(&consumer))
        {
            consumer.wake();
        }
    }
}
