//! Pages of other sites, and names of this one that are not its own.

use super::{Canary, handshake, status_of};
use crate::support::{Server, exchange};

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
