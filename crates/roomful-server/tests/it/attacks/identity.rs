//! Who one is: nobody speaks as another, gets what is another's, or reads a secret in the log.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{handshake, status_of};
use crate::support::{Server, Socket, V1};

#[tokio::test]
async fn who_speaks_is_what_the_server_knows_and_not_what_a_client_says() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    let forged = json!({
        "type": "chat.say", "id": "1", "text": "hi", "seq": 99, "at": "1999-01-01T00:00:00.000Z", "room": "other",
        "from": {"id": "m-0", "name": "Admin"}, "sender": "Admin", "name": "Admin", "target": 7
    });

    assert_eq!(ana.does(forged.clone()).await, 1);

    let heard = ana.hear("chat.message").await;
    assert_eq!(heard["from"], json!({"id": ana.id(), "name": "Ana"}));
    assert_eq!((&heard["room"], heard.get("target")), (&"123".into(), None));
    assert!(!heard["at"].as_str().unwrap().starts_with("1999"));
    let api = server.api().with_token(ana.token());
    let mut again = forged;
    again["id"] = "2".into();
    again["name"] = Value::Null;
    let (_, event) = api
        .send_json("POST", "/api/rooms/123/messages", &again)
        .await;
    assert_eq!(event["from"], json!({"id": ana.id(), "name": "Ana"}));
}

#[tokio::test]
async fn everybody_gets_their_own_answer() {
    let server = Server::with("memory", &[("LIMITS__RATE_LIMITS", "false")]);
    let api = &server.api();
    join_all((0..40).map(|person| async move {
        let room = format!("room-{}", person % 4);
        let path = format!("/api/rooms/{room}/messages");
        let said = json!({"id": "0", "name": format!("P{person}"), "text": "hi"});
        let (_, first) = api.send_json("POST", &path, &said).await;
        let api = api.with_token(first["you"]["token"].as_str().unwrap());
        for number in 1..20 {
            let text = format!("{person}/{number}");
            let said =
                json!({"id": number.to_string(), "text": text, "name": format!("P{person}")});
            let (_, event) = api.send_json("POST", &path, &said).await;
            assert_eq!(event["from"], first["from"]);
            assert_eq!(event["text"], text);
            assert_eq!(event["room"], room.as_str());
        }
    }))
    .await;
}

#[tokio::test]
async fn secrets_never_reach_the_log() {
    let mut server = Server::with("sqlite:rooms.db", &[("LOG", "trace")]);
    let ana = V1::join(&server, "123", "Ana").await;
    let token = ana.token();
    let signature = token.rsplit_once('.').unwrap().1.to_owned();
    let api = server.api().with_token(&token);

    api.get("/room/123/?token=SECRETxyz").await;
    api.get("/nowhere?token=SECRETxyz").await;
    api.get_json("/api/rooms/123/events?after=0&token=SECRETxyz")
        .await;
    server
        .api()
        .with_token("SECRETxyz")
        .get("/api/rooms/123/events")
        .await;
    Socket::open(&server, "/room/123/?token=SECRETxyz", &[]).await;
    let refused = Socket::try_open(&server, "/nowhere/?token=SECRETxyz", &[]).await;
    assert_eq!(refused.err(), Some(404));
    let mut liar = V1::open(&server, "123").await;
    liar.send(&json!({"type": "chat.hello", "token": "SECRETxyz"}))
        .await;
    liar.hear_close(4501).await;
    api.say("123", "SECRETxyz \u{1b}[31m\nforged line").await;

    let stranger = handshake("x", "Origin: http://evil.example\r\n");
    let stranger = stranger.replacen("/room/123/", "/room/123/?token=SECRETxyz", 1);
    assert_eq!(status_of(&server, &stranger).await, 403);
    server.terminate();
    server.ended().await;

    let log = server.log();
    assert!(
        log.contains("evil.example") && log.contains("stopped"),
        "{log}"
    );
    assert!(!log.contains("SECRETxyz"), "{log}");
    assert!(!log.contains(&signature), "{log}");
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!log.contains(control), "{log}");
}
