//! What happens to the servers while people speak: they are killed, Redis is gone, a disk is full, a clock is wrong.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use services::Redis;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use crate::book::Book;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::nodes::Nodes;
use crate::options::Options;
use crate::server::Server;

/// Refusals that show that the server has noticed how full its disk is.
const REFUSALS: usize = 50;
/// How long the disk may be full without anybody noticing, and how long recovery may take.
const DISK_PATIENCE: Duration = Duration::from_secs(30);
/// How long the disk stays full after it was noticed.
const FULL_FOR: Duration = Duration::from_secs(3);
/// Between two steps of the clock.
const STEP_EVERY: Duration = Duration::from_secs(2);

/// Kills servers with -9 and starts them again, at random moments spread over the run. Of several nodes it is any one, and
/// the others have to serve on; answers how many messages they acknowledged.
pub(crate) async fn kill(nodes: &Nodes, book: &Book, options: &Options) -> Result<usize> {
    let mut chance = options.chance("kill", 0);
    let mut moments: Vec<usize> = (0..options.kills)
        .map(|kill| {
            let share = (kill as f64 + chance.f64()) / options.kills as f64;
            // Under load: neither before the first messages nor after the last ones.
            (options.messages as f64 * (0.02 + 0.93 * share)) as usize
        })
        .collect();
    moments.sort_unstable();
    let mut meanwhile = 0;
    for moment in moments {
        reached(book, moment).await;
        sleep(Duration::from_micros(chance.u64(..20_000))).await;
        let server = chance.choice(&nodes.servers).context("there is a server")?;
        let mut server = server.lock().await;
        server.kill().await?;
        if options.cluster {
            meanwhile += serve_on(book, options.node_away).await?;
        } else {
            sleep(Duration::from_micros(chance.u64(..50_000))).await;
        }
        server.start().await?;
    }
    Ok(meanwhile)
}

/// Waits, and sees to it that messages go on being acknowledged; how many those were.
async fn serve_on(book: &Book, away: Duration) -> Result<usize> {
    let before = book.count();
    // Acknowledgements that were on their way count for nothing: in the second half there have to be more.
    sleep(away / 2).await;
    let half = book.count();
    sleep(away / 2).await;
    let after = book.count();
    if after == half {
        bail!("with a part of the cluster gone, nothing is acknowledged any more");
    }
    Ok(after - before)
}

/// Kills Redis under load and starts it again with nothing in it. How many messages were acknowledged without it.
pub(crate) async fn take_redis_away(
    redis: &Mutex<Redis>,
    book: &Book,
    options: &Options,
) -> Result<usize> {
    reached(book, options.messages / 4).await;
    let mut redis = redis.lock().await;
    redis.kill()?;
    let meanwhile = serve_on(book, options.redis_away).await?;
    redis.start_again()?;
    Ok(meanwhile)
}

/// What a full disk was like.
pub(crate) struct FullDisk {
    pub(crate) refusals: usize,
    pub(crate) full_for: Duration,
    /// From the moment there was room again to the first acknowledgement.
    pub(crate) recovered_after: Duration,
}

/// Fills the disk after some messages, keeps it full until that has been felt, and frees it. Nobody is killed meanwhile: the
/// server has to come back by itself.
pub(crate) async fn fill_disk(
    server: &Mutex<Server>,
    book: &Book,
    disk: &Disk,
    messages: usize,
) -> Result<FullDisk> {
    reached(book, messages / 3).await;
    let mut server = server.lock().await;
    let before = book.refusals();
    disk.fill()?;
    let begun = Instant::now();
    while book.refusals() < before + REFUSALS {
        if begun.elapsed() > DISK_PATIENCE {
            bail!(
                "the disk was full, and only {} messages were refused",
                book.refusals() - before
            );
        }
        sleep(Duration::from_millis(10)).await;
    }
    sleep(FULL_FOR).await;
    let acknowledged = book.count();
    disk.free()?;
    let freed = Instant::now();
    // Acknowledgements on their way count for nothing: whole rounds have to go through again.
    while book.count() < acknowledged + REFUSALS {
        if freed.elapsed() > DISK_PATIENCE {
            bail!("the disk has room again, and the server takes no messages");
        }
        sleep(Duration::from_millis(1)).await;
    }
    let recovered_after = freed.elapsed();
    if !server.is_alive() {
        bail!("the server has ended while its disk was full");
    }
    Ok(FullDisk {
        refusals: book.refusals() - before,
        full_for: freed - begun,
        recovered_after,
    })
}

/// Has a reader stop reading for a while, connected to a server that is not killed meanwhile.
pub(crate) async fn stall(
    server: &Mutex<Server>,
    book: &Book,
    gate: watch::Sender<bool>,
    stall: Duration,
    messages: usize,
) -> Result<()> {
    reached(book, messages / 5).await;
    let _alive = server.lock().await;
    gate.send_replace(false);
    sleep(stall).await;
    gate.send_replace(true);
    Ok(())
}

/// Steps the clock for ever.
pub(crate) async fn step_clock(clock: &mut Clock) -> Result<()> {
    loop {
        sleep(STEP_EVERY).await;
        clock.step()?;
    }
}

async fn reached(book: &Book, count: usize) {
    while book.count() < count {
        sleep(Duration::from_millis(1)).await;
    }
}
