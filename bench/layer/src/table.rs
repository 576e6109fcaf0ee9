//! What was measured, as tables: medians of the rounds, and how far they went apart where it matters.

use std::fmt::Write as _;

use serde_json::Value;

use crate::load::{Found, GROUPS, Load, Run, Subject};

/// All measurements, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Measured {
    all: Vec<(Subject, Load, Found)>,
}

impl Found {
    fn sent(&self) -> f64 {
        of(&self.said, "sent")
    }

    /// Events a second, from the first that was said to the last that was heard.
    fn carried(&self) -> f64 {
        of(&self.heard, "heard") / of(&self.heard, "seconds").max(1e-9)
    }

    fn lost(&self) -> f64 {
        of(&self.heard, "lost") + of(&self.said, "failed") + of(&self.said, "withheld")
    }

    /// CPU seconds per million events.
    fn per_million(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.sent().max(1.0)
    }

    fn commands_each(&self) -> f64 {
        // The event that warms up is in it, too.
        self.commands.values().sum::<u64>() as f64 / (self.sent() + 1.0)
    }

    pub(crate) fn in_short(&self) -> String {
        format!(
            "{:>6.0}/s  lost {}  p50 {:.2}  p99 {:.2} ms",
            self.carried(),
            self.lost(),
            of(&self.heard, "ms_p50"),
            of(&self.heard, "ms_p99")
        )
    }
}

impl Measured {
    pub(crate) fn add(&mut self, subject: Subject, load: Load, found: Found) {
        self.all.push((subject, load, found));
    }

    /// What was lost of ours.
    pub(crate) fn roomful_lost(&self) -> u64 {
        let ours = self.all.iter().filter(|(subject, ..)| subject.is_ours);
        ours.map(|(_, _, found)| found.lost() as u64).sum()
    }

    pub(crate) fn tables(&self, run: &Run) -> String {
        let mut text = String::new();
        if self.has(Load::Open) {
            let _ = write!(
                text,
                "### {} events a second from one process to another, whatever comes back\n\n\
                 | layer | heard/s | lost | p50 ms | p99 | p99.9 | CPU s/M: says | hears | Redis |\n\
                 | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
                run.rate
            );
            self.rows(&mut text, Load::Open, |found| {
                vec![
                    found.carried(),
                    found.lost(),
                    of(&found.heard, "ms_p50"),
                    of(&found.heard, "ms_p99"),
                    of(&found.heard, "ms_p999"),
                    found.per_million(of(&found.said, "cpu_seconds")),
                    found.per_million(of(&found.heard, "cpu_seconds")),
                    found.per_million(found.redis_cpu),
                ]
            });
        }
        if self.has(Load::Most) {
            text.push_str(
                "\n### As many as it can, 64 under way\n\n\
                 | layer | heard/s | lost | p50 ms | p99 | CPU s/M: says | hears | Redis |\n\
                 | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
            );
            self.rows(&mut text, Load::Most, |found| {
                vec![
                    found.carried(),
                    found.lost(),
                    of(&found.heard, "ms_p50"),
                    of(&found.heard, "ms_p99"),
                    found.per_million(of(&found.said, "cpu_seconds")),
                    found.per_million(of(&found.heard, "cpu_seconds")),
                    found.per_million(found.redis_cpu),
                ]
            });
        }
        if self.has(Load::Group(GROUPS[0])) {
            text.push_str(
                "\n### One event to all members of a group in another process\n\n\
                 | members | layer | ms to the last: p50 | p99 | lost | CPU ms each: says | hears | Redis | Redis commands each |\n\
                 | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
            );
            for members in GROUPS {
                let mut rows = String::new();
                self.rows(&mut rows, Load::Group(members), |found| {
                    let each = |seconds: f64| found.per_million(seconds) / 1e3;
                    vec![
                        of(&found.heard, "ms_p50"),
                        of(&found.heard, "ms_p99"),
                        found.lost(),
                        each(of(&found.said, "cpu_seconds")),
                        each(of(&found.heard, "cpu_seconds")),
                        each(found.redis_cpu),
                        found.commands_each(),
                    ]
                });
                for row in rows.lines() {
                    let _ = writeln!(text, "| {members} {row}");
                }
            }
        }
        text
    }

    fn has(&self, load: Load) -> bool {
        self.all.iter().any(|(_, other, _)| *other == load)
    }

    /// A line for each layer; for the others', too, how much it is of ours.
    fn rows(&self, text: &mut String, load: Load, figures: impl Fn(&Found) -> Vec<f64>) {
        let mut subjects: Vec<_> = self.all.iter().map(|(subject, ..)| *subject).collect();
        subjects.sort_by_key(|subject| (subject.dialect, !subject.is_ours));
        subjects.dedup();
        for subject in subjects {
            let mine = self.rounds(subject, load, &figures);
            let reference = Subject {
                is_ours: true,
                ..subject
            };
            let ours = self.rounds(reference, load, &figures);
            let _ = write!(text, "| {} |", subject.name());
            for column in 0..mine.first().map_or(0, Vec::len) {
                let values = mine.iter().map(|round| round[column]);
                let _ = write!(text, " {}", number(median(values)));
                let ratios = mine
                    .iter()
                    .zip(&ours)
                    .map(|(mine, ours)| mine[column] / ours[column]);
                let ratio = median(ratios);
                if !subject.is_ours && ratio.is_finite() {
                    let _ = write!(text, " (×{})", number(ratio));
                }
                text.push_str(" |");
            }
            text.push('\n');
        }
    }

    fn rounds(
        &self,
        subject: Subject,
        load: Load,
        figures: impl Fn(&Found) -> Vec<f64>,
    ) -> Vec<Vec<f64>> {
        let found = self.all.iter();
        let found = found.filter(|(s, l, _)| *s == subject && *l == load);
        found.map(|(_, _, found)| figures(found)).collect()
    }
}

fn of(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap_or(f64::NAN)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        0.0 => "0".to_owned(),
        value if value.abs() >= 100.0 => format!("{value:.0}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value if value.abs() >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_the_middle() {
        let shown = [0.0, 0.1234, 3.4567, 42.42, 5_000.4].map(number);
        assert_eq!(shown, ["0", "0.123", "3.46", "42.4", "5000"]);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    }
}
