//! From rows to the words of the protocol, and back.

use std::borrow::Cow;
use std::sync::Arc;

use tokio_postgres::Row;

use super::StoreError;
use crate::history::integer::unsigned;
use crate::history::kind;
use crate::protocol::{Member, RoomEvent};
use crate::timestamp::Timestamp;

/// What [`event`] reads.
macro_rules! event_columns {
    () => {
        "e.seq, e.kind, e.client_id, e.author, e.name, e.at, e.text, e.reply_to, e.target, e.emoji, e.is_on"
    };
}
pub(super) use event_columns;

/// The event whose columns begin at `at`.
pub(super) fn event(row: &Row, at: usize, room: &Arc<str>) -> Result<RoomEvent, StoreError> {
    Ok(RoomEvent {
        room: Arc::clone(room),
        seq: unsigned(row.try_get(at)?),
        kind: kind::of(row.try_get(at + 1)?),
        id: row.try_get::<_, String>(at + 2)?.into(),
        from: member(row, at + 3)?,
        at: Timestamp::from_millis(row.try_get(at + 5)?),
        text: row
            .try_get::<_, Option<String>>(at + 6)?
            .map(|text| from_store(text).into()),
        reply_to: row.try_get::<_, Option<i64>>(at + 7)?.map(unsigned),
        target: row.try_get::<_, Option<i64>>(at + 8)?.map(unsigned),
        emoji: row.try_get::<_, Option<String>>(at + 9)?.map(from_store),
        on: row.try_get(at + 10)?,
    })
}

/// The author's id and name, from column `at` on.
pub(super) fn member(row: &Row, at: usize) -> Result<Member, StoreError> {
    Ok(Member {
        id: row.try_get::<_, String>(at)?.into(),
        name: from_store(row.try_get(at + 1)?).into(),
    })
}

/// Stands before `0` for U+0000, and before `1` for itself: a character that means nothing and that nobody can type.
const ESCAPE: char = '\u{10FFFF}';

/// Text as PostgreSQL can keep it, which is any but U+0000.
pub(super) fn to_store(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return text.into();
    }
    let mut kept = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\0' => kept.extend([ESCAPE, '0']),
            ESCAPE => kept.extend([ESCAPE, '1']),
            c => kept.push(c),
        }
    }
    kept.into()
}

/// The text that [`to_store`] was given.
pub(super) fn from_store(kept: String) -> String {
    if !kept.contains(ESCAPE) {
        return kept;
    }
    let mut chars = kept.chars();
    let mut text = String::with_capacity(kept.len());
    while let Some(c) = chars.next() {
        text.push(match c {
            ESCAPE if chars.next() == Some('0') => '\0',
            c => c,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back_and_none_is_kept_with_a_nul(text in "[\0\u{10FFFF}01a]{0,12}") {
            let kept = to_store(&text).into_owned();
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(from_store(kept), text);
        }
    }
}
