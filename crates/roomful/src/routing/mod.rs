//! Routers: which service answers, by protocol and by URL.
//!
//! They are tower services that route any other tower service: a consumer's, an axum `Router`, a file server. What they
//! learn from the URL they leave in the request's extensions ([`UrlParams`](crate::UrlParams),
//! [`PathRemaining`](crate::PathRemaining), [`RouteName`](crate::RouteName)); the request itself stays as it came.
//!
//! - `protocol_type`: [`ProtocolTypeRouter`], WebSocket or plain HTTP.
//! - `url`: [`UrlRouter`], the first route whose pattern matches the path.
//! - `re_path` and `path`: the two ways to write a pattern, both compiled to a `pattern`.
//! - `service`: what can be routed to.

mod path;
mod pattern;
mod protocol_type;
mod re_path;
mod service;
mod url;

pub(crate) use service::plain;

pub use pattern::BadPattern;
pub use protocol_type::ProtocolTypeRouter;
pub use service::{BoxedService, RouteFuture, RouteService};
pub use url::UrlRouter;
