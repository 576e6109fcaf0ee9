//! Times, counted by how long they took: one relaxed addition for each, and one for their sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets to a doubling of the time: a time is told with an error of at most an eighth.
const FINENESS: usize = 8;
/// Doublings above [`FINENESS`] microseconds; the last bucket holds everything from about a minute up.
const DOUBLINGS: usize = 23;
const BUCKETS: usize = FINENESS * (DOUBLINGS + 1);

/// Where times are counted.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Clone, Debug)]
pub struct Times {
    buckets: [u64; BUCKETS],
    micros: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            micros: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Something took so long.
    pub fn record(&self, time: Duration) {
        self.buckets[bucket(time)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros(time), Ordering::Relaxed);
    }

    /// How things stand.
    pub fn now(&self) -> Times {
        Times {
            buckets: std::array::from_fn(|index| self.buckets[index].load(Ordering::Relaxed)),
            micros: self.micros.load(Ordering::Relaxed),
        }
    }
}

impl Times {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// For each doubling from 128 µs to 33 s, how many took no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        (7..=25).map(|doubling| {
            let bound = Duration::from_micros(1 << doubling);
            let within = &self.buckets[..bucket(bound)];
            (bound, within.iter().sum())
        })
    }

    /// Those that came after an earlier moment.
    pub fn since(&self, before: &Self) -> Self {
        let new = |index: usize| self.buckets[index].saturating_sub(before.buckets[index]);
        Self {
            buckets: std::array::from_fn(new),
            micros: self.micros.saturating_sub(before.micros),
        }
    }

    /// 99 of 100 took no longer; `None` where there are none.
    pub fn p99(&self) -> Option<Duration> {
        let rank = (self.count() * 99).div_ceil(100);
        let mut seen = 0;
        let index = self.buckets.iter().position(|count| {
            seen += count;
            rank > 0 && seen >= rank
        });
        index.map(upper_bound)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Below [`FINENESS`] microseconds each has a bucket; above, each doubling has as many.
fn bucket(time: Duration) -> usize {
    let micros = micros(time).max(1);
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
    fn what_took_no_longer_is_counted_up_to_all_of_them() {
        let histogram = Histogram::default();
        for micros in [100, 127, 128, 1_000, 40_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let times = histogram.now();
        let within: Vec<_> = times.cumulative().collect();
        assert_eq!(within[0], (Duration::from_micros(128), 2));
        assert_eq!(within[1], (Duration::from_micros(256), 3));
        assert_eq!(within[3], (Duration::from_micros(1024), 4));
        assert_eq!(within.last(), Some(&(Duration::from_micros(1 << 25), 4)));
        assert_eq!(times.count(), 5);
        assert_eq!(times.sum(), Duration::from_micros(40_001_355));
    }
}
