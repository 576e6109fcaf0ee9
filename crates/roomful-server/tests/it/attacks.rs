//! What strangers send: each attack gets a clear answer, and the others in the house do not notice.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use futures_util::stream;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Answer, Raw, Server, Socket, V1, exchange, json_of, soon};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// A member that sits in a room of its own and must not notice anything.
struct Canary(V1);

impl Canary {
    async fn sits_in(server: &Server) -> Self {
        Self(V1::join(server, "canary", "Canary").await)
    }

    async fn was_undisturbed(mut self, server: &mut Server) {
        assert_eq!(self.0.all_that_came().await, Vec::<Value>::new());
        assert_eq!(self.0.says("alive", "alive").await, 1);
        assert!(server.is_running());
        assert!(!server.log().contains("panicked"), "{}", server.log());
    }
}

/// A handshake for room 123, with `lines` among its headers.
fn handshake(host: &str, lines: &str) -> String {
    format!("GET /room/123/ HTTP/1.1\r\nHost: {host}\r\n{UPGRADE}{VERSION}{KEY}{lines}\r\n")
}

/// Sends a request; reads its answer without waiting for an end that an accepted handshake does not have.
async fn status_of(server: &Server, request: &str) -> u16 {
    let mut raw = Raw::connect(server).await;
    raw.send(request.as_bytes()).await;
    let head = raw.read_head().await;
    head.get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

#[tokio::test]
async fn pages_of_other_origins_cannot_speak_here() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let host = server.address.to_string();
    let (ip, port) = (server.address.ip(), server.address.port());
    let other_port = port.wrapping_add(1);

    for (origin, allowed) in [
        (String::new(), true),
        (format!("Origin: http://{host}\r\n"), true),
        (format!("Origin: https://{host}\r\n"), true),
        ("Origin: https://evil.example\r\n".to_owned(), false),
        ("Origin: null\r\n".to_owned(), false),
        ("Origin: file://\r\n".to_owned(), false),
        ("Origin: \r\n".to_owned(), false),
        (format!("Origin: http://{ip}\r\n"), false),
        (format!("Origin: http://{ip}:{other_port}\r\n"), false),
        (format!("Origin: http://{host}.evil.example\r\n"), false),
        (format!("Origin: http://evil.example#{host}\r\n"), false),
        (format!("Origin: http://evil.example@{host}\r\n"), false),
        (format!("Origin: http://evil.{host}\r\n"), false),
        (
            format!("Origin: http://{host}\r\nOrigin: http://{host}\r\n"),
            false,
        ),
        (
            format!("Origin: http://{host} http://evil.example\r\n"),
            false,
        ),
    ] {
        let socket = status_of(&server, &handshake(&host, &origin)).await;
        assert_eq!(socket, if allowed { 101 } else { 403 }, "{origin}");
        let post = format!(
            "POST /api/rooms/123/messages HTTP/1.1\r\nHost: {host}\r\n{origin}Content-Length: 2\r\n\
             Content-Type: text/plain\r\nConnection: close\r\n\r\nhi"
        );
        let answer = exchange(&server, post.as_bytes()).await;
        assert_eq!(answer.status(), if allowed { 201 } else { 403 }, "{origin}");
        assert_eq!(
            answer.text.contains("origin_not_allowed"),
            !allowed,
            "{origin}"
        );
    }
    canary.was_undisturbed(&mut server).await;
}

#[tokio::test]
async fn the_operator_says_which_pages_and_hosts_are_good() {
    let server = Server::with(
        "memory",
        &[
            ("ORIGINS__ALLOWED", "https://example.com,.example.org"),
            ("ORIGINS__HOSTS", "chat.example.com,127.0.0.1"),
        ],
    );
    for (host, origin, status) in [
        ("chat.example.com", "https://example.com", 101),
        ("chat.example.com", "https://www.example.org", 101),
        ("chat.example.com", "https://chat.example.com", 101),
        ("127.0.0.1:80", "http://127.0.0.1", 101),
        ("chat.example.com", "http://example.com", 403),
        ("chat.example.com", "https://example.com.evil.example", 403),
        // DNS rebinding: the page and the host agree, but the host is not ours.
        ("rebound.example", "http://rebound.example", 421),
        ("127.0.0.1.evil.example", "https://example.com", 421),
        ("localhost", "https://example.com", 421),
    ] {
        let request = handshake(host, &format!("Origin: {origin}\r\n"));
        assert_eq!(
            status_of(&server, &request).await,
            status,
            "{host} {origin}"
        );
    }
    let page = "GET / HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(&server, page.as_bytes()).await.status(), 421);
}

#[tokio::test]
async fn huge_heads_are_refused_and_cost_nothing() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let get = |lines: &str| {
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n")
    };
    let many = |count: usize| {
        (0..count)
            .map(|number| format!("X-{number}: x\r\n"))
            .collect::<String>()
    };

    for (what, request, statuses) in [
        ("90 headers", get(&many(90)), &[200][..]),
        ("200 headers", get(&many(200)), &[431]),
        ("10,000 headers", get(&many(10_000)), &[431]),
        (
            "a header of 8 KiB",
            get(&format!("X: {}\r\n", "x".repeat(8 << 10))),
            &[200],
        ),
        (
            "a header of 32 KiB",
            get(&format!("X: {}\r\n", "x".repeat(32 << 10))),
            &[431],
        ),
        (
            "a header of 20 MB",
            get(&format!("X: {}\r\n", "x".repeat(20 << 20))),
            &[431],
        ),
        (
            "a header name of 64 KiB",
            get(&format!("{}: x\r\n", "x".repeat(64 << 10))),
            &[431, 400],
        ),
        (
            "a path of 64 KiB",
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(64 << 10)),
            &[414, 431],
        ),
        (
            "a method of 64 KiB",
            format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", "X".repeat(64 << 10)),
            &[400, 414, 431],
        ),
    ] {
        let asked = Instant::now();
        let answer = answer_to(&server, request.as_bytes()).await;
        assert!(
            statuses.contains(&answer.status()),
            "{what}: {}",
            answer.status()
        );
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "{what}: {:?}",
            asked.elapsed()
        );
    }
    canary.was_undisturbed(&mut server).await;
}

/// The answer to a request that may be cut off before it is sent whole: reading goes on while writing does.
async fn answer_to(server: &Server, request: &[u8]) -> Answer {
    let stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let (mut read, mut write) = stream.into_split();
    let (_, bytes) = join(
        async {
            // The server stops reading what it has refused.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut write, request).await;
        },
        async {
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = tokio::io::AsyncReadExt::read(&mut read, &mut buffer).await
            {
                bytes.extend_from_slice(&buffer[..length]);
            }
            bytes
        },
    )
    .await;
    Answer {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        ended: true,
    }
}

#[tokio::test]
async fn who_never_finishes_a_request_is_cut_off_and_keeps_nobody_out() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let begun = Instant::now();
    let mut waiting = Vec::new();
    for beginning in [
        &b""[..],
        b"G",
        b"GET /room/123/ HTTP/1.1\r\nHost: x\r\n",
        b"POST /api/rooms/123/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhi",
    ] {
        for _ in 0..50 {
            let mut raw = Raw::connect(&server).await;
            raw.send(beginning).await;
            waiting.push(raw);
        }
    }
    let joined = Instant::now();
    V1::join(&server, "123", "Ana").await;
    assert!(
        joined.elapsed() < Duration::from_secs(2),
        "{:?}",
        joined.elapsed()
    );

    let drip = async {
        let mut raw = Raw::connect(&server).await;
        // A header a second: always alive, never done.
        for number in 0..20 {
            if !raw.send(format!("X-{number}: x\r\n").as_bytes()).await {
                break;
            }
            if raw.read(Duration::from_secs(1)).await.ended {
                return;
            }
        }
        panic!("a head of 20 seconds was waited for");
    };
    let cut = join_all(waiting.iter_mut().map(Raw::read_to_end));
    let (_, ()) = join(cut, drip).await;

    assert!(
        begun.elapsed() < Duration::from_secs(14),
        "{:?}",
        begun.elapsed()
    );
    canary.was_undisturbed(&mut server).await;
}

#[tokio::test]
async fn a_handshake_that_is_none_gets_the_status_that_says_why() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let host = "Host: x\r\n";
    let request = |line: &str, headers: &[&str]| format!("{line}\r\n{}\r\n", headers.concat());
    let get = "GET /room/123/ HTTP/1.1";
    let key = |key: &str| format!("Sec-WebSocket-Key: {key}\r\n");

    for (what, request, status) in [
        ("no key", request(get, &[host, UPGRADE, VERSION]), 400),
        (
            "an empty key",
            request(get, &[host, UPGRADE, VERSION, &key("")]),
            400,
        ),
        (
            "a short key",
            request(get, &[host, UPGRADE, VERSION, &key("c2hvcnQ=")]),
            400,
        ),
        (
            "a long key",
            request(
                get,
                &[
                    host,
                    UPGRADE,
                    VERSION,
                    &key("dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ=="),
                ],
            ),
            400,
        ),
        (
            "a key that is not base64",
            request(
                get,
                &[host, UPGRADE, VERSION, &key("!!!!!!!!!!!!!!!!!!!!!!==")],
            ),
            400,
        ),
        (
            "two keys",
            request(get, &[host, UPGRADE, VERSION, KEY, KEY]),
            400,
        ),
        ("no version", request(get, &[host, UPGRADE, KEY]), 400),
        (
            "version 8",
            request(get, &[host, UPGRADE, KEY, "Sec-WebSocket-Version: 8\r\n"]),
            426,
        ),
        (
            "version 13, 8",
            request(
                get,
                &[host, UPGRADE, KEY, "Sec-WebSocket-Version: 13, 8\r\n"],
            ),
            426,
        ),
        (
            "two versions",
            request(get, &[host, UPGRADE, KEY, VERSION, VERSION]),
            400,
        ),
        (
            "POST",
            request("POST /room/123/ HTTP/1.1", &[host, UPGRADE, VERSION, KEY]),
            405,
        ),
        (
            "HTTP/1.0",
            request("GET /room/123/ HTTP/1.0", &[host, UPGRADE, VERSION, KEY]),
            505,
        ),
        ("no host", request(get, &[UPGRADE, VERSION, KEY]), 400),
        (
            "two hosts",
            request(get, &[host, host, UPGRADE, VERSION, KEY]),
            400,
        ),
        (
            "a host that is none",
            request(get, &["Host: a b\r\n", UPGRADE, VERSION, KEY]),
            400,
        ),
        (
            "no connection",
            request(get, &[host, "Upgrade: websocket\r\n", VERSION, KEY]),
            400,
        ),
        (
            "connection: notupgrade",
            request(
                get,
                &[
                    host,
                    "Connection: notupgrade\r\nUpgrade: websocket\r\n",
                    VERSION,
                    KEY,
                ],
            ),
            400,
        ),
        (
            "connection: close",
            request(
                get,
                &[
                    host,
                    "Connection: close\r\nUpgrade: websocket\r\n",
                    VERSION,
                    KEY,
                ],
            ),
            400,
        ),
        (
            "a body",
            request(get, &[host, UPGRADE, VERSION, KEY, "Content-Length: 2\r\n"]) + "hi",
            400,
        ),
        (
            "a chunked body",
            request(
                get,
                &[
                    host,
                    UPGRADE,
                    VERSION,
                    KEY,
                    "Transfer-Encoding: chunked\r\n",
                ],
            ) + "0\r\n\r\n",
            400,
        ),
        (
            "a protocol list with a hole",
            request(
                get,
                &[
                    host,
                    UPGRADE,
                    VERSION,
                    KEY,
                    "Sec-WebSocket-Protocol: a,,b\r\n",
                ],
            ),
            400,
        ),
        (
            "a path without a route",
            request("GET /nowhere/ HTTP/1.1", &[host, UPGRADE, VERSION, KEY]),
            404,
        ),
        (
            "a room that cannot be",
            request("GET /room/a%20b/ HTTP/1.1", &[host, UPGRADE, VERSION, KEY]),
            404,
        ),
    ] {
        let mut raw = Raw::connect(&server).await;
        raw.send(request.as_bytes()).await;
        // What follows a refused handshake must not be read as another request.
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n")
            .await;
        let answer = raw.read_to_end().await;
        assert_eq!(answer.statuses(), [status], "{what}: {}", answer.text);
        if what.contains("version") {
            let text = answer.text.to_ascii_lowercase();
            assert!(
                text.contains("\r\nsec-websocket-version: 13\r\n"),
                "{what}: {text}"
            );
        }
    }
    canary.was_undisturbed(&mut server).await;
}

#[tokio::test]
async fn requests_that_two_readers_would_read_differently_are_refused() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let post = "POST /api/rooms/123/messages HTTP/1.1\r\nHost: x\r\n";
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n";

    for (what, request) in [
        (
            "two lengths",
            format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi"),
        ),
        (
            "a list of lengths",
            format!("{post}Content-Length: 2, 3\r\n\r\nhi"),
        ),
        (
            "a signed length",
            format!("{post}Content-Length: +2\r\n\r\nhi"),
        ),
        (
            "a negative length",
            format!("{post}Content-Length: -2\r\n\r\nhi"),
        ),
        (
            "a hexadecimal length",
            format!("{post}Content-Length: 0x2\r\n\r\nhi"),
        ),
        (
            "an endless length",
            format!("{post}Content-Length: 99999999999999999999\r\n\r\nhi"),
        ),
        (
            "an empty length",
            format!("{post}Content-Length: \r\n\r\nhi"),
        ),
        (
            "xchunked",
            format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked and more",
            format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ),
        (
            "identity",
            format!("{post}Transfer-Encoding: identity\r\n\r\nhi"),
        ),
        (
            "a space before the colon",
            format!("{post}Content-Length : 2\r\n\r\nhi"),
        ),
        (
            "a space before a name",
            format!("{post} Content-Length: 2\r\n\r\nhi"),
        ),
        (
            "a folded line",
            format!("{post}X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi"),
        ),
        (
            "a bare CR",
            format!("{post}X: a\rContent-Length: 9\r\nContent-Length: 2\r\n\r\nhi"),
        ),
        (
            "a NUL",
            format!("{post}X: a\0b\r\nContent-Length: 2\r\n\r\nhi"),
        ),
        (
            "a body on GET",
            "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /".to_owned(),
        ),
        (
            "a chunked body on GET",
            "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
        ),
        (
            "a length that is no number",
            format!("{post}Content-Length: two\r\n\r\nhi"),
        ),
        ("no host", "GET /healthz HTTP/1.1\r\n\r\n".to_owned()),
        (
            "two hosts",
            "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_owned(),
        ),
        (
            "a version of its own",
            "GET /healthz HTTP/1.9\r\nHost: x\r\n\r\n".to_owned(),
        ),
        ("no version", "GET /healthz\r\n\r\n".to_owned()),
        (
            "the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned()),
        ("nothing that is HTTP", "\0\u{1}\u{2}\r\n\r\n".to_owned()),
    ] {
        let answer = exchange(&server, format!("{request}{smuggled}").as_bytes()).await;
        let statuses = answer.statuses();
        assert!(statuses.len() <= 1, "{what}: {}", answer.text);
        assert!(
            statuses.iter().all(|status| matches!(status, 400 | 505)),
            "{what}: {}",
            answer.text
        );
        assert!(
            !answer.text.contains("\r\n\r\nok\n"),
            "{what}: {}",
            answer.text
        );
    }
    // With both, the encoding counts and the connection ends (RFC 9112, section 6.1): nothing behind it is read.
    let hi = "2\r\nhi\r\n0\r\n\r\n";
    for both in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    ] {
        let request = format!("{post}{both}Content-Type: text/plain\r\n\r\n{hi}{smuggled}");
        let answer = exchange(&server, request.as_bytes()).await;
        assert_eq!(answer.statuses(), [201], "{both}: {}", answer.text);
    }
    // Alone it is fine, and the next request is read.
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n{hi}");
    let last = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = exchange(&server, format!("{chunked}{last}").as_bytes()).await;
    assert_eq!(answer.statuses(), [201, 200], "{}", answer.text);
    // Names, spaces around values and a repeated equal length are nobody's trick.
    let fine =
        format!("{post}content-LENGTH:\t2 \r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    assert_eq!(exchange(&server, fine.as_bytes()).await.statuses(), [201]);
    canary.was_undisturbed(&mut server).await;
}

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
async fn a_flood_of_one_does_not_keep_the_others_waiting() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let mut flooder = V1::join(&server, "123", "Flood").await;
    let mut ben = V1::join(&server, "123", "Ben").await;
    let say = json!({"type": "chat.say", "id": "x", "text": "flood"});

    let (slowest, refused) = join(
        async {
            let mut slowest = Duration::ZERO;
            for number in 0..40 {
                let asked = Instant::now();
                ben.says(&number.to_string(), "hi").await;
                slowest = slowest.max(asked.elapsed());
            }
            slowest
        },
        async {
            let mut refused = 0;
            for round in 0..20 {
                for number in 0..250 {
                    let mut say = say.clone();
                    say["id"] = format!("{round}-{number}").into();
                    flooder.send(&say).await;
                }
                refused += flooder
                    .all_that_came()
                    .await
                    .iter()
                    .filter(|message| message["code"] == "rate_limited")
                    .count();
            }
            refused
        },
    )
    .await;

    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(refused > 4_000, "{refused} of 5,000 were refused");
    canary.was_undisturbed(&mut server).await;
}

#[tokio::test]
async fn who_takes_no_answer_is_cut_off() {
    let endless = || async {
        let piece = || Ok::<_, std::convert::Infallible>(vec![b'x'; 64 << 10]);
        axum::body::Body::from_stream(stream::repeat_with(piece))
    };
    let application = axum::Router::new()
        .route("/endless", axum::routing::get(endless))
        .route("/", axum::routing::get(|| async { "hi" }));
    let mut limits = roomful::serve::HttpLimits::default();
    limits.keep_alive = Duration::from_millis(500);
    // The next one is served when this one is gone.
    limits.max_connections = 1;
    let server = roomful::serve::Server::bind("127.0.0.1:0", 1)
        .unwrap()
        .limits(limits);
    let address = server.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = std::thread::spawn(move || {
        let stopped = async { drop(stopped.await) };
        server.run(application, stopped, async {}).unwrap();
    });
    let mut stalled = tokio::net::TcpStream::connect(address).await.unwrap();
    let get = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stalled, get)
        .await
        .unwrap();

    let next = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = soon(
        "the next one's turn",
        next.get(format!("http://{address}/")).send(),
    );

    assert_eq!(answer.await.unwrap().status(), 200);
    drop((stop, stalled, next));
    running.join().unwrap();
}
