//! A Redis of the run's own, on a Unix socket; killed and started again, it has forgotten everything.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A Redis server that keeps nothing on a disk.
pub(crate) struct Redis {
    folder: PathBuf,
    child: Option<Child>,
}

impl Redis {
    /// A Redis in `folder`, running.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let mut redis = Self {
            folder: folder.to_owned(),
            child: None,
        };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Starts it, with nothing in it; returns when it takes connections.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        let mut child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context(
                "--cluster starts a `redis-server`: install Redis (`sudo apt-get install redis-server`)",
            )?;
        let stdout = child.stdout.take().context("Redis' output is a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains("eady to accept connections") {
                    return Ok(());
                }
            }
            bail!("it ended")
        };
        tokio::time::timeout(START_TIMEOUT, ready)
            .await
            .context("it is not ready in time")
            .flatten()
            .context("starting redis-server")?;
        // What is not read would one day stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
        Ok(())
    }

    /// Kills it with -9.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("Redis runs")?;
        child.kill().await.context("killing Redis")
    }

    /// As `--layer` takes it.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }
}
