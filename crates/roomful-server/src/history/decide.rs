//! What becomes of an action: a repeat, a refusal, or the room's next event.
//!
//! Pure, and the only place where this is decided. A store looks up what [`Found`] asks for, calls [`LogState::decide`],
//! writes the event and its [`Change`], and then counts it with [`LogState::advance`]; SQLite, PostgreSQL and memory differ in
//! how they look up and write, and in nothing else.

use std::sync::Arc;

use super::{Appended, Entry, HistoryError};
use crate::protocol::{Action, EventKind, RoomEvent};
use crate::timestamp::Timestamp;

/// Where a room's log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogState {
    pub(super) name: Arc<str>,
    /// The newest number given.
    pub(super) head: u64,
    /// The oldest number kept; `head + 1` where nothing is.
    pub(super) first: u64,
    /// When the newest event was stored, in milliseconds since 1970.
    pub(super) last_at: i64,
    /// When the oldest event was stored, where that has happened since the state was read.
    pub(super) begun_at: Option<i64>,
    /// Messages that are kept and not deleted.
    pub(super) messages: u64,
}

/// What a store has looked up for an action.
#[derive(Clone, Copy, Default)]
pub(super) struct Found<'a> {
    /// The event that the same author's same id made before.
    pub(super) repeated: Option<&'a Arc<RoomEvent>>,
    /// Who said the message that [`target`] names; `None` where it is not there, or deleted.
    pub(super) target_author: Option<&'a str>,
}

/// What a stored event changes in how the room reads now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// There is a message more.
    Said,
    /// The message `target` reads as the event says.
    Edited { target: u64 },
    /// The message `target` is gone, with the text of all its versions and its reactions.
    Deleted { target: u64 },
    /// `member` has set `emoji` at the message `target`; setting it twice changes nothing.
    ReactionSet {
        target: u64,
        emoji: &'a str,
        member: &'a Arc<str>,
    },
    /// `member` has taken `emoji` back; taking back what is not there changes nothing.
    ReactionTakenBack {
        target: u64,
        emoji: &'a str,
        member: &'a str,
    },
    /// The room is about something else.
    Topic { text: &'a str },
}

/// Whether an action may be the first one in its room.
///
/// # Errors
/// [`HistoryError::MessageNotFound`] where it needs a message, and a new room has none.
pub(super) fn begin_room(entry: &Entry) -> Result<(), HistoryError> {
    match entry.action {
        Action::Say { reply_to: None, .. } | Action::Topic { .. } => Ok(()),
        Action::Say { .. } | Action::Edit { .. } | Action::Delete { .. } | Action::React { .. } => {
            Err(HistoryError::MessageNotFound)
        }
    }
}

/// The message that has to be there for an action.
pub(super) fn target(action: &Action) -> Option<u64> {
    match action {
        Action::Edit { target, .. } | Action::Delete { target } | Action::React { target, .. } => {
            Some(*target)
        }
        Action::Say { .. } | Action::Topic { .. } => None,
    }
}

impl LogState {
    /// A room without events, whose first number will be the one after `head`.
    pub(super) fn new(name: Arc<str>, head: u64) -> Self {
        Self {
            name,
            head,
            first: head + 1,
            last_at: 0,
            begun_at: None,
            messages: 0,
        }
    }

    /// Decides what becomes of `entry`, which is for this room: the event it made before, or a new one with the next number
    /// and a date that is not before the last one's.
    ///
    /// # Errors
    /// [`HistoryError::MessageNotFound`] and [`HistoryError::Forbidden`], for a repeat never.
    pub(super) fn decide(
        &self,
        entry: Entry,
        found: Found<'_>,
        now_ms: i64,
    ) -> Result<Appended, HistoryError> {
        if let Some(event) = found.repeated {
            return Ok(Appended {
                event: Arc::clone(event),
                repeated: true,
            });
        }
        self.check(&entry, found.target_author)?;
        let at = Timestamp::from_millis(now_ms.max(self.last_at));
        let event = entry.numbered(Arc::clone(&self.name), self.head + 1, at);
        Ok(Appended {
            event: Arc::new(event),
            repeated: false,
        })
    }

    fn check(&self, entry: &Entry, target_author: Option<&str>) -> Result<(), HistoryError> {
        match entry.action {
            // Any number that was given may be answered, also that of a message deleted meanwhile.
            Action::Say { reply_to, .. } => match reply_to {
                Some(answered) if !(1..=self.head).contains(&answered) => {
                    Err(HistoryError::MessageNotFound)
                }
                Some(_) | None => Ok(()),
            },
            Action::Topic { .. } => Ok(()),
            Action::React { .. } => target_author.map(drop).ok_or(HistoryError::MessageNotFound),
            Action::Edit { .. } | Action::Delete { .. } => match target_author {
                None => Err(HistoryError::MessageNotFound),
                Some(author) if entry.may_change(author) => Ok(()),
                Some(_) => Err(HistoryError::Forbidden),
            },
        }
    }

    /// Counts an event that is new and stored.
    pub(super) fn advance(&mut self, event: &RoomEvent) {
        let at = event.at.as_millis();
        if self.head < self.first {
            self.begun_at = Some(at);
        }
        self.head = event.seq;
        self.last_at = at;
        match event.kind {
            EventKind::Message => self.messages += 1,
            EventKind::Deleted => self.messages -= 1,
            EventKind::Edited | EventKind::Reacted | EventKind::Topic => {}
        }
    }
}

impl<'a> Change<'a> {
    /// What `event` changes.
    pub(super) fn of(event: &'a RoomEvent) -> Self {
        let target = event.target.unwrap_or_default();
        let emoji = event.emoji.as_deref().unwrap_or_default();
        let member = &event.from.id;
        match event.kind {
            EventKind::Message => Self::Said,
            EventKind::Edited => Self::Edited { target },
            EventKind::Deleted => Self::Deleted { target },
            EventKind::Reacted if event.on == Some(true) => Self::ReactionSet {
                target,
                emoji,
                member,
            },
            EventKind::Reacted => Self::ReactionTakenBack {
                target,
                emoji,
                member,
            },
            EventKind::Topic => Self::Topic {
                text: event.text.as_deref().unwrap_or_default(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::entry::Authority;
    use crate::protocol::{Member, RoomName};

    fn entry(author: &str, action: Action) -> Entry {
        Entry {
            room: RoomName::parse("hall").unwrap(),
            author: Member {
                id: author.into(),
                name: author.into(),
            },
            authority: Authority::Own,
            id: "1".into(),
            action,
        }
    }

    fn say(reply_to: Option<u64>) -> Action {
        Action::Say {
            text: "hi".into(),
            reply_to,
        }
    }

    fn room(head: u64) -> LogState {
        LogState::new("hall".into(), head)
    }

    fn of(author: &str) -> Found<'_> {
        Found {
            target_author: Some(author),
            ..Found::default()
        }
    }

    #[test]
    fn an_event_gets_the_next_number_and_a_date_that_never_goes_back() {
        let mut room = room(41);
        room.last_at = 5_000;
        let new = room
            .decide(entry("ana", say(None)), Found::default(), 4_000)
            .unwrap();
        assert_eq!((new.event.seq, new.event.at.as_millis()), (42, 5_000));
        room.advance(&new.event);
        assert_eq!((room.head, room.first, room.messages), (42, 42, 1));
        assert_eq!(room.begun_at, Some(5_000));
    }

    #[test]
    fn a_repeat_is_the_event_it_made_before_even_where_it_would_be_refused_now() {
        let room = room(1);
        let before = room.decide(entry("ana", say(None)), Found::default(), 0);
        let before = before.unwrap().event;
        let found = Found {
            repeated: Some(&before),
            target_author: None,
        };
        let again = room.decide(entry("ana", Action::Delete { target: 1 }), found, 9);
        let again = again.unwrap();
        assert!(again.repeated && Arc::ptr_eq(&again.event, &before));
    }

    #[test]
    fn any_number_that_was_given_may_be_answered_and_no_other() {
        for (answered, allowed) in [
            (0, false),
            (1, true),
            (7, true),
            (8, false),
            (u64::MAX, false),
        ] {
            let answer = entry("ana", say(Some(answered)));
            let decided = room(7).decide(answer, Found::default(), 0);
            assert_eq!(decided.is_ok(), allowed, "{answered}");
        }
    }

    #[test]
    fn others_may_react_and_only_authors_and_moderators_change() {
        let delete = || entry("ben", Action::Delete { target: 1 });
        let react = Action::React {
            target: 1,
            emoji: "👍".to_owned(),
            on: true,
        };
        let room = room(1);
        let gone = room.decide(delete(), Found::default(), 0);
        assert!(matches!(gone, Err(HistoryError::MessageNotFound)));
        let foreign = room.decide(delete(), of("ana"), 0);
        assert!(matches!(foreign, Err(HistoryError::Forbidden)));
        assert!(room.decide(delete(), of("ben"), 0).is_ok());
        assert!(room.decide(entry("ben", react), of("ana"), 0).is_ok());
        let moderator = Entry {
            authority: Authority::Any,
            ..delete()
        };
        assert!(room.decide(moderator, of("ana"), 0).is_ok());
    }
}
