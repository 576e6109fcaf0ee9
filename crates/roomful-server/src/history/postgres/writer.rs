//! The one task that writes. Everything that waits is one transaction, and one commit acknowledges all of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::batch::{Decided, Known};
use super::link::Link;
use super::{StoreError, write};
use crate::history::appending::{Answer, give_all};
use crate::history::{Clock, Entry, HistoryError, Listeners};
use crate::protocol::RoomName;

/// Actions in one transaction at most: enough to make a commit cheap, few enough that the first of them does not wait long.
const BATCH: usize = 512;
/// Rooms remembered to exist; beyond it all are forgotten, at the cost of trying to make them again.
const SEEN: usize = 10_000;
/// How often a transaction is tried that another node's is in the way of.
const ATTEMPTS: usize = 4;

/// What the writer is asked for, and where the answer goes.
pub(super) enum Request {
    /// With the bytes that wait.
    Append(Entry, usize, Answer),
    /// Whether writing works.
    Ready(oneshot::Sender<Result<(), HistoryError>>),
    /// Finish what waits, and end.
    Close,
}

pub(super) struct Writer {
    link: Link,
    clock: Clock,
    listeners: Listeners,
    waiting: Arc<AtomicUsize>,
    /// Rooms that are known to exist.
    seen: HashSet<RoomName>,
    /// Where rooms go that have more than `keep` and a tenth.
    due: Option<(u64, mpsc::Sender<i64>)>,
    /// Whether the last commit failed.
    failing: bool,
}

impl Writer {
    pub(super) fn new(
        link: Link,
        clock: Clock,
        listeners: Listeners,
        waiting: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            link,
            clock,
            listeners,
            waiting,
            seen: HashSet::new(),
            due: None,
            failing: false,
        }
    }

    /// Tells `due` of rooms that hold more than `keep` events and a tenth.
    pub(super) fn telling(mut self, keep: Option<u64>, due: mpsc::Sender<i64>) -> Self {
        self.due = keep.map(|keep| (keep.saturating_add(keep / 10), due));
        self
    }

    /// Works until the requests are closed and all of them done.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while requests.recv_many(&mut batch, BATCH).await > 0 {
            let (mut entries, mut answers) = (Vec::new(), Vec::new());
            let mut probes = Vec::new();
            for request in batch.drain(..) {
                match request {
                    Request::Append(entry, bytes, answer) => {
                        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                        entries.push(entry);
                        answers.push(answer);
                    }
                    Request::Ready(answer) => probes.push(answer),
                    Request::Close => requests.close(),
                }
            }
            if !entries.is_empty() {
                self.append(&entries, answers).await;
            }
            if !probes.is_empty() {
                let ready = self.ready().await;
                for probe in probes {
                    let _ = probe.send(ready.clone());
                }
            }
        }
    }

    /// Stores the entries, tells the listeners, and answers, in this order.
    async fn append(&mut self, entries: &[Entry], answers: Vec<Answer>) {
        let outcome = self.transaction(entries).await;
        self.note(outcome.as_ref().err());
        match outcome {
            Ok((decided, known)) => {
                self.remember(&known);
                let new: Vec<_> = decided.new.into_iter().map(|new| new.event).collect();
                self.listeners.committed(&new);
                give_all(answers.into_iter().zip(decided.outcomes));
            }
            Err(error) => {
                let error = HistoryError::unavailable(error);
                give_all(
                    answers
                        .into_iter()
                        .map(|answer| (answer, Err(error.clone()))),
                );
            }
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
            if let Some((most, due)) = &self.due
                && room.changed
                && (room.head - room.first + 1).unsigned_abs() > *most
            {
                // A full queue has heard of enough rooms for now.
                let _ = due.try_send(room.id);
            }
        }
    }

    /// Whether writing works. After a failure nobody may dare to write, so this does.
    async fn ready(&mut self) -> Result<(), HistoryError> {
        if !self.failing {
            return Ok(());
        }
        let tried = self
            .link
            .run(&async |session| {
                session
                    .execute("UPDATE roomful.store SET epoch = epoch", &[])
                    .await
            })
            .await;
        self.note(tried.as_ref().err());
        tried.map(drop).map_err(HistoryError::unavailable)
    }

    /// Logs when writing begins to fail and when it works again, not what is refused in between.
    fn note(&mut self, error: Option<&StoreError>) {
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
