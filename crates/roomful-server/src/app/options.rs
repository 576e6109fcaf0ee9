//! What the configuration means to each part of the server, in that part's own words.

use roomful::Backlog;
use roomful::layer::redis::{self, Dialect};
use roomful::serve::HttpLimits;

use crate::chat::ChatLimits;
use crate::config::{
    Config, HistoryConfig, HistoryUrl, LayerConfig, LayerUrl, Overflow, Serializer, StatusAccess,
    StatusConfig, Synchronous,
};
use crate::history::{self, History, MemoryOptions, PostgresOptions, Retention, SqliteOptions};
use crate::layer::LayerOptions;
use crate::metrics::Build;
use crate::protocol::Limits;
use crate::status::Audience;

pub(super) fn open_history(config: &HistoryConfig) -> anyhow::Result<History> {
    // `config::Synchronous` is the word in the file, `history::Synchronous` what the stores do.
    let synchronous = match config.synchronous {
        Synchronous::Full => history::Synchronous::Full,
        Synchronous::Normal => history::Synchronous::Normal,
        Synchronous::Off => history::Synchronous::Off,
    };
    let retention = Retention {
        age: config.keep_for,
        events_per_room: config.keep_events,
        ..Retention::default()
    };
    Ok(match &config.url {
        HistoryUrl::Sqlite(path) => {
            let options = SqliteOptions {
                synchronous,
                retention,
                ..SqliteOptions::default()
            };
            History::open_sqlite(path, options)?
        }
        HistoryUrl::Postgres(url) => {
            let options = PostgresOptions {
                synchronous,
                retention,
                ..PostgresOptions::default()
            };
            History::open_postgres(url.expose(), options)?
        }
        HistoryUrl::Memory => History::memory(MemoryOptions {
            events_per_room: config.memory_events,
            ..MemoryOptions::default()
        }),
        HistoryUrl::None => History::none(),
    })
}

/// Which channel layer the configuration names, and what it may keep.
pub fn layer_options(config: &LayerConfig) -> LayerOptions {
    LayerOptions {
        redis: match &config.url {
            LayerUrl::Memory => None,
            LayerUrl::Redis(url) => Some(url.clone()),
        },
        prefix: config.prefix.clone(),
        capacity: config.capacity,
        expiry: config.expiry,
        group_expiry: config.group_expiry,
        encryption_keys: config.encryption_keys.iter().map(str::to_owned).collect(),
        serializer: match config.serializer {
            Serializer::Msgpack => redis::Serializer::MessagePack,
            Serializer::Json => redis::Serializer::Json,
        },
    }
}

pub(super) fn build(config: &Config) -> Build {
    Build {
        history: match config.history.url {
            HistoryUrl::Sqlite(_) => "sqlite",
            HistoryUrl::Postgres(_) => "postgres",
            HistoryUrl::Memory => "memory",
            HistoryUrl::None => "none",
        },
        layer: match &config.layer.url {
            LayerUrl::Memory => "memory",
            LayerUrl::Redis(url) => match url.dialect() {
                Dialect::Core => "redis",
                Dialect::PubSub => "redis+pubsub",
            },
        },
    }
}

pub(super) fn status_audience(config: &StatusConfig) -> Audience {
    match config.access {
        StatusAccess::Loopback => Audience::Loopback,
        StatusAccess::Token => Audience::Token(config.token.expose().to_owned()),
        StatusAccess::Off => Audience::Nobody,
    }
}

pub(super) fn http_limits(config: &Config) -> HttpLimits {
    let mut limits = HttpLimits::default();
    limits.drain_timeout = config.drain_timeout;
    limits.max_connections = config.limits.connections;
    if config.limits.rate_limits {
        limits.max_connections_per_address = config.limits.connections_per_address;
    }
    limits
}

pub(super) fn chat_limits(config: &Config) -> ChatLimits {
    let limits = &config.limits;
    ChatLimits {
        client: Limits {
            message_bytes: limits.message_bytes,
            messages_per_second: limits.messages_per_second,
            burst: limits.burst,
        },
        rates: limits.rate_limits,
        members_per_room: limits.members_per_room.unwrap_or(usize::MAX),
        page: limits.history_page,
        page_max: limits.history_page_max,
        presence_grace: config.presence_grace,
        presence_lease: config.presence_lease,
        drain_spread: config.drain_spread,
    }
}

pub(super) fn backlog(config: &Config) -> Backlog {
    Backlog {
        max_bytes: config.limits.backlog_bytes,
        overflow: match config.limits.overflow {
            Overflow::Close => roomful::Overflow::Close,
            Overflow::Resync => roomful::Overflow::Resync,
        },
        ..Backlog::default()
    }
}
