//! A mailbox: the events that wait for one channel's reader, and the groups the channel is in.
//!
//! There may be a hundred thousand, nearly all of them idle: an empty one keeps no buffer worth mentioning.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::by::{AddressHasher, ByAddress, Named};
use super::group::{Group, Groups};
use super::{Attention, ChannelName, GroupName, Joined, Left, lock};
use crate::event::Event;
use crate::layer::Lane;

/// An empty mailbox gives back a buffer for more events than these.
const KEPT_WHEN_EMPTY: usize = 4;

pub(super) struct Mailbox {
    pub(super) name: ChannelName,
    tenure: Tenure,
    capacity: u32,
    /// How many have it open. Changes under the lock of `state`, read without.
    readers: AtomicU32,
    /// Guards what waits, who waits for it, and the list of the channel's groups.
    state: Mutex<State>,
}

/// Whose a mailbox is, and so how long it is kept.
pub(super) enum Tenure {
    /// An inbox owns it and ends it.
    Inbox { lane: Option<Arc<dyn Lane>> },
    /// Its name was given out; it is kept until then, and after it while in use.
    Reserved { until: Instant },
    /// While in use: it has events, listeners or groups.
    Shared,
}

#[derive(Default)]
struct State {
    /// Holds at most `capacity`; when it is full, new events are refused.
    queue: VecDeque<Waiting>,
    /// Who waits for the next event: one, as a rule.
    waiter: Option<Waiter>,
    /// Only a shared channel has them.
    competitors: Option<Box<Competitors>>,
    groups: HashSet<ByAddress<Group>, AddressHasher>,
    lost: u32,
    /// Nothing goes in any more.
    closed: bool,
}

/// Who else listens to a shared channel and waits. All are woken and the first to come is served, because one that was
/// chosen might have been cancelled meanwhile.
#[derive(Default)]
struct Competitors {
    waiters: Vec<Waiter>,
    last_reader: u32,
}

struct Waiting {
    deadline: Instant,
    event: Event,
}

struct Waiter {
    reader: u32,
    waker: Waker,
}

/// When an event is sent, and when it will have waited too long.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) deadline: Instant,
}

/// How an event came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Sender,
    Group,
}

/// What became of an event, and how many older ones had expired.
pub(super) struct Pushed {
    pub(super) outcome: Outcome,
    pub(super) expired: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    Full,
    Closed,
    /// Nobody has the channel open and events expired in it: groups pass it by.
    Stale,
}

impl Named for Mailbox {
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Mailbox {
    pub(super) fn new(name: ChannelName, capacity: usize, tenure: Tenure) -> Self {
        let readers = match tenure {
            Tenure::Inbox { .. } => 1,
            Tenure::Reserved { .. } | Tenure::Shared => 0,
        };
        Self {
            name,
            tenure,
            capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
            readers: AtomicU32::new(readers),
            state: Mutex::default(),
        }
    }

    /// Who may take a group's events in the inbox's place.
    pub(super) fn lane(&self) -> Option<&Arc<dyn Lane>> {
        match &self.tenure {
            Tenure::Inbox { lane } => lane.as_ref(),
            Tenure::Reserved { .. } | Tenure::Shared => None,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Whether an inbox of its own ends it.
    pub(super) fn is_owned(&self) -> bool {
        matches!(self.tenure, Tenure::Inbox { .. })
    }

    /// Whether somebody here may receive from it.
    pub(super) fn is_open(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }

    pub(super) fn attention(&self) -> Attention {
        let state = lock(&self.state);
        let competitors = state.competitors.as_ref();
        let waits = state.waiter.is_some() || competitors.is_some_and(|it| !it.waiters.is_empty());
        match self.is_open() {
            false => Attention::Nobody,
            true if waits && state.queue.is_empty() => Attention::Waiting,
            true => Attention::Busy,
        }
    }

    pub(super) fn push(&self, event: &Event, moment: Moment, origin: Origin) -> Pushed {
        let mut state = lock(&self.state);
        let expired = state.prune(moment.now);
        let outcome = if state.closed {
            Outcome::Closed
        } else if expired > 0 && origin == Origin::Group && !self.is_open() {
            Outcome::Stale
        } else if state.queue.len() >= self.capacity() {
            state.lose(1);
            Outcome::Full
        } else {
            state.queue.push_back(Waiting {
                deadline: moment.deadline,
                event: event.clone(),
            });
            Outcome::Taken
        };
        if outcome == Outcome::Taken {
            let waiters = state.take_waiters();
            drop(state);
            for waiter in waiters {
                waiter.waker.wake();
            }
        }
        Pushed { outcome, expired }
    }

    /// The next event that has not expired, and how many before it had.
    pub(super) fn try_pop(&self) -> (Option<Event>, usize) {
        lock(&self.state).pop()
    }

    /// The same, or the reader is woken when there is something.
    pub(super) fn poll_pop(&self, reader: u32, cx: &Context<'_>) -> (Poll<Event>, usize) {
        let mut state = lock(&self.state);
        let (event, expired) = state.pop();
        match event {
            Some(event) => (Poll::Ready(event), expired),
            None => {
                state.wait(reader, cx.waker());
                (Poll::Pending, expired)
            }
        }
    }

    /// Drops what expired, and says how much.
    pub(super) fn prune(&self, now: Instant) -> usize {
        lock(&self.state).prune(now)
    }

    pub(super) fn lost(&self) -> u32 {
        lock(&self.state).lost
    }

    pub(super) fn clear(&self) {
        lock(&self.state).queue = VecDeque::new();
    }

    /// A number for one more listener; `None` where the mailbox was freed.
    pub(super) fn add_reader(&self) -> Option<u32> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        self.readers.fetch_add(1, Ordering::AcqRel);
        let competitors = state.competitors.get_or_insert_default();
        competitors.last_reader = competitors.last_reader.wrapping_add(1);
        Some(competitors.last_reader)
    }

    pub(super) fn remove_reader(&self, reader: u32) {
        let mut state = lock(&self.state);
        self.readers.fetch_sub(1, Ordering::AcqRel);
        let first = state.waiter.take_if(|waiter| waiter.reader == reader);
        let other = state
            .competitors
            .as_mut()
            .and_then(|competitors| competitors.remove(reader));
        // A waker may be the last to hold its task, and that another inbox: it is dropped without the lock.
        drop(state);
        drop((first, other));
    }

    /// `None` where the mailbox is closed.
    pub(super) fn join(
        self: &Arc<Self>,
        groups: &Groups,
        name: &GroupName,
        now: Instant,
    ) -> Option<Joined> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        let (group, joined) = groups.join(name, self, now);
        state.groups.insert(ByAddress(group));
        Some(joined)
    }

    pub(super) fn leave(self: &Arc<Self>, groups: &Groups, name: &GroupName) -> Left {
        let mut state = lock(&self.state);
        let Some(group) = groups.find(name.as_str()).map(ByAddress) else {
            return Left::Absent;
        };
        if !state.groups.remove(&group) {
            return Left::Absent;
        }
        groups.leave(&group.0, self)
    }

    /// Leaves the groups it joined no later than this, and gives those that have no member here any more.
    pub(super) fn leave_joined_before(
        self: &Arc<Self>,
        groups: &Groups,
        limit: Instant,
    ) -> Vec<Arc<Group>> {
        let mut emptied = Vec::new();
        let mut state = lock(&self.state);
        state.groups.retain(|group| {
            let left = groups.leave_if_joined_before(&group.0, self, limit);
            if left == Left::Last {
                emptied.push(Arc::clone(&group.0));
            }
            left == Left::Absent
        });
        emptied
    }

    /// Leaves all groups and gives those that have no member here any more.
    pub(super) fn leave_all(self: &Arc<Self>, groups: &Groups) -> Vec<Arc<Group>> {
        let mut state = lock(&self.state);
        self.leave_all_locked(&mut state, groups)
    }

    /// Ends an inbox's mailbox: nothing goes in any more, it is in no group. Gives the groups it was the last of.
    pub(super) fn close(self: &Arc<Self>, groups: &Groups) -> Vec<Arc<Group>> {
        let mut state = lock(&self.state);
        state.closed = true;
        self.readers.store(0, Ordering::Release);
        state.queue = VecDeque::new();
        let waiter = state.waiter.take();
        let emptied = self.leave_all_locked(&mut state, groups);
        // As above: dropped without the lock.
        drop(state);
        drop(waiter);
        emptied
    }

    fn leave_all_locked(self: &Arc<Self>, state: &mut State, groups: &Groups) -> Vec<Arc<Group>> {
        std::mem::take(&mut state.groups)
            .into_iter()
            .filter(|group| groups.leave(&group.0, self) == Left::Last)
            .map(|group| group.0)
            .collect()
    }

    /// Closes a mailbox that no inbox owns and nobody needs; says whether it is closed.
    pub(super) fn close_if_idle(&self, now: Instant) -> bool {
        let mut state = lock(&self.state);
        let needed = match self.tenure {
            Tenure::Inbox { .. } => true,
            Tenure::Reserved { until } => now < until,
            Tenure::Shared => false,
        };
        if !needed && !self.is_open() && state.queue.is_empty() && state.groups.is_empty() {
            state.closed = true;
        }
        state.closed
    }
}

impl State {
    fn pop(&mut self) -> (Option<Event>, usize) {
        // Most polls find nothing, and need not know what time it is.
        if self.queue.is_empty() {
            return (None, 0);
        }
        let expired = self.prune(Instant::now());
        let event = self.queue.pop_front().map(|waiting| waiting.event);
        if self.queue.is_empty() && self.queue.capacity() > KEPT_WHEN_EMPTY {
            self.queue = VecDeque::new();
        }
        (event, expired)
    }

    /// All events wait equally long, so the ones that expired are in front.
    fn prune(&mut self, now: Instant) -> usize {
        let mut expired = 0;
        while self
            .queue
            .front()
            .is_some_and(|first| first.deadline <= now)
        {
            self.queue.pop_front();
            expired += 1;
        }
        self.lose(expired);
        expired
    }

    fn lose(&mut self, events: usize) {
        self.lost = self
            .lost
            .saturating_add(u32::try_from(events).unwrap_or(u32::MAX));
    }

    fn wait(&mut self, reader: u32, waker: &Waker) {
        let competitors = self.competitors.as_mut().map(|it| &mut it.waiters);
        let mine = self
            .waiter
            .iter_mut()
            .chain(competitors.into_iter().flatten())
            .find(|waiter| waiter.reader == reader);
        if let Some(waiter) = mine {
            waiter.waker.clone_from(waker);
            return;
        }
        let waiter = Waiter {
            reader,
            waker: waker.clone(),
        };
        match self.waiter {
            None => self.waiter = Some(waiter),
            Some(_) => {
                let competitors = self.competitors.get_or_insert_default();
                competitors.waiters.push(waiter);
            }
        }
    }

    fn take_waiters(&mut self) -> impl Iterator<Item = Waiter> + use<> {
        let competitors = self
            .competitors
            .as_mut()
            .map(|it| std::mem::take(&mut it.waiters));
        self.waiter
            .take()
            .into_iter()
            .chain(competitors.into_iter().flatten())
    }
}

impl Competitors {
    fn remove(&mut self, reader: u32) -> Option<Waiter> {
        let i = self
            .waiters
            .iter()
            .position(|waiter| waiter.reader == reader)?;
        Some(self.waiters.swap_remove(i))
    }
}
