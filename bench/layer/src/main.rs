//! What it costs to bring an event from one process to another over Redis, beside `channels_redis`.
//!
//! `run` starts a `redis-server` of its own on a Unix socket, and for each measurement two fresh processes on it: one that
//! hears (`hear`) and one that says (`say`). Ours are this program, on the library's public layer; the others' are
//! `bench/peers/channels_layer.py`, which does the same step by step. All take turns within one run, so that a ratio
//! compares neighbours in time.

mod clock;
mod hear;
mod load;
mod rig;
mod say;
mod table;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use roomful::ChannelLayer;
use roomful::layer::redis::RedisOptions;

use load::Run;

/// Measures channel layers on Redis.
#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Measures, and prints tables.
    Run(Run),
    /// Is a process that hears: says when it is there, is told how many events to wait for, prints what came.
    Hear(hear::Arguments),
    /// Is a process that says, and prints what it cost.
    Say(say::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Program::parse().role {
        Role::Run(run) => {
            let (measured, text) = rig::run(&run)?;
            println!("{text}");
            if let Some(file) = &run.markdown {
                std::fs::write(file, format!("{HEAD}{text}"))
                    .with_context(|| format!("writing {}", file.display()))?;
            }
            anyhow::ensure!(measured.roomful_lost() == 0, "Roomful lost events");
            Ok(())
        }
        Role::Hear(arguments) => alone(hear::run(arguments)),
        Role::Say(arguments) => alone(say::run(arguments)),
    }
}

/// How the file begins.
const HEAD: &str = "# The channel layer over Redis: results\n\n\
    Written by `cargo xtask bench --layer --write-docs`; [layer.md](layer.md) says what is measured, and how far to trust it.\n\n\
    Medians of the rounds. heard/s: from the first event that was said to the last that was heard. \
    CPU s/M: seconds of CPU time per million events, of the process that says, the one that hears, and Redis. \
    In parentheses: how much that is of Roomful's figure in the same round.\n\n";

/// On one thread, as the other side has it.
fn alone(role: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, role)
}

/// A layer that drops nothing for want of room.
async fn layer(url: &str) -> anyhow::Result<ChannelLayer> {
    let options = RedisOptions::new(url.parse()?).capacity(1_000_000);
    Ok(ChannelLayer::new(options.connect().await?))
}
