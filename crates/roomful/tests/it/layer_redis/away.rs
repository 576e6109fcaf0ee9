//! Redis goes away and comes back, with all it knew or nothing of it; time passes.

use std::time::{Duration, Instant};

use roomful::layer::redis::Dialect;
use roomful::layer::{LayerError, Limits};

use super::server::Server;
use super::{both, member, process, until};
use crate::support::{next_number, numbered};

both! {
    while_redis_is_away_calls_fail_at_once_and_may_be_tried_again
    when_redis_is_back_so_is_every_group_and_listener
    a_layer_that_starts_without_redis_works_once_it_is_there
}

async fn while_redis_is_away_calls_fail_at_once_and_may_be_tried_again(dialect: Dialect) {
    let mut server = Server::start();
    let (layer, _) = process(&server, dialect, Limits::default()).await;
    let inbox = member(&layer, "room").await;
    server.stop();
    until("a send fails", async || {
        layer.group_send("room", &numbered(0)).await.is_err()
    })
    .await;

    let begun = Instant::now();
    let newcomer = layer.open().await.unwrap();
    let errors = [
        layer.group_send("room", &numbered(1)).await.unwrap_err(),
        layer.send("worker-1", &numbered(1)).await.unwrap_err(),
        layer
            .group_add("new", newcomer.channel().as_str())
            .await
            .unwrap_err(),
    ];

    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    for error in errors {
        assert!(matches!(error, LayerError::Unavailable(_)), "{error:?}");
        assert!(error.is_retryable());
    }
    drop(inbox);
}

async fn when_redis_is_back_so_is_every_group_and_listener(dialect: Dialect) {
    let mut server = Server::start();
    let (here, _) = process(&server, dialect, Limits::default()).await;
    let (there, redis) = process(&server, dialect, Limits::default()).await;
    let mut member_of_one = member(&there, "room-1").await;
    let mut member_of_two = member(&there, "room-2").await;
    let mut worker = there.listen("worker-1").await.unwrap();

    for round in 1..=2 {
        server.stop();
        until("a send fails", async || {
            here.group_send("room-1", &numbered(0)).await.is_err()
        })
        .await;
        server.start_again();

        // What is sent while others are still coming back may be lost, so it is said again and again.
        for (group, inbox) in [
            ("room-1", &mut member_of_one),
            ("room-2", &mut member_of_two),
        ] {
            until("a member hears of the group", async || {
                let _ = here.group_send(group, &numbered(round)).await;
                inbox.try_receive().is_some()
            })
            .await;
        }
        until("the listener hears", async || {
            let _ = here.send("worker-1", &numbered(round)).await;
            let waited = tokio::time::timeout(Duration::from_millis(20), worker.receive()).await;
            waited.is_ok()
        })
        .await;
        assert!(redis.counters().reconnects >= round);
    }
}

async fn a_layer_that_starts_without_redis_works_once_it_is_there(dialect: Dialect) {
    let mut server = Server::start();
    server.stop();
    let options = server.options(dialect);
    assert!(options.clone().connect().await.is_err());
    let redis = options.start();
    let layer = roomful::ChannelLayer::new(redis.clone());
    let mut inbox = layer.open().await.unwrap();
    assert!(!layer.is_up());

    server.start_again();
    until("it connects", async || redis.ready().await.is_ok()).await;
    assert!(layer.is_up());
    let channel = inbox.channel().to_string();
    until("it joins", async || {
        layer.group_add("room", &channel).await.is_ok()
    })
    .await;
    until("it hears", async || {
        let _ = layer.group_send("room", &numbered(7)).await;
        inbox.try_receive().is_some()
    })
    .await;
}

#[tokio::test]
async fn no_membership_is_lost_after_the_group_expiry_and_the_dead_go() {
    let limits = || Limits::default().group_expiry(Duration::from_secs(1));
    let server = Server::start();
    let (here, _) = process(&server, Dialect::Core, limits()).await;
    let (there, _) = process(&server, Dialect::Core, limits()).await;
    let (dead, its_redis) = process(&server, Dialect::Core, limits()).await;
    let mut inbox = member(&there, "room").await;
    let dead_inbox = member(&dead, "room").await;
    drop((dead, its_redis));
    let members = || -> Vec<String> {
        server.ask(redis::cmd("ZRANGE").arg("asgi:group:room").arg(0).arg(-1))
    };
    assert_eq!(members().len(), 2);

    let mut n = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(3_500) {
        here.group_send("room", &numbered(n)).await.unwrap();
        assert_eq!(next_number(&mut inbox).await, n);
        n += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    assert_eq!(members().len(), 1);
    drop(dead_inbox);
}

#[tokio::test]
async fn a_group_that_redis_was_made_to_forget_is_told_again_in_time() {
    let limits = Limits::default().group_expiry(Duration::from_secs(1));
    let server = Server::start();
    let (here, _) = process(&server, Dialect::Core, Limits::default()).await;
    let (there, _) = process(&server, Dialect::Core, limits).await;
    let mut inbox = member(&there, "room").await;

    let () = server.ask(&redis::cmd("FLUSHALL"));

    until("the member hears again", async || {
        here.group_send("room", &numbered(1)).await.unwrap();
        inbox.try_receive().is_some()
    })
    .await;
}
