//! Channel layers on Redis, on the wire as `channels_redis` 4.x has them: Django processes and processes of ours are
//! members of the same groups.
//!
//! ```text
//! mod (Redis) -> queue/ (core dialect), pubsub (pub/sub dialect) -> roll, link, wire
//!                roll (who is where) -> link (connections) -> place, counters     wire (bytes) -> fernet
//!                options (what can be chosen) -> url -> place
//! ```
//!
//! Each group is known to Redis once per process, whatever number of members it has here: joining as the second costs no
//! command, and a `group_send` costs per process. What comes in is read by one task per shard, which no consumer's coming
//! or going ever cancels. Redis' commands are in this folder and nowhere else.

mod counters;
mod fernet;
mod link;
mod options;
mod place;
mod pubsub;
mod queue;
mod roll;
mod url;
mod wire;

use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;

use self::counters::Counts;
use self::link::Link;
use super::local::Switchboard;
use super::{
    Backend, BoxFuture, ChannelLayer, ChannelName, Counters, GroupName, Inbox, LayerError, Open,
    Sent,
};
use crate::event::Event;

pub use self::options::{OpenError, RedisOptions, Serializer};
pub use self::url::{Dialect, InvalidRedisUrl, RedisUrl};

/// A backend that carries events through Redis. See [`RedisOptions`].
///
/// While Redis is away, calls fail at once with [`LayerError::Unavailable`]; when it is back, so are all groups and
/// listeners. Cloning it copies a pointer; when the last copy is dropped, so are the connections.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    dialect: Box<dyn Backend>,
    shared: Arc<Shared>,
    /// Ends when this is dropped.
    _tasks: JoinSet<()>,
}

/// What both dialects have.
struct Shared {
    options: RedisOptions,
    switchboard: Switchboard,
    links: Box<[Arc<Link>]>,
    counts: Arc<Counts>,
}

fn connect(options: RedisOptions) -> Redis {
    let counts = Arc::new(Counts::default());
    let shards = options.url.shards().iter().enumerate();
    let links: Box<[_]> = shards
        .map(|(number, shard)| Arc::new(Link::new(shard.clone(), number, Arc::clone(&counts))))
        .collect();
    let mut tasks = JoinSet::new();
    for link in &links {
        tasks.spawn(Arc::clone(link).run());
    }
    let shared = |options, switchboard| {
        Arc::new(Shared {
            options,
            switchboard,
            links,
            counts,
        })
    };
    let (dialect, shared): (Box<dyn Backend>, _) = match options.url.dialect() {
        Dialect::Core => {
            let core = queue::start(options, shared, &mut tasks);
            let shared = Arc::clone(&core.shared);
            (Box::new(core), shared)
        }
        Dialect::PubSub => {
            let pubsub = pubsub::start(options, shared, &mut tasks);
            let shared = Arc::clone(&pubsub.shared);
            (Box::new(pubsub), shared)
        }
    };
    let inner = Inner {
        dialect,
        shared,
        _tasks: tasks,
    };
    Redis {
        inner: Arc::new(inner),
    }
}

impl Redis {
    /// Waits until the first attempt to reach each shard is over.
    ///
    /// # Errors
    /// Where one cannot be reached now.
    pub async fn ready(&self) -> Result<(), LayerError> {
        for link in &self.inner.shared.links {
            link.ready().await?;
        }
        Ok(())
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        let shared = &self.inner.shared;
        shared.counts.read(shared.switchboard.drops())
    }

    /// What connects this process's channels: for counting what is there.
    pub fn switchboard(&self) -> &Switchboard {
        &self.inner.shared.switchboard
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("options", &self.inner.shared.options)
            .field("switchboard", &self.inner.shared.switchboard)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl ChannelLayer {
    /// A layer on Redis, with the options of `channels_redis`; [`RedisOptions`] has others.
    ///
    /// `redis://localhost:6379` speaks with Django processes that have `RedisChannelLayer`, and
    /// `redis+pubsub://localhost:6379` with those that have `RedisPubSubChannelLayer`. With the latter an event is on its
    /// way when [`group_send`](Self::group_send) returns: who leaves the group before it comes does not get it, and who joins
    /// may.
    ///
    /// # Errors
    /// Where the URL is not one, or Redis cannot be reached now.
    #[doc(alias = "RedisChannelLayer")]
    #[doc(alias = "RedisPubSubChannelLayer")]
    pub async fn redis(url: &str) -> Result<Self, OpenError> {
        Ok(Self::new(RedisOptions::new(url.parse()?).connect().await?))
    }
}

impl Backend for Redis {
    fn open(&self, options: Open) -> BoxFuture<'_, Result<Inbox, LayerError>> {
        self.inner.dialect.open(options)
    }

    fn listen<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Inbox, LayerError>> {
        self.inner.dialect.listen(channel)
    }

    fn new_channel(&self) -> BoxFuture<'_, Result<ChannelName, LayerError>> {
        self.inner.dialect.new_channel()
    }

    fn send<'a>(
        &'a self,
        channel: &'a ChannelName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        self.inner.dialect.send(channel, event)
    }

    fn group_add<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        self.inner.dialect.group_add(group, channel)
    }

    fn group_discard<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        self.inner.dialect.group_discard(group, channel)
    }

    fn group_send<'a>(
        &'a self,
        group: &'a GroupName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Sent, LayerError>> {
        self.inner.dialect.group_send(group, event)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), LayerError>> {
        self.inner.dialect.flush()
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), LayerError>> {
        self.inner.dialect.settled()
    }

    fn is_up(&self) -> bool {
        self.inner.shared.links.iter().all(|link| link.is_up())
    }

    fn counters(&self) -> Counters {
        self.counters()
    }
}
