//! Loads a room broadcast server and counts what arrives.
//!
//! One thread, epoll, frames counted by their headers: the generator must not be what is measured, and says how much of its
//! core it used. `closed` keeps a number of messages of each room under way and sends the next when one has reached every
//! member; `open` sends at a fixed rate, whatever comes back; `idle` only stays; `churn` comes and goes. Loopback only.
//! Every message has to reach every member of its room, the speaker too, once: anything else is an error.

mod crowd;
mod dialect;
mod frames;
mod histogram;
mod member;
mod process;
mod talk;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crowd::Crowd;
use dialect::Dialect;
use process::Server;
use talk::{Pace, Talk};

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Closed,
    Open,
    Idle,
    Churn,
}

/// Loads a room broadcast server on loopback and prints one line of JSON.
#[derive(Parser)]
struct Arguments {
    /// The server's port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// The port of a second node: every other member of a room is there, and only those on the first node speak.
    #[arg(long)]
    second_port: Option<u16>,
    /// The server's process, for CPU time and memory of it and its children.
    #[arg(long)]
    pid: u32,
    #[arg(long, value_enum, default_value_t = Dialect::Plain)]
    dialect: Dialect,
    #[arg(long, default_value_t = 100)]
    rooms: usize,
    #[arg(long, default_value_t = 50)]
    members: usize,
    #[arg(long, value_enum, default_value_t = Mode::Closed)]
    mode: Mode,
    /// Messages of each room under way (closed).
    #[arg(long, default_value_t = 4)]
    under_way: usize,
    /// Messages a second, over all rooms (open).
    #[arg(long, default_value_t = 600.0)]
    rate: f64,
    /// Bytes of a message's text.
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// How often everybody comes and goes (churn).
    #[arg(long, default_value_t = 10)]
    times: usize,
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// When everybody is here, print a line and wait for one: somebody wants to watch the server from there on.
    #[arg(long)]
    hold: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let ports = [
        arguments.port,
        arguments.second_port.unwrap_or(arguments.port),
    ];
    let crowd = Crowd::new(ports, arguments.dialect, arguments.size)?;
    let (report, missing) = match arguments.mode {
        Mode::Closed | Mode::Open => talk(&arguments, crowd)?,
        Mode::Idle => (idle(&arguments, crowd)?, 0),
        Mode::Churn => (churn(&arguments, crowd)?, 0),
    };
    println!("{report}");
    ensure!(missing == 0, "{missing} deliveries are missing or too many");
    Ok(())
}

/// Everybody comes: how fast, and what it cost.
fn come(arguments: &Arguments, crowd: &mut Crowd) -> anyhow::Result<Value> {
    let server = Server::new(arguments.pid);
    let (cpu, resident, begun) = (
        server.cpu_seconds(),
        server.resident_bytes(),
        Instant::now(),
    );
    crowd.come(arguments.rooms, arguments.members)?;
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), server.cpu_seconds() - cpu);
    crowd.quiet(Duration::from_millis(300))?;
    let count = crowd.members.len() as f64;
    let grown = server.resident_bytes().saturating_sub(resident);
    Ok(json!({
        "connections": crowd.members.len(),
        "connects_per_second": (count / elapsed).round(),
        "cpu_us_per_connect": cpu * 1e6 / count,
        "rss_bytes_per_connection": (grown as f64 / count).round(),
        "rss_bytes": server.resident_bytes(),
    }))
}

fn talk(arguments: &Arguments, mut crowd: Crowd) -> anyhow::Result<(Value, u64)> {
    let server = Server::new(arguments.pid);
    let mut report = come(arguments, &mut crowd)?;
    if arguments.hold {
        println!("ready");
        std::io::stdin()
            .read_line(&mut String::new())
            .context("waiting for a line")?;
    }
    let pace = match arguments.mode {
        Mode::Open => Pace::Open {
            messages_per_second: arguments.rate,
        },
        _ => Pace::Closed {
            under_way: arguments.under_way,
        },
    };
    let (rooms, members) = (arguments.rooms, arguments.members);
    let mut talk = Talk::new(
        crowd,
        arguments.dialect,
        rooms,
        members,
        arguments.size,
        pace,
    );
    talk.run(Duration::from_secs_f64(arguments.warm_up))?;
    talk.record();
    let (before, own, begun) = (
        server.cpu_seconds(),
        process::own_cpu_seconds(),
        Instant::now(),
    );
    talk.run(Duration::from_secs_f64(arguments.seconds))?;
    let (after, elapsed) = (server.cpu_seconds(), begun.elapsed().as_secs_f64());
    let own = (process::own_cpu_seconds() - own) / elapsed;
    let (deliveries, acknowledged) = (talk.deliveries as f64, talk.acknowledged as f64);
    let missing = talk.finish()?;
    let million = 1e6 / deliveries.max(1.0);
    let at = |share| talk.to_last.percentile(share);
    let measured = json!({
        "deliveries_per_second": (deliveries / elapsed).round(),
        "cpu_seconds_per_million": (after - before) * million,
        "server_cores": (after - before) / elapsed,
        "generator_cores": own,
        "ms_to_last_p50": at(0.5), "ms_to_last_p99": at(0.99), "ms_to_last_p999": at(0.999),
        "deliveries": talk.deliveries_in_all, "missing": missing, "withheld": talk.withheld,
    });
    merge(&mut report, measured);
    if arguments.dialect.is_acknowledged() {
        let at = |share| talk.to_ack.percentile(share);
        let acknowledged = json!({
            "acks_per_second": (acknowledged / elapsed).round(),
            "ms_to_ack_p50": at(0.5), "ms_to_ack_p99": at(0.99), "ms_to_ack_p999": at(0.999),
        });
        merge(&mut report, acknowledged);
    }
    Ok((report, missing))
}

fn idle(arguments: &Arguments, mut crowd: Crowd) -> anyhow::Result<Value> {
    let server = Server::new(arguments.pid);
    let mut report = come(arguments, &mut crowd)?;
    let (cpu, begun) = (server.cpu_seconds(), Instant::now());
    while begun.elapsed().as_secs_f64() < arguments.seconds {
        crowd.turn(Duration::from_millis(100), |_, _, _| Ok(()))?;
    }
    let connection_seconds = begun.elapsed().as_secs_f64() * crowd.members.len() as f64;
    let cpu = (server.cpu_seconds() - cpu) * 1e6 / connection_seconds;
    merge(&mut report, json!({"cpu_us_per_connection_second": cpu}));
    Ok(report)
}

/// The last time tells what coming costs a server that is warm.
fn churn(arguments: &Arguments, mut crowd: Crowd) -> anyhow::Result<Value> {
    let server = Server::new(arguments.pid);
    let mut report = json!({});
    let (mut rss_in, mut rss_out) = (Vec::new(), vec![server.resident_bytes()]);
    for _ in 0..arguments.times {
        report = come(arguments, &mut crowd)?;
        rss_in.push(server.resident_bytes());
        crowd.go()?;
        crowd.quiet(Duration::from_millis(300))?;
        rss_out.push(server.resident_bytes());
    }
    merge(
        &mut report,
        json!({"rss_with": rss_in, "rss_without": rss_out}),
    );
    Ok(report)
}

fn merge(report: &mut Value, more: Value) {
    if let (Some(report), Value::Object(more)) = (report.as_object_mut(), more) {
        report.extend(more);
    }
}
