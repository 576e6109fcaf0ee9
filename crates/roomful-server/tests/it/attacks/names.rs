//! Names of rooms that are none, or that look like another's.

use std::collections::HashSet;

use super::{Canary, handshake, status_of};
use crate::support::{Server, Socket, exchange};

#[tokio::test]
async fn a_room_has_one_name_and_no_tricks_in_it() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let long = "x".repeat(65);
    let longer = "x".repeat(8000);
    for path in [
        "%2e",
        "%2e%2e",
        ".",
        "..",
        "%2F",
        "a%2Fb",
        "a%5Cb",
        "%00",
        "a%00b",
        "a%0d%0aX:%20y",
        "%0a",
        "a%20b",
        "%20",
        "+",
        "a+b",
        "a%3Fb",
        "a%23b",
        "a%25b",
        "a%2500",
        "%252e%252e",
        "%E2%80%AEabc",
        "a%E2%80%8Bb",
        "%EF%BB%BFa",
        "%C0%AE%C0%AE",
        "%FF",
        "%ED%A0%80",
        "%F0%9F%98%80",
        "%E2%82%AC",
        "a;b",
        "a:b",
        "a@b",
        "a*b",
        "a'b",
        "a%22b",
        "%3Cscript%3E",
        "$%7Bx%7D",
        "%CC%81",
        &long,
        &longer,
        "%F4%90%80%80",
    ] {
        for prefix in ["/room/", "/ws/"] {
            let request = handshake("x", "").replacen("/room/123/", &format!("{prefix}{path}/"), 1);
            let status = status_of(&server, &request).await;
            assert!(matches!(status, 400 | 404), "{prefix}{path}: {status}");
        }
        for path in [
            format!("/room/{path}/"),
            format!("/api/rooms/{path}/messages"),
        ] {
            let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let status = exchange(&server, get.as_bytes()).await.status();
            assert!(matches!(status, 400 | 404), "{path}: {status}");
        }
    }
    for path in [
        "/room//123/",
        "/room/123//",
        "/ROOM/123/",
        "/room/123/../456/",
        "/x/room/123/",
    ] {
        let request = handshake("x", "").replacen("/room/123/", path, 1);
        assert_eq!(status_of(&server, &request).await, 404, "{path}");
    }
    // What looks the same is the same: é as one character or as two.
    let mut one = Socket::plain(&server, "caf%C3%A9").await;
    let mut two = Socket::plain(&server, "cafe%CC%81").await;
    one.say("hi").await;
    assert_eq!(two.hear().await, "hi");
    two.say("ho").await;
    assert_eq!(
        (one.hear().await, one.hear().await),
        ("hi".into(), "ho".into())
    );
    let rooms = server.api().get_json("/api/rooms").await;
    let names: HashSet<_> = rooms["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| room["room"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        HashSet::from(["canary", "café"]),
        "refused names make no rooms"
    );
    canary.was_undisturbed(&mut server).await;
}
