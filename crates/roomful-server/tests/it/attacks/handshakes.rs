//! WebSocket handshakes that are none.

use super::{Canary, KEY, UPGRADE, VERSION};
use crate::support::{Raw, Server};

#[tokio::test]
async fn a_handshake_that_is_none_gets_the_status_that_says_why() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let host = "Host: x\r\n";
    let request = |line: &str, headers: &[&str]| format!("{line}\r\n{}\r\n", headers.concat());
    let whole = |line: &str, more: &str| request(line, &[host, UPGRADE, VERSION, KEY, more]);
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
        ("two keys", whole(get, KEY), 400),
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
        ("POST", whole("POST /room/123/ HTTP/1.1", ""), 405),
        ("HTTP/1.0", whole("GET /room/123/ HTTP/1.0", ""), 505),
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
        ("a body", whole(get, "Content-Length: 2\r\n") + "hi", 400),
        (
            "a chunked body",
            whole(get, "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
            400,
        ),
        (
            "a protocol list with a hole",
            whole(get, "Sec-WebSocket-Protocol: a,,b\r\n"),
            400,
        ),
        (
            "a path without a route",
            whole("GET /nowhere/ HTTP/1.1", ""),
            404,
        ),
        (
            "a room that cannot be",
            whole("GET /room/a%20b/ HTTP/1.1", ""),
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
