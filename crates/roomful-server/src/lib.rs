//! The chat-room server `roomful`, built on the public items of the `roomful` library.

pub mod app;
pub mod chat;
pub mod config;
pub mod counters;
pub mod feed;
pub mod history;
pub mod http;
pub mod identity;
pub mod layer;
pub mod metrics;
pub mod node;
pub mod presence;
pub mod process;
pub mod protocol;
pub mod rate;
pub mod redact;
pub mod refusal;
pub mod room;
pub mod status;
pub mod timestamp;

pub use app::{App, serve};
