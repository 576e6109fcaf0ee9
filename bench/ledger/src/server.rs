//! A server under test: started, killed with -9, started again on the same history, and watched from outside.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Of one second of a processor, what `/proc` counts in: Linux tells programs 100, whatever it uses itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server on loopback.
pub(crate) struct Server {
    program: PathBuf,
    /// Where its history is, and with whom it shares it.
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
    /// Where it listens now; every life has a port of its own.
    port: watch::Sender<u16>,
    /// How long each start took until it answered.
    pub(crate) starts: Vec<Duration>,
}

impl Server {
    /// A server on one database that still has to [`start`](Self::start), with its log in `folder`.
    pub(crate) fn new(program: &Path, database: &Path, folder: &Path) -> Result<Self> {
        let history = format!("sqlite:{}", database.display());
        let arguments = vec!["--history".to_owned(), history];
        Self::with(program, arguments, folder.join("server.log"))
    }

    /// The same as one of several, on one history and one layer.
    pub(crate) fn node(
        program: &Path,
        number: usize,
        history: &str,
        layer: &str,
        folder: &Path,
    ) -> Result<Self> {
        let arguments = ["--history", history, "--layer", layer].map(str::to_owned);
        let log = folder.join(format!("node-{number}.log"));
        Self::with(program, arguments.to_vec(), log)
    }

    fn with(program: &Path, arguments: Vec<String>, log: PathBuf) -> Result<Self> {
        let program = std::path::absolute(program).context("the current folder has a path")?;
        if !program.is_file() {
            bail!(
                "there is no server at {}: build it with `cargo build --release`, or name it with --server",
                program.display()
            );
        }
        Ok(Self {
            program,
            arguments,
            environment: Vec::new(),
            log,
            child: None,
            port: watch::Sender::new(0),
            starts: Vec::new(),
        })
    }

    /// Sets variables of its environment, from the next start on.
    pub(crate) fn set_environment(&mut self, environment: Vec<(String, String)>) {
        self.environment = environment;
    }

    /// Starts it; returns when it answers.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let begun = Instant::now();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("opening {}", self.log.display()))?;
        let mut child = Command::new(&self.program)
            .args(["--listen", "127.0.0.1:0", "--no-rate-limits"])
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let stdout = child
            .stdout
            .take()
            .context("the server's output is a pipe")?;
        self.child = Some(child);
        let started = tokio::time::timeout(START_TIMEOUT, async {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await? {
                let url = line
                    .split_whitespace()
                    .find_map(|word| word.strip_prefix("http://127.0.0.1:"));
                if let Some(port) = url.and_then(|rest| rest.trim_end_matches('/').parse().ok()) {
                    return Ok::<u16, anyhow::Error>(port);
                }
            }
            bail!("it ended without saying where it listens")
        });
        let port = started
            .await
            .context("it did not say in time where it listens")
            .flatten()
            .with_context(|| format!("starting the server; {}", self.last_words()))?;
        let health = format!("http://127.0.0.1:{port}/healthz");
        let client = crate::client::http()?;
        while client.get(&health).send().await.is_err() {
            if begun.elapsed() > START_TIMEOUT {
                bail!(
                    "the server listens but does not answer; {}",
                    self.last_words()
                );
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.starts.push(begun.elapsed());
        self.port.send_replace(port);
        Ok(())
    }

    /// Kills it with -9; whatever it held in memory is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the server runs")?;
        if let Some(status) = child.try_wait()? {
            bail!(
                "the server ended by itself with {status}; {}",
                self.last_words()
            );
        }
        child.kill().await.context("killing the server")
    }

    /// Whether it still is the process that was started last.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Follows where it listens.
    pub(crate) fn port(&self) -> watch::Receiver<u16> {
        self.port.subscribe()
    }

    /// Seconds of processor time it has used in this life.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        // The program's name, in brackets, may contain anything.
        let fields = stat.rsplit_once(')').context("/proc/…/stat has a name")?.1;
        let ticks: f64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<f64>().unwrap_or(0.0))
            .sum();
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// Bytes of memory it has now.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let kibibytes = status.lines().find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
        });
        Ok(kibibytes.context("/proc/…/status has VmRSS")? * 1024)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let id = self
            .child
            .as_ref()
            .and_then(Child::id)
            .context("the server runs")?;
        let path = format!("/proc/{id}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(3).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!("its log ends: {}", last.join(" / "))
    }

    /// Lines of its log that say that something should be looked at.
    pub(crate) fn errors_logged(&self) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines()
            .filter(|line| line.contains(" ERROR ") || line.contains("panicked"))
            .count()
    }
}
