//! The status page: what it shows, and to whom.

use serde_json::{Value, json};

use crate::support::{Answer, Raw, Server, Socket, V1};

const TOKEN: &str = "a token that is long enough";

fn with_access(access: &str, token: &str) -> Server {
    Server::with(
        "memory",
        &[("STATUS__ACCESS", access), ("STATUS__TOKEN", token)],
    )
}

async fn hear(socket: &mut Socket) -> Value {
    serde_json::from_str(&socket.hear().await).unwrap()
}

/// Asks for the page and for the WebSocket, with a host and further headers.
async fn asks(server: &Server, host: &str, headers: &str) -> (u16, u16) {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut statuses = Vec::new();
    for more in ["", upgrade] {
        let mut raw = Raw::connect(server).await;
        let request = format!("GET /status/ HTTP/1.1\r\nHost: {host}\r\n{headers}{more}\r\n");
        raw.send(request.as_bytes()).await;
        let text = raw.read_head().await;
        statuses.push(Answer { text, ended: false }.status());
    }
    (statuses[0], statuses[1])
}

#[tokio::test]
async fn whoever_watches_on_this_machine_sees_what_happens_second_by_second() {
    let server = with_access("loopback", "");
    let mut watcher = Socket::open(&server, "/status/", &[]).await;
    assert_eq!(hear(&mut watcher).await["type"], "status.welcome");
    let mut ana = V1::join(&server, "123", "Ana").await;
    let mut plain = Socket::plain(&server, "123").await;

    ana.says("c-1", "hello").await;

    assert_eq!(plain.hear().await, "hello");
    // Whichever second it fell into.
    let sample = loop {
        let sample = hear(&mut watcher).await;
        assert_eq!(sample["type"], "status.sample");
        if sample["messages_per_second"].as_f64().unwrap() > 0.0 {
            break sample;
        }
    };
    assert_eq!(sample["connections"], 2);
    assert_eq!(sample["rooms"], 1);
    assert_eq!(sample["members"], 2);
    let per_second = |name: &str| sample[name].as_f64().unwrap();
    let ratio = per_second("deliveries_per_second") / per_second("messages_per_second");
    assert!((ratio - 2.0).abs() < 1e-6, "{sample}");
    assert!(sample["stored_p99_ms"].as_f64().unwrap() < 20_000.0);
    if cfg!(target_os = "linux") {
        assert!(sample["memory_bytes"].as_u64().unwrap() > 1 << 20);
    }
    let quiet = hear(&mut watcher).await;
    assert_eq!(quiet["messages_per_second"], 0.0);
    assert_eq!(quiet["stored_p99_ms"], Value::Null);
}

#[tokio::test]
async fn the_board_shows_and_takes_no_orders() {
    let server = with_access("loopback", "");
    let mut watcher = Socket::open(&server, "/status/", &[]).await;
    assert_eq!(hear(&mut watcher).await["type"], "status.welcome");

    watcher
        .say(r#"{"type":"chat.say","id":"1","text":"hi"}"#)
        .await;

    assert_eq!(hear(&mut watcher).await["type"], "status.sample");
    let rooms = server.api().get_json("/api/rooms").await;
    assert_eq!(rooms["rooms"], json!([]));
    server.terminate();
    assert_eq!(watcher.closed_at_last().await, 1001);
}

#[tokio::test]
async fn by_default_only_this_machine_is_let_in_and_nobody_through_a_proxy_on_it() {
    let server = Server::with("memory", &[]);

    assert_eq!(asks(&server, "localhost:8000", "").await, (200, 101));
    for headers in [
        "X-Forwarded-For: 192.0.2.7\r\n",
        "X-Forwarded-For: 127.0.0.1\r\n",
        "X-Real-IP: 192.0.2.7\r\n",
        "Forwarded: for=192.0.2.7\r\n",
        "Via: 1.1 proxy\r\n",
    ] {
        let asked = asks(&server, "localhost:8000", headers).await;
        assert_eq!(asked, (403, 403), "{headers}");
    }
    let by_name = asks(&server, "chat.example.com", "").await;
    assert_eq!(by_name, (403, 403));
    let response = server
        .api()
        .request("GET", "/status/")
        .header("host", "chat.example.com");
    let refused: Value = response.send().await.unwrap().json().await.unwrap();
    assert_eq!(refused["error"]["code"], "forbidden");
}

#[tokio::test]
async fn with_a_token_whoever_has_it_is_let_in_and_this_machine_is_nothing_special() {
    let server = with_access("token", TOKEN);
    let through_a_proxy = asks(
        &server,
        "chat.example.com",
        "X-Forwarded-For: 192.0.2.7\r\n",
    )
    .await;
    assert_eq!(through_a_proxy, (200, 101));

    let mut owner = Socket::open(&server, "/status/", &[]).await;
    assert_eq!(hear(&mut owner).await["type"], "status.token_wanted");
    owner
        .say(&json!({"type": "status.hello", "token": TOKEN}).to_string())
        .await;
    assert_eq!(hear(&mut owner).await["type"], "status.welcome");
    assert_eq!(hear(&mut owner).await["type"], "status.sample");

    for wrong in [
        json!({"type": "status.hello", "token": "a token that is long enoug"}).to_string(),
        json!({"type": "status.hello", "token": ""}).to_string(),
        TOKEN.to_owned(),
    ] {
        let mut other = Socket::open(&server, "/status/", &[]).await;
        assert_eq!(hear(&mut other).await["type"], "status.token_wanted");
        other.say(&wrong).await;
        assert_eq!(other.closed().await.0, 4501, "{wrong}");
    }
    assert!(!server.log().contains(TOKEN));
}

#[tokio::test]
async fn switched_off_there_is_no_status_page() {
    let server = with_access("off", "");

    assert_eq!(asks(&server, "localhost:8000", "").await, (404, 404));
}
