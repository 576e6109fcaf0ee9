//! Removes old events, a batch at a time, on a connection of its own, each in a transaction that locks one room. Nodes may
//! all do this: what one has removed the next does not find.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::types::ToSql;

use super::StoreError;
use super::link::{Link, Session};
use crate::history::Clock;
use crate::history::integer::{signed, unsigned};
use crate::history::retention::{BATCH, LOOKED_UP, Retention};

const TOO_OLD: &str = "SELECT id FROM roomful.rooms WHERE first_at < $1 ORDER BY first_at LIMIT $2";
const TOO_MANY: &str = "SELECT id FROM roomful.rooms WHERE head - first + 1 > $1";
const LOCK: &str = "SELECT head, first FROM roomful.rooms WHERE id = $1 FOR UPDATE";
const COUNT_OLD: &str = "SELECT count(*) FROM (SELECT at FROM roomful.events WHERE room = $1 AND seq >= $2 \
    ORDER BY seq LIMIT $3) e WHERE at < $4";
const DROP_MESSAGES: &str = "WITH gone AS (DELETE FROM roomful.messages WHERE room = $1 AND seq < $2 RETURNING deleted) \
    SELECT count(*) FROM gone WHERE deleted IS NULL";
const DROP_EVENTS: &str = "DELETE FROM roomful.events WHERE room = $1 AND seq < $2";
const DROP_REACTIONS: &str = "DELETE FROM roomful.reactions WHERE room = $1 AND seq < $2";
/// A message that is gone can no longer be deleted: its text must not live on in edits.
const WIPE_EDITS: &str = "UPDATE roomful.events SET text = '' \
    WHERE room = $1 AND target < $2 AND kind = 2 AND text <> ''";
const MOVE_ON: &str = "UPDATE roomful.rooms SET first = $2, messages = messages - $3, \
    first_at = (SELECT at FROM roomful.events WHERE room = $1 AND seq = $2) WHERE id = $1";

pub(super) struct Pruner {
    retention: Retention,
    clock: Clock,
}

impl Pruner {
    /// `None` where everything is kept.
    pub(super) fn new(retention: Retention, clock: Clock) -> Option<Self> {
        (!retention.keeps_all()).then_some(Self { retention, clock })
    }

    /// Prunes rooms it is told of, and looks around now and then. Ends with those who tell.
    pub(super) async fn run(self, mut link: Link, mut due: mpsc::Receiver<i64>) {
        let mut look = interval(self.retention.interval.max(Duration::from_millis(10)));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let pruned = tokio::select! {
                room = due.recv() => match room {
                    Some(room) => self.prune(&mut link, room).await,
                    None => return,
                },
                _ = look.tick() => self.look_around(&mut link).await,
            };
            if let Err(error) = pruned {
                tracing::warn!(%error, "old events could not be removed from the history; this is tried again");
            }
        }
    }

    async fn look_around(&self, link: &mut Link) -> Result<(), StoreError> {
        loop {
            let found = link
                .run(&async |session| {
                    let mut rooms = Vec::new();
                    if let Some(too_old) = self.too_old() {
                        rooms.extend(session.query(TOO_OLD, &[&too_old, &LOOKED_UP]).await?);
                    }
                    let full = rooms.len() as i64 == LOOKED_UP;
                    if let Some(most) = self.retention.most() {
                        rooms.extend(session.query(TOO_MANY, &[&signed(most)]).await?);
                    }
                    let rooms: Result<Vec<i64>, _> =
                        rooms.iter().map(|row| row.try_get(0)).collect();
                    Ok((rooms?, full))
                })
                .await?;
            for room in found.0 {
                self.prune(link, room).await?;
            }
            if !found.1 {
                return Ok(());
            }
        }
    }

    /// Removes batches until the room holds what it should.
    async fn prune(&self, link: &mut Link, room: i64) -> Result<(), StoreError> {
        while link
            .run(&async |session| self.remove_batch(session, room).await)
            .await?
        {}
        Ok(())
    }

    /// Removes one batch; says whether there may be another.
    async fn remove_batch(&self, session: &mut Session, room: i64) -> Result<bool, StoreError> {
        session.client.batch_execute("BEGIN").await?;
        let more = self.remove_within(session, room).await?;
        session.client.batch_execute("COMMIT").await?;
        Ok(more)
    }

    async fn remove_within(&self, session: &mut Session, room: i64) -> Result<bool, StoreError> {
        let rows = session.query(LOCK, &[&room]).await?;
        let Some(row) = rows.first() else {
            return Ok(false);
        };
        let (head, first) = (unsigned(row.try_get(0)?), unsigned(row.try_get(1)?));
        let mut old = 0;
        if let Some(too_old) = self.too_old() {
            let counted: [&(dyn ToSql + Sync); 4] =
                [&room, &signed(first), &signed(BATCH), &too_old];
            let rows = session.query(COUNT_OLD, &counted).await?;
            if let Some(row) = rows.first() {
                old = unsigned(row.try_get(0)?);
            }
        }
        let Some(removed) = self.retention.next_batch(first, head, old) else {
            return Ok(false);
        };
        let end = signed(removed.before);
        let rows = session.query(DROP_MESSAGES, &[&room, &end]).await?;
        let readable: i64 = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => 0,
        };
        for sql in [DROP_EVENTS, DROP_REACTIONS, WIPE_EDITS] {
            session.execute(sql, &[&room, &end]).await?;
        }
        session.execute(MOVE_ON, &[&room, &end, &readable]).await?;
        Ok(removed.may_be_more)
    }

    /// What was stored before this is too old.
    fn too_old(&self) -> Option<i64> {
        self.retention.too_old(self.clock.now_ms())
    }
}
