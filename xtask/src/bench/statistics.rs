//! The median of a few values, and how far it can be trusted.
//!
//! The interval is made of order statistics and nothing else: of `n` values in order it takes the `rank`-th from below and from
//! above. The true median lies outside only if fewer than `rank` of the values fell on one side of it, and on which side each
//! falls is a coin thrown `n` times. No shape of the distribution is assumed, and nothing is drawn at random, so that the same
//! rounds give the same interval.

/// How sure an interval is to hold the true median, at least.
pub(super) const CONFIDENCE: f64 = 0.9;

/// The fewest values that have such an interval.
pub(super) const FEWEST: usize = 5;

/// An interval for the median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The one in the middle; of an even number, the mean of the two.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let values = in_order(values);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    Some(if values.len() % 2 == 1 {
        upper
    } else {
        (values[half - 1] + upper) / 2.0
    })
}

/// The narrowest interval that holds the true median with [`CONFIDENCE`], or `None` for fewer than [`FEWEST`] values.
pub(super) fn interval(values: &[f64]) -> Option<Interval> {
    let rank = rank(values.len())?;
    let values = in_order(values);
    Some(Interval {
        low: values[rank - 1],
        high: values[values.len() - rank],
    })
}

/// Which value from below, and from above, bounds the interval of so many values.
pub(super) fn rank(count: usize) -> Option<usize> {
    let is_enough = |rank: &usize| coverage(count, *rank) >= CONFIDENCE;
    (1..=count.div_ceil(2)).take_while(is_enough).last()
}

/// How sure the interval between the `rank`-th value from below and from above is to hold the true median.
pub(super) fn coverage(count: usize, rank: usize) -> f64 {
    // The chance of exactly `below` heads in `count` throws, from the chance of one less.
    let mut exactly = 0.5_f64.powi(count as i32);
    let mut outside = 0.0;
    for below in 0..rank {
        outside += exactly;
        exactly *= (count - below) as f64 / (below + 1) as f64;
    }
    1.0 - 2.0 * outside
}

fn in_order(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_to(count: u32) -> Vec<f64> {
        (1..=count).rev().map(f64::from).collect()
    }

    #[test]
    fn the_median_is_the_middle_or_halfway_between_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    // The ranks and their confidence are those of printed tables of the sign test (for 90 %, two-sided).
    #[test]
    fn ranks_are_those_of_the_sign_test() {
        let ranks = [5, 7, 8, 10, 11, 13, 15, 16, 18, 20, 25, 30].map(rank);
        let wanted = [1, 1, 2, 2, 3, 4, 4, 5, 6, 6, 8, 11].map(Some);
        assert_eq!(ranks, wanted);
    }

    #[test]
    fn coverage_is_that_of_the_binomial_distribution() {
        let is_near = |count, rank, wanted: f64| (coverage(count, rank) - wanted).abs() < 5e-5;
        // 1 - 2 * (1/32); 1 - 2 * (1 + 15 + 105 + 455) / 32768; 1 - 2 * (1 + 18 + 153 + 816 + 3060 + 8568) / 262144.
        assert!(is_near(5, 1, 0.9375));
        assert!(is_near(15, 4, 0.9648));
        assert!(is_near(18, 6, 0.9037));
        assert!(is_near(18, 7, 0.7621));
    }

    #[test]
    fn the_interval_lies_between_values_as_far_from_either_end() {
        let (low, high) = (4.0, 12.0);
        assert_eq!(interval(&one_to(15)), Some(Interval { low, high }));
        let (low, high) = (6.0, 13.0);
        assert_eq!(interval(&one_to(18)), Some(Interval { low, high }));
    }

    #[test]
    fn fewer_than_five_values_have_no_interval() {
        assert_eq!(interval(&one_to(FEWEST as u32 - 1)), None);
        let (low, high) = (1.0, 5.0);
        assert_eq!(
            interval(&one_to(FEWEST as u32)),
            Some(Interval { low, high })
        );
    }

    /// The interval fails to hold a known median as rarely as it says.
    #[test]
    fn intervals_of_many_samples_hold_the_true_median_as_often_as_they_say() {
        // A linear congruential generator, so that the test is the same each time; its upper bits are even enough.
        let mut state = 1_u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let samples = 20_000;
        let held = (0..samples)
            .filter(|_| {
                // Skewed, with the median 0.25.
                let values: Vec<f64> = (0..18).map(|_| uniform().powi(2)).collect();
                let Interval { low, high } = interval(&values).unwrap();
                low <= 0.25 && 0.25 <= high
            })
            .count();
        let share = held as f64 / f64::from(samples);
        assert!((share - coverage(18, 6)).abs() < 0.01, "{share}");
    }
}
