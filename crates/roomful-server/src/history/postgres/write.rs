//! The statements of a batch: lock its rooms, look up what it is about, write what was decided, commit.
//!
//! Three round trips whatever the batch holds: statements that do not need each other's answers are sent together.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::{try_join, try_join_all};
use tokio_postgres::types::ToSql;

use super::StoreError;
use super::batch::{self, Decided, Known, New, Room};
use super::link::Session;
use super::rows::{self, event_columns, to_store};
use crate::history::Entry;
use crate::history::decide::{self, Change, LogState};
use crate::history::integer::{signed, unsigned};
use crate::history::kind;
use crate::protocol::{RoomEvent, RoomName};

const CREATE: &str =
    "INSERT INTO roomful.rooms (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING";
const LOCK: &str = "SELECT name, id, head, first, last_at, messages FROM roomful.rooms \
    WHERE name = ANY ($1::text[]) ORDER BY name FOR UPDATE";
const SAID: &str = concat!(
    "SELECT e.room, ",
    event_columns!(),
    " FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k (room, author, client_id) \
     JOIN roomful.events e ON e.room = k.room AND e.author = k.author AND e.client_id = k.client_id"
);
const AUTHORS: &str = "SELECT m.room, m.seq, e.author FROM unnest($1::bigint[], $2::bigint[]) AS k (room, seq) \
    JOIN roomful.messages m ON m.room = k.room AND m.seq = k.seq AND m.deleted IS NULL \
    JOIN roomful.events e ON e.room = m.room AND e.seq = m.seq";
const EVENTS: &str = "INSERT INTO roomful.events \
    (room, seq, kind, author, client_id, name, at, text, reply_to, target, emoji, is_on) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::bigint[], \
    $8::text[], $9::bigint[], $10::bigint[], $11::text[], $12::boolean[])";
const MESSAGES: &str =
    "INSERT INTO roomful.messages (room, seq) SELECT * FROM unnest($1::bigint[], $2::bigint[])";
const EDIT: &str = "UPDATE roomful.messages SET edited = $3 WHERE room = $1 AND seq = $2";
const DELETE: &str = "UPDATE roomful.messages SET deleted = $3 WHERE room = $1 AND seq = $2";
const WIPE: &str = "UPDATE roomful.events SET text = '' WHERE room = $1 AND seq = $2";
const WIPE_EDITS: &str =
    "UPDATE roomful.events SET text = '' WHERE room = $1 AND target = $2 AND kind = 2";
const DROP_REACTIONS: &str = "DELETE FROM roomful.reactions WHERE room = $1 AND seq = $2";
const REACT: &str = "INSERT INTO roomful.reactions (room, seq, emoji, member, event) \
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
const UNREACT: &str =
    "DELETE FROM roomful.reactions WHERE room = $1 AND seq = $2 AND emoji = $3 AND member = $4";
const ROOMS: &str = "UPDATE roomful.rooms r SET head = n.head, last_at = n.last_at, messages = n.messages, \
    topic = coalesce(n.topic, r.topic), first_at = coalesce(n.begun_at, r.first_at) \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[]) \
    AS n (id, head, last_at, messages, topic, begun_at) WHERE r.id = n.id";

type Value<'a> = &'a (dyn ToSql + Sync);

/// Stores the entries in one transaction. `seen` are rooms that are known to exist. Nothing is stored where this fails, unless
/// it is the answer to the commit that went missing.
pub(super) async fn store(
    session: &mut Session,
    entries: &[Entry],
    seen: &HashSet<RoomName>,
    now_ms: i64,
) -> Result<(Decided, Known), StoreError> {
    let mut known = lock(session, entries, seen).await?;
    look_up(session, entries, &mut known).await?;
    let decided = batch::decide(entries, &mut known, now_ms);
    write(session, &decided.new, &known).await?;
    session.client.batch_execute("COMMIT").await?;
    Ok((decided, known))
}

/// Begins the transaction, makes rooms that are new, and locks all, in the order of their names.
async fn lock(
    session: &mut Session,
    entries: &[Entry],
    seen: &HashSet<RoomName>,
) -> Result<Known, StoreError> {
    let mut names: Vec<&RoomName> = entries.iter().map(|entry| &entry.room).collect();
    names.sort_unstable();
    names.dedup();
    let mut unseen: Vec<&RoomName> = entries
        .iter()
        .filter(|entry| decide::begin_room(entry).is_ok() && !seen.contains(&entry.room))
        .map(|entry| &entry.room)
        .collect();
    unseen.sort_unstable();
    unseen.dedup();
    let as_text = |names: &[&RoomName]| -> Vec<String> {
        names.iter().map(|name| name.as_str().to_owned()).collect()
    };
    let (all, unseen) = (as_text(&names), as_text(&unseen));

    let create = session.statement(CREATE).await?;
    let lock = session.statement(LOCK).await?;
    let client = &session.client;
    let begin = async {
        client.batch_execute("BEGIN").await?;
        Ok::<_, StoreError>(())
    };
    let create = async {
        // Rooms are made before any is locked: who waits here for another node's new room holds nothing it could want.
        if !unseen.is_empty() {
            client.execute(&create, &[&unseen]).await?;
        }
        Ok(client.query(&lock, &[&all]).await?)
    };
    let ((), rows) = try_join(begin, create).await?;
    let mut known = Known::default();
    for row in rows {
        let name: String = row.try_get(0)?;
        let Some(room) = names.iter().find(|room| room.as_str() == name) else {
            continue;
        };
        let locked = Room {
            id: row.try_get(1)?,
            state: LogState {
                name: room.as_str().into(),
                head: unsigned(row.try_get(2)?),
                first: unsigned(row.try_get(3)?),
                last_at: row.try_get(4)?,
                begun_at: None,
                messages: unsigned(row.try_get(5)?),
            },
            topic: None,
            changed: false,
        };
        known.rooms.insert((*room).clone(), locked);
    }
    Ok(known)
}

/// Finds what was said before under the same ids, and whose the messages are that the entries are about.
async fn look_up(
    session: &mut Session,
    entries: &[Entry],
    known: &mut Known,
) -> Result<(), StoreError> {
    let placed = || {
        entries
            .iter()
            .filter_map(|entry| Some((entry, known.rooms.get(&entry.room)?.id)))
    };
    let ids: Vec<i64> = placed().map(|(_, room)| room).collect();
    let authors: Vec<&str> = placed().map(|(entry, _)| &*entry.author.id).collect();
    let client_ids: Vec<&str> = placed().map(|(entry, _)| entry.id.as_str()).collect();
    let (target_rooms, targets): (Vec<i64>, Vec<i64>) = placed()
        .filter_map(|(entry, room)| Some((room, signed(decide::target(&entry.action)?))))
        .unzip();
    let (said, owned) = (
        session.statement(SAID).await?,
        session.statement(AUTHORS).await?,
    );
    let client = &session.client;
    let said = async {
        let values: [Value<'_>; 3] = [&ids, &authors, &client_ids];
        client.query(&said, &values).await
    };
    let owned = async {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        client.query(&owned, &[&target_rooms, &targets]).await
    };
    let (said, owned) = try_join(said, owned).await?;
    for row in said {
        let id: i64 = row.try_get(0)?;
        let Some(room) = known.rooms.values().find(|room| room.id == id) else {
            continue;
        };
        let event = Arc::new(rows::event(&row, 1, &room.state.name)?);
        let key = (id, Arc::clone(&event.from.id), Arc::clone(&event.id));
        known.said.insert(key, event);
    }
    for row in owned {
        let author: String = row.try_get(2)?;
        let message = (row.try_get(0)?, unsigned(row.try_get(1)?));
        known.authors.insert(message, author.into());
    }
    Ok(())
}

/// Writes the log, how it reads now, and where it ends.
async fn write(session: &mut Session, new: &[New], known: &Known) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    insert(session, new).await?;
    for New { room, event } in new {
        project(session, *room, event).await?;
    }
    let rooms: Vec<&Room> = known.rooms.values().filter(|room| room.changed).collect();
    let ids: Vec<i64> = rooms.iter().map(|room| room.id).collect();
    let states = || rooms.iter().map(|room| &room.state);
    let heads: Vec<i64> = states().map(|state| signed(state.head)).collect();
    let last: Vec<i64> = states().map(|state| state.last_at).collect();
    let messages: Vec<i64> = states().map(|state| signed(state.messages)).collect();
    let topics: Vec<_> = rooms
        .iter()
        .map(|room| room.topic.as_deref().map(to_store))
        .collect();
    let begun: Vec<Option<i64>> = states().map(|state| state.begun_at).collect();
    session
        .execute(ROOMS, &[&ids, &heads, &last, &messages, &topics, &begun])
        .await?;
    Ok(())
}

/// Changes how the room reads now; messages are inserted with their events, and topics are written with their rooms.
async fn project(session: &mut Session, room: i64, event: &RoomEvent) -> Result<(), StoreError> {
    let seq = signed(event.seq);
    match Change::of(event) {
        Change::Said | Change::Topic { .. } => {}
        Change::Edited { target } => {
            let target = signed(target);
            session.execute(EDIT, &[&room, &target, &seq]).await?;
        }
        Change::Deleted { target } => {
            let target = signed(target);
            session.execute(DELETE, &[&room, &target, &seq]).await?;
            for sql in [WIPE, WIPE_EDITS, DROP_REACTIONS] {
                session.execute(sql, &[&room, &target]).await?;
            }
        }
        Change::ReactionSet {
            target,
            emoji,
            member,
        } => {
            let (target, emoji, member) = (signed(target), &*to_store(emoji), &**member);
            session
                .execute(REACT, &[&room, &target, &emoji, &member, &seq])
                .await?;
        }
        Change::ReactionTakenBack {
            target,
            emoji,
            member,
        } => {
            let (target, emoji) = (signed(target), &*to_store(emoji));
            session
                .execute(UNREACT, &[&room, &target, &emoji, &member])
                .await?;
        }
    }
    Ok(())
}

async fn insert(session: &mut Session, new: &[New]) -> Result<(), StoreError> {
    let events = || new.iter().map(|new| &new.event);
    let rooms: Vec<i64> = new.iter().map(|new| new.room).collect();
    let seqs: Vec<i64> = events().map(|event| signed(event.seq)).collect();
    let kinds: Vec<i16> = events().map(|event| kind::number(event.kind)).collect();
    let authors: Vec<&str> = events().map(|event| &*event.from.id).collect();
    let ids: Vec<&str> = events().map(|event| &*event.id).collect();
    let names: Vec<_> = events().map(|event| to_store(&event.from.name)).collect();
    let dates: Vec<i64> = events().map(|event| event.at.as_millis()).collect();
    let texts: Vec<_> = events()
        .map(|event| event.text.as_deref().map(to_store))
        .collect();
    let replies: Vec<_> = events().map(|event| event.reply_to.map(signed)).collect();
    let targets: Vec<_> = events().map(|event| event.target.map(signed)).collect();
    let emojis: Vec<_> = events()
        .map(|event| event.emoji.as_deref().map(to_store))
        .collect();
    let on: Vec<Option<bool>> = events().map(|event| event.on).collect();
    let said = new
        .iter()
        .filter(|new| Change::of(&new.event) == Change::Said);
    let (said_rooms, said_seqs): (Vec<i64>, Vec<i64>) =
        said.map(|new| (new.room, signed(new.event.seq))).unzip();

    let log: [Value<'_>; 12] = [
        &rooms, &seqs, &kinds, &authors, &ids, &names, &dates, &texts, &replies, &targets, &emojis,
        &on,
    ];
    let messages: [Value<'_>; 2] = [&said_rooms, &said_seqs];
    let statements = [
        (session.statement(EVENTS).await?, &log[..]),
        (session.statement(MESSAGES).await?, &messages[..]),
    ];
    let client = &session.client;
    try_join_all(
        statements
            .iter()
            .map(|(statement, values)| client.execute(statement, values)),
    )
    .await?;
    Ok(())
}
