//! Several processes on one or more servers: nothing is lost or doubled between them.

use std::collections::BTreeSet;

use roomful::ChannelLayer;
use roomful::layer::Limits;
use roomful::layer::redis::{Dialect, RedisOptions};

use super::server::{self, Server};
use super::{both, member, process, until};
use crate::support::{next_number, numbered, soon};

both! {
    who_stays_loses_and_doubles_nothing_while_others_come_and_go
    direct_sends_and_group_sends_arrive_over_three_shards
    a_general_channel_is_heard_in_another_process
}

async fn who_stays_loses_and_doubles_nothing_while_others_come_and_go(dialect: Dialect) {
    const EVENTS: u64 = 400;
    let server = Server::start();
    let (here, _) = process(&server, dialect, Limits::default()).await;
    let (there, _) = process(&server, dialect, Limits::default()).await;
    let mut stay = [
        member(&there, "room").await,
        member(&there, "room").await,
        member(&here, "room").await,
    ];
    let restless = [&here, &there].map(|layer| {
        let layer = layer.clone();
        tokio::spawn(async move {
            for n in 0_u64.. {
                let room = if n.is_multiple_of(3) {
                    "room"
                } else {
                    "elsewhere"
                };
                let mut inbox = member(&layer, room).await;
                if n.is_multiple_of(2) {
                    layer
                        .group_discard(room, inbox.channel().as_str())
                        .await
                        .unwrap();
                }
                tokio::select! {
                    biased;
                    _ = inbox.receive() => {}
                    () = tokio::task::yield_now() => {}
                }
            }
        })
    });

    for n in 0..EVENTS {
        here.group_send("room", &numbered(n)).await.unwrap();
        for inbox in &mut stay {
            assert_eq!(next_number(inbox).await, n);
        }
        let channel = stay[0].channel().to_string();
        here.send(&channel, &numbered(n)).await.unwrap();
        assert_eq!(next_number(&mut stay[0]).await, n);
    }

    for task in restless {
        assert!(!task.is_finished());
        task.abort();
    }
    for inbox in &mut stay {
        assert_eq!((inbox.try_receive(), inbox.lost()), (None, 0));
    }
}

async fn direct_sends_and_group_sends_arrive_over_three_shards(dialect: Dialect) {
    let servers = [Server::start(), Server::start(), Server::start()];
    let url = || server::url(dialect, &servers.each_ref());
    let here = ChannelLayer::new(RedisOptions::new(url()).connect().await.unwrap());
    let there = ChannelLayer::new(RedisOptions::new(url()).connect().await.unwrap());

    for n in 0..20 {
        let group = format!("room-{n}");
        let mut inbox = member(&there, &group).await;
        here.send(inbox.channel().as_str(), &numbered(n))
            .await
            .unwrap();
        assert_eq!(next_number(&mut inbox).await, n);
        here.group_send(&group, &numbered(100 + n)).await.unwrap();
        assert_eq!(next_number(&mut inbox).await, 100 + n);
        drop(inbox);
    }

    let command = match dialect {
        Dialect::Core => "zrange",
        Dialect::PubSub => "publish",
    };
    assert!(servers.iter().all(|server| server.calls(&[command]) > 0));
}

async fn a_general_channel_is_heard_in_another_process(dialect: Dialect) {
    let server = Server::start();
    let (here, _) = process(&server, dialect, Limits::default()).await;
    let (there, _) = process(&server, dialect, Limits::default()).await;
    let mut inbox = there.listen("worker-1").await.unwrap();

    for n in 0..5 {
        here.send("worker-1", &numbered(n)).await.unwrap();
        assert_eq!(next_number(&mut inbox).await, n);
    }
    drop(inbox);
    let mut inbox = here.listen("worker-1").await.unwrap();
    there.send("worker-1", &numbered(9)).await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 9);
}

#[tokio::test]
async fn workers_of_two_processes_share_a_backlog_without_doubles() {
    const EVENTS: u64 = 90;
    let server = Server::start();
    let mut layers = Vec::new();
    for _ in 0..2 {
        layers.push(process(&server, Dialect::Core, Limits::default()).await.0);
    }
    for n in 0..EVENTS {
        layers[0].send("worker-1", &numbered(n)).await.unwrap();
    }

    let (done, mut results) = tokio::sync::mpsc::unbounded_channel();
    for layer in [&layers[0], &layers[1], &layers[0], &layers[1]] {
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
    let mut received = Vec::new();
    for _ in 0..EVENTS {
        received.push(soon(results.recv()).await.unwrap());
    }

    assert_eq!(
        received.iter().collect::<BTreeSet<_>>().len() as u64,
        EVENTS
    );
    assert!(results.try_recv().is_err());
}

#[tokio::test]
async fn what_a_listener_leaves_unread_goes_back_to_the_front_of_the_line() {
    let server = Server::start();
    let (here, redis) = process(&server, Dialect::Core, Limits::default()).await;
    let (there, _) = process(&server, Dialect::Core, Limits::default()).await;
    let mut inbox = here.listen("worker-1").await.unwrap();
    // It waits, is given up, and then its event comes.
    tokio::select! {
        biased;
        _ = inbox.receive() => panic!("nothing was sent"),
        () = tokio::task::yield_now() => {}
    }
    there.send("worker-1", &numbered(1)).await.unwrap();
    there.send("worker-1", &numbered(2)).await.unwrap();
    until("the event is fetched", async || {
        redis.counters().received == 1
    })
    .await;

    drop(inbox);

    until("it is back", async || {
        server.ask::<u64>(redis::cmd("ZCARD").arg("asgiworker-1")) == 2
    })
    .await;
    let mut inbox = there.listen("worker-1").await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 1);
    assert_eq!(next_number(&mut inbox).await, 2);
}

#[tokio::test]
async fn a_process_whose_queue_is_full_does_not_keep_others_from_hearing() {
    let server = Server::start();
    let (here, _) = process(&server, Dialect::Core, Limits::default().capacity(2)).await;
    let (there, _) = process(&server, Dialect::Core, Limits::default()).await;
    let mut inbox = member(&there, "room").await;
    // Somebody who never pops.
    let dead = "specific.00000000000000000000000000000000!x";
    here.group_add("room", dead).await.unwrap();

    let mut dropped = Vec::new();
    for n in 0..4 {
        let sent = here.group_send("room", &numbered(n)).await.unwrap();
        assert_eq!(next_number(&mut inbox).await, n);
        dropped.push(sent.dropped);
    }

    assert_eq!(dropped, [0, 0, 1, 1]);
    let error = here.send(dead, &numbered(9)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the channel `{dead}` is full: 2 events wait in it unread")
    );
}

#[tokio::test]
async fn what_is_sent_at_once_stays_in_order_while_others_come_and_go() {
    let server = Server::start();
    let limits = || Limits::default().capacity(10_000);
    let (here, _) = process(&server, Dialect::Core, limits()).await;
    let (there, _) = process(&server, Dialect::Core, limits()).await;
    let (elsewhere, _) = process(&server, Dialect::Core, limits()).await;
    let mut stays = member(&there, "room").await;

    let sending = async {
        use futures_util::StreamExt as _;
        let sends = (0..2_000).map(|n| {
            let here = here.clone();
            async move { here.group_send("room", &numbered(n)).await.unwrap() }
        });
        futures_util::stream::iter(sends)
            .buffered(64)
            .for_each(|_| std::future::ready(()))
            .await;
    };
    let coming_and_going = async {
        for _ in 0..50 {
            let comes = member(&elsewhere, "room").await;
            elsewhere
                .group_discard("room", comes.channel().as_str())
                .await
                .unwrap();
        }
    };
    soon(async { tokio::join!(sending, coming_and_going) }).await;

    for n in 0..2_000 {
        assert_eq!(next_number(&mut stays).await, n);
    }
}
