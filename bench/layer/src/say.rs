//! The process that says: at a fixed rate whatever comes of it, or always some at once.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use roomful::ChannelLayer;
use serde::Serialize;
use serde_json::json;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};

use crate::clock::{cpu_seconds, wall_ns};

/// Events of an open loop that may be under way; beyond that they are withheld, and the rate is not kept.
const MOST: usize = 20_000;
/// What timers may be late, here and in Python, without this being the layer's fault.
const TIMER: Duration = Duration::from_millis(2);

#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    url: String,
    /// Events a second.
    #[arg(long, conflicts_with = "under_way")]
    rate: Option<f64>,
    /// So many events are under way at any time.
    #[arg(long, default_value_t = 64)]
    under_way: usize,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Events that are said before it counts.
    #[arg(long, default_value_t = 100)]
    warm_up: i64,
}

#[derive(Serialize)]
struct Said<'a> {
    r#type: &'a str,
    n: i64,
    at: u64,
    text: &'a str,
}

/// What became of what was said.
#[derive(Default)]
struct Tally {
    sent: Cell<u64>,
    failed: Cell<u64>,
    under_way: Cell<usize>,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let layer = crate::layer(&arguments.url).await?;
    for n in 0..arguments.warm_up {
        say(&layer, -1 - n, wall_ns()).await?;
    }
    let (cpu, begun) = (cpu_seconds(), Instant::now());
    let tally = Rc::new(Tally::default());
    let withheld = match arguments.rate {
        Some(rate) => open(&layer, &tally, rate, arguments.seconds).await,
        None => closed(&layer, &tally, arguments.under_way, arguments.seconds).await,
    };
    let report = json!({
        "sent": tally.sent.get(), "failed": tally.failed.get(), "withheld": withheld,
        "seconds": begun.elapsed().as_secs_f64(), "cpu_seconds": cpu_seconds() - cpu,
    });
    println!("{report}");
    Ok(())
}

/// At a fixed rate; says how many were not said at all.
async fn open(layer: &ChannelLayer, tally: &Rc<Tally>, rate: f64, seconds: f64) -> u64 {
    let (begun, begun_wall) = (Instant::now(), wall_ns());
    let mut saying = JoinSet::new();
    let mut withheld = 0;
    for n in 0..(rate * seconds) as i64 {
        let due = Duration::from_secs_f64(n as f64 / rate);
        match begun.elapsed() < due {
            true => sleep_until(begun + due).await,
            // Those under way need turns, too, where the loop is behind.
            false => yield_now().await,
        }
        if tally.under_way.get() >= MOST {
            withheld += 1;
            continue;
        }
        // Late by more than a timer is, it counts from when it was due.
        let at = match begun.elapsed() - due {
            late if late < TIMER => wall_ns(),
            _ => begun_wall + due.as_nanos() as u64,
        };
        tally.under_way.set(tally.under_way.get() + 1);
        let (layer, tally) = (layer.clone(), Rc::clone(tally));
        saying.spawn_local(async move {
            tally.note(say(&layer, n, at).await.is_ok());
            tally.under_way.set(tally.under_way.get() - 1);
        });
        // What is over needs no memory.
        while saying.try_join_next().is_some() {}
    }
    while saying.join_next().await.is_some() {}
    withheld
}

/// As fast as it goes with so many under way.
async fn closed(layer: &ChannelLayer, tally: &Rc<Tally>, under_way: usize, seconds: f64) -> u64 {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let next = Rc::new(Cell::new(0));
    let mut saying = JoinSet::new();
    for _ in 0..under_way {
        let (layer, tally, next) = (layer.clone(), Rc::clone(tally), Rc::clone(&next));
        saying.spawn_local(async move {
            while Instant::now() < until {
                let n = next.replace(next.get() + 1);
                tally.note(say(&layer, n, wall_ns()).await.is_ok());
            }
        });
    }
    while saying.join_next().await.is_some() {}
    0
}

async fn say(layer: &ChannelLayer, n: i64, at: u64) -> anyhow::Result<()> {
    const TEXT: &str = "a message of about the length that people write: sixty-four byte";
    let said = Said {
        r#type: "bench.message",
        n,
        at,
        text: TEXT,
    };
    layer.group_send("bench", &said).await?;
    Ok(())
}

impl Tally {
    fn note(&self, is_sent: bool) {
        let count = match is_sent {
            true => &self.sent,
            false => &self.failed,
        };
        count.set(count.get() + 1);
    }
}
