//! `docs/fan-out-results.md` and its chart, from the results that are there. The page around them, `docs/fan-out.md`, is
//! written by hand.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::results::Results;
use super::server::SERVERS;
use super::{chart, table};

const PAGE: &str = "docs/fan-out-results.md";
const CHART: &str = "docs/fan-out.svg";

/// Writes both.
pub(super) fn write(all: &[Results]) -> Result<()> {
    ensure!(
        !all.is_empty(),
        "there are no results to write down: measure first, without `--rounds 0`"
    );
    fs::write(CHART, chart::svg(all)).with_context(|| format!("writing {CHART}"))?;
    fs::write(PAGE, page(all)).with_context(|| format!("writing {PAGE}"))?;
    println!("written: {PAGE}, {CHART}");
    Ok(())
}

fn page(all: &[Results]) -> String {
    let each = |of: fn(&Results) -> String| {
        let values: BTreeSet<_> = all.iter().map(of).collect();
        values.into_iter().collect::<Vec<_>>().join("; ")
    };
    let mut text = format!(
        "# Fan-out: results\n\n\
         Written by `cargo xtask bench --write-docs`; [fan-out.md](fan-out.md) says what is measured, how, and how far to trust it.\n\n\
         - Measured: {}\n- Machine: {}\n- Roomful at commit {}\n- {}\n- Beside it: {}\n\n\
         k/s: thousand deliveries a second.\n\
         CPU s/M: the server's CPU seconds, user and kernel, per million deliveries.\n\
         p50, p99, p99.9: milliseconds until a message has reached the last member of its room.\n\
         calls each: system calls of the server per delivery, counted in a run of its own.\n\
         generator: cores that the load generator used; near 1, it is the generator that is measured.\n\
         ratio: Roomful's figure divided by the server's within a round, the median of the rounds, and the least and the greatest. \
         Of k/s and connects/s, more than 1 is good for Roomful; of everything else, less than 1.\n\n\
         ![Server CPU seconds per million deliveries](fan-out.svg)\n\n## Servers\n\n",
        each(|results| results.date.clone()),
        each(|results| results.machine.clone()),
        each(|results| results.revision.clone()),
        each(|results| format!(
            "Rounds of {} s: {}{}",
            results.seconds,
            results.rounds,
            if results.pinned {
                ", server and generator each on a CPU of its own"
            } else {
                ""
            }
        )),
        each(|results| results.versions.clone()),
    );
    for server in SERVERS.iter().filter(|server| {
        all.iter()
            .any(|results| results.of(server.name).next().is_some())
    }) {
        let _ = writeln!(text, "- `{}`: {}", server.name, server.what);
    }
    text.push_str("\n## Scenarios\n");
    for results in all {
        let _ = write!(text, "\n{}", table::scenario(results));
    }
    text
}
