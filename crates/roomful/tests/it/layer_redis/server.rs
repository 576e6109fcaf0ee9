//! A `redis-server` of the test's own: on a Unix socket in a temporary folder, gone with the test.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use roomful::layer::redis::{Dialect, RedisOptions, RedisUrl};
use tempfile::TempDir;

pub(crate) struct Server {
    folder: TempDir,
    child: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = start(&folder);
        Self { folder, child }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Ends it at once, and all that was in it with it.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.child = start(&self.folder);
    }

    pub(crate) fn url(&self, dialect: Dialect) -> RedisUrl {
        url(dialect, &[self])
    }

    pub(crate) fn options(&self, dialect: Dialect) -> RedisOptions {
        RedisOptions::new(self.url(dialect))
    }

    /// Asks it something by itself.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        let url = format!("redis+unix://{}", self.socket().display());
        let client = redis::Client::open(url).unwrap();
        command
            .query(&mut client.get_connection().unwrap())
            .unwrap()
    }

    /// How many commands of some kinds it has run.
    pub(crate) fn calls(&self, commands: &[&str]) -> u64 {
        let stats: String = self.ask(redis::cmd("INFO").arg("commandstats"));
        let calls = stats.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            commands
                .contains(&name)
                .then(|| rest.split(',').next()?.parse::<u64>().ok())?
        });
        calls.sum()
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
        .map(|server| server.socket().display().to_string());
    format!("{scheme}://{}", sockets.collect::<Vec<_>>().join(","))
        .parse()
        .unwrap()
}

fn start(folder: &TempDir) -> Child {
    let mut child = Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder.path())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests start a `redis-server`: install Redis, or leave out the feature `redis-tests`");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines
        .by_ref()
        .any(|line| line.unwrap().contains("eady to accept connections"));
    assert!(ready, "redis-server ended before it was ready");
    // Nobody reads on, and a full pipe would stop it.
    thread::spawn(move || lines.for_each(drop));
    child
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
