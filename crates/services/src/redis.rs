//! A Redis server that keeps nothing on a disk.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::child::wait_until_ready;

/// A Redis server; killed when dropped.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    child: Child,
}

impl Redis {
    /// A running server with nothing in it.
    ///
    /// # Errors
    /// Where there is no `redis-server`, or it does not start.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder")?;
        let child = start(&folder)?;
        Ok(Self { folder, child })
    }

    /// Kills it, and all that was in it with it.
    ///
    /// # Errors
    /// Where the system does not do that.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("killing Redis")?;
        self.child.wait().context("killing Redis")?;
        Ok(())
    }

    /// After [`kill`](Self::kill): the same address, with nothing in it.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = start(&self.folder)?;
        Ok(())
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// What it answers to a command.
    ///
    /// # Errors
    /// Where it does not, or something else.
    pub fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        Ok(command.query(&mut connection)?)
    }

    /// How often each command was called, by its name: `client|setinfo` is one.
    ///
    /// # Errors
    /// Where it does not say.
    pub fn calls(&self) -> Result<impl Iterator<Item = (String, u64)>> {
        let stats: String = self.ask(redis::cmd("INFO").arg("commandstats"))?;
        let calls: Vec<_> = stats.lines().filter_map(calls_in).collect();
        Ok(calls.into_iter())
    }
}

/// `cmdstat_zadd:calls=3,usec=…`
fn calls_in(line: &str) -> Option<(String, u64)> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
}

fn start(folder: &TempDir) -> Result<Child> {
    let mut child = Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", "redis.sock"])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder.path())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context(
            "`redis-server` does not start: install Redis (`sudo apt-get install redis-server`)",
        )?;
    wait_until_ready("Redis", child.stdout.take())?;
    Ok(child)
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
