//! What happens in this process, counted: a few relaxed additions per message, none per member.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Buckets to a doubling of the time: a time is told with an error of at most an eighth.
const FINENESS: usize = 8;
/// Doublings above [`FINENESS`] microseconds; the last bucket holds everything from about a minute up.
const DOUBLINGS: usize = 23;
const BUCKETS: usize = FINENESS * (DOUBLINGS + 1);

/// What is counted since the start. Nothing is ever reset: whoever wants a rate takes two [`Counts`].
#[derive(Debug)]
pub struct Counters {
    started: Instant,
    connections: AtomicU64,
    deliveries: AtomicU64,
    /// Messages said, by how long they took from being heard to being stored.
    said: [AtomicU64; BUCKETS],
}

/// The counters at one moment.
#[derive(Clone, Debug)]
pub struct Counts {
    at: Instant,
    /// WebSockets, event streams and long polls that are open.
    pub connections: u64,
    /// Messages handed to one reader each.
    deliveries: u64,
    said: [u64; BUCKETS],
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Messages stored.
    pub messages_per_second: f64,
    /// Messages handed to one reader each.
    pub deliveries_per_second: f64,
    /// 99 of 100 messages were stored within this time; `None` where nothing was said.
    pub stored_p99: Option<Duration>,
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub struct Connected(Arc<Counters>);

impl Default for Counters {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            connections: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            said: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Counters {
    /// A connection is open, as long as what this gives is kept.
    pub fn connected(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(self))
    }

    /// A message was stored, so long after it had been heard.
    pub fn said(&self, after: Duration) {
        self.said[bucket(after)].fetch_add(1, Ordering::Relaxed);
    }

    /// Messages were handed to readers.
    pub fn delivered(&self, deliveries: usize) {
        self.deliveries
            .fetch_add(deliveries as u64, Ordering::Relaxed);
    }

    /// How long there is something to count.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How things stand.
    pub fn now(&self) -> Counts {
        Counts {
            at: Instant::now(),
            connections: self.connections.load(Ordering::Relaxed),
            deliveries: self.deliveries.load(Ordering::Relaxed),
            said: std::array::from_fn(|index| self.said[index].load(Ordering::Relaxed)),
        }
    }
}

impl Counts {
    /// What happened since an earlier moment.
    pub fn since(&self, before: &Self) -> Rates {
        let seconds = self.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let said: [u64; BUCKETS] =
            std::array::from_fn(|index| self.said[index].saturating_sub(before.said[index]));
        let messages: u64 = said.iter().sum();
        Rates {
            messages_per_second: messages as f64 / seconds,
            deliveries_per_second: self.deliveries.saturating_sub(before.deliveries) as f64
                / seconds,
            stored_p99: p99(&said, messages),
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn p99(said: &[u64; BUCKETS], messages: u64) -> Option<Duration> {
    let rank = (messages * 99).div_ceil(100);
    let mut seen = 0;
    let index = said.iter().position(|count| {
        seen += count;
        rank > 0 && seen >= rank
    });
    index.map(upper_bound)
}

/// Below [`FINENESS`] microseconds each has a bucket; above, each doubling has as many.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    let doubling = (micros.ilog2() as usize).saturating_sub(FINENESS.ilog2() as usize);
    let within = (micros >> doubling) as usize;
    (doubling * FINENESS + within).min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn upper_bound(index: usize) -> Duration {
    let doubling = (index / FINENESS).saturating_sub(1);
    let within = (index - doubling * FINENESS) as u64;
    Duration::from_micros(((within + 1) << doubling) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_with_an_error_of_an_eighth() {
        let mut last = 0;
        for micros in (1..5_000).chain((5_000..60_000_000).step_by(9_973)) {
            let index = bucket(Duration::from_micros(micros));
            assert!(index >= last, "{micros}");
            last = index;
            let told = upper_bound(index).as_micros() as u64;
            assert!(
                (micros..=micros + micros / 8).contains(&told),
                "{micros}: {told}"
            );
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn rates_are_of_the_time_between_two_moments() {
        let counters = Arc::new(Counters::default());
        counters.said(Duration::from_secs(1));
        let before = counters.now();
        for millis in 1..=100 {
            counters.said(Duration::from_millis(millis));
        }
        counters.delivered(250);
        let connected = counters.connected();
        let mut now = counters.now();
        now.at = before.at + Duration::from_secs(2);

        let rates = now.since(&before);

        assert_eq!(rates.messages_per_second, 50.0);
        assert_eq!(rates.deliveries_per_second, 125.0);
        let p99 = rates.stored_p99.unwrap().as_millis();
        assert!((99..112).contains(&p99), "{p99}");
        assert_eq!(now.connections, 1);
        drop(connected);
        assert_eq!(counters.now().connections, 0);
        assert_eq!(now.since(&now).stored_p99, None);
    }
}
