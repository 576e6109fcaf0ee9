//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Proves from outside that nothing acknowledged is lost or doubled, on any transport, whatever breaks.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// The server to test.
    #[arg(long, default_value = "target/release/roomful")]
    pub(crate) server: PathBuf,
    /// Where chance comes from: the same seed breaks the same connections in the same ways.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How often a server is killed with -9 under load, and started again on the same history.
    #[arg(long, default_value_t = 10)]
    pub(crate) kills: usize,
    /// Messages, over all speakers.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) messages: usize,
    /// Speakers: every second one on a WebSocket, pipelining; the others by POST.
    #[arg(long, default_value_t = 20)]
    pub(crate) speakers: usize,
    /// Readers on each of WebSocket, event stream, long poll and poll.
    #[arg(long, default_value_t = 10)]
    pub(crate) readers: usize,
    /// Rooms, over which speakers and readers are spread.
    #[arg(long, default_value_t = 1)]
    pub(crate) rooms: usize,
    /// Bytes of text in each message, at least.
    #[arg(long, default_value_t = 40)]
    pub(crate) text_bytes: usize,
    /// Spread the messages over this time; without it, as fast as answers come.
    #[arg(long, value_parser = duration, default_value = "0s")]
    pub(crate) over: Duration,
    /// Lifetime of a connection through the proxy before something happens to it, on average; 0s: the proxy only passes on.
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub(crate) cut_every: Duration,
    /// Two nodes on one Redis and one PostgreSQL, all started for the run. A third of the members is on the one, a third on the
    /// other, and a third on either, by chance for each connection. Kills are of either node.
    #[arg(long, conflicts_with_all = ["scenario", "disk_full"])]
    pub(crate) cluster: bool,
    /// Of --cluster: Redis is killed in the middle, and started again empty after this time.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub(crate) redis_away: Duration,
    /// Of --cluster: a killed node is started again after this time, in which the other has to serve.
    #[arg(long, value_parser = duration, default_value = "1s")]
    pub(crate) node_away: Duration,
    /// Keep the database on a small disk of its own (tmpfs; needs root), fill that in the middle, and free it again.
    #[arg(long)]
    pub(crate) disk_full: bool,
    /// Step the server's clock to and fro by this much while it runs; needs libfaketime.
    #[arg(long, value_parser = duration, allow_hyphen_values = true, value_name = "+1h")]
    pub(crate) clock: Option<Duration>,
    /// One more reader, on a WebSocket, stops reading for this long in the middle.
    #[arg(long, value_parser = duration, value_name = "30s")]
    pub(crate) stall_reader: Option<Duration>,
    /// Instead: so many WebSocket members are connected, the server is killed and started, all come back.
    #[arg(long, value_name = "MEMBERS", group = "scenario")]
    pub(crate) reconnect_burst: Option<usize>,
    /// Instead: one member of many stops reading; what the others and the server's memory notice of it.
    #[arg(long, group = "scenario")]
    pub(crate) slow_reader: bool,
    /// Instead: acknowledged messages per second, in one room and in a hundred.
    #[arg(long, group = "scenario")]
    pub(crate) acks: bool,
    /// Of --slow-reader: members in the room.
    #[arg(long, default_value_t = 1000)]
    pub(crate) members: usize,
    /// Of --slow-reader and --acks: how long each measurement takes. A stopped member's queue is full after about 30 s.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub(crate) phase: Duration,
    /// End without success after so many seconds.
    #[arg(long, default_value_t = 900)]
    pub(crate) limit: u64,
}

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scenario {
    Storm,
    /// With so many members.
    Burst(usize),
    SlowReader,
    Acks,
}

impl Options {
    /// What is run.
    pub(crate) fn scenario(&self) -> Scenario {
        match self.reconnect_burst {
            Some(members) => Scenario::Burst(members),
            None if self.slow_reader => Scenario::SlowReader,
            None if self.acks => Scenario::Acks,
            None => Scenario::Storm,
        }
    }

    /// Chance for one task: seeded by the run's seed, the task's kind and its number.
    pub(crate) fn chance(&self, kind: &str, number: usize) -> fastrand::Rng {
        let mut mixed = self.seed;
        for byte in kind.bytes().map(u64::from).chain([number as u64]) {
            mixed = (mixed ^ byte)
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(17);
        }
        fastrand::Rng::with_seed(mixed)
    }
}

/// A time as people write it: `500ms`, `30s`, `2m`, `+1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write 500ms, 30s, 2m or 1h");
    let bare = text.trim_start_matches('+');
    let digits = bare.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = bare.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_millis(number * milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(duration("+1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "5", "h", "1d", "-1h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_chance_to_each_task() {
        let options = |seed: &str| Options::parse_from(["ledger", "--seed", seed]);
        let first = |seed, kind, number| options(seed).chance(kind, number).u64(..);

        assert_eq!(first("7", "reader", 1), first("7", "reader", 1));
        assert_ne!(first("7", "reader", 1), first("7", "reader", 2));
        assert_ne!(first("7", "reader", 1), first("7", "speaker", 1));
        assert_ne!(first("7", "reader", 1), first("8", "reader", 1));
    }
}
