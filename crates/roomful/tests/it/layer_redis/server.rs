//! A Redis of the test's own, and the URLs of layers on it.

use roomful::layer::redis::{Dialect, RedisOptions, RedisUrl};

pub(crate) struct Server {
    redis: services::Redis,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self {
            redis: services::Redis::start().unwrap(),
        }
    }

    /// Ends it at once, and all that was in it with it.
    pub(crate) fn stop(&mut self) {
        self.redis.kill().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.redis.start_again().unwrap();
    }

    pub(crate) fn url(&self, dialect: Dialect) -> RedisUrl {
        url(dialect, &[self])
    }

    pub(crate) fn options(&self, dialect: Dialect) -> RedisOptions {
        RedisOptions::new(self.url(dialect))
    }

    /// Asks it something by itself.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        self.redis.ask(command).unwrap()
    }

    /// How many commands of some kinds it has run.
    pub(crate) fn calls(&self, commands: &[&str]) -> u64 {
        let calls = self.redis.calls().unwrap();
        calls
            .filter(|(name, _)| commands.contains(&&**name))
            .map(|(_, calls)| calls)
            .sum()
    }
}

/// The layer whose shards these are.
pub(crate) fn url(dialect: Dialect, servers: &[&Server]) -> RedisUrl {
    let scheme = match dialect {
        Dialect::Core => "redis+unix",
        Dialect::PubSub => "redis+pubsub+unix",
    };
    let sockets = servers
        .iter()
        .map(|server| server.redis.socket().display().to_string());
    format!("{scheme}://{}", sockets.collect::<Vec<_>>().join(","))
        .parse()
        .unwrap()
}
