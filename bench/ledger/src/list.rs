//! What one reader has: the room's events, by number and without holes, as they reached it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use serde_json::Value;

/// An event, as far as it has to be the same for everybody.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) from: Author,
    pub(crate) text: Text,
    pub(crate) at: String,
}

/// A text's length and hash: whether two are the same can be told from that, and forty readers' lists stay small.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Text {
    bytes: usize,
    hash: u64,
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self {
            bytes: text.len(),
            hash: hasher.finish(),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

/// Who said it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Author {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A reader's list.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) epoch: Option<String>,
    pub(crate) events: Vec<Event>,
    /// Events that came again, and were the same.
    pub(crate) repeats: usize,
    /// How often it was welcomed on a WebSocket.
    pub(crate) welcomes: usize,
    /// Close codes the server ended its connections with.
    pub(crate) closes: Vec<u16>,
    pub(crate) violations: Vec<String>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Next,
    Repeat,
    /// Others are missing before it; it was not taken.
    Early,
}

impl List {
    /// The newest number; the reader's cursor.
    pub(crate) fn last(&self) -> u64 {
        self.events.len() as u64
    }

    /// Takes an event of the log.
    pub(crate) fn take(&mut self, event: Event) -> Taken {
        let next = self.last() + 1;
        if event.seq == next {
            self.events.push(event);
            return Taken::Next;
        }
        if event.seq > next {
            return Taken::Early;
        }
        self.repeats += 1;
        let known = event
            .seq
            .checked_sub(1)
            .and_then(|index| self.events.get(index as usize));
        if known != Some(&event) {
            let sentence = format!(
                "number {} came twice and differs: {known:?} and {event:?}",
                event.seq
            );
            self.violations.push(sentence);
        }
        Taken::Repeat
    }

    /// The server names its numbering; it must not change, the history is the same.
    pub(crate) fn check_epoch(&mut self, epoch: &Value) {
        match (&self.epoch, epoch.as_str()) {
            (_, None) => self.violations.push("the server names no epoch".to_owned()),
            (None, Some(epoch)) => self.epoch = Some(epoch.to_owned()),
            (Some(known), Some(epoch)) if known != epoch => {
                self.violations
                    .push(format!("the epoch was {known}, and is {epoch} now"));
            }
            _ => {}
        }
    }

    /// The server says how far its log goes: nobody may have been shown more.
    pub(crate) fn check_head(&mut self, head: u64) {
        if head < self.last() {
            let sentence = format!(
                "shown and not stored: this reader has {}, the log ends at {head}",
                self.last()
            );
            self.violations.push(sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, text: &str) -> Event {
        Event {
            seq,
            id: format!("id-{seq}"),
            from: Author {
                id: "m-1".to_owned(),
                name: "Ana".to_owned(),
            },
            text: Text::from(text),
            at: String::new(),
        }
    }

    #[test]
    fn a_list_has_no_holes_and_tells_repeats_from_forgeries() {
        let mut list = List::default();
        assert_eq!(list.take(event(1, "a")), Taken::Next);
        assert_eq!(list.take(event(3, "c")), Taken::Early);
        assert_eq!(list.take(event(2, "b")), Taken::Next);
        assert_eq!(list.take(event(1, "a")), Taken::Repeat);
        assert!(list.violations.is_empty());

        assert_eq!(list.take(event(2, "another")), Taken::Repeat);
        assert_eq!(list.violations.len(), 1);
        assert_eq!(list.last(), 2);
    }

    #[test]
    fn a_log_that_is_shorter_than_what_was_shown_is_a_violation() {
        let mut list = List::default();
        list.take(event(1, "a"));
        list.check_head(1);
        assert!(list.violations.is_empty());
        list.check_head(0);
        assert_eq!(list.violations.len(), 1);
    }
}
