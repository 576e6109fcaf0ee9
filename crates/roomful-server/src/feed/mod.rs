//! A room's one feed in this process: the log's events in their order, handed to everybody who listens here.
//!
//! Committed events come in from the store, in any number and even twice; what goes out is the log, once and without holes.
//! Every transport stands on it: WebSockets through two audiences (text and JSON), long polls and event streams through
//! [`Feed::listen`]. None of them has an order of its own.

mod cursor;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use bytestring::ByteString;
use roomful::audience::{Audience, Seat};
use roomful::serve::Home;
use roomful::{Message, SocketSender};
use tokio::sync::{broadcast, watch};

pub use cursor::{Cursor, Step};

use crate::counters::Counters;
use crate::protocol::{EventKind, RoomEvent, ServerMessage, Unsaved, to_json};

/// Events kept in memory for readers that are a little behind: long polls between two requests, reconnects.
const TAIL: usize = 256;
/// Events that may wait for those before them; further ones are read from the log when it is their turn.
const MAX_EARLY: usize = 4096;
/// Passing events (typing, presence) that may wait for one event stream; a slower one misses some, by their nature.
const PASSING: usize = 64;

/// An event of the log, and its JSON as soon as somebody wanted it.
#[derive(Clone, Debug)]
pub struct Entry {
    event: Arc<RoomEvent>,
    json: Option<ByteString>,
}

impl From<Arc<RoomEvent>> for Entry {
    fn from(event: Arc<RoomEvent>) -> Self {
        Self { event, json: None }
    }
}

impl Entry {
    /// The event.
    pub fn event(&self) -> &Arc<RoomEvent> {
        &self.event
    }

    /// The same for another reader, with its JSON: so that is written once for all.
    fn shared(&mut self) -> Self {
        self.json();
        self.clone()
    }

    /// The event as JSON, which is written once.
    pub fn json(&mut self) -> &ByteString {
        self.json.get_or_insert_with(|| to_json(&*self.event))
    }
}

/// One room's feed.
pub struct Feed {
    /// Those who speak plain text: they hear what is said, nothing else.
    plain: Audience,
    /// Those who speak `roomful.v1`.
    json: Audience,
    /// The newest number handed out, for the long polls and streams that wait for it to move; not kept up to date while
    /// there are none.
    head: watch::Sender<u64>,
    /// For event streams and long polls; made for the first of them: its slots are most of a room's memory.
    passing: OnceLock<broadcast::Sender<ByteString>>,
    counters: Arc<Counters>,
    /// Guards the order: whoever holds it hands events to the audiences, or takes a seat between two of them.
    state: Mutex<State>,
}

struct State {
    /// `None` until the log's end was read; what is committed meanwhile waits in `early`.
    cursor: Option<Cursor>,
    /// What the room is about.
    topic: String,
    tail: VecDeque<Entry>,
    /// Events that came before those in front of them.
    early: BTreeMap<u64, Arc<RoomEvent>>,
}

/// What a reader gets from memory.
#[derive(Debug)]
pub enum Tail {
    /// Everything after the reader's position.
    Complete(Vec<Entry>),
    /// The position is older than what memory holds: read the log.
    TooOld,
}

impl Feed {
    /// A feed that still has to [`start`](Self::start), written on `home`.
    pub fn new(home: &Home) -> Self {
        Self::counting(home, Arc::default())
    }

    /// The same, with what it hands out counted.
    pub fn counting(home: &Home, counters: Arc<Counters>) -> Self {
        Self {
            plain: home.audience(),
            json: home.audience(),
            head: watch::Sender::new(0),
            passing: OnceLock::new(),
            counters,
            state: Mutex::new(State {
                cursor: None,
                topic: String::new(),
                tail: VecDeque::new(),
                early: BTreeMap::new(),
            }),
        }
    }

    /// The log's end was read, and what the room is about: from here on the feed hands out what follows.
    pub fn start(&self, head: u64, topic: String) {
        let mut state = self.lock();
        if state.cursor.is_none() {
            state.cursor = Some(Cursor::after(head));
            state.topic = topic;
            self.hand_out_all(&mut state);
        }
    }

    /// Takes an event of the log. Repeats are dropped; an event that is early waits for those before it.
    ///
    /// Says whether events are missing: then the log must be read after [`head`](Self::head) and offered.
    pub fn offer(&self, event: &Arc<RoomEvent>) -> bool {
        let mut state = self.lock();
        if let Some(mut cursor) = state.cursor {
            match cursor.offer(event.seq) {
                // As nearly always.
                Step::Next if state.early.is_empty() => {
                    self.hand_out(&mut state, Arc::clone(event));
                    self.reach(&mut state, cursor);
                    return false;
                }
                Step::Repeat => return false,
                Step::Next | Step::Gap { .. } => {}
            }
        }
        if state.early.len() < MAX_EARLY {
            state.early.insert(event.seq, Arc::clone(event));
        }
        state.cursor.is_some() && self.hand_out_all(&mut state)
    }

    /// The last of the events that are missing before some that are here, if there are any.
    pub fn gap(&self) -> Option<u64> {
        let state = self.lock();
        state.cursor?;
        Some(state.early.first_key_value()?.0 - 1)
    }

    /// The log no longer has what comes next: goes on after `seq`, and tells those who listen that they missed something.
    pub fn skip_to(&self, seq: u64) {
        let mut state = self.lock();
        if state.cursor.is_some_and(|cursor| cursor.last() < seq) {
            state.cursor = Some(Cursor::after(seq));
            self.pass(&ServerMessage::Resync { seq: Some(seq) });
            self.hand_out_all(&mut state);
        }
    }

    /// Hands out what is next, as far as it goes. `true` if there is more behind a gap.
    fn hand_out_all(&self, state: &mut State) -> bool {
        let Some(mut cursor) = state.cursor else {
            return false;
        };
        while let Some((seq, event)) = state.early.pop_first() {
            match cursor.offer(seq) {
                Step::Next => self.hand_out(state, event),
                Step::Repeat => {}
                Step::Gap { .. } => {
                    state.early.insert(seq, event);
                    break;
                }
            }
        }
        self.reach(state, cursor);
        !state.early.is_empty()
    }

    /// Everything up to the cursor is handed out.
    fn reach(&self, state: &mut State, cursor: Cursor) {
        state.cursor = Some(cursor);
        if self.head.receiver_count() > 0 {
            self.head.send_replace(cursor.last());
        }
    }

    fn hand_out(&self, state: &mut State, event: Arc<RoomEvent>) {
        let mut entry = Entry::from(event);
        if entry.event.kind == EventKind::Topic {
            state.topic = entry.event.text.as_deref().unwrap_or_default().to_owned();
        }
        if entry.event.kind == EventKind::Message
            && let Some(text) = &entry.event.text
        {
            self.send(&self.plain, || Message::Text(text.clone()));
        }
        self.send(&self.json, || Message::Text(entry.json().clone()));
        if entry.event.kind == EventKind::Deleted
            && let Some(target) = entry.event.target
        {
            state.wipe(target);
        }
        if state.tail.len() == TAIL {
            state.tail.pop_front();
        }
        state.tail.push_back(entry);
    }

    /// Sends what is said to those of an audience, if there are any.
    fn send(&self, audience: &Audience, message: impl FnOnce() -> Message) {
        let members = audience.send_with(message);
        if members > 0 {
            self.counters.delivered(members);
        }
    }

    /// Says something that is no part of the log: who came, who is typing. At most once, to those who listen now.
    pub fn pass(&self, message: &ServerMessage) {
        if self.is_passing_heard() {
            self.pass_json(to_json(message));
        }
    }

    fn is_passing_heard(&self) -> bool {
        let streams = self
            .passing
            .get()
            .map_or(0, broadcast::Sender::receiver_count);
        streams > 0 || !self.json.is_empty()
    }

    fn pass_json(&self, json: ByteString) {
        self.pass_to_streams(&json);
        self.json.send(&Message::Text(json));
    }

    fn pass_to_streams(&self, json: &ByteString) {
        if let Some(passing) = self.passing.get() {
            // That nobody listens any more is no error.
            let _ = passing.send(json.clone());
        }
    }

    /// Hands out a message that has no number, where nothing is numbered (`--history none`).
    pub fn pass_unnumbered(&self, event: &RoomEvent) {
        self.pass_message(event, to_json(event));
    }

    /// Hands out a message that has no number where others have one: it is shown live, and not kept.
    pub fn pass_unsaved(&self, event: &RoomEvent) {
        self.pass_message(
            event,
            to_json(&Unsaved {
                event,
                unsaved: true,
            }),
        );
    }

    fn pass_message(&self, event: &RoomEvent, json: ByteString) {
        if let Some(text) = &event.text {
            self.send(&self.plain, || Message::Text(text.clone()));
        }
        self.pass_to_streams(&json);
        self.send(&self.json, || Message::Text(json));
    }

    /// Takes a seat among the plain-text listeners.
    pub fn join_plain(&self, sender: &SocketSender) -> Seat {
        let _order = self.lock();
        self.plain.join(sender)
    }

    /// Takes a seat among the JSON listeners, kept back until [`Seat::resume`]. Says which number the log had reached: the
    /// seat hears exactly what comes after it.
    pub fn join_json(&self, sender: &SocketSender) -> (u64, Seat) {
        let state = self.lock();
        (state.head(), self.json.join_paused(sender))
    }

    /// Follows the newest number.
    pub fn listen(&self) -> watch::Receiver<u64> {
        let state = self.lock();
        self.head.send_replace(state.head());
        self.head.subscribe()
    }

    /// Follows what is no part of the log.
    pub fn listen_passing(&self) -> broadcast::Receiver<ByteString> {
        let passing = self.passing.get_or_init(|| broadcast::Sender::new(PASSING));
        passing.subscribe()
    }

    /// What the room is about.
    pub fn topic(&self) -> String {
        self.lock().topic.clone()
    }

    /// The newest number handed out.
    pub fn head(&self) -> u64 {
        self.lock().head()
    }

    /// What comes after a position, if memory still holds all of it.
    pub fn tail_after(&self, after: u64, limit: usize) -> Tail {
        let mut state = self.lock();
        if after >= state.head() {
            return Tail::Complete(Vec::new());
        }
        match state.tail.front() {
            Some(first) if first.event.seq <= after + 1 => {
                let skip = (after + 1 - first.event.seq) as usize;
                let entries = state.tail.iter_mut().skip(skip).take(limit);
                Tail::Complete(entries.map(Entry::shared).collect())
            }
            _ => Tail::TooOld,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn head(&self) -> u64 {
        self.cursor.map_or(0, |cursor| cursor.last())
    }

    /// Deleted means gone, from memory as from the log: those who come later meet the message and its edits without text.
    fn wipe(&mut self, target: u64) {
        for entry in &mut self.tail {
            let event = &entry.event;
            let is_its_text = event.seq == target
                || (event.kind == EventKind::Edited && event.target == Some(target));
            if is_its_text && event.text.is_some() {
                *entry = Entry::from(Arc::new(RoomEvent {
                    text: Some(ByteString::new()),
                    ..RoomEvent::clone(event)
                }));
            }
        }
    }
}
