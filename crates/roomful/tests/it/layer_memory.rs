//! What can only be seen from inside one process: what is counted, what is freed, who hears of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roomful::layer::local::{Joined, Left, Switchboard};
use roomful::layer::{ChannelName, GroupName, Inbox, Lane, Limits, Memory, Open, Sent};
use roomful::{ChannelLayer, Event, json};

use crate::support::{next_number, numbered, soon};

fn memory(limits: Limits) -> (ChannelLayer, Switchboard) {
    let memory = Memory::from(limits);
    let switchboard = memory.switchboard().clone();
    (ChannelLayer::new(memory), switchboard)
}

fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

async fn member(layer: &ChannelLayer, group: &str) -> Inbox {
    let inbox = layer.open().await.unwrap();
    layer
        .group_add(group, inbox.channel().as_str())
        .await
        .unwrap();
    inbox
}

#[tokio::test(start_paused = true)]
async fn full_members_are_counted_by_the_send_and_by_the_switchboard() {
    let (layer, switchboard) = memory(Limits::default().capacity(2));
    let slow = member(&layer, "room").await;
    let mut quick = member(&layer, "room").await;

    let mut sent = Vec::new();
    for n in 0..3 {
        sent.push(layer.group_send("room", &numbered(n)).await.unwrap());
        next_number(&mut quick).await;
    }
    let refused = layer.send(slow.channel().as_str(), &numbered(3)).await;

    let expected = [(2, 0), (2, 0), (1, 1)];
    let sent: Vec<_> = sent
        .iter()
        .map(|sent| (sent.delivered, sent.dropped))
        .collect();
    assert_eq!(sent, expected);
    assert!(refused.is_err());
    assert_eq!(switchboard.drops().full, 2);
    assert_eq!(slow.lost(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_general_channel_is_freed_when_it_is_empty() {
    let (layer, switchboard) = memory(Limits::default());
    layer.send("worker-1", &numbered(1)).await.unwrap();
    assert_eq!(switchboard.channel_count(), 1);

    let mut inbox = layer.listen("worker-1").await.unwrap();
    next_number(&mut inbox).await;
    drop(inbox);

    assert_eq!(switchboard.channel_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unread_event_expires_and_frees_its_channel() {
    let (layer, switchboard) = memory(Limits::default().expiry(Duration::from_secs(1)));
    for n in 0..3 {
        layer.send("worker-1", &numbered(n)).await.unwrap();
    }

    tokio::time::advance(Duration::from_secs(2)).await;
    let mut inbox = layer.listen("worker-1").await.unwrap();
    assert_eq!(inbox.try_receive(), None);
    drop(inbox);

    assert_eq!(switchboard.channel_count(), 0);
    assert_eq!(switchboard.drops().expired, 3);
}

#[tokio::test(start_paused = true)]
async fn channels_that_nobody_ever_reads_are_freed_by_later_sends() {
    let (layer, switchboard) = memory(Limits::default());
    for n in 0..1_000 {
        layer
            .send(&format!("nobody-{n}"), &numbered(n))
            .await
            .unwrap();
    }
    assert_eq!(switchboard.channel_count(), 1_000);

    tokio::time::advance(Duration::from_secs(61)).await;
    for n in 0..500 {
        layer.send("worker-1", &numbered(n)).await.ok();
    }

    assert_eq!(switchboard.channel_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_listened_to_is_kept_however_long_it_is_empty() {
    let (layer, _) = memory(Limits::default());
    let mut inbox = layer.listen("worker-1").await.unwrap();

    for n in 0..10 {
        tokio::time::advance(Duration::from_secs(61)).await;
        layer.send("worker-2", &numbered(n)).await.unwrap();
    }

    layer.send("worker-1", &numbered(7)).await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 7);
}

#[tokio::test(start_paused = true)]
async fn an_expired_event_takes_a_channel_that_nobody_has_open_out_of_its_groups() {
    let (layer, switchboard) = memory(Limits::default().expiry(Duration::from_secs(1)));
    layer.group_add("room", "read").await.unwrap();
    layer.group_add("room", "unread").await.unwrap();
    layer.group_add("other", "unread").await.unwrap();
    layer.group_send("room", &numbered(1)).await.unwrap();
    next_number(&mut layer.listen("read").await.unwrap()).await;

    tokio::time::advance(Duration::from_secs(2)).await;
    let sent = layer.group_send("room", &numbered(2)).await.unwrap();

    assert_eq!((sent.delivered, sent.dropped), (1, 0));
    assert_eq!(switchboard.group_len(&group("room")), 1);
    assert_eq!(switchboard.group_len(&group("other")), 0);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_nobody_has_open_stays_in_a_group_as_long_as_it_is_renewed() {
    let (layer, switchboard) = memory(Limits::default().group_expiry(Duration::from_secs(100)));
    layer.group_add("room", "renewed").await.unwrap();
    layer.group_add("room", "forgotten").await.unwrap();

    tokio::time::advance(Duration::from_secs(60)).await;
    layer.group_add("room", "renewed").await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let sent = layer.group_send("room", &numbered(1)).await.unwrap();

    assert_eq!((sent.delivered, sent.dropped), (1, 0));
    let mut renewed = layer.listen("renewed").await.unwrap();
    assert_eq!(next_number(&mut renewed).await, 1);
    assert_eq!(switchboard.channel_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_given_out_and_never_used_is_forgotten_after_the_group_expiry() {
    let (layer, switchboard) = memory(Limits::default());
    for n in 0..100 {
        let name = layer.new_channel().await.unwrap();
        layer
            .group_add(&format!("room-{}", n % 10), name.as_str())
            .await
            .unwrap();
    }

    // Well within its time a name waits, whatever else goes on.
    tokio::time::advance(Duration::from_secs(3_600)).await;
    for n in 0..100 {
        layer.send("worker-1", &numbered(n)).await.unwrap();
    }
    assert_eq!(switchboard.channel_count(), 101);
    assert_eq!(switchboard.groups().len(), 10);

    tokio::time::advance(Duration::from_secs(86_400)).await;
    for n in 0..100 {
        layer.send("worker-1", &numbered(n)).await.ok();
    }
    assert_eq!(switchboard.channel_count(), 1);
    assert_eq!(switchboard.groups(), []);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_an_inbox_that_is_gone() {
    let (layer, switchboard) = memory(Limits::default());
    let inbox = member(&layer, "room").await;
    let name = inbox.channel().clone();
    layer.send(name.as_str(), &numbered(1)).await.unwrap();
    drop(inbox);

    for n in 0..5 {
        layer.send(name.as_str(), &numbered(n)).await.unwrap();
    }

    assert_eq!(switchboard.channel_count(), 0);
    assert_eq!(switchboard.groups(), []);
    assert_eq!(switchboard.drops().closed, 5);
}

#[tokio::test(start_paused = true)]
async fn a_flush_frees_everything_but_what_is_open() {
    let (layer, switchboard) = memory(Limits::default());
    let inbox = member(&layer, "room").await;
    layer.group_add("room", "worker-1").await.unwrap();
    layer.send("worker-2", &numbered(1)).await.unwrap();

    layer.flush().await.unwrap();

    assert_eq!(switchboard.channel_count(), 1);
    assert_eq!(switchboard.groups(), []);
    drop(inbox);
    assert_eq!(switchboard.channel_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_groups_first_and_last_member_here_are_told_apart() {
    let switchboard = Switchboard::default();
    let (room, one, two) = (group("room"), channel("one"), channel("two"));

    assert_eq!(switchboard.join(&room, &one).unwrap(), Joined::First);
    assert_eq!(switchboard.join(&room, &two).unwrap(), Joined::Another);
    assert_eq!(switchboard.join(&room, &one).unwrap(), Joined::Again);
    assert_eq!(switchboard.group_len(&room), 2);

    assert_eq!(switchboard.leave(&room, &one), Left::Others);
    assert_eq!(switchboard.leave(&room, &one), Left::Absent);
    assert_eq!(switchboard.leave(&room, &two), Left::Last);
    assert_eq!(switchboard.group_len(&room), 0);
    assert_eq!(switchboard.join(&room, &two).unwrap(), Joined::First);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_empties_by_itself_is_reported_once() {
    let emptied = Arc::new(Mutex::new(Vec::new()));
    let report = Arc::clone(&emptied);
    let limits = Limits::default()
        .expiry(Duration::from_secs(1))
        .group_expiry(Duration::from_secs(100));
    let switchboard = Switchboard::watched(limits, move |group| {
        report.lock().unwrap().push(group.to_string());
    });
    let reported = || std::mem::take(&mut *emptied.lock().unwrap());

    // By leaving: the caller knows.
    let inbox = switchboard.open(Open::default());
    switchboard.join(&group("left"), inbox.channel()).unwrap();
    assert_eq!(
        switchboard.leave(&group("left"), inbox.channel()),
        Left::Last
    );
    assert_eq!(reported(), Vec::<String>::new());

    // By dropping inboxes.
    let other = switchboard.open(Open::default());
    for inbox in [&inbox, &other] {
        switchboard
            .join(&group("dropped"), inbox.channel())
            .unwrap();
    }
    drop(inbox);
    assert_eq!(reported(), Vec::<String>::new());
    drop(other);
    assert_eq!(reported(), ["dropped"]);

    // By events that nobody reads, by age, by a flush.
    switchboard.join(&group("unread"), &channel("one")).unwrap();
    switchboard.send(&channel("one"), &numbered(1)).unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    switchboard.group_send(&group("unread"), &numbered(2));
    assert_eq!(reported(), ["unread"]);

    switchboard.join(&group("old"), &channel("two")).unwrap();
    tokio::time::advance(Duration::from_secs(101)).await;
    switchboard.group_send(&group("old"), &numbered(3));
    assert_eq!(reported(), ["old"]);

    switchboard
        .join(&group("flushed"), &channel("three"))
        .unwrap();
    switchboard.flush();
    assert_eq!(reported(), ["flushed"]);
}

#[tokio::test(start_paused = true)]
async fn a_lane_tells_how_many_of_its_members_have_an_event() {
    struct Half;
    impl Lane for Half {
        fn offer(&self, _: &GroupName, _: &Event) -> Option<usize> {
            Some(2)
        }
    }
    let (layer, _) = memory(Limits::default());
    let lane: Arc<dyn Lane> = Arc::new(Half);
    let mut members = Vec::new();
    for _ in 0..4 {
        let inbox = layer
            .open_with(Open::default().lane(Arc::clone(&lane)))
            .await
            .unwrap();
        layer
            .group_add("room", inbox.channel().as_str())
            .await
            .unwrap();
        members.push(inbox);
    }
    let plain = member(&layer, "room").await;

    let sent: Sent = layer.group_send("room", &numbered(1)).await.unwrap();

    assert_eq!((sent.delivered, sent.dropped), (3, 2));
    assert_eq!(plain.lost(), 0);
}

#[tokio::test]
async fn an_event_made_once_is_shared_by_all_who_receive_it() {
    let (layer, _) = memory(Limits::default());
    let (mut one, mut two) = (member(&layer, "room").await, member(&layer, "room").await);
    let event = Event::new(&json!({"type": "test.shared", "text": "hi"})).unwrap();

    layer
        .backend()
        .group_send(&group("room"), &event)
        .await
        .unwrap();

    for inbox in [&mut one, &mut two] {
        let received = soon(inbox.receive()).await;
        assert_eq!(received.as_msgpack().as_ptr(), event.as_msgpack().as_ptr());
    }
}

/// Threads join, leave, send, receive and drop at once; what was promised to the one that stays holds for all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_come_and_go_at_once_leave_nothing_behind() {
    const ROUNDS: u64 = 300;
    let (layer, switchboard) = memory(Limits::default().capacity(usize::MAX));
    let mut stays = member(&layer, "room").await;
    let mut tasks = Vec::new();
    for task in 0..8 {
        let layer = layer.clone();
        tasks.push(tokio::spawn(async move {
            for n in 0..ROUNDS {
                let inbox = member(&layer, "room").await;
                let own = format!("own-{task}");
                layer
                    .group_add(&own, inbox.channel().as_str())
                    .await
                    .unwrap();
                layer.group_add(&own, "shared").await.unwrap();
                layer
                    .group_send("room", &json!({"type": "t", "task": task, "n": n}))
                    .await
                    .unwrap();
                layer.group_discard(&own, "shared").await.unwrap();
                if n % 2 == 0 {
                    layer
                        .group_discard("room", inbox.channel().as_str())
                        .await
                        .unwrap();
                }
            }
        }));
    }

    let mut next = [0; 8];
    for _ in 0..8 * ROUNDS {
        let event = soon(stays.receive()).await;
        let task: usize = event.get("task").unwrap();
        assert_eq!(event.get::<u64>("n").unwrap(), next[task]);
        next[task] += 1;
    }
    for task in tasks {
        soon(task).await.unwrap();
    }

    assert_eq!(stays.try_receive(), None);
    assert_eq!(switchboard.groups(), [group("room")]);
    assert_eq!(switchboard.group_len(&group("room")), 1);
    assert_eq!(switchboard.channel_count(), 1);
}
