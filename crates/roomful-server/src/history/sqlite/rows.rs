//! From rows to the words of the protocol.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use crate::history::integer::unsigned;
use crate::history::kind;
use crate::protocol::{Member, MessageView, RoomEvent};
use crate::timestamp::Timestamp;

/// What [`event`] reads.
macro_rules! event_columns {
    () => {
        "seq, kind, client_id, author, name, at, text, reply_to, target, emoji, is_on"
    };
}
pub(super) use event_columns;

pub(super) fn event(row: &Row<'_>, room: &Arc<str>) -> rusqlite::Result<RoomEvent> {
    Ok(RoomEvent {
        room: Arc::clone(room),
        seq: unsigned(row.get(0)?),
        kind: kind::of(row.get(1)?),
        id: row.get::<_, Text>(2)?.shared(),
        from: member(row, 3)?,
        at: Timestamp::from_millis(row.get(5)?),
        text: row.get::<_, Option<Text>>(6)?.map(|text| text.0.into()),
        reply_to: row.get::<_, Option<i64>>(7)?.map(unsigned),
        target: row.get::<_, Option<i64>>(8)?.map(unsigned),
        emoji: row.get::<_, Option<Text>>(9)?.map(|text| text.0),
        on: row.get(10)?,
    })
}

/// What [`message`] reads: the event that said it, and the newest edit where there is one.
macro_rules! message_columns {
    () => {
        "m.seq, e.client_id, e.author, e.name, e.at, coalesce(x.text, e.text), e.reply_to, x.at, m.deleted IS NOT NULL \
         FROM messages m CROSS JOIN events e ON e.room = m.room AND e.seq = m.seq \
         LEFT JOIN events x ON x.room = m.room AND x.seq = m.edited"
    };
}
pub(super) use message_columns;

/// The message without its reactions.
pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<MessageView> {
    let deleted: bool = row.get(8)?;
    Ok(MessageView {
        seq: unsigned(row.get(0)?),
        id: row.get::<_, Text>(1)?.shared(),
        from: member(row, 2)?,
        at: Timestamp::from_millis(row.get(4)?),
        text: row
            .get::<_, Option<Text>>(5)?
            .map(|text| text.0.into())
            .unwrap_or_default(),
        reply_to: row.get::<_, Option<i64>>(6)?.map(unsigned),
        // Of a deleted message its place is left, and nothing of its life.
        edited_at: row
            .get::<_, Option<i64>>(7)?
            .filter(|_| !deleted)
            .map(Timestamp::from_millis),
        deleted,
        reactions: Vec::new(),
    })
}

/// The author's id and name, from column `at` on.
fn member(row: &Row<'_>, at: usize) -> rusqlite::Result<Member> {
    Ok(Member {
        id: row.get::<_, Text>(at)?.shared(),
        name: row.get::<_, Text>(at + 1)?.shared(),
    })
}

/// Text as it is in the file. One damaged row must not hide the log it stands in, so what is not UTF-8 reads as U+FFFD.
pub(super) struct Text(pub(super) String);

impl Text {
    pub(super) fn shared(self) -> Arc<str> {
        self.0.into()
    }
}

impl FromSql for Text {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(bytes) => Ok(Self(String::from_utf8_lossy(bytes).into_owned())),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}
