//! Instructions per delivery, counted by the processor: they vary less than time does, and say nothing about how long each took.
//!
//! Virtual machines often hide the counters; then there is no such column.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::measure::Rig;
use super::scenario::Scenario;
use super::server::Server;
use super::watch::watch;
use crate::command::{Cmd, Running, cmd};

const USER: &str = "instructions:u";
const KERNEL: &str = "instructions:k";

/// Instructions of the server's process for each delivery.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Instructions {
    pub(super) user: f64,
    /// `None` where only the user's own may be counted.
    pub(super) kernel: Option<f64>,
}

/// Whether this machine counts instructions; if not, why in a few words.
pub(super) fn is_supported() -> Result<(), &'static str> {
    let Some(report) = stat().args(&["--log-fd", "1", "true"]).answer() else {
        return Err("perf is missing or may not be used");
    };
    match read(&report) {
        Some(_) => Ok(()),
        None => Err("perf stat knows no counter of instructions on this processor"),
    }
}

/// From the first message to the last, warm-up included.
pub(super) fn per_delivery(
    rig: &Rig,
    server: &Server,
    scenario: &Scenario,
) -> Result<Instructions> {
    let watched = watch(rig, server, scenario, attach)?;
    let counted = read(&watched.report).context("perf stat counted nothing")?;
    Ok(Instructions {
        user: counted.user / watched.deliveries,
        kernel: counted.kernel.map(|count| count / watched.deliveries),
    })
}

fn attach(pid: u32, report: &Path) -> Result<Running> {
    stat()
        .arg("--output")
        .arg(report)
        .args(&["--pid", &pid.to_string()])
        .quiet()
        .start_into(&report.with_extension("log"))
}

fn stat() -> Cmd {
    cmd("perf").args(&[
        "stat",
        "--field-separator",
        ",",
        "--event",
        USER,
        "--event",
        KERNEL,
    ])
}

/// Reads `COUNT,,EVENT,…`, a line for each event; `<not supported>` and `<not counted>` stand in for a count.
fn read(report: &str) -> Option<Instructions> {
    let count = |event: &str| {
        report.lines().find_map(|line| {
            let mut fields = line.split(',');
            let count = fields.next()?.parse().ok()?;
            (fields.nth(1)? == event).then_some(count)
        })
    };
    Some(Instructions {
        user: count(USER)?,
        kernel: count(KERNEL),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_the_name_of_the_event() {
        let report = "# started on Mon\n\n2000,,instructions:k,700,100.00,,\n1000,,instructions:u,700,100.00,,\n";
        let (user, kernel) = (1000.0, Some(2000.0));
        assert_eq!(read(report), Some(Instructions { user, kernel }));
    }

    #[test]
    fn a_machine_without_counters_counts_nothing() {
        let report = "<not supported>,,instructions:u,0,100.00,,\n<not supported>,,instructions:k,0,100.00,,\n";
        assert_eq!(read(report), None);
        let user_only =
            "1000,,instructions:u,700,100.00,,\n<not supported>,,instructions:k,0,100.00,,\n";
        let (user, kernel) = (1000.0, None);
        assert_eq!(read(user_only), Some(Instructions { user, kernel }));
    }
}
