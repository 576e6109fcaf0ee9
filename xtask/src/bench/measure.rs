//! One run: a fresh server, the generator, and what it found.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

use super::scenario::{Kind, Pace, Scenario};
use super::server::Server;
use crate::command::{Cmd, Running, cmd, in_target};

/// What the generator found, by name.
pub(super) type Figures = Map<String, Value>;

/// How runs are made.
pub(super) struct Rig {
    seconds: f64,
    pin: bool,
    /// Our own servers lie here.
    release: PathBuf,
    /// What servers write lies here, emptied for each.
    data: PathBuf,
}

/// A server that runs.
pub(super) struct Subject {
    running: Running,
    port: String,
    dialect: &'static str,
}

impl Subject {
    pub(super) fn pid(&self) -> u32 {
        self.running.id()
    }
}

impl Rig {
    pub(super) fn new(seconds: f64, pin: bool) -> Result<Self> {
        Ok(Self {
            seconds,
            pin,
            release: in_target("release")?,
            data: in_target("bench/data")?,
        })
    }

    /// The same with our own servers as they lie in another folder.
    pub(super) fn with_servers_in(self, release: PathBuf) -> Self {
        Self { release, ..self }
    }

    /// Measures a server once.
    pub(super) fn run(&self, server: &Server, scenario: &Scenario) -> Result<Figures> {
        let subject = self.start(server)?;
        let load = self.load(&subject);
        match scenario.kind {
            Kind::Idle => finish(load.args(&["--mode", "idle", "--rooms", "200"])),
            Kind::Connects => {
                finish(load.args(&["--mode", "churn", "--rooms", "100", "--times", "3"]))
            }
            Kind::Churn => {
                finish(load.args(&["--mode", "churn", "--rooms", "200", "--times", "10"]))
            }
            Kind::Talk {
                pace: Pace::HalfOfMaximum,
                ..
            } => {
                let maximum = finish(self.talk(&subject, scenario, None)?)?;
                let maximum = figure(&maximum, "deliveries_per_second")
                    .context("the generator gives no maximum")?;
                // Another server, as fresh as all others.
                drop(subject);
                let subject = self.start(server)?;
                finish(self.talk(&subject, scenario, Some(maximum))?)
            }
            Kind::Talk { .. } => finish(self.talk(&subject, scenario, None)?),
        }
    }

    pub(super) fn start(&self, server: &Server) -> Result<Subject> {
        if self.data.exists() {
            fs::remove_dir_all(&self.data).context("removing what the last server wrote")?;
        }
        fs::create_dir_all(&self.data).context("making a folder for what the server writes")?;
        let log = self.data.join("log.txt");
        let command = server
            .command(&self.release, &self.data, self.pin)?
            .errors_into(&log)?;
        let (running, url) = command.start_server()?;
        let port = url
            .trim_end_matches('/')
            .rsplit(':')
            .next()
            .unwrap_or_default()
            .to_owned();
        Ok(Subject {
            running,
            port,
            dialect: server.dialect,
        })
    }

    /// The generator for rooms in which people talk; `maximum` is needed where the pace is half of it.
    pub(super) fn talk(
        &self,
        subject: &Subject,
        scenario: &Scenario,
        maximum: Option<f64>,
    ) -> Result<Cmd> {
        let Kind::Talk {
            rooms,
            members,
            size_bytes,
            pace,
        } = scenario.kind
        else {
            bail!("nobody talks in `{}`", scenario.name);
        };
        let load = self
            .load(subject)
            .args(&[
                "--rooms",
                &rooms.to_string(),
                "--members",
                &members.to_string(),
                "--size",
                &size_bytes.to_string(),
            ])
            .args(&["--warm-up", &(self.seconds / 2.0).min(1.0).to_string()]);
        let open = |deliveries_per_second: f64| {
            let rate = deliveries_per_second / members as f64;
            ["--mode", "open", "--rate"]
                .map(str::to_owned)
                .into_iter()
                .chain([rate.to_string()])
                .collect::<Vec<_>>()
        };
        let pace = match (pace, maximum) {
            (Pace::UnderWay(count), _) => vec!["--under-way".to_owned(), count.to_string()],
            (Pace::DeliveriesPerSecond(rate), _) => open(rate as f64),
            (Pace::HalfOfMaximum, Some(maximum)) => open(maximum / 2.0),
            (Pace::HalfOfMaximum, None) => vec!["--under-way".to_owned(), "1".to_owned()],
        };
        Ok(pace.into_iter().fold(load, Cmd::arg))
    }

    fn load(&self, subject: &Subject) -> Cmd {
        let program = in_target("release/load").unwrap_or_else(|_| "target/release/load".into());
        let load = if self.pin {
            cmd("taskset").args(&["--cpu-list", "1"]).arg(program)
        } else {
            cmd(program)
        };
        load.args(&[
            "--port",
            &subject.port,
            "--pid",
            &subject.pid().to_string(),
            "--dialect",
            subject.dialect,
        ])
        .args(&["--seconds", &self.seconds.to_string()])
        .env("RUST_BACKTRACE", "0")
        .quiet()
    }
}

/// Runs the generator to its end.
fn finish(load: Cmd) -> Result<Figures> {
    finish_held(load, || Ok(()))
}

/// The same for one that waits when everybody is there; `meanwhile` is called then.
pub(super) fn finish_held(load: Cmd, meanwhile: impl FnOnce() -> Result<()>) -> Result<Figures> {
    let mut child = load.start_piped()?;
    let stdout = child
        .stdout
        .take()
        .context("the generator's output is a pipe")?;
    let mut meanwhile = Some(meanwhile);
    let mut report = None;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("reading what the generator prints")?;
        if line == "ready" {
            if let Some(meanwhile) = meanwhile.take() {
                meanwhile()?;
            }
            // Its input ends, which it takes for a line.
            drop(child.stdin.take());
        } else {
            report = Some(line);
        }
    }
    let mut errors = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr
            .read_to_string(&mut errors)
            .context("reading the generator's errors")?;
    }
    let status = child.wait().context("waiting for the generator")?;
    if !status.success() {
        let words: Vec<_> = errors
            .trim_start_matches("Error:")
            .split_whitespace()
            .collect();
        bail!("{}", words.join(" "));
    }
    let report = report.context("the generator printed nothing")?;
    match serde_json::from_str(&report).context("reading the generator's report")? {
        Value::Object(figures) if figure(&figures, "withheld").is_some_and(|count| count > 0.0) => {
            bail!("the rate is too high for it: more than 1,000 messages of a room were under way");
        }
        Value::Object(figures) => Ok(figures),
        other => bail!("the generator reports `{other}`"),
    }
}

/// A number among them.
pub(super) fn figure(figures: &Figures, name: &str) -> Option<f64> {
    figures.get(name)?.as_f64()
}
