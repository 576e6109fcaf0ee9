//! All stores tell the same story of any sequence of actions.

use std::time::Duration;

use proptest::prelude::*;
#[cfg(feature = "postgres-tests")]
use roomful_server::history::PostgresOptions;
use roomful_server::history::{
    Appended, Clock, EventsPage, History, MemoryOptions, SqliteOptions, Synchronous,
};
use roomful_server::protocol::{Action, Member, MessageView, RoomName};

use super::{HandClock, edit, member, react, room};

/// What somebody tries; targets are often right, sometimes not.
#[derive(Clone, Debug)]
struct Attempt {
    room: RoomName,
    author: Member,
    moderating: bool,
    id: String,
    action: Action,
    seconds_later: i8,
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let text = "[a-z]{1,8}";
    let target = || 0_u64..30;
    let action = prop_oneof![
        4 => (text, prop::option::weighted(0.2, target())).prop_map(|(text, reply_to)| Action::Say { text: text.into(), reply_to }),
        2 => (target(), text).prop_map(|(target, text)| edit(target, &text)),
        1 => target().prop_map(|target| Action::Delete { target }),
        1 => text.prop_map(|text| Action::Topic { text: text.into() }),
        3 => (target(), prop::sample::select(vec!["👍", "🎉"]), any::<bool>())
            .prop_map(|(target, emoji, on)| react(target, emoji, on)),
    ];
    let author = prop::sample::select(vec!["ana", "ben"]).prop_map(member);
    let rooms = prop::sample::select(vec!["hall", "yard"]).prop_map(room);
    // So few ids that some come back.
    let id = "[a-d][0-9]";
    (
        rooms,
        author,
        prop::bool::weighted(0.1),
        id,
        action,
        -5_i8..10,
    )
        .prop_map(
            |(room, author, moderating, id, action, seconds_later)| Attempt {
                room,
                author,
                moderating,
                id,
                action,
                seconds_later,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sqlite_tell_the_same_story(attempts in prop::collection::vec(attempt(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        runtime.block_on(compare(&attempts, |clock| {
            let path = directory.path().join("rooms.db");
            let options = SqliteOptions { synchronous: Synchronous::Off, clock, ..SqliteOptions::default() };
            History::open_sqlite(&path, options).unwrap()
        }));
    }
}

#[cfg(feature = "postgres-tests")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_postgres_tell_the_same_story(attempts in prop::collection::vec(attempt(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let server = services::Postgres::shared().unwrap();
        runtime.block_on(compare(&attempts, |clock| {
            let options = PostgresOptions { synchronous: Synchronous::Off, clock, ..PostgresOptions::default() };
            History::open_postgres(&server.database().unwrap(), options).unwrap()
        }));
    }
}

/// Does the same in a store and in memory: one action after the other, each acknowledged before the next.
async fn compare(attempts: &[Attempt], open: impl FnOnce(Clock) -> History) {
    let clock = HandClock::default();
    let store = open(clock.clock());
    let memory = History::memory(MemoryOptions {
        clock: clock.clock(),
        ..MemoryOptions::default()
    });

    for attempt in attempts {
        match u64::try_from(attempt.seconds_later) {
            Ok(seconds) => clock.forward(Duration::from_secs(seconds)),
            Err(_) => clock.back(Duration::from_secs(u64::from(
                attempt.seconds_later.unsigned_abs(),
            ))),
        }
        let stored = tried(&store, attempt).await;
        assert_eq!(stored, tried(&memory, attempt).await, "{attempt:?}");
    }

    for room in [room("hall"), room("yard")] {
        let (log, page, topic) = story(&store, &room).await;
        assert!(log.events.iter().map(|event| event.seq).eq(1..=log.head));
        assert_eq!((log, page, topic), story(&memory, &room).await);
    }
    // The order of rooms with the same date is each store's own.
    let mut of_store = store.rooms(10).await.unwrap();
    let mut of_memory = memory.rooms(10).await.unwrap();
    of_store.sort_by(|a, b| a.room.cmp(&b.room));
    of_memory.sort_by(|a, b| a.room.cmp(&b.room));
    assert_eq!(of_store, of_memory);
    store.close().await;
}

/// A room's log, two pages of its messages, and what it is about.
async fn story(history: &History, room: &RoomName) -> (EventsPage, Vec<Vec<MessageView>>, String) {
    let log = history.after(room, 0, 1_000).await.unwrap();
    let mut pages = Vec::new();
    for before in [None, Some(5)] {
        pages.push(history.messages_before(room, before, 10).await.unwrap());
    }
    (log, pages, history.topic(room).await.unwrap())
}

/// What came of it, in comparable form.
async fn tried(history: &History, attempt: &Attempt) -> Result<Appended, String> {
    let Attempt {
        room,
        author,
        id,
        action,
        ..
    } = attempt.clone();
    let outcome = if attempt.moderating {
        history.moderate(&room, author, id.into(), action).await
    } else {
        history.append(&room, author, id.into(), action).await
    };
    outcome.map_err(|error| error.to_string())
}
