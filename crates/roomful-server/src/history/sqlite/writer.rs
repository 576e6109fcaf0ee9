//! The one thread that writes. Everything that waits is one transaction, and one commit acknowledges all of it.

use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::SqliteOptions;
use super::action::{self, Failure};
use super::queue::{Queue, Taken};
use super::reader::Read;
use super::retention::Pruner;
use super::rooms::Rooms;
use crate::history::appending::{Answer, give_all};
use crate::history::{Appended, Clock, Entry, HistoryError, Listeners};

/// Actions in one transaction at most: enough to make a flush cheap, few enough that the first of them does not wait long.
const BATCH: usize = 512;

/// What the writer is asked for, and where the answer goes.
pub(super) enum Request {
    Append(Entry, Answer),
    /// Whether writing works.
    Ready(oneshot::Sender<Result<(), HistoryError>>),
}

pub(super) struct Writer {
    connection: Connection,
    rooms: Rooms,
    pruner: Pruner,
    clock: Clock,
    listeners: Listeners,
    /// Whether the last commit failed.
    failing: bool,
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
            listeners,
            failing: false,
        }
    }

    /// Works until the queue is closed and empty, and leaves a whole file behind.
    pub(super) fn run(
        mut self,
        writes: &Queue<Request>,
        reads: &Queue<Read>,
        readers: Vec<JoinHandle<()>>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            match writes.take(&mut batch, BATCH, self.pruner.next()) {
                Taken::Items => self.work(&mut batch),
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

    fn work(&mut self, batch: &mut Vec<Request>) {
        let (mut entries, mut answers) = (
            Vec::with_capacity(batch.len()),
            Vec::with_capacity(batch.len()),
        );
        let mut probes = Vec::new();
        for request in batch.drain(..) {
            match request {
                Request::Append(entry, answer) => {
                    entries.push(entry);
                    answers.push(answer);
                }
                Request::Ready(answer) => probes.push(answer),
            }
        }
        if !entries.is_empty() {
            self.append(&entries, answers);
        }
        if !probes.is_empty() {
            let ready = self.ready();
            for probe in probes {
                let _ = probe.send(ready.clone());
            }
        }
    }

    /// Stores the entries, tells the listeners, and answers, in this order.
    fn append(&mut self, entries: &[Entry], answers: Vec<Answer>) {
        let outcomes = self.transaction(entries);
        self.note(outcomes.as_ref().err());
        match outcomes {
            Ok(outcomes) => {
                for room in self.rooms.saved() {
                    self.pruner.grown(room);
                }
                let new = outcomes
                    .iter()
                    .flatten()
                    .filter(|appended| !appended.repeated);
                let new: Vec<_> = new.map(|appended| Arc::clone(&appended.event)).collect();
                self.listeners.committed(&new);
                give_all(answers.into_iter().zip(outcomes));
            }
            Err(error) => {
                self.rooms.forget();
                let error = HistoryError::unavailable(error);
                give_all(
                    answers
                        .into_iter()
                        .map(|answer| (answer, Err(error.clone()))),
                );
            }
        }
    }

    /// All entries in one commit. An entry that is refused is an outcome; an error means that nothing was stored.
    fn transaction(
        &mut self,
        entries: &[Entry],
    ) -> rusqlite::Result<Vec<Result<Appended, HistoryError>>> {
        let now_ms = self.clock.now_ms();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            outcomes.push(
                match action::apply(&transaction, &mut self.rooms, entry, now_ms) {
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

    /// Whether writing works. After a failure nobody may dare to write, so this does.
    fn ready(&mut self) -> Result<(), HistoryError> {
        if !self.failing {
            return Ok(());
        }
        // A page that is written, with what it says already.
        let tried = self
            .connection
            .execute("UPDATE store SET epoch = epoch", []);
        self.note(tried.as_ref().err());
        tried.map(drop).map_err(HistoryError::unavailable)
    }

    /// Logs when writing begins to fail and when it works again, not what is refused in between.
    fn note(&mut self, error: Option<&rusqlite::Error>) {
        match error {
            Some(error) if !self.failing => {
                tracing::error!(%error, "the history cannot be written; what is said is refused until it can");
            }
            None if self.failing => tracing::info!("the history can be written again"),
            _ => {}
        }
        self.failing = error.is_some();
    }
}
