//! What each history keeps: a file, a bounded memory, nothing.

use serde_json::{Value, json};

use crate::support::{Server, V1, json_of};

#[tokio::test]
async fn a_file_keeps_the_room_over_a_kill_and_its_numbering_goes_on() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    ana.says("1", "one").await;
    ana.does(json!({"type": "chat.edit", "id": "2", "seq": 1, "text": "uno"}))
        .await;
    let (epoch, token) = (ana.welcome["epoch"].clone(), ana.token());
    let before = server.api().get_json("/api/rooms/123/messages").await;

    let server = server.killed_and_restarted();

    let after = server.api().get_json("/api/rooms/123/messages").await;
    assert_eq!(after, before);
    let hello = json!({"name": "Ana", "token": token, "after": 1, "epoch": epoch});
    let mut again = V1::join_with(&server, "123", hello).await;
    assert_eq!(again.id(), ana.id());
    assert_eq!(again.welcome["recovered"], true);
    assert_eq!(again.events(1).await[0]["text"], "uno");
    assert_eq!(again.says("3", "three").await, 3);
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused_with_a_sentence() {
    let mut server = Server::start();

    let (code, said) = server.start_another();

    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("roomful: failed to start: "), "{said}");
    assert!(said.contains("rooms.db"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(server.is_running());
    server.api().say("123", "still here").await;
    assert!(
        server.announced.contains("sqlite:rooms.db"),
        "{}",
        server.announced
    );
}

#[tokio::test]
async fn memory_numbers_what_is_said_keeps_the_newest_and_forgets_with_the_process() {
    let server = Server::with(
        "memory",
        &[
            ("HISTORY__MEMORY_EVENTS", "300"),
            ("LIMITS__RATE_LIMITS", "false"),
        ],
    );
    let mut ana = V1::join(&server, "123", "Ana").await;
    for number in 1..=310 {
        ana.send(&json!({"type": "chat.say", "id": number.to_string(), "text": "x"}))
            .await;
    }
    ana.events(310).await;

    let old = V1::join_with(&server, "123", json!({"after": 5})).await;
    let kept = V1::join_with(&server, "123", json!({"after": 10})).await;

    assert_eq!(old.welcome["recovered"], false, "5 was forgotten");
    assert_eq!(kept.welcome["recovered"], true);
    let hello = json!({"after": 310, "epoch": ana.welcome["epoch"]});
    let server = server.killed_and_restarted();
    let again = V1::join_with(&server, "123", hello).await;
    assert_ne!(again.welcome["epoch"], ana.welcome["epoch"]);
    assert_eq!(again.welcome["recovered"], false);
    assert_eq!(again.welcome["seq"], 0);
}

#[tokio::test]
async fn without_history_nothing_is_numbered_and_what_is_said_is_heard_live() {
    let server = Server::with("none", &[]);
    let mut ana = V1::join(&server, "123", "Ana").await;
    let mut ben = V1::join_with(&server, "123", json!({"after": 3, "epoch": "x"})).await;
    assert_eq!(ana.welcome["epoch"], Value::Null);
    assert_eq!(ana.welcome["seq"], Value::Null);
    assert_eq!(ben.welcome["recovered"], false);
    let mut stream = server.api().stream("/api/rooms/123/events", None).await;
    let (_, welcome) = stream.next().await.unwrap();
    assert_eq!(
        (&welcome["epoch"], &welcome["seq"]),
        (&Value::Null, &Value::Null)
    );

    assert_eq!(ana.says("1", "hi").await, Value::Null);

    let heard = ben.hear("chat.message").await;
    assert_eq!((&heard["text"], heard.get("seq")), (&"hi".into(), None));
    let (id, streamed) = stream.hear("chat.message").await;
    assert_eq!((id, streamed), (None, heard));
    ana.send(&json!({"type": "chat.edit", "id": "2", "seq": 1, "text": "x"}))
        .await;
    assert_eq!(ana.hear("chat.error").await["code"], "no_history");
    let api = server.api();
    let said = api.say("123", "over http").await;
    assert_eq!(said.get("seq"), None);
    assert_eq!(ben.hear("chat.message").await["text"], "over http");
    let page = api.get_json("/api/rooms/123/messages").await;
    assert_eq!(
        (&page["messages"], &page["epoch"]),
        (&json!([]), &Value::Null)
    );
    let author = api.with_token(said["you"]["token"].as_str().unwrap());
    let deleted = author.request("DELETE", "/api/rooms/123/messages/1");
    let (status, error) = json_of(deleted.send().await.unwrap()).await;
    assert_eq!(
        (status.as_u16(), &error["error"]["code"]),
        (409, &"no_history".into())
    );
}
