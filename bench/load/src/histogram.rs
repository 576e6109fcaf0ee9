//! A histogram of times: buckets of one in 64, so that a percentile is right to 1.6 %.

/// Counts microseconds.
#[derive(Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

const STEPS: u64 = 64;

impl Histogram {
    pub(crate) fn record(&mut self, microseconds: u64) {
        let bucket = bucket(microseconds);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    /// The time within which this share was done, in milliseconds.
    pub(crate) fn percentile(&self, share: f64) -> Option<f64> {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(middle(bucket) / 1000.0);
            }
        }
        None
    }
}

/// Exact below 128, then 64 buckets for each power of two.
fn bucket(value: u64) -> usize {
    let shift = (value / STEPS).checked_ilog2().unwrap_or(0);
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

fn middle(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    let low = (bucket - shift * STEPS) << shift;
    low as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_middle_to_one_in_sixty_four() {
        for value in [0, 1, 63, 64, 127, 128, 129, 255, 256, 1000, 65_535, 1 << 30] {
            let middle = middle(bucket(value));
            let error = (middle - value as f64).abs();
            assert!(error <= value as f64 / 64.0, "{value} is shown as {middle}");
        }
    }

    #[test]
    fn percentiles_are_read_from_the_low_end() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|n| histogram.record(n * 1000));
        let at = |share| histogram.percentile(share).unwrap().round();
        assert_eq!((at(0.5), at(0.99)), (50.0, 99.0));
        assert!(Histogram::default().percentile(0.5).is_none());
    }
}
