//! What Django Channels is to Python, for Rust on tokio, tower and axum: consumers, routers and channel layers for
//! WebSockets.
//!
//! A *consumer* lives as long as one WebSocket and has a method for each moment of its life. *Routers* choose it by
//! protocol and URL; they are tower services and route any other tower service too. A *channel layer* carries events
//! between consumers, tasks and processes, through groups.
//!
//! See [`Consumer`] for the chat room everyone writes first.

pub mod audience;
mod close;
mod connection;
mod consumer;
mod error;
mod event;
pub mod layer;
mod message;
pub mod origin;
pub mod routing;
mod scope;
pub mod serve;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;
mod upgrade;
pub mod ws;

pub use bytestring::ByteString;
pub use serde_json::json;

pub use close::{Close, CloseCode};
pub use connection::{Backlog, Options, Overflow, SocketSender};
pub use consumer::{Consumer, ConsumerService};
pub use error::{Deny, Error, Result};
pub use event::{Event, EventError};
pub use layer::ChannelLayer;
pub use message::Message;
pub use routing::{ProtocolTypeRouter, UrlRouter};
pub use scope::{MissingParam, PathRemaining, PeerAddr, RouteName, Scope, UrlParams};
pub use socket::{Accept, Moment, Socket};

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
