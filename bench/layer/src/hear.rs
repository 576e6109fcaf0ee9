//! The process that hears: some members of one group, each a task of its own, and a book of what reached all of them.

use std::cell::RefCell;
use std::io::{self, BufRead as _};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::clock::{cpu_seconds, wall_ns};

/// Silence after which what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    url: String,
    /// Members of the group.
    #[arg(long, default_value_t = 1)]
    members: usize,
}

/// What is said.
#[derive(Deserialize)]
struct Said {
    /// Which one it is; below 0, for warming up.
    n: i64,
    /// When it was said.
    at: u64,
}

#[derive(Default)]
struct Book {
    /// How many members each event has reached.
    reached: Vec<usize>,
    /// From its saying to the last member, in milliseconds, of each event that reached all.
    latencies: Vec<f64>,
    first_said: Option<u64>,
    last_heard: u64,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let layer = crate::layer(&arguments.url).await?;
    let (book, news) = (
        Rc::new(RefCell::new(Book::default())),
        Rc::new(Notify::new()),
    );
    let members = arguments.members;
    for _ in 0..members {
        let mut inbox = layer.open().await?;
        layer.group_add("bench", inbox.channel().as_str()).await?;
        let (book, news) = (Rc::clone(&book), Rc::clone(&news));
        tokio::task::spawn_local(async move {
            loop {
                let event = inbox.receive().await;
                if let Ok(said) = event.decode::<Said>()
                    && book.borrow_mut().enter(&said, members)
                {
                    news.notify_one();
                }
            }
        });
    }
    let cpu = cpu_seconds();
    println!("ready");
    let expected = expected().await?;
    while book.borrow().latencies.len() < expected
        && timeout(PATIENCE, news.notified()).await.is_ok()
    {}
    let cpu = cpu_seconds() - cpu;
    let mut book = book.borrow_mut();
    let heard = book.latencies.len();
    book.latencies.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (heard as f64 * share).ceil() as usize;
        book.latencies.get(rank.saturating_sub(1)).copied()
    };
    let took = book.last_heard.saturating_sub(book.first_said.unwrap_or(0));
    let report = json!({
        "heard": heard, "lost": expected.saturating_sub(heard),
        "seconds": took as f64 / 1e9, "cpu_seconds": cpu,
        "ms_p50": at(0.5), "ms_p99": at(0.99), "ms_p999": at(0.999),
    });
    println!("{report}");
    Ok(())
}

impl Book {
    /// Says whether it has reached everybody now.
    fn enter(&mut self, said: &Said, members: usize) -> bool {
        let Ok(n) = usize::try_from(said.n) else {
            return false;
        };
        if self.reached.len() <= n {
            self.reached.resize(n + 1, 0);
        }
        self.reached[n] += 1;
        if self.reached[n] != members {
            return false;
        }
        let now = wall_ns();
        let first = self.first_said.get_or_insert(said.at);
        *first = said.at.min(*first);
        self.last_heard = now;
        let latency = now.saturating_sub(said.at) as f64 / 1e6;
        self.latencies.push(latency);
        true
    }
}

/// How many events there are to wait for: a line of the standard input.
async fn expected() -> anyhow::Result<usize> {
    let (told, number) = oneshot::channel();
    thread::spawn(move || {
        let line = io::stdin().lock().lines().next();
        // Whoever waits for it ends with us.
        let _ = told.send(line);
    });
    match number.await? {
        Some(line) => Ok(line?.trim().parse()?),
        None => anyhow::bail!("the input ended without a number"),
    }
}
