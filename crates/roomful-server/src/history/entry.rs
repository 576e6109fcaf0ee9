//! An action on its way into a log.

use std::sync::Arc;

use crate::protocol::{Action, EventKind, Member, RoomEvent, RoomName};

/// Whose messages an author may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    Own,
    Any,
}

pub(super) struct Entry {
    pub(super) room: RoomName,
    pub(super) author: Member,
    pub(super) authority: Authority,
    pub(super) id: Arc<str>,
    pub(super) action: Action,
}

impl Entry {
    /// Whether the author may change a message of `owner`.
    pub(super) fn may_change(&self, owner: &str) -> bool {
        self.authority == Authority::Any || owner == &*self.author.id
    }

    /// Whether the entry needs nothing that was there before it.
    pub(super) fn may_begin_room(&self) -> bool {
        matches!(
            self.action,
            Action::Say { reply_to: None, .. } | Action::Topic { .. }
        )
    }

    /// The event that the entry becomes.
    pub(super) fn numbered(&self, room: Arc<str>, seq: u64, at: String) -> RoomEvent {
        let mut event = RoomEvent {
            kind: EventKind::Message,
            room,
            seq,
            id: Arc::clone(&self.id),
            from: self.author.clone(),
            at,
            text: None,
            reply_to: None,
            target: None,
            emoji: None,
            on: None,
        };
        match &self.action {
            Action::Say { text, reply_to } => {
                event.text = Some(text.clone());
                event.reply_to = *reply_to;
            }
            Action::Edit { target, text } => {
                event.kind = EventKind::Edited;
                event.target = Some(*target);
                event.text = Some(text.clone());
            }
            Action::Delete { target } => {
                event.kind = EventKind::Deleted;
                event.target = Some(*target);
            }
            Action::React { target, emoji, on } => {
                event.kind = EventKind::Reacted;
                event.target = Some(*target);
                event.emoji = Some(emoji.clone());
                event.on = Some(*on);
            }
            Action::Topic { text } => {
                event.kind = EventKind::Topic;
                event.text = Some(text.clone());
            }
        }
        event
    }
}
