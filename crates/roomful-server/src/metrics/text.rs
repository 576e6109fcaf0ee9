//! Prometheus' text format: for each metric a line of help, a line with its type, and a line for each sample.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt::{Display, Write as _};

use crate::counters::Times;

/// An answer that is being written.
#[derive(Default)]
pub(super) struct Exposition {
    out: String,
}

impl Exposition {
    /// Something that only ever grows.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.sample(name, &[], value);
    }

    /// Something that comes and goes.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// Something that only ever grows, of several kinds.
    pub(super) fn counters<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (String, V)>,
    ) {
        self.head(name, "counter", help);
        for (kind, value) in values {
            self.sample(name, &[(label, &kind)], value);
        }
    }

    /// What something is, in labels; its value is always 1.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.head(name, "gauge", help);
        self.sample(name, labels, 1);
    }

    /// How long something took.
    pub(super) fn histogram(&mut self, name: &str, help: &str, times: &Times) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in times.cumulative() {
            let bound = bound.as_secs_f64().to_string();
            self.sample(&bucket, &[("le", &bound)], count);
        }
        self.sample(&bucket, &[("le", "+Inf")], times.count());
        self.sample(&format!("{name}_sum"), &[], times.sum().as_secs_f64());
        self.sample(&format!("{name}_count"), &[], times.count());
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.out.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let text = escaped(text);
            let _ = write!(self.out, "{before}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::counters::Histogram;

    #[test]
    fn what_stands_in_a_label_cannot_end_it() {
        let mut text = Exposition::default();
        text.info("x_info", "An x.", &[("a", "b"), ("c", "\"\\\n")]);
        assert_eq!(
            text.finish(),
            "# HELP x_info An x.\n# TYPE x_info gauge\nx_info{a=\"b\",c=\"\\\"\\\\\\n\"} 1\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_all_of_them() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(1));
        histogram.record(Duration::from_secs(60));
        let mut text = Exposition::default();
        text.histogram("t_seconds", "Times.", &histogram.now());
        let text = text.finish();
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(lines[0], "t_seconds_bucket{le=\"0.000128\"} 0");
        assert_eq!(lines[3], "t_seconds_bucket{le=\"0.001024\"} 1");
        let end = &lines[lines.len() - 3..];
        assert_eq!(
            end,
            [
                "t_seconds_bucket{le=\"+Inf\"} 2",
                "t_seconds_sum 60.001",
                "t_seconds_count 2"
            ]
        );
    }
}
