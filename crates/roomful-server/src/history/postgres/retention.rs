//! Letting go of old events: a bite at a time, on a connection of its own, each in a transaction that locks one room.
//!
//! A room's row keeps its newest number, so no number is given twice, and its oldest, so that readers can tell. Nodes may
//! all do this: what one has taken the next does not find.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::StoreError;
use super::link::{Link, Session};
use crate::history::integer::signed;
use crate::history::{Clock, Retention};

/// Events that one bite takes at most: a few milliseconds in which nobody can speak in the room.
const BITE: i64 = 500;
/// Rooms with events that are too old, looked up at a time.
const LOOKED_UP: i64 = 64;

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
    keep: Option<i64>,
    age_ms: Option<i64>,
    interval: Duration,
    clock: Clock,
}

impl Pruner {
    /// `None` where everything is kept.
    pub(super) fn new(retention: &Retention, clock: Clock) -> Option<Self> {
        let age = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let pruner = Self {
            keep: retention.events_per_room.map(signed),
            age_ms: retention.age.map(age),
            interval: retention.interval.max(Duration::from_millis(10)),
            clock,
        };
        (pruner.keep.is_some() || pruner.age_ms.is_some()).then_some(pruner)
    }

    /// Prunes rooms it is told of, and looks around now and then. Ends with those who tell.
    pub(super) async fn run(self, mut link: Link, mut due: mpsc::Receiver<i64>) {
        let mut look = interval(self.interval);
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
                    if let Some(keep) = self.keep {
                        let most = keep.saturating_add(keep / 10);
                        rooms.extend(session.query(TOO_MANY, &[&most]).await?);
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

    /// Takes bites until the room holds what it should.
    async fn prune(&self, link: &mut Link, room: i64) -> Result<(), StoreError> {
        while link
            .run(&async |session| self.bite(session, room).await)
            .await?
        {}
        Ok(())
    }

    /// Takes one bite; says whether there may be another.
    async fn bite(&self, session: &mut Session, room: i64) -> Result<bool, StoreError> {
        session.client.batch_execute("BEGIN").await?;
        let more = self.bite_within(session, room).await?;
        session.client.batch_execute("COMMIT").await?;
        Ok(more)
    }

    async fn bite_within(&self, session: &mut Session, room: i64) -> Result<bool, StoreError> {
        let rows = session.query(LOCK, &[&room]).await?;
        let Some(row) = rows.first() else {
            return Ok(false);
        };
        let (head, first): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        // A tenth over what is kept may gather, so that a busy room is not pruned all the time.
        let mut end = match self.keep {
            Some(keep) if head - first + 1 > keep.saturating_add(keep / 10) => head - keep + 1,
            _ => first,
        };
        if let Some(too_old) = self.too_old() {
            // Dates never go back, so all that is too old comes first.
            let rows = session
                .query(COUNT_OLD, &[&room, &first, &BITE, &too_old])
                .await?;
            let old: i64 = match rows.first() {
                Some(row) => row.try_get(0)?,
                None => 0,
            };
            end = end.max(first + old);
        }
        let end = end.min(first + BITE).min(head + 1);
        if end <= first {
            return Ok(false);
        }
        let rows = session.query(DROP_MESSAGES, &[&room, &end]).await?;
        let readable: i64 = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => 0,
        };
        for sql in [DROP_EVENTS, DROP_REACTIONS, WIPE_EDITS] {
            session.execute(sql, &[&room, &end]).await?;
        }
        session.execute(MOVE_ON, &[&room, &end, &readable]).await?;
        Ok(end == first + BITE)
    }

    /// What was stored before this is too old.
    fn too_old(&self) -> Option<i64> {
        Some(self.clock.now_ms().saturating_sub(self.age_ms?))
    }
}
