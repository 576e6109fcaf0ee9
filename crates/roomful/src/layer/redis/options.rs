//! What can be chosen for a layer on Redis. Every process that is to hear the others chooses the same.

use std::fmt;
use std::time::Duration;

use crate::layer::{LayerError, Limits, Pattern};

use super::url::{InvalidRedisUrl, RedisUrl};
use super::{Redis, connect};

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serializer {
    /// What `channels_redis` writes unless told otherwise; carries bytes too.
    #[default]
    MessagePack,
    /// JSON, for those who want to read along. It carries no bytes, and no float that is not finite.
    Json,
}

/// What can be chosen for a layer on Redis; the defaults are those of `channels_redis`.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use roomful::ChannelLayer;
/// use roomful::layer::redis::RedisOptions;
///
/// let redis = RedisOptions::new("redis://localhost:6379/1".parse()?)
///     .prefix("chat")
///     .encryption_keys(["the secret that Django has in symmetric_encryption_keys"])
///     .connect()
///     .await?;
/// let layer = ChannelLayer::new(redis);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisOptions {
    pub(super) url: RedisUrl,
    pub(super) prefix: String,
    pub(super) limits: Limits,
    pub(super) secrets: Vec<String>,
    pub(super) serializer: Serializer,
}

impl RedisOptions {
    /// The defaults, with Redis there.
    pub fn new(url: RedisUrl) -> Self {
        Self {
            url,
            prefix: "asgi".into(),
            limits: Limits::default(),
            secrets: Vec::new(),
            serializer: Serializer::default(),
        }
    }

    /// How the names of keys begin; `asgi` unless set.
    ///
    /// A flush deletes all keys that begin so: where two sites share a database, neither prefix should begin as the other.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// All limits at once.
    ///
    /// The core dialect counts what waits in Redis by process, and then what waits in this process by channel; the
    /// pub/sub dialect only the latter.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// See [`Limits::capacity`].
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.limits = self.limits.capacity(events);
        self
    }

    /// See [`Limits::channel_capacity`].
    #[must_use]
    pub fn channel_capacity(mut self, pattern: impl Into<Pattern>, events: usize) -> Self {
        self.limits = self.limits.channel_capacity(pattern, events);
        self
    }

    /// See [`Limits::expiry`].
    #[must_use]
    pub fn expiry(mut self, expiry: Duration) -> Self {
        self.limits = self.limits.expiry(expiry);
        self
    }

    /// See [`Limits::group_expiry`]. Channels that are open here are renewed in time.
    #[must_use]
    pub fn group_expiry(mut self, expiry: Duration) -> Self {
        self.limits = self.limits.group_expiry(expiry);
        self
    }

    /// Encrypts events with the first of these secrets, and reads those encrypted with any of them. Names of groups and
    /// channels stay readable.
    #[doc(alias = "symmetric_encryption_keys")]
    #[must_use]
    pub fn encryption_keys(mut self, secrets: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.secrets = secrets.into_iter().map(Into::into).collect();
        self
    }

    /// How events are written.
    #[doc(alias = "serializer_format")]
    #[must_use]
    pub fn serializer(mut self, serializer: Serializer) -> Self {
        self.serializer = serializer;
        self
    }

    /// Starts to connect, in tasks of the current runtime, and does not wait for it. Calls of the layer do, once: for the
    /// first attempt.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Redis {
        connect(self)
    }

    /// Connects to every shard.
    ///
    /// # Errors
    /// Where Redis cannot be reached now.
    pub async fn connect(self) -> Result<Redis, LayerError> {
        let redis = self.start();
        redis.ready().await?;
        Ok(redis)
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &self.url)
            .field("prefix", &self.prefix)
            .field("limits", &self.limits)
            .field("encrypted", &!self.secrets.is_empty())
            .field("serializer", &self.serializer)
            .finish()
    }
}

/// Why a layer could not be opened by its URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL says nothing about where Redis is.
    #[error("the URL of the channel layer is not one: {0}")]
    Url(#[from] InvalidRedisUrl),
    /// Redis cannot be reached.
    #[error(transparent)]
    Layer(#[from] LayerError),
}
