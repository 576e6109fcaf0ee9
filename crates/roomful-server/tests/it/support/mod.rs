//! Shared steps: a real server as a process of its own, and clients of every kind that know nothing of its insides.

mod api;
mod layer;
mod node;
mod raw;
mod server;
mod socket;
mod v1;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use api::{Api, json_of};
pub(crate) use layer::Cable;
pub(crate) use node::Node;
pub(crate) use raw::{Answer, Raw, exchange};
pub(crate) use server::Server;
pub(crate) use socket::Socket;
pub(crate) use v1::V1;

/// What happens at all happens within this time, also on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: &str, thing: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, thing).await {
        Ok(thing) => thing,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}

/// Something that listens on an address: a program of its own, or a node within the test.
pub(crate) trait Listening {
    fn address(&self) -> SocketAddr;
}
