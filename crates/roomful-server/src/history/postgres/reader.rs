//! Reading the record. Each read is one statement, so it sees one moment of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::StoreError;
use super::link::Session;
use super::rows::{self, event_columns, from_store};
use crate::history::integer::{signed, unsigned};
use crate::history::{EventsPage, RoomSummary, grouped_reactions};
use crate::protocol::{MessageView, RoomName};
use crate::timestamp::Timestamp;

const AFTER: &str = concat!(
    "SELECT r.head, r.first, ",
    event_columns!(),
    " FROM roomful.rooms r LEFT JOIN LATERAL \
     (SELECT * FROM roomful.events WHERE room = r.id AND seq > $2 ORDER BY seq LIMIT $3) e ON true \
     WHERE r.name = $1 ORDER BY e.seq"
);
const MESSAGES: &str = "SELECT m.seq, e.client_id, e.author, e.name, e.at, coalesce(x.text, e.text), e.reply_to, x.at, \
    m.deleted IS NOT NULL, s.emojis, s.members \
    FROM roomful.rooms r CROSS JOIN LATERAL \
    (SELECT * FROM roomful.messages WHERE room = r.id AND seq < $2 ORDER BY seq DESC LIMIT $3) m \
    JOIN roomful.events e ON e.room = m.room AND e.seq = m.seq \
    LEFT JOIN roomful.events x ON x.room = m.room AND x.seq = m.edited \
    LEFT JOIN LATERAL (SELECT array_agg(emoji ORDER BY event) AS emojis, array_agg(member ORDER BY event) AS members \
    FROM roomful.reactions WHERE room = m.room AND seq = m.seq) s ON true \
    WHERE r.name = $1 ORDER BY m.seq";
const HEADS: &str = "SELECT name, head FROM roomful.rooms WHERE name = ANY ($1::text[])";
const TOPIC: &str = "SELECT topic FROM roomful.rooms WHERE name = $1";
const ROOMS: &str = "SELECT name, head, last_at, messages, topic FROM roomful.rooms WHERE first <= head \
    ORDER BY last_at DESC, id DESC LIMIT $1";

pub(super) async fn after(
    session: &mut Session,
    name: &RoomName,
    after: u64,
    limit: usize,
) -> Result<EventsPage, StoreError> {
    let rows = session
        .query(
            AFTER,
            &[&name.as_str(), &signed(after), &signed(limit as u64)],
        )
        .await?;
    let mut page = EventsPage {
        events: Vec::new(),
        head: 0,
        first: 1,
    };
    let shared: Arc<str> = name.as_str().into();
    for row in rows {
        page.head = unsigned(row.try_get(0)?);
        page.first = unsigned(row.try_get(1)?);
        // A room in which nothing comes after is one row without an event.
        if row.try_get::<_, Option<i64>>(2)?.is_some() {
            page.events.push(Arc::new(rows::event(&row, 2, &shared)?));
        }
    }
    Ok(page)
}

pub(super) async fn messages_before(
    session: &mut Session,
    name: &RoomName,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<MessageView>, StoreError> {
    let before = signed(before.unwrap_or(u64::MAX));
    let rows = session
        .query(MESSAGES, &[&name.as_str(), &before, &signed(limit as u64)])
        .await?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let deleted: bool = row.try_get(8)?;
        let emojis: Option<Vec<String>> = row.try_get(9)?;
        let members: Option<Vec<String>> = row.try_get(10)?;
        let set = emojis
            .unwrap_or_default()
            .into_iter()
            .map(from_store)
            .zip(members.unwrap_or_default().into_iter().map(Arc::from));
        messages.push(MessageView {
            seq: unsigned(row.try_get(0)?),
            id: row.try_get::<_, String>(1)?.into(),
            from: rows::member(&row, 2)?,
            at: Timestamp::from_millis(row.try_get(4)?),
            text: from_store(row.try_get::<_, Option<String>>(5)?.unwrap_or_default()).into(),
            reply_to: row.try_get::<_, Option<i64>>(6)?.map(unsigned),
            // Of a deleted message its place is left, and nothing of its life.
            edited_at: row
                .try_get::<_, Option<i64>>(7)?
                .filter(|_| !deleted)
                .map(Timestamp::from_millis),
            deleted,
            reactions: grouped_reactions(set),
        });
    }
    Ok(messages)
}

/// The newest number of each room, in their order.
pub(super) async fn heads(
    session: &mut Session,
    names: &[RoomName],
) -> Result<Vec<u64>, StoreError> {
    let wanted: Vec<&str> = names.iter().map(RoomName::as_str).collect();
    let mut heads = HashMap::new();
    for row in session.query(HEADS, &[&wanted]).await? {
        heads.insert(row.try_get::<_, String>(0)?, unsigned(row.try_get(1)?));
    }
    let head = |name: &RoomName| heads.get(name.as_str()).copied().unwrap_or(0);
    Ok(names.iter().map(head).collect())
}

pub(super) async fn topic(session: &mut Session, name: &RoomName) -> Result<String, StoreError> {
    let rows = session.query(TOPIC, &[&name.as_str()]).await?;
    match rows.first() {
        Some(row) => Ok(from_store(row.try_get(0)?)),
        None => Ok(String::new()),
    }
}

pub(super) async fn rooms(
    session: &mut Session,
    limit: usize,
) -> Result<Vec<RoomSummary>, StoreError> {
    let mut rooms = Vec::new();
    for row in session.query(ROOMS, &[&signed(limit as u64)]).await? {
        // A damaged name is no reason to hide the other rooms.
        let Ok(room) = RoomName::parse(row.try_get(0)?) else {
            continue;
        };
        rooms.push(RoomSummary {
            room,
            head: unsigned(row.try_get(1)?),
            last_at: Timestamp::from_millis(row.try_get(2)?),
            messages: unsigned(row.try_get(3)?),
            topic: from_store(row.try_get(4)?),
        });
    }
    Ok(rooms)
}

pub(super) async fn ready(session: &mut Session) -> Result<(), StoreError> {
    session.query("SELECT 1 FROM roomful.store", &[]).await?;
    Ok(())
}
