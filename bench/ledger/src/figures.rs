//! What a run found: figures in a table, and violations in sentences.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

/// Violations that are printed; where one thing is wrong, often thousands follow from it.
const SHOWN: usize = 40;

/// What a run found.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<(String, Box<dyn Display>)>,
    pub(crate) violations: Vec<String>,
}

impl Report {
    /// Adds a line to the table.
    pub(crate) fn figure(&mut self, what: &str, value: impl Display + 'static) {
        self.figures.push((what.to_owned(), Box::new(value)));
    }

    /// Adds how long something took: of many, the median, the 99th percentile and the worst.
    pub(crate) fn times(&mut self, what: &str, times: &mut [Duration]) {
        times.sort_unstable();
        let [median, rare, worst] =
            [0.5, 0.99, 1.0].map(|share| milliseconds(percentile(times, share)));
        let what = format!("{what}, p50 / p99 / max");
        self.figure(&what, format!("{median} / {rare} / {worst} ms"));
    }

    /// Adds what is wrong.
    pub(crate) fn violation(&mut self, sentence: impl Into<String>) {
        self.violations.push(sentence.into());
    }

    /// Prints all of it, and answers whether it is well.
    pub(crate) fn print(&self) -> ExitCode {
        let width = self
            .figures
            .iter()
            .map(|(what, _)| what.chars().count())
            .max();
        for (what, value) in &self.figures {
            println!("{what:<width$}  {value}", width = width.unwrap_or_default());
        }
        for violation in self.violations.iter().take(SHOWN) {
            println!("VIOLATION: {violation}");
        }
        if self.violations.len() > SHOWN {
            println!("… and {} more", self.violations.len() - SHOWN);
        }
        match self.violations.len() {
            0 => {
                println!("no violation");
                ExitCode::SUCCESS
            }
            count => {
                println!("{count} violations");
                ExitCode::FAILURE
            }
        }
    }
}

/// Of sorted times, the one that `share` of them do not exceed.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let index = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or_default()
}

/// A time in milliseconds, as precise as is worth reading.
pub(crate) fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match milliseconds {
        ..10.0 => format!("{milliseconds:.2}"),
        _ => format!("{milliseconds:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(100));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(198));
        assert_eq!(percentile(&times, 1.0), Duration::from_millis(200));
        assert_eq!(percentile(&times[..1], 0.01), Duration::from_millis(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
