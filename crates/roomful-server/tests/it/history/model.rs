//! Two stores that were written independently tell the same story of any sequence of actions.

use std::time::Duration;

use proptest::prelude::*;
use roomful_server::history::{History, MemoryOptions, SqliteOptions, Synchronous};
use roomful_server::protocol::{Action, Member, RoomName};

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
        runtime.block_on(compare(attempts));
    }
}

async fn compare(attempts: Vec<Attempt>) {
    let (directory, clock) = (tempfile::tempdir().unwrap(), HandClock::default());
    let options = SqliteOptions {
        synchronous: Synchronous::Off,
        clock: clock.clock(),
        ..SqliteOptions::default()
    };
    let sqlite = History::open_sqlite(&directory.path().join("rooms.db"), options).unwrap();
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
        let outcomes = [
            tried(&sqlite, &attempt).await,
            tried(&memory, &attempt).await,
        ];
        assert_eq!(outcomes[0], outcomes[1], "{attempt:?}");
    }

    for room in [room("hall"), room("yard")] {
        let log = sqlite.after(&room, 0, 1_000).await.unwrap();
        assert!(log.events.iter().map(|event| event.seq).eq(1..=log.head));
        assert_eq!(log, memory.after(&room, 0, 1_000).await.unwrap());
        for before in [None, Some(5)] {
            let page = sqlite.messages_before(&room, before, 10).await.unwrap();
            assert_eq!(
                page,
                memory.messages_before(&room, before, 10).await.unwrap()
            );
        }
    }
    // The order of rooms with the same date is each store's own.
    let [mut of_sqlite, mut of_memory] = [
        sqlite.rooms(10).await.unwrap(),
        memory.rooms(10).await.unwrap(),
    ];
    of_sqlite.sort_by(|a, b| a.room.cmp(&b.room));
    of_memory.sort_by(|a, b| a.room.cmp(&b.room));
    assert_eq!(of_sqlite, of_memory);
}

/// What came of it, in comparable form.
async fn tried(
    history: &History,
    attempt: &Attempt,
) -> Result<roomful_server::history::Appended, String> {
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
