//! The one task that writes. Everything that waits is one transaction, and one commit acknowledges all of it.

use std::collections::HashSet;

use tokio::sync::mpsc;

use super::batch::{Decided, Known};
use super::link::Link;
use super::{StoreError, write};
use crate::history::commit::{BATCH, Batch, Commits, Request};
use crate::history::queue::{Queue, Taken};
use crate::history::{Clock, Entry, Listeners, Retention};
use crate::protocol::RoomName;

/// Rooms remembered to exist; beyond it all are forgotten, at the cost of trying to make them again.
const SEEN: usize = 10_000;
/// How often a transaction is tried that another node's is in the way of.
const ATTEMPTS: usize = 4;

pub(super) struct Writer {
    link: Link,
    clock: Clock,
    commits: Commits,
    /// Rooms that are known to exist.
    seen: HashSet<RoomName>,
    retention: Retention,
    /// Where rooms go that hold too much.
    due: mpsc::Sender<i64>,
}

impl Writer {
    pub(super) fn new(
        link: Link,
        clock: Clock,
        listeners: Listeners,
        retention: Retention,
        due: mpsc::Sender<i64>,
    ) -> Self {
        Self {
            link,
            clock,
            commits: Commits::new(listeners),
            seen: HashSet::new(),
            retention,
            due,
        }
    }

    /// Works until the queue is closed and all of it done.
    pub(super) async fn run(mut self, writes: &Queue<Request>) {
        let mut requests = Vec::with_capacity(BATCH);
        while writes.take_async(&mut requests, BATCH).await != Taken::Closed {
            self.work(Batch::of(requests.drain(..))).await;
        }
    }

    async fn work(&mut self, mut batch: Batch) {
        if !batch.entries.is_empty() {
            let stored = self.transaction(&batch.entries).await;
            let outcomes = stored.map(|(decided, known)| {
                self.remember(&known);
                decided.outcomes
            });
            self.commits
                .finish(outcomes, std::mem::take(&mut batch.answers));
        }
        if batch.has_probes() {
            let tried = match self.commits.is_failing() {
                true => Some(self.try_to_write().await),
                false => None,
            };
            self.commits.answer_probes(batch, tried);
        }
    }

    /// All entries in one commit. An entry that is refused is an outcome; an error means that nothing was stored, or that
    /// nobody knows.
    async fn transaction(&mut self, entries: &[Entry]) -> Result<(Decided, Known), StoreError> {
        let now_ms = self.clock.now_ms();
        let seen = &self.seen;
        let mut attempts = 1;
        loop {
            // On a broken connection this may run twice. What the first run stored, if its commit's answer went missing, is a
            // repeat to the second: its authors hear so, and feeds find it by comparing positions.
            let stored = self
                .link
                .run(&async |session| write::store(session, entries, seen, now_ms).await)
                .await;
            match stored {
                Err(error) if error.is_conflict() && attempts < ATTEMPTS => attempts += 1,
                outcome => return outcome,
            }
        }
    }

    fn remember(&mut self, known: &Known) {
        if self.seen.len() > SEEN {
            self.seen.clear();
        }
        for (name, room) in &known.rooms {
            if !self.seen.contains(name) {
                self.seen.insert(name.clone());
            }
            if room.changed && self.retention.is_over(room.state.first, room.state.head) {
                // A full queue has heard of enough rooms for now.
                let _ = self.due.try_send(room.id);
            }
        }
    }

    /// Writes a row, with what it says already.
    async fn try_to_write(&mut self) -> Result<(), StoreError> {
        self.link
            .run(&async |session| {
                session
                    .execute("UPDATE roomful.store SET epoch = epoch", &[])
                    .await
            })
            .await
            .map(drop)
    }
}
