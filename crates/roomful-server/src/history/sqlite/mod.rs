//! The record in one SQLite file, for one node.
//!
//! ```text
//! append ──▶ queue ──▶ writer thread: everything that waits is one transaction ──▶ listeners ──▶ acknowledgements
//! after, messages_before, … ──▶ queue ──▶ reader threads, each with a connection of its own
//! ```
//!
//! While one commit is flushed the next batch gathers, and a writer that sleeps is woken when the event loop has run what was
//! ready: what came together shares a flush, and alone an action waits for nobody.
//! In WAL mode readers never wait for the writer. SQLite blocks, so all of it is on threads of its own.
//!
//! A deleted text is overwritten in the file. The write-ahead log beside it may hold it until it is written over: after some
//! thousand more messages, or when the server stops. Copies that were made before a migration keep what they have.

mod migrate;
mod open;
mod private;
mod reader;
mod retention;
mod rooms;
mod rows;
mod write;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::commit::{Request, WAITING, WAITING_BYTES};
use super::migration::newest;
use super::queue::Queue;
use super::{
    Appending, Clock, Entry, EventsPage, HistoryError, Identity, Listeners, MessageView, Migration,
    OpenError, Retention, RoomName, RoomSummary, Synchronous,
};

use open::Opened;
use reader::Read;
use writer::Writer;

pub(super) use migrate::look;

/// Reads that may wait for a reader.
const READS: usize = 4_096;
/// Reader threads: the second keeps short reads going beside a long one.
const READERS: usize = 2;

/// How an SQLite record is kept.
#[derive(Clone, Debug, Default)]
pub struct SqliteOptions {
    /// What an acknowledgement survives.
    pub synchronous: Synchronous,
    /// How long events are kept.
    pub retention: Retention,
    /// The database never grows over this; what does not fit is refused as retryable. The write-ahead log beside it comes on top.
    pub max_file_bytes: Option<u64>,
    /// Where dates come from.
    pub clock: Clock,
    /// Steps after our own, as a later version would have them. For tests of upgrades: a file that has had them is for
    /// released versions what its `readable_by` says.
    pub later_migrations: &'static [Migration],
}

impl SqliteOptions {
    /// The newest schema that this version knows.
    pub const SCHEMA: u32 = newest(migrate::MIGRATIONS);
}

/// The handle; the threads end when it is dropped or closed, and what was taken is finished first.
pub(super) struct Sqlite {
    writes: Arc<Queue<Request>>,
    reads: Arc<Queue<Read>>,
    /// Closed when the writer, who goes last, has let go of the file.
    ended: watch::Receiver<()>,
}

impl Sqlite {
    pub(super) fn open(
        path: &Path,
        options: SqliteOptions,
        listeners: Listeners,
    ) -> Result<(Self, Identity), OpenError> {
        let Opened {
            writer,
            readers,
            identity,
            lock,
        } = open::open(path, &options, READERS)?;
        let writes = Arc::new(Queue::new(WAITING, WAITING_BYTES));
        let reads = Arc::new(Queue::new(READS, usize::MAX));
        let (running, ended) = watch::channel(());
        let sqlite = Self {
            writes: Arc::clone(&writes),
            reads: Arc::clone(&reads),
            ended,
        };

        let failed = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let mut reader_threads = Vec::new();
        for (number, connection) in readers.into_iter().enumerate() {
            let reads = Arc::clone(&reads);
            let thread = thread::Builder::new().name(format!("history-read-{number}"));
            let thread = thread
                .spawn(move || reader::run(&connection, &reads))
                .map_err(failed)?;
            reader_threads.push(thread);
        }
        let writer = Writer::new(writer, options, listeners);
        thread::Builder::new()
            .name("history-write".to_owned())
            .spawn(move || {
                // Declared in the order in which they must be the last to go.
                let _running = running;
                let _lock = lock;
                // After a panic nobody must wait for an answer.
                let _closing = CloseOnDrop(&writes, &reads);
                writer.run(&writes, &reads, reader_threads);
            })
            .map_err(failed)?;
        Ok((sqlite, identity))
    }

    pub(super) fn append(&self, entry: Entry) -> Appending {
        let bytes = entry.text_bytes();
        let (answer, appending) = Appending::waiting();
        let event_loop = answer.home().map(Handle::id);
        let request = Request::Append(entry, answer);
        match self.writes.push_quietly(request, bytes, event_loop) {
            Ok(true) => self.wake_writer(),
            Ok(false) => {}
            Err(error) => return Appending::known(Err(error)),
        }
        appending
    }

    /// When what is ready on this event loop has run: what others say meanwhile shares the commit. Where there is none, or
    /// one that ends, at once.
    fn wake_writer(&self) {
        let wake = WakeOnDrop(Arc::clone(&self.writes));
        if let Ok(home) = Handle::try_current() {
            drop(home.spawn(async move { drop(wake) }));
        }
    }

    pub(super) async fn after(
        &self,
        room: &RoomName,
        after: u64,
        limit: usize,
    ) -> Result<EventsPage, HistoryError> {
        let room = room.clone();
        self.read(move |connection| reader::after(connection, &room, after, limit))
            .await
    }

    pub(super) async fn messages_before(
        &self,
        room: &RoomName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MessageView>, HistoryError> {
        let room = room.clone();
        self.read(move |connection| reader::messages_before(connection, &room, before, limit))
            .await
    }

    pub(super) async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, HistoryError> {
        let rooms = rooms.to_vec();
        self.read(move |connection| {
            let heads = rooms.iter().map(|room| reader::head(connection, room));
            heads.collect()
        })
        .await
    }

    pub(super) async fn topic(&self, room: &RoomName) -> Result<String, HistoryError> {
        let room = room.clone();
        self.read(move |connection| reader::topic(connection, &room))
            .await
    }

    pub(super) async fn rooms(&self, limit: usize) -> Result<Vec<RoomSummary>, HistoryError> {
        self.read(move |connection| reader::rooms(connection, limit))
            .await
    }

    pub(super) async fn ready(&self) -> Result<(), HistoryError> {
        self.read(reader::ready).await?;
        let (answer, answered) = oneshot::channel();
        self.writes.push(Request::Ready(answer), 0)?;
        answered.await.unwrap_or(Err(HistoryError::Closed))
    }

    pub(super) async fn close(&self) {
        self.writes.close();
        // An error says that the writer is gone, which is what is waited for.
        let _ = self.ended.clone().changed().await;
    }

    /// Has `read` run by a reader thread.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            // Whoever asked may have gone.
            let _ = answer.send(read(connection).map_err(HistoryError::unavailable));
        });
        self.reads.push(read, 0)?;
        answered.await.unwrap_or(Err(HistoryError::Closed))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.writes.close();
    }
}

struct CloseOnDrop<'a>(&'a Queue<Request>, &'a Queue<Read>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.abandon();
        self.1.close();
    }
}

/// Wakes the writer, whether the task that holds this runs or is thrown away.
struct WakeOnDrop(Arc<Queue<Request>>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake();
    }
}
