//! A Redis of its own, two fresh processes on it for each measurement, and what they report.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;
use services::Redis;

use crate::load::{Found, GROUPS, Load, Run, Subject};
use crate::table::Measured;

/// How slowly a group is spoken to, so that ten thousand Python members get each event before the next one comes.
const GROUP_RATE: f64 = 2.0;

pub(crate) fn run(run: &Run) -> anyhow::Result<(Measured, String)> {
    let mut subjects = Vec::new();
    for dialect in ["core", "pubsub"] {
        let both = [true, false].map(|is_ours| Subject { is_ours, dialect });
        subjects.extend(
            both.into_iter()
                .filter(|s| s.is_ours || run.python.is_some()),
        );
    }
    let mut loads = Vec::new();
    for what in &run.what {
        match what.as_str() {
            "node-to-node" => loads.extend([Load::Open, Load::Most]),
            "group" => loads.extend(GROUPS.map(Load::Group)),
            other => bail!("`{other}` cannot be measured: there are node-to-node and group"),
        }
    }
    let mut measured = Measured::default();
    for round in 1..=run.rounds {
        for load in &loads {
            for subject in &subjects {
                let found = measure(run, *subject, *load)
                    .with_context(|| format!("measuring {}", subject.name()))?;
                eprintln!(
                    "{round}/{}  {:<22} {}",
                    run.rounds,
                    subject.name(),
                    found.in_short()
                );
                measured.add(*subject, *load, found);
            }
        }
    }
    let text = measured.tables(run);
    Ok((measured, text))
}

impl Subject {
    fn command(self, run: &Run, redis: &Redis, role: &str) -> anyhow::Result<Command> {
        let socket = redis.socket();
        let socket = socket.display();
        let mut command = match (&run.python, self.is_ours) {
            (Some(python), false) => {
                let mut command = Command::new(python);
                command.args(["bench/peers/channels_layer.py", role]);
                command.args([
                    "--dialect",
                    self.dialect,
                    "--redis",
                    &format!("unix://{socket}"),
                ]);
                command
            }
            _ => {
                let scheme = match self.dialect {
                    "pubsub" => "redis+pubsub+unix",
                    _ => "redis+unix",
                };
                let mut command = Command::new(std::env::current_exe()?);
                command.args([role, "--url", &format!("{scheme}://{socket}")]);
                command
            }
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(command)
    }
}

fn measure(run: &Run, subject: Subject, load: Load) -> anyhow::Result<Found> {
    let redis = Redis::start()?;
    let mut hear = subject.command(run, &redis, "hear")?;
    let mut say = subject.command(run, &redis, "say")?;
    match load {
        Load::Open => say.args(["--rate", &run.rate.to_string()]),
        Load::Most => say.args(["--under-way", "64"]),
        Load::Group(members) => {
            hear.args(["--members", &members.to_string()]);
            say.args(["--rate", &GROUP_RATE.to_string(), "--warm-up", "1"])
        }
    };
    say.args(["--seconds", &run.seconds.to_string()]);
    let mut hear = Side::start(hear)?;
    anyhow::ensure!(
        hear.line()? == "ready",
        "the process that hears says something else"
    );
    let (cpu, before) = (cpu_seconds(&redis)?, commands(&redis)?);
    let said = Side::start(say)?.report()?;
    let sent = said["sent"].as_u64().unwrap_or(0);
    hear.tell(&sent.to_string())?;
    let heard = hear.report()?;
    let mut after = commands(&redis)?;
    for (command, calls) in &mut after {
        *calls -= before.get(command).copied().unwrap_or(0);
    }
    Ok(Found {
        said,
        heard,
        redis_cpu: cpu_seconds(&redis)? - cpu,
        commands: after,
    })
}

/// One of the two processes; ended when dropped.
struct Side {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Side {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let shown = format!("{command:?}");
        let child = command.spawn();
        let mut child = child.with_context(|| format!("starting {shown}"))?;
        let stdout = child.stdout.take().context("its output is a pipe")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Self { child, lines })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        Ok(self.lines.next().context("it ended without a word")??)
    }

    fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let mut input = self.child.stdin.take().context("its input is a pipe")?;
        Ok(writeln!(input, "{line}")?)
    }

    fn report(mut self) -> anyhow::Result<Value> {
        let line = self.line()?;
        let report = serde_json::from_str(&line).with_context(|| format!("reading `{line}`"))?;
        self.child.wait()?;
        Ok(report)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The CPU time it has used.
fn cpu_seconds(redis: &Redis) -> anyhow::Result<f64> {
    let info: String = redis.ask(redis::cmd("INFO").arg("cpu"))?;
    let of = |name: &str| -> Option<f64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let (user, system) = (of("used_cpu_user:"), of("used_cpu_sys:"));
    user.zip(system)
        .map(|(user, system)| user + system)
        .context("Redis does not say what CPU time it used")
}

/// What was called how often, but for our own questions and what clients say when they connect.
fn commands(redis: &Redis) -> anyhow::Result<BTreeMap<String, u64>> {
    const NOT: [&str; 7] = [
        "info",
        "ping",
        "client",
        "hello",
        "select",
        "command",
        "psubscribe",
    ];
    let is_counted = |name: &str| {
        name.split('|')
            .next()
            .is_some_and(|name| !NOT.contains(&name))
    };
    Ok(redis
        .calls()?
        .filter(|(name, _)| is_counted(name))
        .collect())
}
