//! A test program with a ledger: it knows every id it sent and every acknowledgement it got, and holds the server to them.
//!
//! It starts the server on a folder of its own, speaks and listens on all transports through a TCP proxy that breaks
//! connections, kills the server with -9 and starts it again on the same file, and at the end compares what the readers
//! have, what the server has and what was acknowledged.
//!
//! - `storm`: that, in its parts: `nodes` (one server, or two on one Redis and one PostgreSQL), `speakers`, `readers`, `proxy`,
//!   `trouble` (kills, Redis away, a full disk, a wrong clock), `verify`, `tell`;
//! - `burst`: many members come back at once after a restart;
//! - `slow`: one member of a thousand stops reading;
//! - `acks`: acknowledged messages per second.
//!
//! It ends by itself, listens and connects on loopback only, and kills only what it started.

mod acks;
mod book;
mod burst;
mod client;
mod clock;
mod disk;
mod figures;
mod list;
mod nodes;
mod options;
mod proxy;
mod readers;
mod server;
mod slow;
mod speakers;
mod storm;
mod tell;
mod trouble;
mod verify;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser as _;

use crate::figures::Report;
use crate::options::{Options, Scenario};

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match bounded(&options).await {
        Ok(report) => report.print(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenario within its time. However it ends, what was started is killed and what was mounted is unmounted.
async fn bounded(options: &Options) -> Result<Report> {
    let scenario = async {
        match options.scenario() {
            Scenario::Storm => storm::run(options).await,
            Scenario::Burst(members) => burst::run(options, members).await,
            Scenario::SlowReader => slow::run(options).await,
            Scenario::Acks => acks::run(options).await,
        }
    };
    tokio::select! {
        report = scenario => report,
        () = tokio::time::sleep(Duration::from_secs(options.limit)) => {
            bail!("not done within {} s: see --limit", options.limit)
        }
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}
