//! The feed of a room against a simple model: whatever comes in, in whatever order, the log goes out once and without holes.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proptest::prelude::*;
use roomful::serve::Server;
use roomful_server::chat::{Chat, ChatLimits, Client, Rooms, Transport, Who};
use roomful_server::feed::{Cursor, Feed, Step, Tail};
use roomful_server::history::{History, MemoryOptions};
use roomful_server::protocol::{Action, EventKind, Limits, Member, RoomEvent, RoomName};
use roomful_server::timestamp::Timestamp;
use tokio::runtime::{Builder, Runtime};

/// The newest number of the log.
const NEWEST: u8 = 12;

/// What happens to a feed.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The log's end was read.
    Started,
    /// An event came from the store.
    Came(u64),
    /// Somebody asks for what comes after a position.
    Read { after: u64, limit: usize },
}

fn event(seq: u64) -> Arc<RoomEvent> {
    Arc::new(RoomEvent {
        kind: EventKind::Message,
        room: "123".into(),
        seq,
        id: seq.to_string().into(),
        from: Member {
            id: "m-1".into(),
            name: "Ana".into(),
        },
        at: Timestamp::default(),
        text: Some(seq.to_string().into()),
        reply_to: None,
        target: None,
        emoji: None,
        on: None,
    })
}

/// Where feeds write; here nobody listens on a socket.
fn feed() -> Feed {
    static HOME: OnceLock<Runtime> = OnceLock::new();
    let home = HOME.get_or_init(|| Builder::new_current_thread().build().unwrap());
    Feed::new(&home.handle().clone().into())
}

fn read(feed: &Feed, after: u64, limit: usize) -> Option<Vec<u64>> {
    match feed.tail_after(after, limit) {
        Tail::Complete(entries) => Some(entries.iter().map(|entry| entry.event().seq).collect()),
        Tail::TooOld => None,
    }
}

/// What a byte of a case stands for. A case is one number: a hundred thousand of anything richer take a minute to make.
fn happening(byte: u8) -> Happening {
    let number = u64::from(byte % NEWEST) + 1;
    match byte / 64 {
        0 => Happening::Read {
            after: number - 1,
            limit: usize::from(byte % 5) + 1,
        },
        1 if byte.is_multiple_of(16) => Happening::Started,
        _ => Happening::Came(number),
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(50_000))]

    #[test]
    fn a_cursor_takes_each_number_once_and_in_order(start in 0u64..5, offered in any::<u128>()) {
        let mut cursor = Cursor::after(start);
        let mut last = start;
        for byte in offered.to_le_bytes() {
            let seq = u64::from(byte % NEWEST) + 1;
            let expected = match seq {
                seq if seq <= last => Step::Repeat,
                seq if seq == last + 1 => {
                    last = seq;
                    Step::Next
                }
                _ => Step::Gap { after: last },
            };
            prop_assert_eq!(cursor.offer(seq), expected);
            prop_assert_eq!(cursor.last(), last);
        }
    }
}

proptest! {
    #![proptest_config(cases(30_000))]

    /// The model: the set of what came. What was handed out is what came without a hole behind the start.
    #[test]
    fn a_feed_hands_out_the_log_once_in_order_and_without_holes(start in 0u64..5, happenings in any::<u128>()) {
        let feed = feed();
        let (mut came, mut started, mut head) = (BTreeSet::new(), false, 0);
        for happening in happenings.to_le_bytes().map(happening) {
            match happening {
                Happening::Started if started => feed.start(start + 3, String::new()),
                Happening::Started => {
                    feed.start(start, String::new());
                    (started, head) = (true, start);
                }
                Happening::Came(seq) => {
                    came.insert(seq);
                    let missing = feed.offer(&event(seq));
                    let behind = (head + 1..seq).any(|before| !came.contains(&before));
                    prop_assert!(missing || !started || seq <= head || !behind, "a hole before {} is told", seq);
                }
                Happening::Read { after, limit } => {
                    let expected = if after >= head {
                        Some(vec![])
                    } else if after >= start {
                        Some((after + 1..=head).take(limit).collect())
                    } else {
                        // What was before the start is in the log alone.
                        None
                    };
                    prop_assert_eq!(read(&feed, after, limit), expected);
                }
            }
            while started && came.contains(&(head + 1)) {
                head += 1;
            }
            prop_assert_eq!(feed.head(), head);
            prop_assert_eq!(*feed.listen().borrow(), head);
        }
    }
}

proptest! {
    #![proptest_config(cases(30_000))]

    /// The model of joining: what there is after a position, and then what comes. Events come late, early and twice
    /// meanwhile; the reader ends with exactly the log after its position.
    #[test]
    fn a_reader_that_joins_at_any_time_ends_with_everything_after_its_position(
        start in 0u64..5,
        offered in any::<u128>(),
        join_at in 0usize..16,
        limit in 1usize..6,
    ) {
        let feed = feed();
        feed.start(start, String::new());
        let (mut at, mut have) = (start, Vec::new());
        // At the end the store has told of everything once more.
        let offered = offered.to_le_bytes().map(|byte| u64::from(byte % NEWEST) + 1);
        for (index, seq) in offered.into_iter().chain(1..=u64::from(NEWEST)).enumerate() {
            feed.offer(&event(seq));
            if index >= join_at {
                let page = read(&feed, at, limit).unwrap();
                at = page.last().copied().unwrap_or(at);
                have.extend(page);
            }
        }
        while at < feed.head() {
            let page = read(&feed, at, limit).unwrap();
            at = *page.last().unwrap();
            have.extend(page);
        }
        prop_assert_eq!(have, (start + 1..=u64::from(NEWEST)).collect::<Vec<_>>());
    }
}

#[test]
fn memory_holds_the_newest_and_says_when_it_is_not_enough() {
    let feed = feed();
    feed.start(0, String::new());
    for seq in 1..=300 {
        assert!(!feed.offer(&event(seq)));
    }

    assert_eq!(read(&feed, 44, 1), Some(vec![45]));
    assert_eq!(read(&feed, 43, 1), None, "256 are kept");
    assert_eq!(read(&feed, 298, 10), Some(vec![299, 300]));
}

#[test]
fn a_feed_that_missed_events_reads_them_from_the_log() {
    miss_all_but(6);
}

#[test]
fn a_feed_that_hears_nothing_at_all_finds_out_by_comparing_positions() {
    miss_all_but(7);
}

/// Commits seven events behind a feed's back, tells it those from index `told` on, and expects it to have all.
fn miss_all_but(told: usize) {
    let server = Server::bind("127.0.0.1:0", 1).unwrap();
    let rooms = Arc::new(Rooms::new(server.shards().clone()));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(miss_and_read(rooms, told));
}

async fn miss_and_read(rooms: Arc<Rooms>, told: usize) {
    // Nobody tells the rooms what this history commits, as if another node did it.
    let history = History::memory(MemoryOptions::default());
    let limits = ChatLimits {
        client: Limits {
            message_bytes: 1024,
            messages_per_second: 1000,
            burst: 1000,
        },
        rates: false,
        members_per_room: 10,
        page: 2,
        page_max: 2,
        presence_grace: Duration::ZERO,
        presence_lease: Duration::MAX,
        drain_spread: Duration::ZERO,
    };
    let chat = Chat::new(history.clone(), Arc::clone(&rooms), limits);
    let name = RoomName::parse("gap").unwrap();
    let client = Client {
        address: None,
        transport: Transport::Polling,
    };
    let access = chat.enter(&name, Who::Reader, client).unwrap();
    let room = chat.open(access).await.unwrap();
    let mut committed = Vec::new();
    for number in 1..=7 {
        let author = Member {
            id: "m-1".into(),
            name: "Ana".into(),
        };
        let say = Action::Say {
            text: format!("{number}").into(),
            reply_to: None,
        };
        let id = format!("id-{number}").into();
        committed.push(history.append(&name, author, id, say).await.unwrap().event);
    }

    let housekeeping = tokio::spawn(chat.clone().fill_gaps());
    rooms.committed(&committed[told..]);
    let mut head = room.feed().listen();
    head.wait_for(|head| *head == 7).await.unwrap();
    housekeeping.abort();

    let Tail::Complete(entries) = room.feed().tail_after(0, 100) else {
        panic!("the feed forgot what it handed out");
    };
    let texts: Vec<_> = entries
        .iter()
        .map(|entry| entry.event().text.clone().unwrap())
        .collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6", "7"]);
}
