//! What a layer costs Redis: by process, whatever the number of members there.

use roomful::layer::Limits;
use roomful::layer::redis::Dialect;

use super::server::Server;
use super::{both, member, process};
use crate::support::{next_number, numbered, soon};

both! {
    a_second_local_member_costs_no_command
    a_send_costs_the_same_for_one_member_and_for_many
    ten_thousand_members_of_one_process_hear_another
}

/// The commands that joins, leaves and sends are made of.
const COMMANDS: &[&str] = &[
    "zadd",
    "zrem",
    "expire",
    "zremrangebyscore",
    "zrange",
    "eval",
    "subscribe",
    "unsubscribe",
    "publish",
];

async fn a_second_local_member_costs_no_command(dialect: Dialect) {
    let server = Server::start();
    let (layer, redis) = process(&server, dialect, Limits::default()).await;
    let first = member(&layer, "room").await;
    let before = server.calls(COMMANDS);

    let mut more = Vec::new();
    for _ in 0..100 {
        more.push(member(&layer, "room").await);
    }
    for inbox in more.drain(..50) {
        layer
            .group_discard("room", inbox.channel().as_str())
            .await
            .unwrap();
    }
    drop((first, more.split_off(1)));

    assert_eq!(server.calls(COMMANDS), before);
    assert_eq!(redis.switchboard().groups().len(), 1);
}

async fn a_send_costs_the_same_for_one_member_and_for_many(dialect: Dialect) {
    let server = Server::start();
    let (here, _) = process(&server, dialect, Limits::default()).await;
    let (there, redis) = process(&server, dialect, Limits::default()).await;
    let mut members = vec![member(&there, "room").await];

    let mut costs = Vec::new();
    for n in 0..3 {
        let before = server.calls(COMMANDS);
        here.group_send("room", &numbered(n)).await.unwrap();
        for inbox in &mut members {
            assert_eq!(next_number(inbox).await, n);
        }
        costs.push(server.calls(COMMANDS) - before);
        for _ in 0..200 {
            let mut inbox = there.open().await.unwrap();
            there
                .group_add("room", inbox.channel().as_str())
                .await
                .unwrap();
            assert_eq!(inbox.try_receive(), None);
            members.push(inbox);
        }
    }

    assert!(costs[0] > 0);
    assert_eq!(costs, vec![costs[0]; 3]);
    assert_eq!(redis.counters().received, 3);
}

async fn ten_thousand_members_of_one_process_hear_another(dialect: Dialect) {
    let server = Server::start();
    let (here, redis) = process(&server, dialect, Limits::default()).await;
    let (there, _) = process(&server, dialect, Limits::default()).await;
    let mut members = Vec::new();
    for _ in 0..10_000 {
        members.push(member(&there, "room").await);
    }

    for n in 0..3 {
        soon(here.group_send("room", &numbered(n))).await.unwrap();
    }

    for inbox in &mut members {
        for n in 0..3 {
            assert_eq!(next_number(inbox).await, n);
        }
    }
    assert_eq!(redis.counters().published, 3);
}
