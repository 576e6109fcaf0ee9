//! System calls per delivery, counted in a run of their own: whoever counts disturbs.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::measure::Rig;
use super::scenario::Scenario;
use super::server::Server;
use super::watch::watch;
use crate::command::{Running, cmd};

/// A program that counts.
#[derive(Clone, Copy)]
pub(super) enum Tracer {
    /// Disturbs little; wants the right to.
    Perf,
    /// Makes calls several times slower.
    Strace,
}

impl Tracer {
    /// What this machine has.
    pub(super) fn find() -> Option<Self> {
        let perf = cmd("perf").args(&["stat", "--event", "raw_syscalls:sys_enter", "true"]);
        if perf.answer().is_some() {
            return Some(Self::Perf);
        }
        cmd("strace")
            .arg("--version")
            .answer()
            .map(|_| Self::Strace)
    }

    fn attach(self, pid: u32, report: &Path) -> Result<Running> {
        let tracer = match self {
            Self::Perf => cmd("perf").args(&[
                "stat",
                "--field-separator",
                ",",
                "--event",
                "raw_syscalls:sys_enter",
                "--output",
            ]),
            Self::Strace => cmd("strace").args(&["--follow-forks", "--summary-only", "--output"]),
        };
        // Both say the same with -p.
        let log = report.with_extension("log");
        tracer
            .arg(report)
            .args(&["-p", &pid.to_string()])
            .quiet()
            .start_into(&log)
    }

    fn read(self, report: &str) -> Option<f64> {
        match self {
            // `12345,,raw_syscalls:sys_enter,…`
            Self::Perf => report
                .lines()
                .find_map(|line| line.split(',').next()?.parse().ok()),
            // `100.00    1.234567          12     12345        67 total`
            Self::Strace => {
                let total = report.lines().find(|line| line.ends_with("total"))?;
                total.split_whitespace().nth(3)?.parse().ok()
            }
        }
    }
}

/// From the first message to the last, warm-up included.
pub(super) fn per_delivery(rig: &Rig, server: &Server, scenario: &Scenario) -> Result<f64> {
    let tracer = Tracer::find().context("neither perf nor strace may be used here")?;
    let watched = watch(rig, server, scenario, |pid, report| {
        tracer.attach(pid, report)
    })?;
    let calls = tracer
        .read(&watched.report)
        .context("the tracer counted nothing")?;
    Ok(calls / watched.deliveries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_reports_are_understood() {
        let perf = "# started on Mon\n\n35117,,raw_syscalls:sys_enter,700,100.00,,\n";
        assert_eq!(Tracer::Perf.read(perf), Some(35117.0));
        assert_eq!(
            Tracer::Perf.read("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"),
            None
        );
        let strace = "% time     seconds  usecs/call     calls    errors syscall\n 90.00    0.1  2   40  1 sendto\n\
                      100.00    0.111111           2     55555        12 total\n";
        assert_eq!(Tracer::Strace.read(strace), Some(55555.0));
    }
}
