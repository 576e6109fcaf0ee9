//! Opens a channel layer: in this process, or on Redis.

use std::time::Duration;

use anyhow::Context as _;
use roomful::ChannelLayer;
use roomful::layer::redis::{RedisOptions, RedisUrl, Serializer};
use roomful::layer::{Limits, Memory};

/// Which layer, and what it may keep.
#[derive(Clone)]
pub struct LayerOptions {
    /// Where Redis is; `None` for a layer in this process.
    pub redis: Option<RedisUrl>,
    /// What the names of keys on Redis begin with.
    pub prefix: String,
    /// Events that may wait in one channel.
    pub capacity: usize,
    /// How long an event may wait.
    pub expiry: Duration,
    /// How long a membership of a group lasts unless it is renewed.
    pub group_expiry: Duration,
    /// Keys that encrypt what travels over Redis: the first one writes, all of them read.
    pub encryption_keys: Vec<String>,
    /// How events are written on Redis.
    pub serializer: Serializer,
}

/// Opens the layer, and waits until it can be reached.
///
/// # Errors
/// If Redis cannot be reached.
pub async fn open(options: &LayerOptions) -> anyhow::Result<ChannelLayer> {
    let Some(url) = &options.redis else {
        return Ok(start(options));
    };
    let redis = redis_options(options, url.clone()).connect().await;
    let redis = redis.with_context(|| format!("cannot use {url}"))?;
    Ok(ChannelLayer::new(redis))
}

/// Opens the layer and does not wait for it: rooms are served while Redis is away. To be called in a runtime.
pub fn start(options: &LayerOptions) -> ChannelLayer {
    match &options.redis {
        None => ChannelLayer::new(Memory::from(limits(options))),
        Some(url) => ChannelLayer::new(redis_options(options, url.clone()).start()),
    }
}

fn redis_options(options: &LayerOptions, url: RedisUrl) -> RedisOptions {
    RedisOptions::new(url)
        .prefix(&options.prefix)
        .limits(limits(options))
        .encryption_keys(options.encryption_keys.iter())
        .serializer(options.serializer)
}

fn limits(options: &LayerOptions) -> Limits {
    Limits::default()
        .capacity(options.capacity)
        .expiry(options.expiry)
        .group_expiry(options.group_expiry)
}
