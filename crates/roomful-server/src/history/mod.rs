//! The record: what rooms have said. The only place that knows SQL.
//!
//! A room is a log. Each [`Action`] that is stored gets the room's next number, from 1 and without holes, in the transaction
//! that stores it, and becomes a [`RoomEvent`]. The log is the truth; how messages read now is a projection of it, written in
//! the same transaction. So "everything after 41" catches a reader up completely, edits, deletions and reactions too.
//!
//! What every store promises:
//!
//! - *Acknowledged means stored.* [`History::append`] resolves when its transaction is committed and flushed (unless set otherwise).
//! - *Saying is idempotent.* One author's client id is one event: a repeat gets the same number and stores nothing, whatever
//!   the repeated action says. The memory for repeats reaches as far back as the log is kept.
//! - *Shown means stored.* Whoever subscribed with [`History::on_commit`] hears this process's new events after their commit, in
//!   the order of their numbers, before their authors hear the acknowledgement.
//! - *Deleted means gone.* The text of a deleted message, and of all its edits, is wiped from the log too. A reader that
//!   replays meets the message, and its edits, with an empty text (which no living message has), and later, always, the
//!   `chat.deleted` that says why. Readers end with the same list whether they were there or not.
//! - *Numbers are never used twice*, also when old events are pruned. [`EventsPage::first`] says where the log begins now.
//!   Only who puts back an old copy of the file takes numbers back. Then the store needs a new epoch, so that nobody goes on
//!   from a number that now means something else: `UPDATE store SET epoch = lower(hex(randomblob(8)))`.
//!
//! What becomes of an action is decided in `decide`, and what retention removes in `retention`, for all stores alike.
//!
//! ```text
//! History ─┬─ sqlite/    one writer thread, grouped commits; reader threads   one node, survives everything
//!          ├─ postgres/  grouped commits under row locks; readers             several nodes, survives everything
//!          ├─ memory/    a bounded log in the process                         ends with the process
//!          └─ none       numbers nothing                                      live only
//! ```

mod action_id;
mod appending;
mod clock;
mod commit;
mod decide;
mod entry;
mod error;
mod integer;
mod kind;
mod listeners;
mod memory;
mod migration;
mod postgres;
mod queue;
mod retention;
mod sqlite;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::protocol::{Action, Member, MessageView, ReactionView, RoomEvent, RoomName};
use crate::timestamp::Timestamp;

pub use action_id::ActionId;
pub use appending::Appending;
pub use clock::Clock;
pub use error::{HistoryError, NewerStore, OpenError};
pub use memory::MemoryOptions;
pub use migration::Migration;
pub use postgres::PostgresOptions;
pub use retention::Retention;
pub use sqlite::SqliteOptions;

use entry::{Authority, Entry};
use listeners::{Listener, Listeners};
use memory::Memory;
use migration::StoreSchema;
use postgres::Postgres;
use sqlite::Sqlite;

/// A handle to the record; clones share it.
#[derive(Clone)]
pub struct History {
    identity: Arc<Identity>,
    listeners: Listeners,
    store: Store,
}

#[derive(Clone)]
enum Store {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
    Memory(Arc<Memory>),
    None,
}

/// What names a store and proves what it gave out.
struct Identity {
    epoch: Option<Arc<str>>,
    secret: [u8; 32],
}

/// What an acknowledged action survives. The end of the process, however sudden, is survived with each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Power loss too: each commit is flushed to the disk before it is acknowledged.
    #[default]
    Full,
    /// Power loss takes the last commits with it: up to everything since the last checkpoint, some thousand messages.
    Normal,
    /// Power loss may take the whole file with it.
    Off,
}

/// What [`History::append`] stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    /// The event, with its number.
    pub event: Arc<RoomEvent>,
    /// Whether it was stored before, by an action with the same author and id.
    pub repeated: bool,
}

/// A piece of a room's log.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsPage {
    /// The events, in the order of their numbers.
    pub events: Vec<Arc<RoomEvent>>,
    /// The newest number in the room; 0 where nothing was said yet.
    pub head: u64,
    /// The oldest number that is still kept; `head + 1` where nothing is.
    pub first: u64,
}

impl EventsPage {
    /// Whether the log tells all that came after `after`: nothing of it is pruned, and the room has been that far.
    pub fn is_complete_after(&self, after: u64) -> bool {
        after <= self.head && after.saturating_add(1) >= self.first
    }
}

/// One line of the list of rooms.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomSummary {
    /// The room.
    pub room: RoomName,
    /// The newest number.
    pub head: u64,
    /// When something was last stored there.
    pub last_at: Timestamp,
    /// How many messages there are to read.
    pub messages: u64,
    /// What the room is about, if anybody said so.
    pub topic: String,
}

impl History {
    /// The record in an SQLite file, which is made where it is missing and brought up to date where it is old. It belongs to
    /// this process alone until the last handle is gone.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file and what to do.
    pub fn open_sqlite(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        let listeners = Listeners::default();
        let (sqlite, identity) = Sqlite::open(path, options, listeners.clone())?;
        Ok(Self {
            identity: Arc::new(identity),
            listeners,
            store: Store::Sqlite(Arc::new(sqlite)),
        })
    }

    /// The record in a PostgreSQL database, which several nodes share: numbers, ids, epoch and secret are the same for all of
    /// them. Its tables are made where they are missing and brought up to date where they are old, in the schema `roomful`.
    /// Blocks until that is done, however long it takes; where another node is about it, until that one is done.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the database and what to do.
    pub fn open_postgres(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let listeners = Listeners::default();
        let (postgres, identity) = Postgres::open(url, options, listeners.clone())?;
        Ok(Self {
            identity: Arc::new(identity),
            listeners,
            store: Store::Postgres(Arc::new(postgres)),
        })
    }

    /// Says whether [`open_postgres`](Self::open_postgres) would succeed, and what it would find, without changing anything.
    ///
    /// # Errors
    /// As it.
    pub fn look_at_postgres(url: &str) -> Result<String, OpenError> {
        postgres::look(url)
    }

    /// The same for [`open_sqlite`](Self::open_sqlite), of a file that exists.
    ///
    /// # Errors
    /// As it.
    pub fn look_at_sqlite(path: &Path) -> Result<String, OpenError> {
        sqlite::look(path)
    }

    /// A bounded record that ends with the process.
    pub fn memory(options: MemoryOptions) -> Self {
        let listeners = Listeners::default();
        Self {
            identity: Arc::new(Identity::new()),
            listeners: listeners.clone(),
            store: Store::Memory(Arc::new(Memory::new(options, listeners))),
        }
    }

    /// No record: nothing is numbered, nothing can be read, and [`append`](Self::append) is refused.
    pub fn none() -> Self {
        Self {
            identity: Arc::new(Identity {
                epoch: None,
                ..Identity::new()
            }),
            listeners: Listeners::default(),
            store: Store::None,
        }
    }

    /// Names the life of the numbering: made with the store and kept in it. `None` where nothing is numbered.
    pub fn epoch(&self) -> Option<Arc<str>> {
        self.identity.epoch.clone()
    }

    /// The secret that signs guests' tokens: made with the store and kept in it, or with the process where there is no file.
    pub fn secret(&self) -> &[u8; 32] {
        &self.identity.secret
    }

    /// Has `listener` called with the new events of every commit from now on: in the order of their numbers, on the thread
    /// that commits, before the authors hear the acknowledgement.
    ///
    /// The listener should be quick, and must not wait for this history. Where it holds a handle of it, the history stays open
    /// until [`close`](Self::close), which lets go of listeners.
    pub fn on_commit(&self, listener: impl Fn(&[Arc<RoomEvent>]) + Send + Sync + 'static) {
        let listener: Listener = Arc::new(listener);
        self.listeners.add(&listener);
    }

    /// Whether events get numbers here, and can be read later.
    pub fn is_numbered(&self) -> bool {
        self.identity.epoch.is_some()
    }

    /// Stores one action of `author`, who may edit and delete only their own messages. The store has it when this returns;
    /// what it gives resolves when the action is stored.
    ///
    /// Editing, deleting or reacting needs a message that is there; a second deletion finds none. Setting a reaction that is
    /// set already, or taking back one that is not, changes nothing but is an event like any other, so that each action is
    /// acknowledged with a number of its own. A message may answer any number the room has given, also one deleted meanwhile.
    ///
    /// # Errors
    /// See [`HistoryError`]; after any error nothing was shown to anyone.
    ///
    /// # Cancel safety
    /// When the future is dropped the action is stored or refused all the same. Repeating it with the same id is safe.
    pub fn append(
        &self,
        room: &RoomName,
        author: Member,
        id: ActionId,
        action: Action,
    ) -> Appending {
        self.write(room, author, Authority::Own, id, action)
    }

    /// As [`append`](Self::append), by a moderator: may edit and delete everybody's messages.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub fn moderate(
        &self,
        room: &RoomName,
        moderator: Member,
        id: ActionId,
        action: Action,
    ) -> Appending {
        self.write(room, moderator, Authority::Any, id, action)
    }

    fn write(
        &self,
        room: &RoomName,
        author: Member,
        authority: Authority,
        id: ActionId,
        action: Action,
    ) -> Appending {
        let entry = Entry {
            room: room.clone(),
            author,
            authority,
            id,
            action,
        };
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.append(entry),
            Store::Postgres(postgres) => postgres.append(entry),
            Store::Memory(memory) => Appending::known(memory.append(entry)),
            Store::None => Appending::known(Err(HistoryError::NoHistory)),
        }
    }

    /// Up to `limit` events with numbers over `after`, the oldest first.
    ///
    /// # Errors
    /// [`HistoryError::Unavailable`], [`Overloaded`](HistoryError::Overloaded), [`Closed`](HistoryError::Closed) or
    /// [`NoHistory`](HistoryError::NoHistory), as for all that follow.
    pub async fn after(
        &self,
        room: &RoomName,
        after: u64,
        limit: usize,
    ) -> Result<EventsPage, HistoryError> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.after(room, after, limit).await,
            Store::Postgres(postgres) => postgres.after(room, after, limit).await,
            Store::Memory(memory) => memory.after(room, after, limit),
            Store::None => Err(HistoryError::NoHistory),
        }
    }

    /// The newest `limit` messages with numbers under `before`, as they read now, the oldest first.
    ///
    /// To go on live from such a page, read [`head`](Self::head) before it: events after that number may be in the page
    /// already, and applying them again changes nothing.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub async fn messages_before(
        &self,
        room: &RoomName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MessageView>, HistoryError> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.messages_before(room, before, limit).await,
            Store::Postgres(postgres) => postgres.messages_before(room, before, limit).await,
            Store::Memory(memory) => memory.messages_before(room, before, limit),
            Store::None => Err(HistoryError::NoHistory),
        }
    }

    /// The message with number `seq`, as it reads now. Of a deleted one its place is left.
    ///
    /// # Errors
    /// [`HistoryError::MessageNotFound`], and as [`after`](Self::after).
    pub async fn message(&self, room: &RoomName, seq: u64) -> Result<MessageView, HistoryError> {
        let found = match &self.store {
            Store::Memory(memory) => memory.message(room, seq)?,
            Store::Sqlite(_) | Store::Postgres(_) | Store::None => {
                let before = Some(seq.saturating_add(1));
                let newest = self.messages_before(room, before, 1).await?.pop();
                newest.filter(|message| message.seq == seq)
            }
        };
        found.ok_or(HistoryError::MessageNotFound)
    }

    /// The newest number in `room`; 0 where nothing was said yet.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub async fn head(&self, room: &RoomName) -> Result<u64, HistoryError> {
        let heads = self.heads(std::slice::from_ref(room)).await?;
        Ok(heads.first().copied().unwrap_or(0))
    }

    /// The newest number in each of `rooms`, in their order, by one question to the store.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, HistoryError> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.heads(rooms).await,
            Store::Postgres(postgres) => postgres.heads(rooms).await,
            Store::Memory(memory) => rooms.iter().map(|room| memory.head(room)).collect(),
            Store::None => Err(HistoryError::NoHistory),
        }
    }

    /// What `room` is about; empty where nobody said so.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub async fn topic(&self, room: &RoomName) -> Result<String, HistoryError> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.topic(room).await,
            Store::Postgres(postgres) => postgres.topic(room).await,
            Store::Memory(memory) => memory.topic(room),
            Store::None => Err(HistoryError::NoHistory),
        }
    }

    /// Up to `limit` rooms that have something to read, the most recently used first.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub async fn rooms(&self, limit: usize) -> Result<Vec<RoomSummary>, HistoryError> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.rooms(limit).await,
            Store::Postgres(postgres) => postgres.rooms(limit).await,
            Store::Memory(memory) => memory.rooms(limit),
            Store::None => Err(HistoryError::NoHistory),
        }
    }

    /// Whether the store reads and takes writes now. Where the last write failed, this tries another, so that a server that
    /// gets no work because it is not ready finds out that it is again.
    ///
    /// # Errors
    /// Why not. A history of `none` is always ready.
    pub async fn ready(&self) -> Result<(), HistoryError> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.ready().await,
            Store::Postgres(postgres) => postgres.ready().await,
            Store::Memory(memory) => memory.ready(),
            Store::None => Ok(()),
        }
    }

    /// Resolves when a newer node has changed the store in a way that this version must not ignore. From then on everything
    /// is refused as [`Closed`](HistoryError::Closed), and the server should stop. Only a store that several nodes share can
    /// come to this; for others it never resolves.
    pub fn outdated(&self) -> impl Future<Output = NewerStore> + Send + 'static {
        let outdated = match &self.store {
            Store::Postgres(postgres) => Some(postgres.outdated()),
            Store::Sqlite(_) | Store::Memory(_) | Store::None => None,
        };
        async move {
            if let Some(mut outdated) = outdated
                && let Ok(reason) = outdated.wait_for(Option::is_some).await
                && let Some(reason) = *reason
            {
                return reason;
            }
            // It was closed before it came to this.
            std::future::pending().await
        }
    }

    /// Refuses new work, finishes what was taken, and returns when the store is whole and free for another process. Calling it
    /// again waits for the same end.
    pub async fn close(&self) {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.close().await,
            Store::Postgres(postgres) => postgres.close().await,
            Store::Memory(memory) => memory.close(),
            Store::None => {}
        }
        self.listeners.clear();
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match &self.store {
            Store::Sqlite(_) => "sqlite",
            Store::Postgres(_) => "postgres",
            Store::Memory(_) => "memory",
            Store::None => "none",
        };
        // Never the secret.
        f.debug_struct("History")
            .field("store", &store)
            .field("epoch", &self.identity.epoch)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// An epoch and a secret that nobody had before.
    fn new() -> Self {
        let mut random = [0; 40];
        getrandom::fill(&mut random).expect("the operating system has random bytes");
        let (secret, epoch) = random.split_at(32);
        let epoch: String = epoch.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            epoch: Some(epoch.into()),
            secret: secret.try_into().expect("the first 32 of 40 bytes"),
        }
    }
}

/// One line for each emoji, from who set what in the order it came.
fn grouped_reactions(set: impl IntoIterator<Item = (String, Arc<str>)>) -> Vec<ReactionView> {
    let mut grouped: Vec<ReactionView> = Vec::new();
    for (emoji, member) in set {
        match grouped.iter_mut().find(|reaction| reaction.emoji == emoji) {
            Some(reaction) => reaction.members.push(member),
            None => grouped.push(ReactionView {
                emoji,
                members: vec![member],
            }),
        }
    }
    grouped
}
