//! An action on its way into a log.

use std::sync::Arc;

use super::ActionId;
use crate::protocol::{Action, EventKind, Member, RoomEvent, RoomName};
use crate::timestamp::Timestamp;

/// Whose messages an author may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    Own,
    Any,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) room: RoomName,
    pub(super) author: Member,
    pub(super) authority: Authority,
    pub(super) id: ActionId,
    pub(super) action: Action,
}

impl Entry {
    /// Whether the author may change a message of `owner`.
    pub(super) fn may_change(&self, owner: &str) -> bool {
        self.authority == Authority::Any || owner == &*self.author.id
    }

    /// How many bytes of text it brings.
    pub(super) fn text_bytes(&self) -> usize {
        match &self.action {
            Action::Say { text, .. } | Action::Edit { text, .. } | Action::Topic { text } => {
                text.len()
            }
            Action::Delete { .. } | Action::React { .. } => 0,
        }
    }

    /// The event that the entry becomes.
    pub(super) fn numbered(self, room: Arc<str>, seq: u64, at: Timestamp) -> RoomEvent {
        let mut event = RoomEvent {
            kind: EventKind::Message,
            room,
            seq,
            id: self.id.into_text(),
            from: self.author,
            at,
            text: None,
            reply_to: None,
            target: None,
            emoji: None,
            on: None,
        };
        match self.action {
            Action::Say { text, reply_to } => {
                event.text = Some(text);
                event.reply_to = reply_to;
            }
            Action::Edit { target, text } => {
                event.kind = EventKind::Edited;
                event.target = Some(target);
                event.text = Some(text);
            }
            Action::Delete { target } => {
                event.kind = EventKind::Deleted;
                event.target = Some(target);
            }
            Action::React { target, emoji, on } => {
                event.kind = EventKind::Reacted;
                event.target = Some(target);
                event.emoji = Some(emoji);
                event.on = Some(on);
            }
            Action::Topic { text } => {
                event.kind = EventKind::Topic;
                event.text = Some(text);
            }
        }
        event
    }
}
