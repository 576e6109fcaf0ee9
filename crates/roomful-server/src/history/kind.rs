//! Kinds of events as both SQL stores keep them.

use crate::protocol::EventKind;

/// The number of `kind`; it never changes its meaning.
pub(super) fn number(kind: EventKind) -> i16 {
    match kind {
        EventKind::Message => 1,
        EventKind::Edited => 2,
        EventKind::Deleted => 3,
        EventKind::Reacted => 4,
        EventKind::Topic => 5,
    }
}

/// The kind that has `number`.
pub(super) fn of(number: i16) -> EventKind {
    match number {
        2 => EventKind::Edited,
        3 => EventKind::Deleted,
        4 => EventKind::Reacted,
        5 => EventKind::Topic,
        _ => EventKind::Message,
    }
}
