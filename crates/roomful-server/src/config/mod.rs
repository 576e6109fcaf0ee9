//! What the server can be told: one struct per subject, plain data, defaults that run.
//!
//! The doc comment of a field is its comment in `roomful.example.toml`; a test holds the two together. Nothing here reads
//! or does anything:
//!
//! - `load`: defaults, file, environment and flags become one [`Config`];
//! - `settings`: each value while that happens, and where it comes from;
//! - `error`: what can be wrong with them, in sentences for the one who wrote them;
//! - `url`: what the history and layer URLs mean;
//! - `secret`: secrets that are values of their own;
//! - `notation`, `quantity`: counts, durations and sizes as people write them;
//! - `page`: sites.

mod error;
#[cfg(test)]
mod example;
mod load;
mod notation;
mod page;
mod quantity;
mod secret;
mod settings;
#[cfg(test)]
mod tests;
mod url;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use notation::{
    Address, Count, CountOrUnlimited, List, LogFilter, Name, Notation as _, Switch, Threads,
};
use page::Sites;
use quantity::{Size, Time, TimeOrForever};

pub use error::ConfigError;
pub use load::{ConfigFile, Flag, Loaded, Source, Sources, load};
pub use secret::{Secret, Secrets};
pub use url::{HistoryUrl, LayerUrl, PostgresUrl};

/// Everything that can be set. A value of this type holds sense: it was checked when it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Where to listen: host and port. Port 0 takes a free one; "0.0.0.0:8000" is reachable from other machines.
    #[serde(with = "Address")]
    pub listen: String,
    /// Threads that serve connections. 0: as many as there are cores.
    #[serde(with = "Threads")]
    pub threads: usize,
    /// After SIGTERM: how long work under way and members leaving may take before the server ends without them.
    #[serde(with = "Time")]
    pub drain_timeout: Duration,
    /// After SIGTERM: the time over which members are asked to come back, so that they do not all do so in the same moment.
    #[serde(with = "Time")]
    pub drain_spread: Duration,
    /// How long a member whose last connection is gone still counts as here, so that reloading a page is not leaving.
    #[serde(with = "Time")]
    pub presence_grace: Duration,
    /// How long another node of which nothing is heard keeps its members, before they count as gone with it.
    #[serde(with = "Time")]
    pub presence_lease: Duration,
    /// What is logged, to standard error: error, warn, info, debug or trace, also per module, as in
    /// `"info,roomful_server::history=debug"`. The environment variable `RUST_LOG` wins over every other source.
    #[serde(with = "LogFilter")]
    pub log: String,
    /// For work on the page: its files come from this folder as they are, and not from the binary; "crates/roomful-server/web"
    /// in a clone. Empty: from the binary.
    pub web_dir: String,
    /// Where rooms are recorded.
    pub history: HistoryConfig,
    /// How several processes hear each other.
    pub layer: LayerConfig,
    /// What one member, one address and one room may ask of the server.
    pub limits: LimitsConfig,
    /// Whose pages may speak to this server.
    pub origins: OriginsConfig,
    /// What concerns WebSocket connections alone.
    pub websocket: WebSocketConfig,
    /// Rooms inside the pages of other sites.
    pub embed: EmbedConfig,
    /// What shows the operator how the server is doing: the page /status/, and /metrics for Prometheus.
    pub status: StatusConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".into(),
            threads: 0,
            drain_timeout: Duration::from_secs(10),
            drain_spread: Duration::from_secs(5),
            presence_grace: Duration::from_secs(2),
            presence_lease: Duration::from_secs(15),
            log: "info".into(),
            web_dir: String::new(),
            history: HistoryConfig::default(),
            layer: LayerConfig::default(),
            limits: LimitsConfig::default(),
            origins: OriginsConfig::default(),
            websocket: WebSocketConfig::default(),
            embed: EmbedConfig::default(),
            status: StatusConfig::default(),
        }
    }
}

/// Where rooms are recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryConfig {
    /// The record. "sqlite:PATH": a file, relative to the directory the server is started in, for one node.
    /// `"postgres://user:password@host/database"`: a database that several nodes share. "memory": a bounded record that ends
    /// with the process. "none": no record; nothing is numbered, nothing can be caught up with.
    pub url: HistoryUrl,
    /// What an acknowledged message survives. "full": power loss. "normal": the end of the process, however sudden; power loss
    /// may take the last moments with it. "off": the end of the process; power loss may take the whole file (SQLite; with
    /// PostgreSQL as "normal", which there is `synchronous_commit = off`).
    pub synchronous: Synchronous,
    /// How long messages are kept: a duration such as "90d", or "forever".
    #[serde(with = "TimeOrForever")]
    pub keep_for: Option<Duration>,
    /// How many events, the newest ones, are kept of each room: a number, or "unlimited".
    #[serde(with = "CountOrUnlimited")]
    pub keep_events: Option<u64>,
    /// How many events, the newest ones, are kept of each room when the record is in memory.
    #[serde(with = "Count")]
    pub memory_events: usize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            url: HistoryUrl::Sqlite("roomful.db".into()),
            synchronous: Synchronous::Full,
            keep_for: None,
            keep_events: None,
            memory_events: 10_000,
        }
    }
}

/// What an acknowledged message survives. Losing the process alone loses nothing with any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// Power loss: every commit reaches the disk before it is acknowledged.
    Full,
    /// Power loss may take the last commits with it; what is left is sound.
    Normal,
    /// Power loss may take the whole file with it.
    Off,
}

/// How several processes hear each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerConfig {
    /// The channel layer. "memory": this process alone. `"redis://HOST:PORT"`: all processes there, Django's with
    /// `RedisChannelLayer` too; `"redis+pubsub://…"`: those with `RedisPubSubChannelLayer`. Several hosts with commas are shards.
    /// "rediss" for TLS, `"redis+unix:///PATH"`, `"redis+sentinel://HOST,HOST/NAME"`; user and password before the first host.
    pub url: LayerUrl,
    /// How keys begin in Redis. This and all below must be the same for all who want to hear each other.
    #[serde(with = "Name")]
    pub prefix: String,
    /// How many events may wait in a channel; more are dropped. One channel carries all rooms of a process, and several others
    /// may speak at once, so this is more than Channels' 100. Whoever sends goes by their own setting.
    #[serde(with = "Count")]
    pub capacity: usize,
    /// How long an event may wait.
    #[serde(with = "Time")]
    pub expiry: Duration,
    /// How long a process that ended without a word stays in its groups.
    #[serde(with = "Time")]
    pub group_expiry: Duration,
    /// Secrets: events in Redis are encrypted with the first, and read with any. Django's name for them is
    /// `symmetric_encryption_keys`.
    #[serde(with = "List")]
    pub encryption_keys: Secrets,
    /// How events are written in Redis: "msgpack" or "json".
    pub serializer: Serializer,
}

impl Default for LayerConfig {
    fn default() -> Self {
        Self {
            url: LayerUrl::Memory,
            prefix: "asgi".into(),
            capacity: 10_000,
            expiry: Duration::from_secs(60),
            group_expiry: Duration::from_secs(86_400),
            encryption_keys: Secrets::default(),
            serializer: Serializer::Msgpack,
        }
    }
}

/// How events are written in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serializer {
    /// `MessagePack`, which carries bytes too.
    Msgpack,
    /// JSON.
    Json,
}

/// What one member, one address and one room may ask of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitsConfig {
    /// Whether messages per second and connections per address are limited; the flag --no-rate-limits turns this off.
    #[serde(with = "Switch")]
    pub rate_limits: bool,
    /// Messages a member may say in a second, over time.
    #[serde(with = "Count")]
    pub messages_per_second: u32,
    /// Messages a member may say at once.
    #[serde(with = "Count")]
    pub burst: u32,
    /// Connections from one address. A proxy in front of the server is one address.
    #[serde(with = "Count")]
    pub connections_per_address: usize,
    /// Connections altogether. The operating system has to allow as many open files; `roomful check` compares the two.
    #[serde(with = "Count")]
    pub connections: usize,
    /// Members in one room: a number, or "unlimited".
    #[serde(with = "CountOrUnlimited")]
    pub members_per_room: Option<usize>,
    /// The longest message.
    #[serde(with = "Size")]
    pub message_bytes: usize,
    /// What may wait for one connection that takes its messages too slowly.
    #[serde(with = "Size")]
    pub backlog_bytes: usize,
    /// What happens to a connection for which more would have to wait. "close": it is closed with code 4008, and may come
    /// back. "resync": what waits is dropped, and the member is told to catch up from history.
    pub overflow: Overflow,
    /// Events in a page of history when nobody asks for another number.
    #[serde(with = "Count")]
    pub history_page: usize,
    /// The most events that can be asked for at once. A member who missed more gets the newest page and a break.
    #[serde(with = "Count")]
    pub history_page_max: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            rate_limits: true,
            messages_per_second: 20,
            burst: 50,
            connections_per_address: 1_000,
            connections: 100_000,
            members_per_room: None,
            message_bytes: 16 << 10,
            backlog_bytes: 1 << 20,
            overflow: Overflow::Close,
            history_page: 100,
            history_page_max: 500,
        }
    }
}

/// What happens to a connection that takes its messages too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// It is closed with code 4008, and may come back.
    Close,
    /// What waits for it is dropped, and the member is told to catch up from history.
    Resync,
}

/// Whose pages may speak to this server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OriginsConfig {
    /// Pages of other hosts that may open sockets and send requests here, such as `"https://example.com"`, `".example.com"`
    /// (with all subdomains) or `"*"` (every page on the web). Pages of this server's own host always may.
    #[serde(with = "List")]
    pub allowed: Vec<String>,
    /// The hosts this server answers to, such as "chat.example.com"; a request for another one is turned away. Empty: any.
    #[serde(with = "List")]
    pub hosts: Vec<String>,
}

/// What concerns WebSocket connections alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebSocketConfig {
    /// How long a connection may be silent before it is pinged. Proxies close what is silent for longer than they like, often 60 s.
    #[serde(with = "Time")]
    pub ping_interval: Duration,
    /// How long a connection may be silent, pings unanswered, before it counts as gone.
    #[serde(with = "Time")]
    pub idle_timeout: Duration,
    /// Whether messages are compressed for clients that offer permessage-deflate: less traffic, more work and memory.
    #[serde(with = "Switch")]
    pub compression: bool,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(45),
            compression: false,
        }
    }
}

/// Rooms inside the pages of other sites.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbedConfig {
    /// Sites that may show rooms inside their pages, such as `"https://example.org"`, `".example.com"` (with all subdomains) or
    /// `"*"` (every page on the web). Pages of this server's own host always may.
    #[serde(with = "Sites")]
    pub allowed: Vec<String>,
}

/// What shows the operator how the server is doing: the page /status/, and /metrics for Prometheus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusConfig {
    /// Who may see them. "loopback": a browser on this machine, asking for localhost itself and not through a proxy. "token": whoever
    /// gives the token, from anywhere. "off": nobody. With a proxy on this machine, choose "token" or "off".
    pub access: StatusAccess,
    /// The token, at least 16 characters. The environment is a better place for it: `ROOMFUL_STATUS__TOKEN`.
    pub token: Secret,
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self {
            access: StatusAccess::Loopback,
            token: Secret::default(),
        }
    }
}

/// Who may see the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusAccess {
    /// A browser on this machine, directly.
    Loopback,
    /// Whoever gives the token.
    Token,
    /// Nobody.
    Off,
}

impl Config {
    /// Two values that cannot both be meant, if there are any: a key, how it must stand to the other, and the other key.
    fn contradiction(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let (limits, websocket, status) = (&self.limits, &self.websocket, &self.status);
        [
            (
                status.access != StatusAccess::Token || !status.token.is_empty(),
                ("status.access", "not stand beside", "status.token"),
            ),
            (
                // Or quiet members would be cut off before they are pinged.
                websocket.idle_timeout > websocket.ping_interval,
                (
                    "websocket.idle_timeout",
                    "be longer than",
                    "websocket.ping_interval",
                ),
            ),
            (
                self.drain_spread <= self.drain_timeout,
                ("drain_spread", "not be longer than", "drain_timeout"),
            ),
            (
                limits.message_bytes <= limits.backlog_bytes,
                (
                    "limits.message_bytes",
                    "not be larger than",
                    "limits.backlog_bytes",
                ),
            ),
            (
                limits.history_page <= limits.history_page_max,
                (
                    "limits.history_page",
                    "not be larger than",
                    "limits.history_page_max",
                ),
            ),
        ]
        .into_iter()
        .find_map(|(holds, pair)| (!holds).then_some(pair))
    }
}
