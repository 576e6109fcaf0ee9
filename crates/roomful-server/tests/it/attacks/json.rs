//! JSON of any shape.

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::Canary;
use crate::support::{Server, V1, json_of};

#[tokio::test]
async fn json_of_any_shape_is_answered_and_harms_nobody() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let say = |text: &str| format!(r#"{{"type":"chat.say","id":"1","text":{text}}}"#);
    for (text, code) in [
        (deep(1000), "bad_request"),
        (deep(10_000), "bad_request"),
        (say(&deep(10_000)), "bad_request"),
        (
            format!(
                r#"{{"type":"chat.say","x":{},"id":"1","text":"x"}}"#,
                deep(10_000)
            ),
            "bad_request",
        ),
        (say(r#""\ud800""#), "bad_request"),
        (say(r#""\udc00\ud800""#), "bad_request"),
        (say("1e999"), "bad_request"),
        (say("null"), "bad_request"),
        (
            r#"{"type":"chat.say","id":"1","id":"2","text":"x"}"#.to_owned(),
            "bad_request",
        ),
        (
            r#"{"type":"chat.delete","id":"1","seq":18446744073709551616}"#.to_owned(),
            "bad_request",
        ),
        (
            r#"{"type":"chat.delete","id":"1","seq":1e3}"#.to_owned(),
            "bad_request",
        ),
        (
            r#"{"type":"chat.delete","id":"1","seq":-1}"#.to_owned(),
            "bad_request",
        ),
        (r#"{"type":{"chat":"say"}}"#.to_owned(), "bad_request"),
        (r#"["chat.ping"]"#.to_owned(), "bad_request"),
        (r#"["chat.say","1","x",null]"#.to_owned(), "bad_request"),
        (
            format!(r#"{{"type":"{}"}}"#, "x".repeat(20_000)),
            "unknown_type",
        ),
        ("null".to_owned(), "bad_request"),
        ("1e999".to_owned(), "bad_request"),
    ] {
        let mut client = V1::join(&server, "123", "Ana").await;
        client.send_raw(Message::text(text.as_str())).await;
        let error = client.hear("chat.error").await;
        let shown = &text[..text.len().min(60)];
        assert_eq!(error["code"], code, "{shown}: {error}");
        assert!(
            error.to_string().len() < 1000,
            "{shown}: an answer is short"
        );
        assert_eq!(client.all_that_came().await, Vec::<Value>::new(), "{shown}");
    }
    let api = server.api();
    for body in [
        deep(10_000),
        format!(r#"{{"text":{}}}"#, deep(10_000)),
        r#"{"text":"\ud800"}"#.to_owned(),
    ] {
        let request = api
            .request("POST", "/api/rooms/123/messages")
            .header("content-type", "application/json")
            .body(body);
        let (status, error) = json_of(request.send().await.unwrap()).await;
        assert_eq!(
            (status.as_u16(), &error["error"]["code"]),
            (400, &"bad_request".into())
        );
    }
    assert_eq!(api.get_json("/api/rooms/123").await["seq"], 0);
    canary.was_undisturbed(&mut server).await;
}
