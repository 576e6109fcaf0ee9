//! The fast lane: a set of WebSockets to which one encoded frame is sent.
//!
//! A message is encoded once, appended to what the audience has waiting, and the whole of it goes to each member with one
//! write at the end of the event loop's turn: what piled up meanwhile costs no further system call. No consumer is woken,
//! nothing is allocated, copied or looked up per member, unless its consumer is just answering it ([`Seat::hold_step`]). A member that takes no bytes has a bounded queue of its own
//! ([`Backlog`](crate::Backlog)) and delays nobody.

mod flush;
mod stretch;

use std::borrow::Borrow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ahash::AHashMap;
use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;

pub(crate) use flush::Flusher;
use stretch::{Stretch, Track};

use crate::ws::Encoder;
use crate::{Message, SocketSender};

/// The largest audience in which an answer waits for what everybody hears. In an audience of two that saves a third of the
/// CPU; of 50, a twentieth, and an answer takes twice as long on a machine that has no time left.
const HOLDS_STEPS_UP_TO: usize = 16;

/// A set of WebSockets that hear the same messages, in the same order. Clones are the same audience.
///
/// ```no_run
/// # use roomful::{audience::Audience, Message, Socket};
/// # fn example(socket: &Socket) {
/// let audience = Audience::new();
/// let seat = audience.join(&socket.sender());
/// audience.send(&Message::text("hello, everybody"));
/// drop(seat); // leaves
/// # }
/// ```
#[derive(Clone)]
pub struct Audience {
    shared: Arc<Shared>,
}

/// A member's place in an [`Audience`]; dropping it leaves.
#[must_use = "dropping the seat leaves the audience"]
pub struct Seat {
    shared: Arc<Shared>,
    id: u64,
    place: Arc<Place>,
    paused: bool,
}

struct Shared {
    /// Writes what waits: one audience is flushed by one task at a time, so all members hear one order.
    flusher: Flusher,
    /// Guards who is a member and what waits to be sent; never held while writing to a socket.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Shared with a flush under way; copied only if somebody comes or goes meanwhile.
    members: Arc<Vec<Member>>,
    seats: AHashMap<u64, usize>,
    next_id: u64,
    /// What was sent since the last flush began.
    waiting: Stretch<BytesMut>,
    /// What the flush under way writes: who leaves meanwhile may not have heard it yet.
    flushing: Option<Stretch<Bytes>>,
    /// How the compressed copy is written: as the first member that takes one negotiated it. Members with another
    /// agreement get plain frames, which is always allowed.
    deflating: Option<Encoder>,
    deflated_members: usize,
    scheduled: bool,
}

#[derive(Clone)]
struct Member {
    id: u64,
    place: Arc<Place>,
}

struct Place {
    sender: SocketSender,
    deflated: bool,
    /// Up to which position of its track the member has heard. Changes only while its socket is locked for writing, so
    /// that it hears everything once and in order though it leaves in the middle of a flush.
    heard: AtomicU64,
}

impl Audience {
    /// An empty audience whose messages are written by the current runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new() -> Self {
        Self::on(Handle::current())
    }

    /// An empty audience whose messages are written by the runtime `home`: best the one its members' connections run on.
    pub fn on(home: Handle) -> Self {
        Self::of(Flusher::new(home))
    }

    /// An empty audience that shares a flusher with others of the same runtime.
    pub(crate) fn of(flusher: Flusher) -> Self {
        Self {
            shared: Arc::new(Shared {
                flusher,
                state: Mutex::default(),
            }),
        }
    }

    /// Takes a seat: the member hears what is sent from now on, and nothing of what was sent before.
    pub fn join(&self, sender: &SocketSender) -> Seat {
        self.sit(sender, false)
    }

    /// Takes a seat whose messages are kept back until [`Seat::resume`], so that a consumer can first send what the member
    /// missed. What is kept back counts towards the member's backlog.
    pub fn join_paused(&self, sender: &SocketSender) -> Seat {
        sender.pause();
        self.sit(sender, true)
    }

    fn sit(&self, sender: &SocketSender, paused: bool) -> Seat {
        let mut state = self.shared.lock();
        let id = state.next_id;
        state.next_id += 1;
        let deflated = state.takes_deflated(sender);
        state.deflated_members += usize::from(deflated);
        // What waits was sent before.
        let heard = AtomicU64::new(state.waiting.track(deflated).end());
        let place = Arc::new(Place {
            sender: sender.clone(),
            deflated,
            heard,
        });
        state.add(id, Arc::clone(&place));
        Seat {
            shared: Arc::clone(&self.shared),
            id,
            place,
            paused,
        }
    }

    /// Sends a message to every member. Never waits.
    pub fn send(&self, message: &Message) {
        self.send_with(|| message);
    }

    /// Sends to every member what `message` gives, which is asked only if there are any. Says how many there are.
    ///
    /// `message` is called with the audience locked: it must not use it.
    pub fn send_with<M: Borrow<Message>>(&self, message: impl FnOnce() -> M) -> usize {
        let mut state = self.shared.lock();
        let members = state.members.len();
        if members == 0 {
            return 0;
        }
        let message = message();
        let message = message.borrow();
        Encoder::PLAIN.encode(&mut state.waiting.plain.bytes, message);
        if let Some(encoder) = state.deflating {
            encoder.encode(&mut state.waiting.deflated.bytes, message);
        }
        if !state.scheduled {
            state.scheduled = true;
            drop(state);
            self.shared.flusher.schedule(&self.shared);
        }
        members
    }

    /// How many seats are taken.
    pub fn len(&self) -> usize {
        self.shared.lock().members.len()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self::new()
    }
}

impl Seat {
    /// Sends what was kept back since [`Audience::join_paused`], and from now on what is sent at once.
    pub fn resume(&mut self) {
        if std::mem::take(&mut self.paused) {
            self.place.sender.resume();
        }
    }

    /// Lets what the member's consumer has sent in this step go out together with what the audience has waiting for the
    /// member, in front of it: one write for both. Where nothing waits, and in an audience of more than 16, the step is
    /// written when it is over, as ever.
    ///
    /// For answers that come at the same moment as what everybody hears: "yours is stored", and the message itself.
    pub fn hold_step(&self) {
        // While this is locked nothing that waits becomes a flush; one that is under way still has to come by.
        let state = self.shared.lock();
        let is_worth_it = state.members.len() <= HOLDS_STEPS_UP_TO;
        let end = state.waiting.track(self.place.deflated).end();
        let place = &self.place;
        place
            .sender
            .hold_step(|| is_worth_it && place.heard() < end);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let place = &self.place;
        let mut state = self.shared.lock();
        state.remove(self.id);
        // What was sent while the member sat here is still its: a farewell may follow the last message at once.
        let flushing = state
            .flushing
            .as_ref()
            .map(|stretch| stretch.track(place.deflated).clone());
        let waiting = state.waiting.track(place.deflated).rest(place.heard());
        state.deflated_members -= usize::from(place.deflated);
        if state.deflated_members == 0 && state.waiting.plain.bytes.is_empty() {
            state.deflating = None;
        }
        drop(state);
        for track in flushing.iter().chain(&waiting) {
            place.hear(track);
        }
        self.resume();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    /// Whether a member takes the compressed copy.
    fn takes_deflated(&mut self, sender: &SocketSender) -> bool {
        let encoder = sender.encoder();
        if self.deflating.is_none() && self.waiting.plain.bytes.is_empty() && encoder.compresses() {
            self.deflating = Some(encoder);
        }
        self.deflating == Some(encoder)
    }

    fn add(&mut self, id: u64, place: Arc<Place>) {
        self.seats.insert(id, self.members.len());
        Arc::make_mut(&mut self.members).push(Member { id, place });
    }

    fn remove(&mut self, id: u64) {
        if let Some(index) = self.seats.remove(&id) {
            let members = Arc::make_mut(&mut self.members);
            members.swap_remove(index);
            if let Some(moved) = members.get(index) {
                self.seats.insert(moved.id, index);
            }
        }
    }

    /// Takes what waits, for one flush; the flush before it is over.
    fn begin_flush(&mut self) -> Option<Stretch<Bytes>> {
        if !self.has_more() {
            return None;
        }
        let stretch = Stretch {
            plain: self.waiting.plain.take(),
            deflated: self.waiting.deflated.take(),
        };
        self.flushing = Some(stretch.clone());
        Some(stretch)
    }

    /// Whether something was sent since the last flush began. If not, the flush is over, and what is sent next schedules
    /// another one.
    fn has_more(&mut self) -> bool {
        if self.waiting.plain.bytes.is_empty() {
            self.scheduled = false;
            self.flushing = None;
        }
        self.scheduled
    }
}

impl Place {
    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// What the member has not heard of this track; it counts as heard from now on. Called while its socket is locked.
    fn take(&self, track: &Track<Bytes>) -> Bytes {
        let heard = self.heard();
        if heard >= track.end() {
            return Bytes::new();
        }
        self.heard.store(track.end(), Ordering::Relaxed);
        track.after(heard)
    }

    /// Writes what the member has not heard of this track.
    fn hear(&self, track: &Track<Bytes>) {
        self.sender.write_shared(|| self.take(track));
    }
}
