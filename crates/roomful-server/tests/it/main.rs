//! What the server promises, tested from outside: one file per behaviour.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
#[cfg(feature = "postgres-tests")]
mod cluster;
mod embed;
mod feed;
mod history;
mod http;
mod imports;
mod metrics;
mod modes;
mod nodes;
mod plain;
#[cfg(feature = "redis-tests")]
mod seats;
mod status;
mod stop;
mod support;
mod v1;
