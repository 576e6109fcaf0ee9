//! Servers that tests and benches start for themselves: each in a temporary folder, reachable by a Unix socket there, and gone
//! with its handle. Nothing here ships.
//!
//! Calls block: for as long as such a program takes to start.

mod child;
mod postgres;
mod redis;

pub use self::postgres::Postgres;
pub use self::redis::Redis;
