//! Heads of requests that are too long, or that two readers would read differently.

use std::time::{Duration, Instant};

use futures_util::future::join;

use super::Canary;
use crate::support::{Answer, Server, exchange};

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
