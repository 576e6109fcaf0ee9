//! A program that counts what a server does, attached to it from the first message to the last: everybody is there before, and
//! nobody leaves meanwhile.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::measure::{Rig, figure, finish_held};
use super::scenario::{Kind, Pace, Scenario};
use super::server::Server;
use crate::command::{Running, cmd, in_target};

/// Time for a counter to attach to all threads of a server that is waiting.
const ATTACHING: Duration = Duration::from_millis(400);

/// What a counter wrote, and over how many deliveries, warm-up included.
pub(super) struct Watched {
    pub(super) report: String,
    pub(super) deliveries: f64,
}

/// Runs a server with the counter that `attach` starts on its process; the counter writes a file and ends when interrupted.
pub(super) fn watch(
    rig: &Rig,
    server: &Server,
    scenario: &Scenario,
    attach: impl FnOnce(u32, &Path) -> Result<Running>,
) -> Result<Watched> {
    let subject = rig.start(server)?;
    let report = in_target("bench/counted.txt")?;
    // Half of its maximum is not known here; a rate that everybody can keep will do.
    let maximum = match scenario.kind {
        Kind::Talk {
            pace: Pace::HalfOfMaximum,
            ..
        } => Some(20_000.0),
        _ => None,
    };
    let load = rig.talk(&subject, scenario, maximum)?.arg("--hold");
    let mut running = None;
    let figures = finish_held(load, || {
        running = Some(attach(subject.pid(), &report)?);
        std::thread::sleep(ATTACHING);
        Ok(())
    })?;
    let running = running.context("the generator did not wait")?;
    cmd("kill")
        .args(&["-INT", &running.id().to_string()])
        .quiet()
        .run()?;
    // Its status is that of an interrupted program.
    let _ = running.wait();
    let report =
        fs::read_to_string(&report).with_context(|| format!("reading {}", report.display()))?;
    let deliveries = figure(&figures, "deliveries").unwrap_or(0.0);
    ensure!(deliveries > 0.0, "nothing was delivered");
    Ok(Watched { report, deliveries })
}
