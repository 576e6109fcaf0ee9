//! Writing what audiences have waiting: one task for all audiences of an event loop, once a turn.
//!
//! The task runs after everything that was ready in the turn, so what came together goes out together. It writes to at most
//! [`BATCH`] members before other tasks get their turn, and takes the audiences round robin, so that a room of ten thousand
//! does not delay a room of two. Where the system has `io_uring`, the writes of a batch are one system call.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use sendmany::Ring;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::stretch::Stretch;
use super::{Member, Shared};
use crate::connection::Outbox;

/// Members written to before other tasks get a turn, and the most sends in one system call.
const BATCH: usize = 128;
/// After writing to so many members an audience waits for one turn of the loop, if there is more to write already. A turn in
/// which nothing happens costs a hundredth of those writes; but those who heard last are just answering, and what they say
/// travels with the rest.
const PAUSE: usize = 8;
/// The most turns of such a wait: some hundred microseconds.
const MAX_PAUSE: usize = 128;
/// Fewer sends than this are made one by one.
const WORTH_A_RING: usize = 4;

thread_local! {
    /// This thread's ring; made when it is first worth it. `None` inside where the system has none.
    static RING: RefCell<Option<Option<Ring>>> = const { RefCell::new(None) };
}

/// Writes for the audiences of one runtime. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Flusher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    home: Handle,
    /// Guards which audiences have something to write, and whether the task that will do it is there.
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    audiences: Vec<Arc<Shared>>,
    running: bool,
}

/// When a flush begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// It comes after everything else in this turn of its event loop.
    WhenItIsPolled,
    AfterThisTurn,
}

/// An audience that is being written to.
struct Flush {
    audience: Arc<Shared>,
    stretch: Stretch<Bytes>,
    members: Arc<Vec<Member>>,
    /// Members before this one have been written to.
    next: usize,
}

/// An audience in the queue.
enum Turn {
    /// Nothing is taken of what it has waiting, and nothing shall be for so many turns of the loop.
    First(Arc<Shared>, usize),
    /// Some members have been written to.
    Next(Flush),
}

/// Members whose turn it is.
struct Part {
    flush: Flush,
    members: Range<usize>,
}

impl Flusher {
    pub(crate) fn new(home: Handle) -> Self {
        let queue = Mutex::default();
        Self {
            inner: Arc::new(Inner { home, queue }),
        }
    }

    /// The runtime that writes.
    pub(crate) fn home(&self) -> &Handle {
        &self.inner.home
    }

    /// Writes for `audience` at the end of the home's turn.
    pub(super) fn schedule(&self, audience: &Arc<Shared>) {
        let mut queue = self.lock();
        queue.audiences.push(Arc::clone(audience));
        if !std::mem::replace(&mut queue.running, true) {
            drop(queue);
            drop(self.inner.home.spawn(run(self.clone(), self.begin())));
        }
    }

    /// When a task that is spawned now begins. On a current-thread runtime a task that it spawns itself runs after everything
    /// that was ready in this turn, which is the moment we want. A multi-threaded one would run it next, and what another
    /// thread spawns may come before what is ready.
    fn begin(&self) -> Begin {
        let home = &self.inner.home;
        let is_here = || Handle::try_current().is_ok_and(|current| current.id() == home.id());
        match home.runtime_flavor() {
            RuntimeFlavor::CurrentThread if is_here() => Begin::WhenItIsPolled,
            _ => Begin::AfterThisTurn,
        }
    }

    /// The audiences that were scheduled since the last time; `None` ends the task.
    fn take(&self, idle: bool) -> Option<Vec<Arc<Shared>>> {
        let mut queue = self.lock();
        if idle && queue.audiences.is_empty() {
            queue.running = false;
            return None;
        }
        Some(std::mem::take(&mut queue.audiences))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.inner
            .queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Writes until nothing waits, from the end of this turn on.
async fn run(flusher: Flusher, begin: Begin) {
    let mut turns: VecDeque<Turn> = VecDeque::new();
    if begin == Begin::AfterThisTurn {
        tokio::task::yield_now().await;
    }
    while let Some(audiences) = flusher.take(turns.is_empty()) {
        turns.extend(
            audiences
                .into_iter()
                .map(|audience| Turn::First(audience, 0)),
        );
        write_batch(&mut turns);
        if !turns.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// Writes to the next members of the audiences at the front; those that are not done go to the back.
fn write_batch(turns: &mut VecDeque<Turn>) {
    let mut left = BATCH;
    let mut parts = Vec::new();
    let mut pausing = Vec::new();
    while left > 0
        && let Some(turn) = turns.pop_front()
    {
        let flush = match turn {
            Turn::First(audience, pause @ 1..) => {
                pausing.push(Turn::First(audience, pause - 1));
                continue;
            }
            // What the audience has waiting is taken now and not before: meanwhile it has become more.
            Turn::First(audience, 0) => Flush::begin(audience),
            Turn::Next(flush) => Some(flush),
        };
        let Some(flush) = flush else { continue };
        let end = flush.members.len().min(flush.next + left);
        left -= end - flush.next;
        let members = flush.next..end;
        parts.push(Part { flush, members });
    }
    turns.extend(pausing);
    write(&parts);
    for Part { mut flush, members } in parts {
        flush.next = members.end;
        if flush.next < flush.members.len() {
            turns.push_back(Turn::Next(flush));
        } else if flush.audience.lock().has_more() {
            let pause = (flush.members.len() / PAUSE).min(MAX_PAUSE);
            turns.push_back(Turn::First(flush.audience, pause));
        }
    }
}

/// Hands each member of `parts` what it has not heard: where the ring is worth it, all in one system call.
///
/// A socket that somebody else is writing to, or that has something waiting, is left to a write of its own afterwards. The
/// others are locked meanwhile; nothing here waits for a lock while it holds one.
fn write(parts: &[Part]) {
    let count: usize = parts.iter().map(|part| part.members.len()).sum();
    if count < WORTH_A_RING || !with_ring(|ring| write_at_once(ring, parts)) {
        for part in parts {
            for member in &part.flush.members[part.members.clone()] {
                part.flush.write_to(member);
            }
        }
    }
}

fn write_at_once(ring: &mut Ring, parts: &[Part]) {
    let mut straight: Vec<(MutexGuard<'_, Outbox>, Bytes)> = Vec::with_capacity(BATCH);
    let mut others = Vec::new();
    for part in parts {
        for member in &part.flush.members[part.members.clone()] {
            let place = &member.place;
            let track = part.flush.stretch.track(place.deflated);
            match place.sender.try_lock() {
                Some(mut outbox) if outbox.is_straight(track.bytes.len()) => {
                    let bytes = place.take(track);
                    if !bytes.is_empty() {
                        let bytes = outbox.behind_step(bytes);
                        straight.push((outbox, bytes));
                    }
                }
                _ => others.push((&part.flush, member)),
            }
        }
    }
    let mut taken = [0; BATCH];
    {
        let sends: Vec<_> = straight
            .iter()
            .filter_map(|(outbox, bytes)| Some((outbox.socket()?.as_fd(), &bytes[..])))
            .collect();
        // A broken socket is its driver's to find: it gets the rest, and then the error.
        ring.send_each(&sends, |place, sent| taken[place] = sent.unwrap_or(0));
    }
    for ((outbox, bytes), taken) in straight.iter_mut().zip(taken) {
        outbox.wrote(std::mem::take(bytes), taken);
    }
    drop(straight);
    for (flush, member) in others {
        flush.write_to(member);
    }
}

/// Calls `use_ring` with this thread's ring, if it has one.
fn with_ring(use_ring: impl FnOnce(&mut Ring)) -> bool {
    RING.with_borrow_mut(|ring| {
        let ring = ring.get_or_insert_with(|| {
            let ring = Ring::new(BATCH as u32);
            if let Err(error) = &ring {
                tracing::debug!(%error, "no io_uring here: sockets are written to one by one");
            }
            ring.ok()
        });
        ring.as_mut().map(use_ring).is_some()
    })
}

impl Flush {
    /// Takes what an audience has waiting, if it has.
    fn begin(audience: Arc<Shared>) -> Option<Self> {
        let mut state = audience.lock();
        let stretch = state.begin_flush()?;
        let members = Arc::clone(&state.members);
        drop(state);
        Some(Self {
            audience,
            stretch,
            members,
            next: 0,
        })
    }

    fn write_to(&self, member: &Member) {
        member.place.hear(self.stretch.track(member.place.deflated));
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience").finish_non_exhaustive()
    }
}
