//! What every store promises, run for each of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roomful_server::history::HistoryError;
use roomful_server::protocol::{Action, EventKind, RoomEvent};

use super::{Fixture, Voice, edit, member, messages, react, room, say, until};

macro_rules! contract {
    ($($promise:ident)*) => {
        contract!(@ sqlite $($promise)*);
        contract!(@ memory $($promise)*);
        #[cfg(feature = "postgres-tests")]
        contract!(@ postgres $($promise)*);
    };
    (@ $store:ident $($promise:ident)*) => {
        mod $store {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    super::$promise(super::Fixture::$store).await;
                }
            )*
        }
    };
}

contract! {
    fifty_writers_in_ten_rooms_leave_no_holes
    a_repeated_id_gets_the_same_number_and_stores_nothing
    the_same_id_at_the_same_time_is_stored_once
    listeners_hear_each_event_once_in_order_and_before_its_author
    a_panic_in_a_listener_costs_nobody_an_acknowledgement
    the_log_is_read_page_by_page_from_any_position
    messages_read_as_they_do_now
    older_messages_are_read_page_by_page
    a_deleted_text_is_gone_from_the_log_with_all_its_edits
    only_the_author_or_a_moderator_changes_a_message
    what_is_not_there_cannot_be_changed_and_takes_no_number
    a_reaction_that_changes_nothing_is_numbered_all_the_same
    reactions_keep_the_order_in_which_they_came
    a_refused_action_does_not_spoil_the_others
    dates_never_go_back_in_a_room
    old_events_go_and_their_numbers_are_never_used_again
    rooms_are_listed_with_the_latest_first
    an_unknown_room_is_empty
    any_text_comes_back_as_it_was
    a_closed_history_refuses_and_says_so
}

type Store = fn(Option<u64>) -> Fixture;

async fn fifty_writers_in_ten_rooms_leave_no_holes(store: Store) {
    let fixture = store(None);
    let mut writers = Vec::new();
    for writer in 0..50 {
        let history = fixture.history.clone();
        writers.push(tokio::spawn(async move {
            let (room, member) = (
                room(&format!("r{}", writer % 10)),
                member(&writer.to_string()),
            );
            let mut acknowledged = Vec::new();
            for n in 0..20 {
                let text = format!("{writer}/{n}");
                let appended = history
                    .append(&room, member.clone(), format!("c{n}").into(), say(&text))
                    .await
                    .unwrap();
                acknowledged.push((appended.event.room.to_string(), appended.event.seq, text));
            }
            acknowledged
        }));
    }
    let mut acknowledged = HashMap::new();
    for writer in writers {
        for (room, seq, text) in writer.await.unwrap() {
            assert_eq!(
                acknowledged.insert((room, seq), text),
                None,
                "a number given twice"
            );
        }
    }

    assert_eq!(acknowledged.len(), 1_000);
    for n in 0..10 {
        let name = format!("r{n}");
        let page = fixture.history.after(&room(&name), 0, 1_000).await.unwrap();
        assert_eq!((page.head, page.first), (100, 1));
        let numbers: Vec<u64> = page.events.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
        for event in page.events {
            assert_eq!(
                event.text.as_deref(),
                acknowledged
                    .get(&(name.clone(), event.seq))
                    .map(String::as_str)
            );
        }
    }
}

async fn a_repeated_id_gets_the_same_number_and_stores_nothing(store: Store) {
    let fixture = store(None);
    let (ana, ben) = (
        Voice::of(&fixture.history, "ana"),
        Voice::of(&fixture.history, "ben"),
    );

    let first = ana.does("a", say("one")).await.unwrap();
    let other = ben.does("a", say("two")).await.unwrap();
    let repeat = ana.does("a", say("something else")).await.unwrap();
    assert!(!first.repeated && !other.repeated && repeat.repeated);
    assert_eq!(repeat.event, first.event);
    assert_eq!(other.event.seq, 2, "an id belongs to its author");

    // The repeat of a deletion finds its target deleted, and still succeeds.
    let deletion = ana.does("d", Action::Delete { target: 1 }).await.unwrap();
    let again = ana.does("d", Action::Delete { target: 1 }).await.unwrap();
    assert_eq!((again.event, again.repeated), (deletion.event, true));

    // The id alone decides, also where the action could not be done now.
    let hopeless = Action::Say {
        text: "one".into(),
        reply_to: Some(9_999),
    };
    assert!(ana.does("a", hopeless).await.unwrap().repeated);

    assert_eq!(fixture.history.head(&room("hall")).await.unwrap(), 3);
    let elsewhere = fixture
        .history
        .append(&room("yard"), member("ana"), "a".into(), say("one"))
        .await;
    assert!(!elsewhere.unwrap().repeated, "and to its room");
}

async fn the_same_id_at_the_same_time_is_stored_once(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");

    let attempts = (0..50).map(|_| ana.does("a", say("hi")));
    let appended = futures_util::future::join_all(attempts).await;

    let new = appended
        .iter()
        .filter(|appended| !appended.as_ref().unwrap().repeated);
    assert_eq!(new.count(), 1);
    assert_eq!(fixture.history.head(&room("hall")).await.unwrap(), 1);
}

async fn listeners_hear_each_event_once_in_order_and_before_its_author(store: Store) {
    let fixture = store(None);
    let heard: Arc<Mutex<Vec<Arc<RoomEvent>>>> = Arc::default();
    let listener = Arc::clone(&heard);
    fixture
        .history
        .on_commit(move |events| listener.lock().unwrap().extend_from_slice(events));

    let mut writers = Vec::new();
    for writer in 0..20 {
        let (history, heard) = (fixture.history.clone(), Arc::clone(&heard));
        writers.push(tokio::spawn(async move {
            let room = room(&format!("r{}", writer % 2));
            for n in 0..20 {
                let id: Arc<str> = format!("c{n}").into();
                for repeated in [false, true] {
                    let author = member(&writer.to_string());
                    let appended = history
                        .append(&room, author, id.clone().into(), say("hi"))
                        .await
                        .unwrap();
                    assert_eq!(appended.repeated, repeated);
                    assert!(heard.lock().unwrap().contains(&appended.event));
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }

    for name in ["r0", "r1"] {
        let log = fixture
            .history
            .after(&room(name), 0, 1_000)
            .await
            .unwrap()
            .events;
        let heard = heard.lock().unwrap();
        let heard: Vec<_> = heard
            .iter()
            .filter(|event| &*event.room == name)
            .cloned()
            .collect();
        assert_eq!(heard.len(), 200);
        assert_eq!(heard, log);
    }
}

async fn a_panic_in_a_listener_costs_nobody_an_acknowledgement(store: Store) {
    let fixture = store(None);
    fixture.history.on_commit(|_| panic!("on purpose"));
    let ana = Voice::of(&fixture.history, "ana");

    assert_eq!(ana.says("a", "one").await, 1);
    assert_eq!(ana.says("b", "two").await, 2);
}

async fn the_log_is_read_page_by_page_from_any_position(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    for n in 1..=10 {
        ana.says(&format!("c{n}"), "hi").await;
    }
    let numbers = async |after, limit| {
        let page = fixture
            .history
            .after(&room("hall"), after, limit)
            .await
            .unwrap();
        assert_eq!((page.head, page.first), (10, 1));
        page.events
            .iter()
            .map(|event| event.seq)
            .collect::<Vec<_>>()
    };

    assert_eq!(numbers(0, 3).await, [1, 2, 3]);
    assert_eq!(numbers(3, 3).await, [4, 5, 6]);
    assert_eq!(numbers(8, 100).await, [9, 10]);
    assert!(numbers(10, 100).await.is_empty());
    assert!(numbers(u64::MAX, 100).await.is_empty());
    assert!(numbers(0, 0).await.is_empty());

    let page = fixture.history.after(&room("hall"), 0, 0).await.unwrap();
    assert!(page.is_complete_after(0) && page.is_complete_after(10));
    assert!(
        !page.is_complete_after(11),
        "a position this log has not reached is from another"
    );
}

async fn messages_read_as_they_do_now(store: Store) {
    let fixture = store(None);
    let (ana, ben) = (
        Voice::of(&fixture.history, "ana"),
        Voice::of(&fixture.history, "ben"),
    );
    let at = "2026-11-22T12:00:00.000Z";
    ana.says("a", "first").await;
    let answer = Action::Say {
        text: "second".into(),
        reply_to: Some(1),
    };
    ben.does("b", answer).await.unwrap();
    fixture.clock.forward(Duration::from_secs(1));
    ana.does("e1", edit(1, "first!")).await.unwrap();
    fixture.clock.forward(Duration::from_secs(1));
    let edited = ana.does("e2", edit(1, "first!!")).await.unwrap().event;
    assert_eq!(
        (edited.kind, edited.seq, edited.target),
        (EventKind::Edited, 4, Some(1))
    );
    ben.does("r", react(1, "👍", true)).await.unwrap();
    ana.does("r", react(1, "👍", true)).await.unwrap();
    ana.does("s", react(1, "🎉", true)).await.unwrap();
    ben.does("u", react(1, "👍", false)).await.unwrap();

    let [first, second] = &messages(&fixture.history).await[..] else {
        panic!("two messages")
    };
    assert_eq!((first.seq, &*first.text), (1, "first!!"));
    assert_eq!(first.at.to_string(), at);
    let edited_at = first.edited_at.map(|at| at.to_string());
    assert_eq!(edited_at.as_deref(), Some("2026-11-22T12:00:02.000Z"));
    assert_eq!(first.from, member("ana"));
    assert_eq!(&*first.id, "a");
    let reactions: Vec<_> = first
        .reactions
        .iter()
        .map(|reaction| (&*reaction.emoji, reaction.members.len()))
        .collect();
    assert_eq!(reactions, [("👍", 1), ("🎉", 1)]);
    assert_eq!(&*first.reactions[0].members[0], "m-ana");
    assert_eq!(
        (second.reply_to, second.edited_at, second.deleted),
        (Some(1), None, false)
    );
    assert_eq!(
        &fixture.history.message(&room("hall"), 1).await.unwrap(),
        first
    );

    // The log still tells it as it happened.
    let log = fixture
        .history
        .after(&room("hall"), 0, 10)
        .await
        .unwrap()
        .events;
    let texts: Vec<_> = log
        .iter()
        .filter_map(|event| event.text.as_deref())
        .collect();
    assert_eq!(texts, ["first", "second", "first!", "first!!"]);
}

async fn older_messages_are_read_page_by_page(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    for n in 0..5 {
        let seq = ana.says(&format!("c{n}"), "hi").await;
        ana.does(&format!("r{n}"), react(seq, "👍", true))
            .await
            .unwrap();
    }
    let page = async |before, limit| {
        let page = fixture
            .history
            .messages_before(&room("hall"), before, limit)
            .await
            .unwrap();
        assert!(page.iter().all(|message| message.reactions.len() == 1));
        page.iter().map(|message| message.seq).collect::<Vec<_>>()
    };

    assert_eq!(page(None, 2).await, [7, 9]);
    assert_eq!(page(Some(7), 2).await, [3, 5]);
    assert_eq!(page(Some(3), 2).await, [1]);
    assert!(page(Some(1), 2).await.is_empty());
    assert_eq!(page(Some(u64::MAX), 100).await, [1, 3, 5, 7, 9]);
}

async fn a_deleted_text_is_gone_from_the_log_with_all_its_edits(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    ana.says("a", "secret").await;
    ana.says("b", "other").await;
    ana.does("e", edit(1, "secret, edited")).await.unwrap();
    ana.does("f", edit(2, "other, edited")).await.unwrap();
    ana.does("r", react(1, "👍", true)).await.unwrap();
    ana.does("d", Action::Delete { target: 1 }).await.unwrap();

    let log = fixture
        .history
        .after(&room("hall"), 0, 10)
        .await
        .unwrap()
        .events;
    let told: Vec<_> = log
        .iter()
        .map(|event| (event.kind, event.text.as_deref(), event.target))
        .collect();
    assert_eq!(
        told,
        [
            (EventKind::Message, Some(""), None),
            (EventKind::Message, Some("other"), None),
            (EventKind::Edited, Some(""), Some(1)),
            (EventKind::Edited, Some("other, edited"), Some(2)),
            (EventKind::Reacted, None, Some(1)),
            (EventKind::Deleted, None, Some(1)),
        ]
    );
    let place = fixture.history.message(&room("hall"), 1).await.unwrap();
    assert!(place.deleted && place.text.is_empty() && place.reactions.is_empty());
    assert_eq!(place.edited_at, None);
    let repeat = ana.does("a", say("secret")).await.unwrap();
    assert_eq!(
        (repeat.repeated, repeat.event.text.as_deref()),
        (true, Some(""))
    );
}

async fn only_the_author_or_a_moderator_changes_a_message(store: Store) {
    let fixture = store(None);
    let (ana, ben) = (
        Voice::of(&fixture.history, "ana"),
        Voice::of(&fixture.history, "ben"),
    );
    ana.says("a", "mine").await;

    let refused = ben.does("e", edit(1, "yours")).await;
    assert!(matches!(refused, Err(HistoryError::Forbidden)));
    let refused = ben.does("d", Action::Delete { target: 1 }).await;
    assert!(matches!(refused, Err(HistoryError::Forbidden)));
    ben.does("r", react(1, "👍", true)).await.unwrap();
    assert_eq!(messages(&fixture.history).await[0].text, "mine");

    let (hall, deletion) = (room("hall"), Action::Delete { target: 1 });
    let moderated = fixture
        .history
        .moderate(&hall, member("ben"), "m".into(), deletion)
        .await;
    assert_eq!(moderated.unwrap().event.seq, 3);
    assert!(messages(&fixture.history).await[0].deleted);
}

async fn what_is_not_there_cannot_be_changed_and_takes_no_number(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    let hopeless = |target| {
        let answer = Action::Say {
            text: "hi".into(),
            reply_to: Some(target),
        };
        let delete = Action::Delete { target };
        [
            edit(target, "hi"),
            react(target, "👍", true),
            delete,
            answer,
        ]
    };
    let refused = async |actions: &[Action]| {
        for action in actions {
            let refused = ana.does("x", action.clone()).await;
            assert!(
                matches!(refused, Err(HistoryError::MessageNotFound)),
                "{action:?}: {refused:?}"
            );
        }
    };

    refused(&hopeless(1)).await;
    assert_eq!(
        fixture.history.rooms(10).await.unwrap(),
        [],
        "a room begins with something said"
    );
    ana.says("a", "hi").await;
    ana.does("e", edit(1, "hi!")).await.unwrap();
    for target in [0, 3, u64::MAX] {
        refused(&hopeless(target)).await;
    }
    refused(&hopeless(2)[..3]).await; // An edit is not a message.
    ana.does("d", Action::Delete { target: 1 }).await.unwrap();
    refused(&hopeless(1)[..3]).await;

    assert_eq!(ana.says("x", "the refused id is still free").await, 4);
    let missing = fixture.history.message(&room("hall"), 2).await;
    assert!(matches!(missing, Err(HistoryError::MessageNotFound)));
}

async fn a_reaction_that_changes_nothing_is_numbered_all_the_same(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    ana.says("a", "hi").await;

    for (id, on, seq) in [("r1", false, 2), ("r2", true, 3), ("r3", true, 4)] {
        let event = ana.does(id, react(1, "👍", on)).await.unwrap().event;
        assert_eq!((event.seq, event.on), (seq, Some(on)));
    }
    let [message] = &messages(&fixture.history).await[..] else {
        panic!("one message")
    };
    assert_eq!(message.reactions.len(), 1);
    assert_eq!(message.reactions[0].members.len(), 1);
}

async fn reactions_keep_the_order_in_which_they_came(store: Store) {
    let fixture = store(None);
    let (ana, ben) = (
        Voice::of(&fixture.history, "ana"),
        Voice::of(&fixture.history, "ben"),
    );
    ana.says("a", "hi").await;
    ana.does("1", react(1, "🐢", true)).await.unwrap();
    ana.does("2", react(1, "🍎", true)).await.unwrap();
    ben.does("3", react(1, "🐢", true)).await.unwrap();

    ana.does("4", react(1, "🐢", false)).await.unwrap();
    ana.does("5", react(1, "🐢", true)).await.unwrap();

    let reactions = messages(&fixture.history).await.remove(0).reactions;
    let reactions: Vec<_> = reactions
        .iter()
        .map(|r| (&*r.emoji, r.members.iter().map(|m| &**m).collect()))
        .collect();
    assert_eq!(
        reactions,
        [("🍎", vec!["m-ana"]), ("🐢", vec!["m-ben", "m-ana"])]
    );
}

async fn a_refused_action_does_not_spoil_the_others(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    ana.says("first", "hi").await;

    let ids: Vec<String> = (0..200).map(|n| format!("c{n}")).collect();
    let actions = ids.iter().enumerate().map(|(n, id)| {
        let action = if n % 2 == 0 {
            say("good")
        } else {
            edit(9_999, "bad")
        };
        ana.does(id, action)
    });
    let outcomes = futures_util::future::join_all(actions).await;

    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_ok(), n % 2 == 0, "{outcome:?}");
    }
    assert_eq!(messages(&fixture.history).await.len(), 101);
    assert_eq!(fixture.history.head(&room("hall")).await.unwrap(), 101);
}

async fn dates_never_go_back_in_a_room(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    ana.says("a", "at noon").await;
    fixture.clock.back(Duration::from_secs(3_600));
    ana.says("b", "an hour before").await;
    fixture.clock.forward(Duration::from_secs(3_601));
    ana.says("c", "a second after noon").await;

    let log = fixture
        .history
        .after(&room("hall"), 0, 10)
        .await
        .unwrap()
        .events;
    let dates: Vec<_> = log.iter().map(|event| event.at.to_string()).collect();
    let noon = "2026-11-22T12:00:00.000Z";
    assert_eq!(dates, [noon, noon, "2026-11-22T12:00:01.000Z"]);
}

async fn old_events_go_and_their_numbers_are_never_used_again(store: Store) {
    let fixture = store(Some(100));
    let ana = Voice::of(&fixture.history, "ana");
    ana.says("old", "old").await;
    ana.does("e", edit(1, "old, edited")).await.unwrap();
    for n in 3..=100 {
        ana.says(&format!("c{n}"), "hi").await;
    }
    assert_eq!(
        fixture
            .history
            .after(&room("hall"), 0, 1)
            .await
            .unwrap()
            .first,
        1
    );

    for n in 101..=1_000 {
        assert_eq!(ana.says(&format!("c{n}"), "hi").await, n);
    }
    // A tenth more may stay.
    let mut page = fixture
        .history
        .after(&room("hall"), 0, 1_000)
        .await
        .unwrap();
    until("the old events are gone", async || {
        page = fixture
            .history
            .after(&room("hall"), 0, 1_000)
            .await
            .unwrap();
        page.first >= 891
    })
    .await;

    assert_eq!(page.head, 1_000);
    assert_eq!(page.events[0].seq, page.first);
    assert_eq!(page.events.len() as u64, 1_000 - page.first + 1);
    assert!(page.is_complete_after(page.first - 1) && !page.is_complete_after(page.first - 2));
    assert_eq!(messages(&fixture.history).await[0].seq, page.first);
    assert_eq!(
        fixture.history.rooms(1).await.unwrap()[0].messages,
        page.events.len() as u64
    );
    let gone = ana.does("e2", edit(1, "too late")).await;
    assert!(matches!(gone, Err(HistoryError::MessageNotFound)));
}

async fn rooms_are_listed_with_the_latest_first(store: Store) {
    let fixture = store(None);
    for name in ["old", "new", "newest"] {
        for id in ["a", "b"] {
            fixture
                .history
                .append(&room(name), member("ana"), id.into(), say("hi"))
                .await
                .unwrap();
        }
        fixture.clock.forward(Duration::from_secs(1));
    }
    let deletion = Action::Delete { target: 1 };
    fixture
        .history
        .append(&room("new"), member("ana"), "d".into(), deletion)
        .await
        .unwrap();

    let rooms = fixture.history.rooms(10).await.unwrap();
    let listed: Vec<_> = rooms
        .iter()
        .map(|r| (r.room.as_str(), r.head, r.messages, r.last_at.to_string()))
        .collect();
    let at = |second: u8| format!("2026-11-22T12:00:0{second}.000Z");
    assert_eq!(
        listed,
        [
            ("new", 3, 1, at(3)),
            ("newest", 2, 2, at(2)),
            ("old", 2, 2, at(0)),
        ]
    );
    assert_eq!(fixture.history.rooms(1).await.unwrap(), rooms[..1]);
}

async fn an_unknown_room_is_empty(store: Store) {
    let fixture = store(None);
    let page = fixture
        .history
        .after(&room("nowhere"), 0, 10)
        .await
        .unwrap();
    assert_eq!((page.events.len(), page.head, page.first), (0, 0, 1));
    assert!(page.is_complete_after(0) && !page.is_complete_after(1));
    assert_eq!(fixture.history.head(&room("nowhere")).await.unwrap(), 0);
    assert_eq!(
        fixture
            .history
            .messages_before(&room("nowhere"), None, 10)
            .await
            .unwrap(),
        []
    );
    fixture.history.ready().await.unwrap();
}

async fn any_text_comes_back_as_it_was(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    let texts = [
        "<b>&amp;</b>",
        "nul \0 inside",
        "'; DROP TABLE events; --",
        "नमस्ते 👋🏽 \u{202e}",
        &"x".repeat(100_000),
    ];
    for (n, text) in texts.iter().enumerate() {
        ana.says(&n.to_string(), text).await;
    }

    let read = messages(&fixture.history).await;
    assert!(read.iter().map(|message| &*message.text).eq(texts));
    let log = fixture
        .history
        .after(&room("hall"), 0, 10)
        .await
        .unwrap()
        .events;
    assert!(
        log.iter()
            .map(|event| event.text.as_deref().unwrap())
            .eq(texts)
    );
}

async fn a_closed_history_refuses_and_says_so(store: Store) {
    let fixture = store(None);
    let ana = Voice::of(&fixture.history, "ana");
    ana.says("a", "hi").await;

    fixture.history.close().await;
    fixture.history.close().await;

    assert!(matches!(
        ana.does("b", say("hi")).await,
        Err(HistoryError::Closed)
    ));
    assert!(matches!(
        fixture.history.head(&room("hall")).await,
        Err(HistoryError::Closed)
    ));
    assert!(matches!(
        fixture.history.ready().await,
        Err(HistoryError::Closed)
    ));
}
