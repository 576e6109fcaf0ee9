//! Stopping is gentle: everybody is told, everything acknowledged is kept, and the program ends by itself.

use std::time::{Duration, Instant};

use futures_util::future::join;
use serde_json::{Value, json};

use crate::support::{Server, Socket, V1};

#[tokio::test]
async fn everybody_is_told_in_their_own_words_and_the_program_ends_well() {
    let mut server = Server::start();
    let api = server.api();
    let mut v1 = V1::join(&server, "123", "Ana").await;
    let mut plain = Socket::plain(&server, "123").await;
    let mut stream = api.stream("/api/rooms/123/events", None).await;
    let poller = api.with_token(v1.token());
    let mut watcher = V1::join(&server, "other", "Ben").await;
    let poll = tokio::spawn(async move {
        poller
            .get_json("/api/rooms/other/events?after=0&wait=50")
            .await
    });
    // The member that polls has come: the poll is under way.
    watcher.hear("chat.joined").await;
    let asked = Instant::now();

    server.terminate();

    let bye = v1.hear("chat.bye").await;
    assert_eq!(bye["reconnect"], true);
    assert!(bye["after_ms"].as_u64().unwrap() < 5_000, "{bye}");
    assert_eq!(v1.closed().await.0, 4012);
    assert_eq!(plain.closed().await.0, 1001);
    assert_eq!(stream.hear("chat.bye").await.1["reconnect"], true);
    assert!(stream.next().await.is_none(), "the stream ends");
    let page = poll.await.unwrap();
    assert_eq!(
        (&page["events"], &page["recovered"]),
        (&json!([]), &true.into())
    );
    let status = server.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(server.log().contains("everything acknowledged is stored"));
}

#[tokio::test]
async fn everything_acknowledged_before_a_stop_is_there_after_it() {
    let mut server = Server::with("sqlite:rooms.db", &[("LIMITS__RATE_LIMITS", "false")]);
    let mut ana = V1::join(&server, "123", "Ana").await;
    let (said, ()) = join(
        async {
            // Says more and more until it is told to go.
            let mut said = Vec::new();
            for number in 0.. {
                let id = format!("c-{number}");
                ana.send(&json!({"type": "chat.say", "id": id, "text": "x"}))
                    .await;
                loop {
                    let message = ana.next().await;
                    match message["type"].as_str().unwrap() {
                        "chat.said" => break said.push(message["seq"].clone()),
                        "chat.bye" => return said,
                        "chat.error" => assert_eq!(message["code"], "shutting_down"),
                        _ => {}
                    }
                }
            }
            said
        },
        async {
            let mut ben = V1::join(&server, "123", "Ben").await;
            ben.events(20).await;
            server.terminate();
        },
    )
    .await;
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(said.len() >= 19);

    let server = server.restarted();

    let page = server
        .api()
        .get_json("/api/rooms/123/events?after=0&limit=500")
        .await;
    let kept: Vec<Value> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["seq"].clone())
        .collect();
    assert!(
        said.iter().all(|seq| kept.contains(seq)),
        "{said:?} {kept:?}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_go_is_left_behind_after_the_drain_time() {
    let mut server = Server::with("memory", &[("DRAIN_TIMEOUT", "1s"), ("DRAIN_SPREAD", "1s")]);
    let mut raw = crate::support::Raw::connect(&server).await;
    raw.send(b"POST /api/rooms/123/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhi")
        .await;
    let asked = Instant::now();

    server.terminate();

    assert_eq!(server.ended().await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5));
}
