//! How the server is doing, once a second, for its operator: what `/status/` draws.
//!
//! - `access`: who may see it;
//! - `board`: measures while somebody watches, and only then;
//! - `consumer`: one watcher's WebSocket.

mod access;
mod board;
mod consumer;

pub use access::{Access, Audience, Visitor};
pub use board::Board;
pub use consumer::StatusConsumer;
