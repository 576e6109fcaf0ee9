//! What is special about stores without a file: they are bounded, or keep nothing.

use roomful_server::history::{History, HistoryError, MemoryOptions};

use super::{Voice, edit, member, messages, room, say};

#[tokio::test]
async fn a_forgotten_room_that_comes_back_never_uses_a_number_twice() {
    let history = History::memory(MemoryOptions {
        rooms: 8,
        ..MemoryOptions::default()
    });
    let ana = Voice::of(&history, "ana");
    for n in 1..=5 {
        assert_eq!(ana.says(&format!("c{n}"), "hi").await, n);
    }
    for n in 0..8 {
        history
            .append(
                &room(&format!("r{n}")),
                member("ben"),
                "a".into(),
                say("hi"),
            )
            .await
            .unwrap();
    }

    // What a reader who was there would ask.
    let page = history.after(&room("hall"), 3, 10).await.unwrap();
    assert_eq!((page.events.len(), page.head, page.first), (0, 5, 6));
    assert!(!page.is_complete_after(3), "4 and 5 are forgotten");
    assert_eq!(ana.says("again", "hi").await, 6);
    assert!(history.rooms(100).await.unwrap().len() <= 8);
}

#[tokio::test]
async fn long_texts_are_bounded_by_their_bytes() {
    let history = History::memory(MemoryOptions {
        text_bytes_per_room: 1_000,
        ..MemoryOptions::default()
    });
    let ana = Voice::of(&history, "ana");
    for n in 0..10 {
        ana.says(&format!("c{n}"), &"x".repeat(300)).await;
    }
    assert_eq!(messages(&history).await.len(), 3);

    // What is newest stays, however long; the edits of what has gone are wiped.
    ana.does("e", edit(10, &"y".repeat(300))).await.unwrap();
    assert_eq!(ana.says("long", &"z".repeat(5_000)).await, 12);
    assert_eq!(messages(&history).await.len(), 1);
}

#[tokio::test]
async fn no_history_numbers_nothing_and_says_so() {
    let history = History::none();
    assert_eq!(history.epoch(), None);
    assert_ne!(history.secret(), History::none().secret());
    let ana = Voice::of(&history, "ana");
    assert!(matches!(
        ana.does("a", say("hi")).await,
        Err(HistoryError::NoHistory)
    ));
    assert!(matches!(
        history.head(&room("hall")).await,
        Err(HistoryError::NoHistory)
    ));
    history.ready().await.unwrap();
}

#[tokio::test]
async fn each_memory_is_another_life() {
    let [one, other] = [(); 2].map(|()| History::memory(MemoryOptions::default()));
    assert_ne!(one.epoch(), other.epoch());
    assert_eq!(one.epoch(), one.clone().epoch());
    assert!(!format!("{one:?}").contains("secret"));
}
