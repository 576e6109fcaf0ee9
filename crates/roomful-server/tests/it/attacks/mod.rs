//! What strangers send: each attack gets a clear answer, and the others in the house do not notice.
//!
//! - `heads`: too long, or read differently by two readers
//! - `handshakes`: those that are none
//! - `origins`: pages of other sites
//! - `identity`: who one is
//! - `names`: what a room cannot be called
//! - `json`: of any shape
//! - `floods`: too much at once, or nothing when something is due
//!
//! They share the [`Canary`], who must not notice, and a handshake to spoil.

mod floods;
mod handshakes;
mod heads;
mod identity;
mod json;
mod names;
mod origins;

use serde_json::Value;

use crate::support::{Raw, Server, V1};

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
