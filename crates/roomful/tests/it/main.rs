//! The library's promises, tested through its public items: one binary, one file for each behaviour.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod audience;
mod chat_room;
mod consumer;
mod event;
mod examples;
mod handshake;
mod layer_contract;
mod layer_memory;
#[cfg(feature = "redis-tests")]
mod layer_redis;
mod origin;
mod protocol;
mod routing;
mod serve;
mod slow_readers;
mod support;
mod wire;
