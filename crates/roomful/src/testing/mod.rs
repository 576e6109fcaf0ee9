//! A WebSocket client for tests, which speaks to any service in memory, with no port.
//!
//! [`Client`] is what `WebsocketCommunicator` is to Django Channels. Between it and the service lies all that lies there
//! in production, but for the socket: HTTP/1.1 by hyper, the handshake, frames, masks and close codes. What takes too
//! long panics, so that a test which waits in vain says what it waited for.
//!
//! ```
//! # use axum::Router;
//! use roomful::CloseCode;
//! use roomful::testing::{self, Client};
//!
//! # async fn run(service: Router) {
//! let mut client = Client::connect(service.clone(), "/room/1/").await.expect("the room is open");
//! client.send("hello").await;
//! assert_eq!(client.receive_text().await.unwrap(), "hello");
//! assert_eq!(client.close(CloseCode::NORMAL, "").await.code, CloseCode::NORMAL);
//!
//! let page = testing::get(service, "/room/1/").await;
//! assert_eq!(page.status(), 200);
//! # }
//! ```

mod client;
mod in_memory;
#[cfg(test)]
mod tests;

pub use client::{Client, ClientRequest, Refused};
pub use in_memory::{TestService, get};
