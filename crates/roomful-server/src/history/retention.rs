//! How long events are kept, and the arithmetic of it, which both SQL stores follow.
//!
//! Old events go a batch at a time, so that nobody who says something waits for long. A room's row keeps its newest number,
//! so no number is given twice, and its oldest, so that readers can tell.

use std::time::Duration;

/// How long events are kept. Numbers of events that are gone are never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest events of each room that are kept; a tenth more may stay for a while. `None` keeps all.
    pub events_per_room: Option<u64>,
    /// How long an event is kept. `None` keeps it for ever.
    pub age: Option<Duration>,
    /// How often events are looked for that have become too old.
    pub interval: Duration,
}

impl Default for Retention {
    /// Keeps all.
    fn default() -> Self {
        Self {
            events_per_room: None,
            age: None,
            interval: Duration::from_secs(60),
        }
    }
}

/// Events that one batch removes at most: a few milliseconds in which nobody can speak in the room.
pub(super) const BATCH: u64 = 500;
/// Rooms with events that are too old, looked up at a time.
pub(super) const LOOKED_UP: i64 = 64;

impl Retention {
    /// Whether everything is kept.
    pub(super) fn keeps_all(&self) -> bool {
        self.events_per_room.is_none() && self.age.is_none()
    }

    /// The most events that a room may hold: a tenth over what is kept, so that a busy room is not pruned all the time.
    pub(super) fn most(&self) -> Option<u64> {
        let keep = self.events_per_room?;
        Some(keep.saturating_add(keep / 10))
    }

    /// Whether a room that holds `first..=head` has too many events.
    pub(super) fn is_over(&self, first: u64, head: u64) -> bool {
        self.most().is_some_and(|most| held(first, head) > most)
    }

    /// What was stored before this is too old; in milliseconds since 1970.
    pub(super) fn too_old(&self, now_ms: i64) -> Option<i64> {
        let age = i64::try_from(self.age?.as_millis()).unwrap_or(i64::MAX);
        Some(now_ms.saturating_sub(age))
    }

    /// The numbers that the next batch removes from a room that holds `first..=head`, the first `old` of which are too old.
    pub(super) fn next_batch(&self, first: u64, head: u64, old: u64) -> Option<Removed> {
        let surplus = match self.events_per_room {
            Some(keep) if self.is_over(first, head) => held(first, head) - keep,
            Some(_) | None => 0,
        };
        // Dates never go back in a room, so all that is too old comes first.
        let count = surplus.max(old).min(BATCH).min(held(first, head));
        (count > 0).then_some(Removed {
            before: first + count,
            may_be_more: count == BATCH,
        })
    }
}

/// What one batch removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removed {
    /// All numbers before this one.
    pub(super) before: u64,
    /// Whether another batch may have something to remove.
    pub(super) may_be_more: bool,
}

fn held(first: u64, head: u64) -> u64 {
    (head + 1).saturating_sub(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(events: u64) -> Retention {
        Retention {
            events_per_room: Some(events),
            ..Retention::default()
        }
    }

    fn before(retention: Retention, first: u64, head: u64, old: u64) -> Option<u64> {
        retention
            .next_batch(first, head, old)
            .map(|removed| removed.before)
    }

    #[test]
    fn a_tenth_may_gather_before_a_room_goes_back_to_what_is_kept() {
        assert_eq!(before(keep(100), 1, 110, 0), None);
        assert_eq!(before(keep(100), 1, 111, 0), Some(12));
        assert_eq!(before(keep(0), 1, 3, 0), Some(4));
        assert_eq!(before(Retention::default(), 1, u64::MAX - 1, 0), None);
    }

    #[test]
    fn what_is_too_old_goes_whatever_may_be_kept() {
        assert_eq!(before(keep(100), 5, 50, 10), Some(15));
        assert_eq!(before(Retention::default(), 5, 50, 46), Some(51));
        assert_eq!(before(keep(10), 51, 50, 0), None, "nothing is held");
    }

    #[test]
    fn a_batch_is_bounded_and_says_that_there_may_be_more() {
        let removed = keep(10).next_batch(1, 2_000, 3).unwrap();
        assert_eq!((removed.before, removed.may_be_more), (501, true));
        let last = keep(10).next_batch(1, 100, 0).unwrap();
        assert_eq!((last.before, last.may_be_more), (91, false));
    }
}
