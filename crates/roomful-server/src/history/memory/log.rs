//! One room's log in memory, and how its messages read now.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use ahash::RandomState;
use bytestring::ByteString;
use hashbrown::HashTable;

use super::MemoryOptions;
use crate::history::decide::{self, Change, Found, LogState};
use crate::history::{Appended, Entry, EventsPage, HistoryError, RoomSummary, grouped_reactions};
use crate::protocol::{EventKind, MessageView, RoomEvent, RoomName};

pub(super) struct Log {
    state: LogState,
    /// The newest numbers without holes: the last one is `head`.
    kept: VecDeque<Kept>,
    /// The number of every event that is kept and may be said again, by its key; author and id are looked up in the event.
    numbers: HashTable<u64>,
    hasher: RandomState,
    text_bytes: usize,
    topic: String,
}

struct Kept {
    event: Arc<RoomEvent>,
    /// What became of it, where it is a message and something did: as with few.
    since: Option<Box<Since>>,
    /// What author and id hash to, where they may come again.
    key: Option<NonZeroU64>,
}

/// What became of a message since it was said.
#[derive(Default)]
struct Since {
    /// All edits; the last one has the text as it reads now.
    edits: Vec<u64>,
    deleted: bool,
    /// Who set what, in the order it came.
    reactions: Vec<(String, Arc<str>)>,
}

impl Log {
    /// An empty log whose first number is the one after `head`.
    pub(super) fn new(room: &RoomName, head: u64) -> Self {
        Self {
            state: LogState::new(room.as_str().into(), head),
            kept: VecDeque::new(),
            numbers: HashTable::new(),
            hasher: RandomState::new(),
            text_bytes: 0,
            topic: String::new(),
        }
    }

    /// The newest number given.
    pub(super) fn head(&self) -> u64 {
        self.state.head
    }

    pub(super) fn append(
        &mut self,
        entry: Entry,
        options: &MemoryOptions,
    ) -> Result<Appended, HistoryError> {
        let key =
            (entry.id.may_come_again()).then(|| self.key(&entry.author.id, entry.id.as_str()));
        let target_author = decide::target(&entry.action).and_then(|target| self.author_of(target));
        let found = Found {
            repeated: key.and_then(|key| self.said(key, &entry)),
            target_author: target_author.as_deref(),
        };
        let now_ms = options.clock.now_ms();
        let appended = self.state.decide(entry, found, now_ms)?;
        if !appended.repeated {
            self.apply(&appended.event);
            self.push(Arc::clone(&appended.event), key);
            self.prune(options);
        }
        Ok(appended)
    }

    /// Adds the newest event.
    fn push(&mut self, event: Arc<RoomEvent>, key: Option<NonZeroU64>) {
        let seq = event.seq;
        self.text_bytes += text_bytes(&event);
        self.state.advance(&event);
        self.kept.push_back(Kept {
            event,
            since: None,
            key,
        });
        if let Some(key) = key {
            let (kept, head) = (&self.kept, self.state.head);
            let key_of = |&seq: &u64| place(kept, head, seq).and_then(|place| kept[place].key);
            self.numbers
                .insert_unique(key.get(), seq, |seq| key_of(seq).map_or(0, NonZeroU64::get));
        }
    }

    /// Changes how the room reads now.
    fn apply(&mut self, event: &RoomEvent) {
        match Change::of(event) {
            Change::Said => {}
            Change::Edited { target } => {
                if let Some(since) = self.since(target) {
                    since.edits.push(event.seq);
                }
            }
            Change::Deleted { target } => {
                let Some(since) = self.since(target) else {
                    return;
                };
                since.deleted = true;
                since.reactions = Vec::new();
                let edits = std::mem::take(&mut since.edits);
                for seq in edits.into_iter().chain([target]) {
                    self.wipe(seq);
                }
            }
            Change::ReactionSet {
                target,
                emoji,
                member,
            } => {
                let Some(since) = self.since(target) else {
                    return;
                };
                let reactions = &mut since.reactions;
                if !reactions.iter().any(|(e, m)| e == emoji && m == member) {
                    reactions.push((emoji.to_owned(), Arc::clone(member)));
                }
            }
            Change::ReactionTakenBack {
                target,
                emoji,
                member,
            } => {
                if let Some(since) = self.since(target) {
                    since
                        .reactions
                        .retain(|(e, m)| e != emoji || &**m != member);
                }
            }
            Change::Topic { text } => text.clone_into(&mut self.topic),
        }
    }

    /// What became of the event `seq`, to be changed.
    fn since(&mut self, seq: u64) -> Option<&mut Since> {
        let place = self.place(seq)?;
        Some(self.kept[place].since.get_or_insert_default())
    }

    /// Who said the message `seq`, unless it is deleted.
    fn author_of(&self, seq: u64) -> Option<Arc<str>> {
        let kept = &self.kept[self.place(seq)?];
        kept.is_living_message()
            .then(|| Arc::clone(&kept.event.from.id))
    }

    fn wipe(&mut self, seq: u64) {
        let Some(place) = self.place(seq) else { return };
        let event = Arc::make_mut(&mut self.kept[place].event);
        self.text_bytes -= event
            .text
            .replace(ByteString::new())
            .map_or(0, |text| text.len());
    }

    fn prune(&mut self, options: &MemoryOptions) {
        while self.kept.len() > options.events_per_room.max(1)
            || (self.text_bytes > options.text_bytes_per_room && self.kept.len() > 1)
        {
            let Some(kept) = self.kept.pop_front() else {
                break;
            };
            self.state.first = kept.event.seq + 1;
            self.state.messages -= u64::from(kept.is_living_message());
            let Kept { event, since, key } = kept;
            // A message that is gone can no longer be deleted: its text must not live on in edits.
            for seq in since.map(|since| since.edits).unwrap_or_default() {
                self.wipe(seq);
            }
            self.text_bytes -= text_bytes(&event);
            let number = key.map(|key| self.numbers.find_entry(key.get(), |&seq| seq == event.seq));
            if let Some(Ok(number)) = number {
                number.remove();
            }
        }
    }

    pub(super) fn after(&self, after: u64, limit: usize) -> EventsPage {
        let skip = usize::try_from(after.saturating_add(1).saturating_sub(self.state.first))
            .unwrap_or(usize::MAX);
        let events = self.kept.iter().skip(skip).take(limit);
        EventsPage {
            events: events.map(|kept| Arc::clone(&kept.event)).collect(),
            head: self.state.head,
            first: self.state.first,
        }
    }

    pub(super) fn messages_before(&self, before: Option<u64>, limit: usize) -> Vec<MessageView> {
        let older = self
            .kept
            .iter()
            .rev()
            .filter(|kept| before.is_none_or(|before| kept.event.seq < before));
        let mut page: Vec<_> = older
            .filter_map(|kept| self.view(kept))
            .take(limit)
            .collect();
        page.reverse();
        page
    }

    pub(super) fn topic(&self) -> String {
        self.topic.clone()
    }

    pub(super) fn message(&self, seq: u64) -> Option<MessageView> {
        self.view(&self.kept[self.place(seq)?])
    }

    pub(super) fn summary(&self, room: &RoomName) -> Option<RoomSummary> {
        Some(RoomSummary {
            room: room.clone(),
            head: self.state.head,
            last_at: self.kept.back()?.event.at,
            messages: self.state.messages,
            topic: self.topic.clone(),
        })
    }

    fn view(&self, kept: &Kept) -> Option<MessageView> {
        let event = &kept.event;
        if event.kind != EventKind::Message {
            return None;
        }
        let since = kept.since.as_deref();
        let edit = since.and_then(|since| self.event(*since.edits.last()?));
        Some(MessageView {
            seq: event.seq,
            id: Arc::clone(&event.id),
            from: event.from.clone(),
            at: event.at,
            text: edit.unwrap_or(event).text.clone().unwrap_or_default(),
            reply_to: event.reply_to,
            edited_at: edit.map(|edit| edit.at),
            deleted: since.is_some_and(|since| since.deleted),
            reactions: since.map_or_else(Vec::new, |since| {
                grouped_reactions(since.reactions.iter().cloned())
            }),
        })
    }

    fn key(&self, author: &str, id: &str) -> NonZeroU64 {
        NonZeroU64::new(self.hasher.hash_one((author, id))).unwrap_or(NonZeroU64::MIN)
    }

    /// The event that the same author's same id made before.
    fn said(&self, key: NonZeroU64, entry: &Entry) -> Option<&Arc<RoomEvent>> {
        let is_it =
            |event: &RoomEvent| event.from.id == entry.author.id && *event.id == *entry.id.as_str();
        let seq = self.numbers.find(key.get(), |&seq| {
            self.event(seq).is_some_and(|event| is_it(event))
        })?;
        self.event(*seq)
    }

    fn place(&self, seq: u64) -> Option<usize> {
        place(&self.kept, self.state.head, seq)
    }

    fn event(&self, seq: u64) -> Option<&Arc<RoomEvent>> {
        self.place(seq).map(|place| &self.kept[place].event)
    }
}

impl Kept {
    fn is_living_message(&self) -> bool {
        let deleted = self.since.as_ref().is_some_and(|since| since.deleted);
        self.event.kind == EventKind::Message && !deleted
    }
}

/// Where `seq` is kept, if it is; the last one is `head`.
fn place(kept: &VecDeque<Kept>, head: u64, seq: u64) -> Option<usize> {
    let before = usize::try_from(head.checked_sub(seq)?).ok()?;
    kept.len().checked_sub(before + 1)
}

fn text_bytes(event: &RoomEvent) -> usize {
    event.text.as_ref().map_or(0, |text| text.len())
}
