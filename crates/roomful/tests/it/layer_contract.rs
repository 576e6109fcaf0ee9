//! What every channel layer promises: one list of tests, run for each backend.
//!
//! The lines follow the suites of Channels and `channels_redis`, and add what those leave out: nothing is lost when
//! others come and go, or when a receive is cancelled.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use roomful::layer::{GroupName, Lane, LayerError, Limits, Memory, Open};
use roomful::{ChannelLayer, Event, json};

use crate::support::{assert_silent, next_number, numbered, soon};

/// A kind of layer that is put to the contract.
pub(crate) trait Subject {
    /// What the contract takes for a second: long enough for its events to arrive in good time.
    const SECOND: Duration;

    /// A layer of its own, which nobody else uses.
    fn layer(limits: Limits) -> impl Future<Output = ChannelLayer> + Send;

    /// Lets time pass for it.
    fn pass(time: Duration) -> impl Future<Output = ()> + Send;
}

struct InMemory;

impl Subject for InMemory {
    const SECOND: Duration = Duration::from_secs(1);

    async fn layer(limits: Limits) -> ChannelLayer {
        ChannelLayer::new(Memory::from(limits))
    }

    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }
}

/// The contract for one backend, with the attribute that makes a line of it a test.
macro_rules! contract {
    ($module:ident: $subject:ty, #[$test:meta]) => {
        $crate::layer_contract::contract! { @lines $module, $subject, $test:
            an_event_arrives_with_all_its_values
            events_of_one_sender_arrive_in_order
            a_waiting_receiver_is_woken
            two_inboxes_each_receive_their_own
            fresh_names_are_process_local_and_all_different
            a_name_from_new_channel_can_be_listened_to_again_and_again
            an_inbox_that_has_an_owner_is_not_listened_to
            bad_names_are_refused_by_every_call_with_a_sentence
            what_is_no_event_is_refused_at_its_sender
            competing_listeners_share_the_events_of_a_general_channel
            a_group_send_reaches_its_members_and_nobody_else
            a_group_send_to_nobody_is_no_error
            who_joins_or_leaves_between_two_group_sends_gets_one_of_them
            joining_twice_is_joining_once
            leaving_a_group_never_joined_is_no_error
            a_channel_may_be_in_many_groups
            a_general_channel_may_be_in_a_group
            a_group_send_never_fails_because_of_a_full_channel
            a_full_member_takes_nothing_from_the_others
            the_first_three_group_sends_arrive_where_three_may_wait
            expired_events_are_passed_over_and_younger_ones_arrive
            a_member_stays_in_its_group_while_its_inbox_is_open
            a_slow_member_stays_in_its_group
            a_listener_keeps_its_channel_in_its_group
            a_dropped_inbox_is_out_of_its_groups
            a_panicking_tasks_inbox_is_out_of_its_groups
            a_dropped_inbox_can_be_sent_to_without_effect
            a_cancelled_receive_loses_nothing
            a_flush_leaves_a_blank_state
            a_lane_is_offered_an_event_once_for_all_its_members
            what_a_lane_leaves_goes_to_each_member
            a_send_to_one_channel_passes_its_lane_by
            a_large_group_is_sent_to
            comings_and_goings_lose_and_double_nothing
        }
    };
    (@lines $module:ident, $subject:ty, $test:meta: $($line:ident)*) => {
        mod $module {
            $(
                #[$test]
                async fn $line() {
                    $crate::layer_contract::$line::<$subject>().await;
                }
            )*
        }
    };
}

/// What those promise besides that keep an event until somebody listens.
macro_rules! keeping_contract {
    ($module:ident: $subject:ty, #[$test:meta]) => {
        $crate::layer_contract::contract! { @lines $module, $subject, $test:
            an_event_sent_to_a_general_channel_arrives
            the_fourth_event_is_refused_where_three_may_wait
            a_pattern_gives_a_channel_its_own_capacity
            a_listener_that_is_dropped_leaves_the_rest_to_the_next
            expired_events_make_room
        }
    };
}

#[cfg_attr(
    not(feature = "redis-tests"),
    expect(unused_imports, reason = "for other backends")
)]
pub(crate) use {contract, keeping_contract};

contract! { memory: crate::layer_contract::InMemory, #[tokio::test(start_paused = true)] }
keeping_contract! { memory_keeps: crate::layer_contract::InMemory, #[tokio::test(start_paused = true)] }

pub(crate) async fn an_event_sent_to_a_general_channel_arrives<S: Subject>() {
    let layer = S::layer(Limits::default()).await;

    layer
        .send("worker-1", &json!({"type": "job.run", "text": "Ahoy"}))
        .await
        .unwrap();

    let mut inbox = layer.listen("worker-1").await.unwrap();
    let event = soon(inbox.receive()).await;
    assert_eq!(event.kind(), "job.run");
    assert_eq!(event.get::<String>("text").unwrap(), "Ahoy");
}

pub(crate) async fn an_event_arrives_with_all_its_values<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();
    let value = json!({
        "type": "test.values", "text": "你好", "none": null, "yes": true, "most": u64::MAX, "least": i64::MIN,
        "half": 0.5, "list": [1, [2, {"deep": []}]], "map": {"": {}},
    });

    layer.send(inbox.channel().as_str(), &value).await.unwrap();

    let received: serde_json::Value = soon(inbox.receive()).await.decode().unwrap();
    assert_eq!(received, value);
}

pub(crate) async fn events_of_one_sender_arrive_in_order<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();

    for n in 0..3 {
        layer
            .send(inbox.channel().as_str(), &numbered(n))
            .await
            .unwrap();
    }

    for n in 0..3 {
        assert_eq!(next_number(&mut inbox).await, n);
    }
}

pub(crate) async fn a_waiting_receiver_is_woken<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();
    let channel = inbox.channel().clone();
    let receiver = tokio::spawn(async move { next_number(&mut inbox).await });
    // The receiver waits before anything is sent.
    tokio::task::yield_now().await;

    layer.send(channel.as_str(), &numbered(7)).await.unwrap();

    assert_eq!(soon(receiver).await.unwrap(), 7);
}

pub(crate) async fn two_inboxes_each_receive_their_own<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let (mut one, mut two) = (layer.open().await.unwrap(), layer.open().await.unwrap());

    layer
        .send(one.channel().as_str(), &numbered(1))
        .await
        .unwrap();
    layer
        .send(two.channel().as_str(), &numbered(2))
        .await
        .unwrap();

    assert_eq!(next_number(&mut two).await, 2);
    assert_eq!(next_number(&mut one).await, 1);
    assert_silent(&layer, &mut one).await;
    assert_silent(&layer, &mut two).await;
}

pub(crate) async fn the_fourth_event_is_refused_where_three_may_wait<S: Subject>() {
    let layer = S::layer(Limits::default().capacity(3)).await;
    for n in 0..3 {
        layer.send("worker-1", &numbered(n)).await.unwrap();
    }

    let error = layer.send("worker-1", &numbered(3)).await.unwrap_err();

    assert!(error.is_retryable());
    assert_eq!(
        error.to_string(),
        "the channel `worker-1` is full: 3 events wait in it unread"
    );
    let LayerError::ChannelFull { channel, capacity } = error else {
        panic!("{error:?}");
    };
    assert_eq!((channel.as_str(), capacity), ("worker-1", 3));
}

pub(crate) async fn a_pattern_gives_a_channel_its_own_capacity<S: Subject>() {
    let limits = Limits::default()
        .capacity(3)
        .channel_capacity("o?e", 1)
        .channel_capacity("*", 2);
    let layer = S::layer(limits).await;

    layer.send("one", &numbered(1)).await.unwrap();
    layer.send("two", &numbered(1)).await.unwrap();
    layer.send("two", &numbered(2)).await.unwrap();

    let full = LayerError::is_retryable;
    assert!(
        layer
            .send("one", &numbered(2))
            .await
            .is_err_and(|error| full(&error))
    );
    assert!(
        layer
            .send("two", &numbered(3))
            .await
            .is_err_and(|error| full(&error))
    );
}

pub(crate) async fn fresh_names_are_process_local_and_all_different<S: Subject>() {
    let layer = S::layer(Limits::default()).await;

    let mut names = BTreeSet::new();
    let mut processes = BTreeSet::new();
    for _ in 0..50 {
        let (given, opened) = (
            layer.new_channel().await.unwrap(),
            layer.open().await.unwrap(),
        );
        for name in [&given, opened.channel()] {
            processes.insert(name.process().expect("a process-local name").to_owned());
            names.insert(name.clone());
        }
    }

    assert_eq!(names.len(), 100);
    assert_eq!(processes.len(), 1);
    assert!(
        names
            .iter()
            .all(|name| name.as_str().starts_with("specific."))
    );
}

pub(crate) async fn a_name_from_new_channel_can_be_listened_to_again_and_again<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let name = layer.new_channel().await.unwrap();
    layer.group_add("room", name.as_str()).await.unwrap();

    for n in 0..3 {
        layer.group_send("room", &numbered(n)).await.unwrap();
        let mut inbox = layer.listen(name.as_str()).await.unwrap();
        assert_eq!(next_number(&mut inbox).await, n);
    }
}

pub(crate) async fn an_inbox_that_has_an_owner_is_not_listened_to<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let inbox = layer.open().await.unwrap();
    let channel = inbox.channel().clone();

    let while_open = layer.listen(channel.as_str()).await.unwrap_err();
    drop(inbox);
    let afterwards = layer.listen(channel.as_str()).await.unwrap_err();

    assert!(matches!(while_open, LayerError::InUse(_)), "{while_open:?}");
    assert!(
        matches!(afterwards, LayerError::Closed(_)),
        "{afterwards:?}"
    );
}

pub(crate) async fn bad_names_are_refused_by_every_call_with_a_sentence<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let event = numbered(1);
    let long = "x".repeat(100);

    for bad in ["=+135!", "a b", "聊天", "", &long] {
        for error in [
            layer.send(bad, &event).await.unwrap_err(),
            layer.listen(bad).await.unwrap_err(),
            layer.group_add("room", bad).await.unwrap_err(),
            layer.group_discard("room", bad).await.unwrap_err(),
            layer.group_add(bad, "worker-1").await.unwrap_err(),
            layer.group_discard(bad, "worker-1").await.unwrap_err(),
            layer.group_send(bad, &event).await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, LayerError::InvalidName(_)), "{text}");
            assert!(text.contains(&format!("{:.99}", bad)), "{text}");
            assert!(
                text.contains("use 1 to 99 ASCII letters, digits, `-`, `_` or `.`"),
                "{text}"
            );
        }
    }
    // A group's name has no `!`.
    assert!(layer.group_send("specific.a!b", &event).await.is_err());
}

pub(crate) async fn what_is_no_event_is_refused_at_its_sender<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();
    let channel = inbox.channel().as_str().to_owned();
    layer.group_add("room", &channel).await.unwrap();

    for no_event in [
        json!("text"),
        json!({"text": "hi"}),
        json!({"type": "a", "__asgi_channel__": "b"}),
    ] {
        let to_one = layer.send(&channel, &no_event).await.unwrap_err();
        let to_all = layer.group_send("room", &no_event).await.unwrap_err();
        assert!(matches!(to_one, LayerError::Event(_)), "{to_one:?}");
        assert!(matches!(to_all, LayerError::Event(_)), "{to_all:?}");
    }

    assert_silent(&layer, &mut inbox).await;
}

pub(crate) async fn competing_listeners_share_the_events_of_a_general_channel<S: Subject>() {
    const EVENTS: u64 = 60;
    let layer = S::layer(Limits::default()).await;
    let (done, mut results) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..4 {
        let (done, mut inbox) = (done.clone(), layer.listen("worker-1").await.unwrap());
        tokio::spawn(async move {
            loop {
                let n: u64 = inbox.receive().await.get("n").unwrap();
                if done.send(n).is_err() {
                    return;
                }
            }
        });
    }

    for n in 0..EVENTS {
        layer.send("worker-1", &numbered(n)).await.unwrap();
    }

    let mut received = Vec::new();
    for _ in 0..EVENTS {
        received.push(soon(results.recv()).await.unwrap());
    }
    received.sort_unstable();
    assert_eq!(received, (0..EVENTS).collect::<Vec<_>>());
}

pub(crate) async fn a_listener_that_is_dropped_leaves_the_rest_to_the_next<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    for n in 0..2 {
        layer.send("worker-1", &numbered(n)).await.unwrap();
    }

    let mut first = layer.listen("worker-1").await.unwrap();
    assert_eq!(next_number(&mut first).await, 0);
    drop(first);

    let mut second = layer.listen("worker-1").await.unwrap();
    assert_eq!(next_number(&mut second).await, 1);
}

pub(crate) async fn a_group_send_reaches_its_members_and_nobody_else<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut members = Vec::new();
    for _ in 0..3 {
        let inbox = layer.open().await.unwrap();
        layer
            .group_add("room-1", inbox.channel().as_str())
            .await
            .unwrap();
        members.push(inbox);
    }
    let mut stranger = layer.open().await.unwrap();
    layer
        .group_add("room-2", stranger.channel().as_str())
        .await
        .unwrap();
    layer
        .group_discard("room-1", members[1].channel().as_str())
        .await
        .unwrap();

    layer.group_send("room-1", &numbered(1)).await.unwrap();

    assert_eq!(next_number(&mut members[0]).await, 1);
    assert_eq!(next_number(&mut members[2]).await, 1);
    assert_silent(&layer, &mut members[1]).await;
    assert_silent(&layer, &mut stranger).await;
}

pub(crate) async fn a_group_send_to_nobody_is_no_error<S: Subject>() {
    let layer = S::layer(Limits::default()).await;

    let sent = layer.group_send("nobody", &numbered(1)).await.unwrap();

    assert_eq!((sent.delivered, sent.dropped), (0, 0));
}

pub(crate) async fn who_joins_or_leaves_between_two_group_sends_gets_one_of_them<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inboxes = Vec::new();
    for _ in 0..3 {
        inboxes.push(layer.open().await.unwrap());
    }
    let names: Vec<_> = inboxes
        .iter()
        .map(|inbox| inbox.channel().clone())
        .collect();
    layer.group_add("room", names[0].as_str()).await.unwrap();
    layer.group_add("room", names[1].as_str()).await.unwrap();
    layer.group_send("room", &numbered(1)).await.unwrap();
    // It has come to this process: some dialects only say that it is on its way.
    assert_eq!(next_number(&mut inboxes[0]).await, 1);

    layer
        .group_discard("room", names[1].as_str())
        .await
        .unwrap();
    layer.group_add("room", names[2].as_str()).await.unwrap();
    layer.group_send("room", &numbered(2)).await.unwrap();

    assert_eq!(next_number(&mut inboxes[0]).await, 2);
    assert_eq!(next_number(&mut inboxes[1]).await, 1);
    assert_eq!(next_number(&mut inboxes[2]).await, 2);
    for inbox in &mut inboxes {
        assert_silent(&layer, inbox).await;
    }
}

pub(crate) async fn joining_twice_is_joining_once<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();
    let channel = inbox.channel().as_str().to_owned();
    layer.group_add("room", &channel).await.unwrap();
    layer.group_add("room", &channel).await.unwrap();

    layer.group_send("room", &numbered(1)).await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 1);
    assert_silent(&layer, &mut inbox).await;

    layer.group_discard("room", &channel).await.unwrap();
    layer.group_send("room", &numbered(2)).await.unwrap();
    assert_silent(&layer, &mut inbox).await;
}

pub(crate) async fn leaving_a_group_never_joined_is_no_error<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();
    let channel = inbox.channel().as_str().to_owned();

    layer.group_discard("room", &channel).await.unwrap();

    layer.group_add("room", &channel).await.unwrap();
    layer.group_send("room", &numbered(1)).await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 1);
}

pub(crate) async fn a_channel_may_be_in_many_groups<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();
    let channel = inbox.channel().as_str().to_owned();
    for n in 0..50 {
        layer
            .group_add(&format!("room-{n}"), &channel)
            .await
            .unwrap();
    }
    layer.group_discard("room-7", &channel).await.unwrap();

    for n in 0..50 {
        layer
            .group_send(&format!("room-{n}"), &numbered(n))
            .await
            .unwrap();
    }

    for n in (0..50).filter(|n| *n != 7) {
        assert_eq!(next_number(&mut inbox).await, n);
    }
    assert_silent(&layer, &mut inbox).await;
}

pub(crate) async fn a_general_channel_may_be_in_a_group<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    layer.group_add("room", "worker-1").await.unwrap();

    layer.group_send("room", &numbered(1)).await.unwrap();

    let mut inbox = layer.listen("worker-1").await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 1);
}

pub(crate) async fn a_group_send_never_fails_because_of_a_full_channel<S: Subject>() {
    let layer = S::layer(Limits::default().capacity(1)).await;
    let mut inboxes = Vec::new();
    for _ in 0..2 {
        let inbox = layer.open().await.unwrap();
        layer
            .group_add("room", inbox.channel().as_str())
            .await
            .unwrap();
        inboxes.push(inbox);
    }

    for n in 0..5 {
        layer.group_send("room", &numbered(n)).await.unwrap();
    }

    for inbox in &mut inboxes {
        assert_eq!(next_number(inbox).await, 0);
    }
}

pub(crate) async fn a_full_member_takes_nothing_from_the_others<S: Subject>() {
    let layer = S::layer(Limits::default().capacity(2)).await;
    let (slow, mut quick) = (layer.open().await.unwrap(), layer.open().await.unwrap());
    for inbox in [&slow, &quick] {
        layer
            .group_add("room", inbox.channel().as_str())
            .await
            .unwrap();
    }

    for n in 0..20 {
        layer.group_send("room", &numbered(n)).await.unwrap();
        assert_eq!(next_number(&mut quick).await, n);
    }

    assert_eq!(quick.lost(), 0);
    assert_eq!(slow.lost(), 18);
}

pub(crate) async fn the_first_three_group_sends_arrive_where_three_may_wait<S: Subject>() {
    let layer = S::layer(Limits::default().capacity(3)).await;
    let (mut inbox, mut witness) = (layer.open().await.unwrap(), layer.open().await.unwrap());
    for inbox in [&inbox, &witness] {
        layer
            .group_add("room", inbox.channel().as_str())
            .await
            .unwrap();
    }

    for n in 0..4 {
        layer.group_send("room", &numbered(n)).await.unwrap();
        // It has come to this process: some dialects only say that it is on its way.
        assert_eq!(next_number(&mut witness).await, n);
    }

    for n in 0..3 {
        assert_eq!(next_number(&mut inbox).await, n);
    }
    assert_silent(&layer, &mut inbox).await;
}

pub(crate) async fn expired_events_are_passed_over_and_younger_ones_arrive<S: Subject>() {
    let layer = S::layer(Limits::default().expiry(S::SECOND * 3)).await;
    let mut inbox = layer.open().await.unwrap();
    let channel = inbox.channel().as_str().to_owned();
    layer.group_add("room", &channel).await.unwrap();

    layer.send(&channel, &numbered(0)).await.unwrap();
    layer.group_send("room", &numbered(1)).await.unwrap();
    S::pass(S::SECOND * 2).await;
    layer.send(&channel, &numbered(2)).await.unwrap();
    layer.group_send("room", &numbered(3)).await.unwrap();
    S::pass(S::SECOND * 2).await;

    assert_eq!(next_number(&mut inbox).await, 2);
    assert_eq!(next_number(&mut inbox).await, 3);
    assert_eq!(inbox.lost(), 2);

    layer.send(&channel, &numbered(4)).await.unwrap();
    S::pass(S::SECOND * 4).await;
    assert_silent(&layer, &mut inbox).await;
}

pub(crate) async fn expired_events_make_room<S: Subject>() {
    let layer = S::layer(Limits::default().capacity(1).expiry(S::SECOND * 3)).await;
    layer.send("worker-1", &numbered(1)).await.unwrap();
    assert!(layer.send("worker-1", &numbered(2)).await.is_err());

    S::pass(S::SECOND * 4).await;

    layer.send("worker-1", &numbered(3)).await.unwrap();
    let mut inbox = layer.listen("worker-1").await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 3);
}

pub(crate) async fn a_member_stays_in_its_group_while_its_inbox_is_open<S: Subject>() {
    let layer = S::layer(Limits::default().group_expiry(S::SECOND * 10)).await;
    let mut inbox = layer.open().await.unwrap();
    layer
        .group_add("room", inbox.channel().as_str())
        .await
        .unwrap();

    S::pass(S::SECOND * 25).await;
    layer.group_send("room", &numbered(1)).await.unwrap();

    assert_eq!(next_number(&mut inbox).await, 1);
}

pub(crate) async fn a_slow_member_stays_in_its_group<S: Subject>() {
    let layer = S::layer(Limits::default().expiry(S::SECOND * 3)).await;
    let mut inbox = layer.open().await.unwrap();
    layer
        .group_add("room", inbox.channel().as_str())
        .await
        .unwrap();
    layer.group_send("room", &numbered(1)).await.unwrap();

    S::pass(S::SECOND * 4).await;
    for n in 2..4 {
        layer.group_send("room", &numbered(n)).await.unwrap();
    }

    assert_eq!(next_number(&mut inbox).await, 2);
    assert_eq!(next_number(&mut inbox).await, 3);
}

pub(crate) async fn a_listener_keeps_its_channel_in_its_group<S: Subject>() {
    let limits = Limits::default()
        .expiry(S::SECOND * 3)
        .group_expiry(S::SECOND * 10);
    let layer = S::layer(limits).await;
    layer.group_add("room", "worker-1").await.unwrap();
    let mut inbox = layer.listen("worker-1").await.unwrap();
    layer.group_send("room", &numbered(1)).await.unwrap();

    S::pass(S::SECOND * 11).await;
    for n in 2..4 {
        layer.group_send("room", &numbered(n)).await.unwrap();
    }

    assert_eq!(next_number(&mut inbox).await, 2);
    assert_eq!(next_number(&mut inbox).await, 3);
}

pub(crate) async fn a_dropped_inbox_is_out_of_its_groups<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let (gone, mut stays) = (layer.open().await.unwrap(), layer.open().await.unwrap());
    for inbox in [&gone, &stays] {
        layer
            .group_add("room", inbox.channel().as_str())
            .await
            .unwrap();
    }
    layer
        .group_add("other", gone.channel().as_str())
        .await
        .unwrap();

    drop(gone);

    let room = layer.group_send("room", &numbered(1)).await.unwrap();
    let other = layer.group_send("other", &numbered(1)).await.unwrap();
    assert_eq!((room.delivered, room.dropped), (1, 0));
    assert_eq!((other.delivered, other.dropped), (0, 0));
    assert_eq!(next_number(&mut stays).await, 1);
}

pub(crate) async fn a_panicking_tasks_inbox_is_out_of_its_groups<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let inbox = layer.open().await.unwrap();
    layer
        .group_add("room", inbox.channel().as_str())
        .await
        .unwrap();
    let task = tokio::spawn(async move {
        let mut inbox = inbox;
        let event = inbox.receive().await;
        // Without a message on the terminal, which would look like a failed test.
        std::panic::resume_unwind(Box::new(event));
    });

    layer.group_send("room", &numbered(1)).await.unwrap();
    assert!(soon(task).await.unwrap_err().is_panic());

    let sent = layer.group_send("room", &numbered(2)).await.unwrap();
    assert_eq!((sent.delivered, sent.dropped), (0, 0));
}

pub(crate) async fn a_dropped_inbox_can_be_sent_to_without_effect<S: Subject>() {
    let layer = S::layer(Limits::default().capacity(1)).await;
    let inbox = layer.open().await.unwrap();
    let channel = inbox.channel().clone();
    drop(inbox);

    // More than the channel would hold: nothing piles up for the one who is gone.
    for n in 0..5 {
        layer.send(channel.as_str(), &numbered(n)).await.unwrap();
    }

    let error = layer.group_add("room", channel.as_str()).await.unwrap_err();
    assert!(matches!(error, LayerError::Closed(_)), "{error:?}");
}

pub(crate) async fn a_cancelled_receive_loses_nothing<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();
    let channel = inbox.channel().as_str().to_owned();

    let mut received = Vec::new();
    for n in 0..100 {
        // One receive is given up before there is an event, one when it may be on its way.
        tokio::select! {
            biased;
            _ = inbox.receive() => panic!("nothing was sent"),
            () = tokio::task::yield_now() => {}
        }
        layer.send(&channel, &numbered(n)).await.unwrap();
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            event = inbox.receive() => received.push(event.get("n").unwrap()),
        }
        while (received.len() as u64) <= n {
            received.push(next_number(&mut inbox).await);
        }
    }

    assert_eq!(received, (0..100).collect::<Vec<u64>>());
}

pub(crate) async fn a_flush_leaves_a_blank_state<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut inbox = layer.open().await.unwrap();
    let channel = inbox.channel().as_str().to_owned();
    layer.group_add("room", &channel).await.unwrap();
    layer.group_send("room", &numbered(1)).await.unwrap();
    layer.send("worker-1", &numbered(2)).await.unwrap();

    layer.flush().await.unwrap();

    layer.group_send("room", &numbered(3)).await.unwrap();
    assert_silent(&layer, &mut inbox).await;
    let mut worker = layer.listen("worker-1").await.unwrap();
    assert_silent(&layer, &mut worker).await;
    // And everything can begin again.
    layer.group_add("room", &channel).await.unwrap();
    layer.group_send("room", &numbered(4)).await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 4);
}

/// A lane that takes events of one type for its members, and remembers how often it was asked.
#[derive(Default)]
struct CountingLane {
    offers: AtomicUsize,
}

impl Lane for CountingLane {
    fn offer(&self, group: &GroupName, event: &Event) -> Option<usize> {
        assert_eq!(group.as_str(), "room");
        self.offers.fetch_add(1, Ordering::SeqCst);
        (event.kind() == "test.rendered").then_some(2)
    }
}

pub(crate) async fn a_lane_is_offered_an_event_once_for_all_its_members<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let lane = Arc::new(CountingLane::default());
    let mut with_lane = Vec::new();
    for _ in 0..2 {
        let inbox = layer
            .open_with(Open::default().lane(lane.clone()))
            .await
            .unwrap();
        layer
            .group_add("room", inbox.channel().as_str())
            .await
            .unwrap();
        with_lane.push(inbox);
    }
    let mut without = layer.open().await.unwrap();
    layer
        .group_add("room", without.channel().as_str())
        .await
        .unwrap();

    layer
        .group_send("room", &json!({"type": "test.rendered"}))
        .await
        .unwrap();

    assert_eq!(soon(without.receive()).await.kind(), "test.rendered");
    for inbox in &mut with_lane {
        assert_silent(&layer, inbox).await;
    }
    assert_eq!(lane.offers.load(Ordering::SeqCst), 1);
}

pub(crate) async fn what_a_lane_leaves_goes_to_each_member<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let lane = Arc::new(CountingLane::default());
    let mut members = Vec::new();
    for _ in 0..2 {
        let inbox = layer
            .open_with(Open::default().lane(lane.clone()))
            .await
            .unwrap();
        layer
            .group_add("room", inbox.channel().as_str())
            .await
            .unwrap();
        members.push(inbox);
    }

    for n in 0..2 {
        layer.group_send("room", &numbered(n)).await.unwrap();
    }

    for inbox in &mut members {
        assert_eq!(next_number(inbox).await, 0);
        assert_eq!(next_number(inbox).await, 1);
    }
    assert_eq!(lane.offers.load(Ordering::SeqCst), 2);
}

pub(crate) async fn a_send_to_one_channel_passes_its_lane_by<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let lane = Arc::new(CountingLane::default());
    let mut inbox = layer
        .open_with(Open::default().lane(lane.clone()))
        .await
        .unwrap();

    layer
        .send(inbox.channel().as_str(), &json!({"type": "test.rendered"}))
        .await
        .unwrap();

    assert_eq!(soon(inbox.receive()).await.kind(), "test.rendered");
    assert_eq!(lane.offers.load(Ordering::SeqCst), 0);
}

pub(crate) async fn a_large_group_is_sent_to<S: Subject>() {
    let layer = S::layer(Limits::default()).await;
    let mut members = Vec::new();
    for _ in 0..10_000 {
        let inbox = layer.open().await.unwrap();
        layer
            .group_add("room", inbox.channel().as_str())
            .await
            .unwrap();
        members.push(inbox);
    }

    layer.group_send("room", &numbered(1)).await.unwrap();
    members.truncate(5_000);
    layer.group_send("room", &numbered(2)).await.unwrap();

    for inbox in &mut members {
        assert_eq!(next_number(inbox).await, 1);
        assert_eq!(next_number(inbox).await, 2);
    }
}

/// The core layer of `channels_redis` loses one event in twenty here.
pub(crate) async fn comings_and_goings_lose_and_double_nothing<S: Subject>() {
    const EVENTS: u64 = 500;
    let layer = S::layer(Limits::default()).await;
    let mut stays = layer.open().await.unwrap();
    layer
        .group_add("room", stays.channel().as_str())
        .await
        .unwrap();
    let visitors = (0..4).map(|visitor| {
        let layer = layer.clone();
        tokio::spawn(async move {
            for n in 0..EVENTS {
                let mut inbox = layer.open().await.unwrap();
                let room = if n % 2 == 0 { "room" } else { "elsewhere" };
                layer
                    .group_add(room, inbox.channel().as_str())
                    .await
                    .unwrap();
                if n % 3 == visitor % 3 {
                    tokio::select! {
                        biased;
                        _ = inbox.receive() => {}
                        () = tokio::task::yield_now() => {}
                    }
                }
            }
        })
    });
    let visitors: Vec<_> = visitors.collect();
    let sender = {
        let layer = layer.clone();
        tokio::spawn(async move {
            for n in 0..EVENTS {
                layer.group_send("room", &numbered(n)).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };

    let mut received = Vec::new();
    for _ in 0..EVENTS {
        received.push(next_number(&mut stays).await);
    }

    assert_eq!(received, (0..EVENTS).collect::<Vec<_>>());
    soon(sender).await.unwrap();
    for visitor in visitors {
        soon(visitor).await.unwrap();
    }
    assert_silent(&layer, &mut stays).await;
}
