//! The channel layer that the configuration names.

use anyhow::Context as _;
use roomful::ChannelLayer;
use roomful::layer::redis::{self, RedisOptions};
use roomful::layer::{Limits, Memory};

use crate::config::{LayerConfig, LayerUrl, Serializer};

/// Opens the layer, and waits until it can be reached.
///
/// # Errors
/// If Redis cannot be reached.
pub async fn open(config: &LayerConfig) -> anyhow::Result<ChannelLayer> {
    let LayerUrl::Redis(url) = &config.url else {
        return Ok(start(config));
    };
    let redis = redis_options(config, url.clone()).connect().await;
    let redis = redis.with_context(|| format!("cannot use {url}"))?;
    Ok(ChannelLayer::new(redis))
}

/// Opens the layer and does not wait for it: rooms are served while Redis is away. To be called in a runtime.
pub fn start(config: &LayerConfig) -> ChannelLayer {
    match &config.url {
        LayerUrl::Memory => ChannelLayer::new(Memory::from(limits(config))),
        LayerUrl::Redis(url) => ChannelLayer::new(redis_options(config, url.clone()).start()),
    }
}

/// What the configuration says of a layer on Redis.
pub fn redis_options(config: &LayerConfig, url: redis::RedisUrl) -> RedisOptions {
    RedisOptions::new(url)
        .prefix(&config.prefix)
        .limits(limits(config))
        .encryption_keys(config.encryption_keys.iter())
        .serializer(match config.serializer {
            Serializer::Msgpack => redis::Serializer::MessagePack,
            Serializer::Json => redis::Serializer::Json,
        })
}

fn limits(config: &LayerConfig) -> Limits {
    Limits::default()
        .capacity(config.capacity)
        .expiry(config.expiry)
        .group_expiry(config.group_expiry)
}
