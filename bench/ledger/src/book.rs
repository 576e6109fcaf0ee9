//! The ledger: every id that was sent, and every acknowledgement that came.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::list::Text;

/// A message as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) room: usize,
    pub(crate) speaker: usize,
    pub(crate) text: Text,
    first_sent: Instant,
    /// The number it was acknowledged with.
    pub(crate) acknowledged: Option<u64>,
}

/// What has been sent and acknowledged so far, by all speakers.
#[derive(Default)]
pub(crate) struct Book {
    entries: Mutex<Entries>,
    acknowledged: AtomicUsize,
}

#[derive(Default)]
pub(crate) struct Entries {
    /// By id.
    pub(crate) sent: HashMap<String, Sent>,
    /// From the first time a message was sent to its acknowledgement, through all that broke between.
    pub(crate) ack_times: Vec<Duration>,
    pub(crate) sends: usize,
    pub(crate) repeats_acknowledged: usize,
    /// By code, what was refused and had to be tried again.
    pub(crate) refusals: BTreeMap<String, usize>,
    pub(crate) violations: Vec<String>,
}

impl Book {
    /// A message is about to be sent, for the first time or again.
    pub(crate) fn sending(&self, id: &str, room: usize, speaker: usize, text: &str) {
        let mut entries = self.lock();
        entries.sends += 1;
        if !entries.sent.contains_key(id) {
            let sent = Sent {
                room,
                speaker,
                text: Text::from(text),
                first_sent: Instant::now(),
                acknowledged: None,
            };
            entries.sent.insert(id.to_owned(), sent);
        }
    }

    /// The server says that `id` is stored under `seq`.
    pub(crate) fn acknowledged(&self, id: &str, seq: u64) {
        let mut entries = self.lock();
        let Some(sent) = entries.sent.get_mut(id) else {
            let sentence = format!("`{id}` was acknowledged as {seq}, and never sent");
            return entries.violations.push(sentence);
        };
        match sent.acknowledged {
            None => {
                sent.acknowledged = Some(seq);
                let took = sent.first_sent.elapsed();
                entries.ack_times.push(took);
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Some(before) if before == seq => entries.repeats_acknowledged += 1,
            Some(before) => entries.violations.push(format!(
                "`{id}` was acknowledged as {before}, and as {seq} when it was repeated"
            )),
        }
    }

    /// The server refused something. Whether it may be tried again.
    pub(crate) fn refused(&self, id: &str, code: &str) -> Retry {
        let mut entries = self.lock();
        *entries.refusals.entry(code.to_owned()).or_default() += 1;
        match code {
            "store_unavailable" | "shutting_down" | "incomplete_request" => Retry::Later,
            _ => {
                let sentence = format!("`{id}` was refused with `{code}`, which is not retryable");
                entries.violations.push(sentence);
                Retry::Never
            }
        }
    }

    /// Something that must not happen has happened.
    pub(crate) fn violation(&self, sentence: String) {
        self.lock().violations.push(sentence);
    }

    /// How many messages are acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// How often a retryable refusal was heard.
    pub(crate) fn refusals(&self) -> usize {
        self.lock().refusals.values().sum()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whether a refused message may be said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    Later,
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_has_to_get_the_same_number() {
        let book = Book::default();
        book.sending("a", 0, 0, "hi");
        book.acknowledged("a", 1);
        book.acknowledged("a", 1);
        assert_eq!(book.lock().repeats_acknowledged, 1);
        assert!(book.lock().violations.is_empty());

        book.acknowledged("a", 2);
        book.acknowledged("b", 3);
        assert_eq!(book.count(), 1);
        assert_eq!(book.lock().violations.len(), 2);
    }

    #[test]
    fn only_what_may_be_tried_again_is_refused_without_harm() {
        let book = Book::default();
        assert_eq!(book.refused("a", "store_unavailable"), Retry::Later);
        assert!(book.lock().violations.is_empty());
        assert_eq!(book.refused("a", "bad_id"), Retry::Never);
        assert_eq!(book.lock().violations.len(), 1);
    }
}
