//! The record: one contract for every store, what is special about each, and upgrades.

mod contract;
mod durability;
mod memory;
mod model;
#[cfg(feature = "postgres-tests")]
mod postgres;
mod sqlite;
mod upgrade;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

#[cfg(feature = "postgres-tests")]
use roomful_server::history::PostgresOptions;
use roomful_server::history::{
    Appended, Clock, History, HistoryError, MemoryOptions, SqliteOptions,
};
use roomful_server::protocol::{Action, Member, MessageView, RoomName};
use tempfile::TempDir;

/// A store of one kind, and what it stands on.
struct Fixture {
    history: History,
    clock: HandClock,
    _directory: Option<TempDir>,
    #[cfg(feature = "postgres-tests")]
    _server: Option<Arc<services::Postgres>>,
}

impl Fixture {
    fn sqlite(keep: Option<u64>) -> Self {
        let (directory, clock) = (tempfile::tempdir().unwrap(), HandClock::default());
        let mut options = SqliteOptions {
            clock: clock.clock(),
            ..SqliteOptions::default()
        };
        options.retention.events_per_room = keep;
        Self {
            history: History::open_sqlite(&directory.path().join("rooms.db"), options).unwrap(),
            clock,
            _directory: Some(directory),
            #[cfg(feature = "postgres-tests")]
            _server: None,
        }
    }

    fn memory(keep: Option<u64>) -> Self {
        let clock = HandClock::default();
        let mut options = MemoryOptions {
            clock: clock.clock(),
            ..MemoryOptions::default()
        };
        if let Some(keep) = keep {
            options.events_per_room = keep as usize;
        }
        Self {
            history: History::memory(options),
            clock,
            _directory: None,
            #[cfg(feature = "postgres-tests")]
            _server: None,
        }
    }

    #[cfg(feature = "postgres-tests")]
    fn postgres(keep: Option<u64>) -> Self {
        let (server, clock) = (services::Postgres::shared().unwrap(), HandClock::default());
        let mut options = PostgresOptions {
            clock: clock.clock(),
            ..PostgresOptions::default()
        };
        options.retention.events_per_room = keep;
        Self {
            history: History::open_postgres(&server.database().unwrap(), options).unwrap(),
            clock,
            _directory: None,
            _server: Some(server),
        }
    }
}

/// A clock that is set by hand; it begins at 2026-11-22T12:00:00Z.
#[derive(Clone)]
struct HandClock(Arc<AtomicU64>);

impl Default for HandClock {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(1_795_348_800_000)))
    }
}

impl HandClock {
    fn clock(&self) -> Clock {
        let ms = Arc::clone(&self.0);
        Clock::new(move || {
            SystemTime::UNIX_EPOCH + Duration::from_millis(ms.load(Ordering::SeqCst))
        })
    }

    fn forward(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    fn back(&self, by: Duration) {
        self.0.fetch_sub(by.as_millis() as u64, Ordering::SeqCst);
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn member(name: &str) -> Member {
    Member {
        id: format!("m-{name}").into(),
        name: name.into(),
    }
}

fn say(text: &str) -> Action {
    Action::Say {
        text: text.into(),
        reply_to: None,
    }
}

fn edit(target: u64, text: &str) -> Action {
    Action::Edit {
        target,
        text: text.into(),
    }
}

fn react(target: u64, emoji: &str, on: bool) -> Action {
    Action::React {
        target,
        emoji: emoji.to_owned(),
        on,
    }
}

/// One member's voice in one room.
struct Voice<'a> {
    history: &'a History,
    room: RoomName,
    member: Member,
}

impl<'a> Voice<'a> {
    fn of(history: &'a History, name: &str) -> Self {
        Self {
            history,
            room: room("hall"),
            member: member(name),
        }
    }

    async fn does(&self, id: &str, action: Action) -> Result<Appended, HistoryError> {
        self.history
            .append(&self.room, self.member.clone(), id.into(), action)
            .await
    }

    async fn says(&self, id: &str, text: &str) -> u64 {
        self.does(id, say(text)).await.unwrap().event.seq
    }
}

/// All messages of the hall as they read now.
async fn messages(history: &History) -> Vec<MessageView> {
    history
        .messages_before(&room("hall"), None, 1_000)
        .await
        .unwrap()
}

/// Waits until `done` says so, for at most ten seconds.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !done().await {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    waited.unwrap_or_else(|_| panic!("{what} within ten seconds"));
}
