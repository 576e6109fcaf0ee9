//! The one thread that writes. Everything that waits is one transaction, and one commit acknowledges all of it.

use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};

use super::SqliteOptions;
use super::reader::Read;
use super::retention::Pruner;
use super::rooms::Rooms;
use super::write::{self, Failure};
use crate::history::appending::Outcome;
use crate::history::commit::{BATCH, Batch, Commits, Request};
use crate::history::queue::{Queue, Taken};
use crate::history::{Clock, Entry, Listeners};

pub(super) struct Writer {
    connection: Connection,
    rooms: Rooms,
    pruner: Pruner,
    clock: Clock,
    commits: Commits,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        options: SqliteOptions,
        listeners: Listeners,
    ) -> Self {
        Self {
            connection,
            rooms: Rooms::default(),
            pruner: Pruner::new(options.retention),
            clock: options.clock,
            commits: Commits::new(listeners),
        }
    }

    /// Works until the queue is closed and empty, and leaves a whole file behind.
    pub(super) fn run(
        mut self,
        writes: &Queue<Request>,
        reads: &Queue<Read>,
        readers: Vec<JoinHandle<()>>,
    ) {
        let mut requests = Vec::with_capacity(BATCH);
        loop {
            match writes.take(&mut requests, BATCH, self.pruner.next()) {
                Taken::Items => self.work(Batch::of(requests.drain(..))),
                Taken::Nothing => {}
                Taken::Closed => break,
            }
            self.prune();
        }
        // The last connection to close folds the write-ahead log into the file, and that has to be one that may write.
        reads.close();
        for reader in readers {
            if reader.join().is_err() {
                tracing::error!("a thread that reads the history panicked");
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::error!(%error, "the history could not be closed cleanly; the next start repairs it");
        }
    }

    fn work(&mut self, mut batch: Batch) {
        if !batch.entries.is_empty() {
            let outcomes = self.transaction(std::mem::take(&mut batch.entries));
            match &outcomes {
                Ok(_) => {
                    for room in self.rooms.saved() {
                        self.pruner.grown(room);
                    }
                }
                Err(_) => self.rooms.forget(),
            }
            self.commits
                .finish(outcomes, std::mem::take(&mut batch.answers));
        }
        if batch.has_probes() {
            let tried = self.commits.is_failing().then(|| self.try_to_write());
            self.commits.answer_probes(batch, tried);
        }
    }

    /// All entries in one commit. An entry that is refused is an outcome; an error means that nothing was stored.
    fn transaction(&mut self, entries: Vec<Entry>) -> rusqlite::Result<Vec<Outcome>> {
        let now_ms = self.clock.now_ms();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            outcomes.push(
                match write::apply(&transaction, &mut self.rooms, entry, now_ms) {
                    Ok(appended) => Ok(appended),
                    Err(Failure::Refused(refusal)) => Err(refusal),
                    Err(Failure::Store(error)) => return Err(error),
                },
            );
        }
        self.rooms.save(&transaction)?;
        transaction.commit()?;
        Ok(outcomes)
    }

    fn prune(&mut self) {
        if self.pruner.next().is_none() {
            return;
        }
        let now_ms = self.clock.now_ms();
        if let Err(error) = self
            .pruner
            .prune(&mut self.connection, &mut self.rooms, now_ms)
        {
            tracing::warn!(%error, "old events could not be removed from the history; this is tried again");
        }
    }

    /// Writes a page, with what it says already.
    fn try_to_write(&self) -> rusqlite::Result<()> {
        self.connection
            .execute("UPDATE store SET epoch = epoch", [])
            .map(drop)
    }
}
