//! A node's place in Redis' groups: there while it serves, and gone when it has ended.

use redis::cmd;
use services::Redis;

use crate::support::{Server, V1, soon};

/// A room's group, and the one in which nodes meet.
const GROUPS: [&str; 2] = ["123", "roomful.nodes"];

fn node(layer: &str) -> Server {
    Server::with("none", &[("LAYER__URL", layer)])
}

/// How many processes Redis takes for members of each group.
fn seats(redis: &Redis) -> [usize; 2] {
    GROUPS.map(|group| {
        let seats = redis.ask(cmd("ZCARD").arg(format!("asgi:group:{group}")));
        seats.unwrap()
    })
}

/// The same, where members are subscribers.
fn subscribers(redis: &Redis) -> [usize; 2] {
    GROUPS.map(|group| {
        let topic = format!("asgi__group__{group}");
        let counted = redis.ask(cmd("PUBSUB").arg("NUMSUB").arg(topic));
        let (_, subscribers): (String, usize) = counted.unwrap();
        subscribers
    })
}

/// Waits until each group has so many, as a member's coming goes to Redis beside the welcome.
async fn until(count: impl Fn() -> [usize; 2], expected: usize) {
    soon("entering the groups", async {
        while count() != [expected; 2] {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_leaves_no_seat_behind_however_late_redis_answers() {
    let redis = Redis::start().unwrap();
    let mut nodes = [node(&redis.url()), node(&redis.url())];
    let _ana = V1::join(&nodes[0], "123", "Ana").await;
    let _ben = V1::join(&nodes[1], "123", "Ben").await;
    until(|| seats(&redis), 2).await;
    // Longer than the node's last words may take.
    let mut pause = cmd("CLIENT");
    pause.arg("PAUSE").arg(2_000).arg("WRITE");
    let () = redis.ask(&pause).unwrap();

    nodes[0].terminate();

    assert_eq!(nodes[0].ended().await.code(), Some(0));
    assert_eq!(seats(&redis), [1, 1]);
    nodes[1].terminate();
    assert_eq!(nodes[1].ended().await.code(), Some(0));
    assert_eq!(seats(&redis), [0, 0]);
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_is_subscribed_to_nothing() {
    let redis = Redis::start().unwrap();
    let mut node = node(&redis.url().replacen("redis+", "redis+pubsub+", 1));
    let _ana = V1::join(&node, "123", "Ana").await;
    until(|| subscribers(&redis), 1).await;

    node.terminate();

    assert_eq!(node.ended().await.code(), Some(0));
    assert_eq!(subscribers(&redis), [0, 0]);
}

#[tokio::test]
async fn a_redis_that_is_gone_does_not_hold_up_the_stop() {
    let mut redis = Redis::start().unwrap();
    let mut node = node(&redis.url());
    let _ana = V1::join(&node, "123", "Ana").await;
    redis.kill().unwrap();

    node.terminate();

    assert_eq!(node.ended().await.code(), Some(0));
    assert!(node.log().contains("everything acknowledged is stored"));
}
