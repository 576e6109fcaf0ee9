//! Who may speak to this server from a browser: checks of `Origin` and `Host`, as tower layers.
//!
//! A browser lets any page open a WebSocket to any server, and sends that server's cookies along. The only sign of it is
//! the `Origin` header, so a server that does not look at it speaks with every page its visitors have open
//! (cross-site WebSocket hijacking). [`AllowedOrigins`] looks. [`AllowedHosts`] is for servers on a private address: it
//! turns away pages that reach them under a name of their own (DNS rebinding).
//!
//! - `host`: hosts and origins as headers write them; `pattern`: sets of them, as configuration writes them.
//! - `allowed_origins`, `allowed_hosts`: the two layers.

mod allowed_hosts;
mod allowed_origins;
mod host;
mod pattern;

pub use allowed_hosts::{AllowedHosts, CheckHost};
pub use allowed_origins::{AllowedOrigins, CheckOrigin};
pub use pattern::BadHostPattern;
