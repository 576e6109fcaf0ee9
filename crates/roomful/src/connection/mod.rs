//! One WebSocket on the wire: its outgoing side, which anyone may write to, and the driver that reads it, writes what
//! piled up, answers pings and ends it.
//!
//! The driver runs in the consumer's own task, polled beside the consumer: no second task, and what the consumer sent in
//! one step goes out in one write. Others (an [`Audience`](crate::audience::Audience), a [`SocketSender`]) write straight
//! to the socket from wherever they run; only what the socket does not take at once waits here, bounded, for the driver.

mod accepted;
mod driver;
mod inbound;
mod outbox;
mod switch;
mod transport;

pub(crate) use accepted::{Accepted, HttpStream};
pub(crate) use driver::Driver;
pub(crate) use outbox::Outbox;
pub use outbox::{Backlog, Overflow, SocketSender};
pub(crate) use switch::{Promise, Promised, Switch, Switched};
pub(crate) use transport::Transport;

use std::time::Duration;

/// How one endpoint treats its WebSockets. Every field has a default that runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The largest message taken, in bytes, after decompression; a larger one ends the connection with 1009. 1 MiB.
    pub max_message_bytes: usize,
    /// What may wait for a peer that does not read. 1 MiB or 4,096 frames, then 4008.
    pub backlog: Backlog,
    /// How long `connect` may take to accept or deny before the client gets 503. 10 s.
    pub handshake_timeout: Duration,
    /// A ping goes out when nothing was heard for this long; the first one between half of it and all of it, so that a
    /// storm of connections is no storm of pings. `None` sends no pings. 20 s.
    pub ping_interval: Option<Duration>,
    /// A peer that was silent for this long, pings included, is gone. 45 s.
    pub idle_timeout: Duration,
    /// How long the other end may take to answer a Close. 5 s.
    pub close_timeout: Duration,
    /// Whether permessage-deflate (RFC 7692) is negotiated with clients that offer it. Off.
    #[cfg(feature = "deflate")]
    pub deflate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_message_bytes: 1 << 20,
            backlog: Backlog::default(),
            handshake_timeout: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(20)),
            idle_timeout: Duration::from_secs(45),
            close_timeout: Duration::from_secs(5),
            #[cfg(feature = "deflate")]
            deflate: false,
        }
    }
}
