//! What is special about the record in PostgreSQL: several nodes share it, and it may be away.

use std::collections::BTreeSet;

use roomful_server::history::{History, HistoryError, OpenError, PostgresOptions};
use services::Postgres;

use super::{Voice, messages, room, say, until};

fn open(url: &str) -> History {
    History::open_postgres(url, PostgresOptions::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_share_one_name_and_one_numbering() {
    let server = Postgres::shared().unwrap();
    let url = server.database().unwrap();
    let opening = [(); 4].map(|()| {
        let url = url.clone();
        tokio::task::spawn_blocking(move || open(&url))
    });
    let mut nodes = Vec::new();
    for node in opening {
        nodes.push(node.await.unwrap());
    }
    for node in &nodes {
        assert_eq!(node.epoch(), nodes[0].epoch());
        assert_eq!(node.secret(), nodes[0].secret());
    }

    // Everybody says everything twice, on two nodes at once.
    let sayings = (0..500).flat_map(|n| {
        let nodes = &nodes;
        [n, n + 1].map(|node| async move {
            let ana = Voice::of(&nodes[node % 4], "ana");
            ana.does(&format!("c{n}"), say("hi")).await.unwrap()
        })
    });
    let said = futures_util::future::join_all(sayings).await;

    let new = said.iter().filter(|said| !said.repeated);
    let numbers: BTreeSet<u64> = new.map(|said| said.event.seq).collect();
    assert!(numbers.iter().copied().eq(1..=500), "{numbers:?}");
    for pair in said.chunks(2) {
        assert_eq!(pair[0].event, pair[1].event);
    }
    assert_eq!(messages(&nodes[0]).await, messages(&nodes[3]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_open_many_new_rooms_in_opposite_orders_do_not_block_each_other() {
    let server = Postgres::shared().unwrap();
    let url = server.database().unwrap();
    let nodes = [open(&url), open(&url)];

    let sayings = (0..200).flat_map(|n| {
        let nodes = &nodes;
        [n, 199 - n]
            .into_iter()
            .zip(nodes)
            .map(move |(name, node)| async move {
                let ana = Voice {
                    room: room(&format!("r{name}")),
                    ..Voice::of(node, "ana")
                };
                ana.does(&format!("{n}"), say("hi")).await.unwrap()
            })
    });
    futures_util::future::join_all(sayings).await;

    let names: Vec<_> = (0..200).map(|n| room(&format!("r{n}"))).collect();
    assert_eq!(nodes[0].heads(&names).await.unwrap(), [2; 200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_saying_is_refused_as_retryable_and_then_goes_on() {
    let server = Postgres::start().unwrap();
    let history = open(&server.database().unwrap());
    let ana = Voice::of(&history, "ana");
    assert_eq!(ana.says("a", "before").await, 1);

    server.stop().unwrap();
    let refused = ana.does("b", say("meanwhile")).await.unwrap_err();
    assert!(
        matches!(refused, HistoryError::Unavailable { .. }),
        "{refused:?}"
    );
    assert!(refused.is_retryable());
    history.ready().await.unwrap_err();
    history.head(&room("hall")).await.unwrap_err();

    server.start_again().unwrap();
    until("the history is ready again", async || {
        history.ready().await.is_ok()
    })
    .await;
    assert_eq!(ana.says("b", "meanwhile").await, 2);
    assert_eq!(ana.says("a", "before").await, 1, "what was stored stayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_restarted_in_between_is_not_noticed() {
    let server = Postgres::start().unwrap();
    let history = open(&server.database().unwrap());
    let ana = Voice::of(&history, "ana");
    ana.says("a", "before").await;

    server.stop().unwrap();
    server.start_again().unwrap();

    assert_eq!(ana.says("b", "after").await, 2);
    assert_eq!(messages(&history).await.len(), 2);
}

#[test]
fn what_cannot_be_opened_is_told_without_its_password() {
    let server = Postgres::shared().unwrap();
    let url = server.database().unwrap();
    drop(open(&url));
    let newer = "INSERT INTO roomful.migrations (version, readable_by) VALUES (99, 99)";
    server.psql(&url, newer).unwrap();

    let newer = History::open_postgres(&url, PostgresOptions::default()).unwrap_err();
    assert!(
        matches!(&newer, OpenError::NewerPostgres { source, .. } if source.found == 99),
        "{newer}"
    );

    let nowhere = "postgres://ana:s3cret@127.0.0.1:1/rooms";
    for error in [
        History::open_postgres(nowhere, PostgresOptions::default()).unwrap_err(),
        History::look_at_postgres(nowhere).unwrap_err(),
    ] {
        let told = format!("{error:?}");
        let told = format!("{told} {:#}", anyhow::Error::from(error));
        assert!(told.contains("ana:***@127.0.0.1:1/rooms"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn looking_at_a_database_changes_nothing() {
    let server = Postgres::shared().unwrap();
    let url = server.database().unwrap();

    let before = History::look_at_postgres(&url).unwrap();

    assert!(before.contains("will be made"), "{before}");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'roomful'";
    assert_eq!(server.psql(&url, schemas).unwrap(), "0");
    drop(open(&url));
    assert_eq!(History::look_at_postgres(&url).unwrap(), "is reached");
}
