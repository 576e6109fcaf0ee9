//! The record in PostgreSQL, shared by several nodes.
//!
//! ```text
//! append ──▶ queue ──▶ writer: everything that waits is one transaction ──▶ listeners ──▶ acknowledgements
//! after, messages_before, … ──▶ queues ──▶ readers, each with a connection of its own
//! ```
//!
//! Numbers have no holes however many nodes write: a batch locks the rows of its rooms, in the order of their names, and
//! holds them to its commit. So the order of numbers is the order of commits, and nobody waits for somebody who waits for
//! them. While one commit is on its way the next batch gathers, as with SQLite.
//!
//! Connections come back by themselves (`link`). While the database is away everything is refused as retryable.
//! A node that a newer one's migration has made too old takes nothing more (`schema_watch`).
//! All of it runs on one thread with a runtime of its own: whoever asks may be on any.

mod batch;
mod error;
mod link;
mod migrate;
mod open;
mod reader;
mod retention;
mod rows;
mod schema_watch;
mod write;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::thread;

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;

use super::commit::{Request, WAITING, WAITING_BYTES};
use super::migration::{StoreSchema, newest};
use super::queue::Queue;
use super::{
    Appending, Clock, Entry, EventsPage, HistoryError, Identity, Listeners, MessageView, Migration,
    NewerStore, OpenError, Retention, RoomName, RoomSummary, Synchronous,
};

use error::StoreError;
use link::{Link, Session};
use open::Opened;
use retention::Pruner;
use schema_watch::SchemaWatch;
use writer::Writer;

pub(super) use open::look;

/// Reads that may wait for one reader.
const READS: usize = 2_048;
/// Readers, each with a connection: short reads go on beside long ones.
const READERS: usize = 4;
/// Rooms that may wait to be pruned; a room that finds no place is told of again when it has grown.
const DUE: usize = 1_024;

/// How a record in PostgreSQL is kept.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// What an acknowledgement survives: with [`Full`](Synchronous::Full) what the server's `synchronous_commit` says, but at
    /// least its power loss; with the others the end of our process, while its last moments may be lost with the server's.
    pub synchronous: Synchronous,
    /// How long events are kept. Nodes that share a record should agree; each of them enforces its own.
    pub retention: Retention,
    /// Where dates come from.
    pub clock: Clock,
    /// Steps after our own, as a later version would have them. For tests of upgrades: a database that has had them is for
    /// released versions what its `readable_by` says.
    pub later_migrations: &'static [Migration],
}

impl PostgresOptions {
    /// The newest schema that this version knows.
    pub const SCHEMA: u32 = newest(migrate::MIGRATIONS);
}

/// One read, which answers by itself.
type Read = Box<dyn for<'a> FnOnce(&'a mut Link) -> LocalBoxFuture<'a, ()> + Send>;

/// The handle; the thread ends when it is dropped or closed, and what was taken is finished first.
pub(super) struct Postgres {
    writes: Arc<Queue<Request>>,
    readers: Vec<mpsc::Sender<Read>>,
    closed: Arc<AtomicBool>,
    /// Why this version may no longer use the database.
    outdated: watch::Receiver<Option<NewerStore>>,
    /// Closed when the thread has ended.
    ended: watch::Receiver<()>,
}

impl Postgres {
    /// Connects, brings the schema up to date and starts. Blocks until that is done.
    pub(super) fn open(
        url: &str,
        options: PostgresOptions,
        listeners: Listeners,
    ) -> Result<(Self, Identity), OpenError> {
        let (running, ended) = watch::channel(());
        let (opened, opening) = std_mpsc::sync_channel(1);
        let writes = Arc::new(Queue::new(WAITING, WAITING_BYTES));
        let (readers, reads): (Vec<_>, Vec<_>) = (0..READERS).map(|_| mpsc::channel(READS)).unzip();
        let closed = Arc::new(AtomicBool::new(false));
        let (too_old, outdated) = watch::channel(None);
        let work = Work {
            closed: Arc::clone(&closed),
            outdated: too_old,
            writes: Arc::clone(&writes),
            reads,
            listeners,
        };
        let failed = |source| OpenError::Thread { source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let url = url.to_owned();
        thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || {
                let _running = running;
                LocalSet::new().block_on(&runtime, async move {
                    match open::open(&url, &options).await {
                        // Whoever asked may have gone.
                        Err(error) => drop(opened.send(Err(error))),
                        Ok(store) => {
                            let Opened {
                                link,
                                identity,
                                schema,
                                known,
                            } = store;
                            drop(opened.send(Ok(identity)));
                            work.run(link, schema, known, options).await;
                        }
                    }
                });
            })
            .map_err(failed)?;
        let identity = opening.recv().expect("the thread answers before it ends")?;
        let postgres = Self {
            writes,
            readers,
            closed,
            outdated,
            ended,
        };
        Ok((postgres, identity))
    }

    pub(super) fn append(&self, entry: Entry) -> Appending {
        if self.closed.load(Ordering::Acquire) {
            return Appending::known(Err(HistoryError::Closed));
        }
        let bytes = entry.text_bytes();
        let (answer, appending) = Appending::waiting();
        match self.writes.push(Request::Append(entry, answer), bytes) {
            Ok(()) => appending,
            Err(error) => Appending::known(Err(error)),
        }
    }

    pub(super) async fn after(
        &self,
        room: &RoomName,
        after: u64,
        limit: usize,
    ) -> Result<EventsPage, HistoryError> {
        let room = room.clone();
        self.read(async move |session| reader::after(session, &room, after, limit).await)
            .await
    }

    pub(super) async fn messages_before(
        &self,
        room: &RoomName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MessageView>, HistoryError> {
        let room = room.clone();
        self.read(async move |session| reader::messages_before(session, &room, before, limit).await)
            .await
    }

    pub(super) async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, HistoryError> {
        let rooms = rooms.to_vec();
        self.read(async move |session| reader::heads(session, &rooms).await)
            .await
    }

    pub(super) async fn topic(&self, room: &RoomName) -> Result<String, HistoryError> {
        let room = room.clone();
        self.read(async move |session| reader::topic(session, &room).await)
            .await
    }

    pub(super) async fn rooms(&self, limit: usize) -> Result<Vec<RoomSummary>, HistoryError> {
        self.read(async move |session| reader::rooms(session, limit).await)
            .await
    }

    pub(super) async fn ready(&self) -> Result<(), HistoryError> {
        self.read(async |session| reader::ready(session).await)
            .await?;
        let (answer, answered) = oneshot::channel();
        self.writes.push(Request::Ready(answer), 0)?;
        answered.await.unwrap_or(Err(HistoryError::Closed))
    }

    /// Becomes the reason when this version may no longer use the database.
    pub(super) fn outdated(&self) -> watch::Receiver<Option<NewerStore>> {
        self.outdated.clone()
    }

    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.writes.close();
        // An error says that the writer is gone, which is what is waited for.
        let _ = self.ended.clone().changed().await;
    }

    /// Has `read` run by the reader that has the least to do.
    async fn read<T: Send + 'static>(
        &self,
        read: impl AsyncFn(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(HistoryError::Closed);
        }
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |link| {
            Box::pin(async move {
                // Whoever asked may have gone.
                let _ = answer.send(link.run(&read).await.map_err(HistoryError::unavailable));
            })
        });
        let reader = self.readers.iter().max_by_key(|reader| reader.capacity());
        let reader = reader.expect("there are readers");
        reader.try_send(read).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => HistoryError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => HistoryError::Closed,
        })?;
        answered.await.unwrap_or(Err(HistoryError::Closed))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.writes.close();
    }
}

/// What the thread does.
struct Work {
    closed: Arc<AtomicBool>,
    outdated: watch::Sender<Option<NewerStore>>,
    writes: Arc<Queue<Request>>,
    reads: Vec<mpsc::Receiver<Read>>,
    listeners: Listeners,
}

impl Work {
    /// Works until the handle is closed or gone. Reads that are under way then have no end.
    async fn run(self, link: Link, schema: StoreSchema, known: u32, options: PostgresOptions) {
        let watch = SchemaWatch {
            known,
            told: schema,
            closed: self.closed,
            outdated: self.outdated,
        };
        tokio::task::spawn_local(watch.run(link.another()));
        for mut reads in self.reads {
            let mut link = link.another();
            tokio::task::spawn_local(async move {
                while let Some(read) = reads.recv().await {
                    read(&mut link).await;
                }
            });
        }
        let (due, rooms) = mpsc::channel(DUE);
        // After a panic nobody must wait for an answer.
        let writes = AbandonOnDrop(self.writes);
        if let Some(pruner) = Pruner::new(options.retention, options.clock.clone()) {
            tokio::task::spawn_local(pruner.run(link.another(), rooms));
        }
        let (clock, retention) = (options.clock, options.retention);
        Writer::new(link, clock, self.listeners, retention, due)
            .run(&writes.0)
            .await;
    }
}

struct AbandonOnDrop(Arc<Queue<Request>>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
