//! WebSockets without a subprotocol: text in, text out, as in the simplest tutorial.

use tokio_tungstenite::tungstenite::Message;

use crate::support::{Server, Socket, V1};

#[tokio::test]
async fn what_one_says_everybody_hears_the_speaker_too() {
    let server = Server::start();
    let mut ana = Socket::plain(&server, "123").await;
    let mut ben = Socket::open(&server, "/ws/123/", &[]).await;

    ana.say("你好 👋").await;

    assert_eq!(ana.hear().await, "你好 👋");
    assert_eq!(ben.hear().await, "你好 👋");
    assert_eq!(ana.subprotocol, None);
}

#[tokio::test]
async fn twenty_messages_come_in_the_order_they_were_said() {
    let server = Server::start();
    let mut ana = Socket::plain(&server, "123").await;
    let mut ben = Socket::plain(&server, "123").await;

    for number in 1..=20 {
        ana.say(&number.to_string()).await;
    }

    for number in 1..=20 {
        assert_eq!(ana.hear().await, number.to_string());
        assert_eq!(ben.hear().await, number.to_string());
    }
}

#[tokio::test]
async fn who_joins_hears_what_is_said_from_now_on_and_nothing_else() {
    let server = Server::start();
    let mut ana = Socket::plain(&server, "123").await;
    ana.say("before").await;
    assert_eq!(ana.hear().await, "before");

    let mut ben = Socket::plain(&server, "123").await;
    ana.say("after").await;

    assert_eq!(ben.hear().await, "after");
}

#[tokio::test]
async fn rooms_do_not_hear_each_other_and_have_names_in_any_script() {
    let server = Server::start();
    let mut here = Socket::plain(&server, "%E8%81%8A%E5%A4%A9%E5%AE%A4").await;
    let mut there = Socket::plain(&server, "%E8%8A%B1%E5%9B%AD").await;

    here.say("这里").await;
    there.say("那里").await;

    assert_eq!(here.hear().await, "这里");
    assert_eq!(there.hear().await, "那里");
    let room = server.api().get_json("/api/rooms/聊天室").await;
    assert_eq!((&room["room"], &room["seq"]), (&"聊天室".into(), &1.into()));
}

#[tokio::test]
async fn binary_is_refused_with_1003_and_what_was_said_before_it_is_kept() {
    let server = Server::start();
    let mut ana = Socket::plain(&server, "123").await;
    ana.say("kept").await;
    ana.send(Message::binary(vec![1, 2, 3])).await;

    assert_eq!(ana.closed_at_last().await, 1003);

    let mut ben = Socket::plain(&server, "123").await;
    ben.say("after").await;
    assert_eq!(ben.hear().await, "after");
    let page = server.api().get_json("/api/rooms/123/messages").await;
    assert_eq!(page["messages"][0]["text"], "kept");
}

#[tokio::test]
async fn a_text_of_blanks_is_nothing_and_a_long_one_is_1009() {
    let server = Server::with("memory", &[("LIMITS__MESSAGE_BYTES", "1KiB")]);
    let mut ana = Socket::plain(&server, "123").await;
    ana.say("").await;
    ana.say(" \n").await;
    ana.say(&"x".repeat(1024)).await;
    assert_eq!(ana.hear().await.len(), 1024);

    ana.say(&"x".repeat(1025)).await;

    assert_eq!(ana.closed_at_last().await, 1009);
}

#[tokio::test]
async fn a_page_that_offers_other_subprotocols_gets_none_of_them() {
    let server = Server::start();
    let offer = "GET /room/123/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: roomful.v2, graphql-ws\r\n\r\n";
    let mut raw = crate::support::Raw::connect(&server).await;
    raw.send(offer.as_bytes()).await;

    let head = raw.read_head().await.to_ascii_lowercase();

    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
}

#[tokio::test]
async fn plain_text_and_json_and_http_are_one_room() {
    let server = Server::start();
    let mut plain = Socket::plain(&server, "123").await;
    let mut json = V1::join(&server, "123", "Ana").await;

    json.says("1", "from json").await;
    assert_eq!(plain.hear().await, "from json");
    plain.say("from plain").await;
    assert_eq!(plain.hear().await, "from plain");
    server.api().say("123", "from http").await;
    assert_eq!(plain.hear().await, "from http");

    let texts: Vec<_> = json
        .events(3)
        .await
        .into_iter()
        .map(|event| event["text"].clone())
        .collect();
    assert_eq!(texts, ["from json", "from plain", "from http"]);
}

#[tokio::test]
async fn a_fast_plain_speaker_is_slowed_down_and_loses_nothing() {
    let server = Server::with(
        "memory",
        &[
            ("LIMITS__BURST", "2"),
            ("LIMITS__MESSAGES_PER_SECOND", "50"),
        ],
    );
    let mut ana = Socket::plain(&server, "123").await;

    for number in 0..30 {
        ana.say(&number.to_string()).await;
    }

    for number in 0..30 {
        assert_eq!(ana.hear().await, number.to_string());
    }
}
