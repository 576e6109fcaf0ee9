//! What was measured, kept as JSON: one file for each scenario, with every run.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::measure::{Figures, figure};
use super::options::Options;
use super::scenario::Scenario;
use super::server::REFERENCE;
use super::{peers, scenario, statistics};
use crate::command::{cmd, in_target};

/// One scenario's runs.
#[derive(Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) scenario: String,
    pub(super) date: String,
    pub(super) machine: String,
    pub(super) versions: String,
    /// The commit of Roomful, with a plus if there were changes.
    pub(super) revision: String,
    pub(super) rounds: u32,
    pub(super) seconds: f64,
    pub(super) pinned: bool,
    pub(super) left_out: LeftOut,
    pub(super) runs: Vec<Run>,
    /// System calls per delivery, where they could be counted.
    pub(super) syscalls: BTreeMap<String, f64>,
}

/// Servers that could not be started here, and why.
pub(super) type LeftOut = Vec<(String, String)>;

/// One run of one server.
#[derive(Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) server: String,
    pub(super) round: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) figures: Figures,
}

/// Several values of one thing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Run {
    pub(super) fn of(server: &str, round: u32, outcome: Result<Figures>) -> Self {
        let (error, figures) = match outcome {
            Ok(figures) => (None, figures),
            Err(error) => (Some(format!("{error:#}")), Figures::new()),
        };
        Self {
            server: server.to_owned(),
            round,
            error,
            figures,
        }
    }
}

impl Spread {
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        Some(Self {
            median: statistics::median(values)?,
            min: values.iter().copied().min_by(f64::total_cmp)?,
            max: values.iter().copied().max_by(f64::total_cmp)?,
        })
    }
}

impl Results {
    pub(super) fn new(scenario: &Scenario, options: &Options, left_out: LeftOut) -> Result<Self> {
        Ok(Self {
            scenario: scenario.name.clone(),
            date: date()?,
            machine: machine(),
            versions: peers::versions()?,
            revision: revision(),
            rounds: options.rounds,
            seconds: options.seconds,
            pinned: options.pin,
            left_out,
            runs: Vec::new(),
            syscalls: BTreeMap::new(),
        })
    }

    /// Whether a server has failed here.
    pub(super) fn failed(&self, server: &str) -> bool {
        self.runs
            .iter()
            .any(|run| run.server == server && run.error.is_some())
    }

    /// A server's figure over the rounds.
    pub(super) fn figure(&self, server: &str, name: &str) -> Option<Spread> {
        let values = self.of(server).filter_map(|run| figure(&run.figures, name));
        Spread::of(&values.collect::<Vec<_>>())
    }

    /// Roomful's figure divided by the server's, within each round.
    pub(super) fn ratio(&self, server: &str, name: &str) -> Option<Spread> {
        let of_round = |run: &Run| {
            let ours = self.of(REFERENCE).find(|ours| ours.round == run.round)?;
            let ratio = figure(&ours.figures, name)? / figure(&run.figures, name)?;
            ratio.is_finite().then_some(ratio)
        };
        Spread::of(&self.of(server).filter_map(of_round).collect::<Vec<_>>())
    }

    pub(super) fn of<'a>(&'a self, server: &'a str) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.server == server)
    }

    pub(super) fn save(&self) -> Result<()> {
        let folder = folder()?;
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let file = folder.join(format!("{}.json", self.scenario));
        fs::write(&file, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("writing {}", file.display()))
    }

    /// The newest of each scenario: the usual ones in their order, then others.
    pub(super) fn load_all() -> Result<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        for entry in fs::read_dir(folder()?).into_iter().flatten().flatten() {
            let file = entry.path();
            let text =
                fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let results = serde_json::from_str(&text);
            all.push(
                results.with_context(|| {
                    format!("{} is of another version: remove it", file.display())
                })?,
            );
        }
        let place = |results: &Self| {
            let usual = scenario::USUAL
                .iter()
                .position(|name| *name == results.scenario);
            (usual.unwrap_or(usize::MAX), results.scenario.clone())
        };
        all.sort_by_key(place);
        Ok(all)
    }
}

/// Where results are kept.
pub(super) fn folder() -> Result<PathBuf> {
    in_target("bench/results")
}

/// The commit that is checked out, with a plus if there are changes.
pub(super) fn revision() -> String {
    let changes = cmd("git").args(&["status", "--porcelain", "crates"]);
    let is_changed = changes.answer().is_some_and(|changes| !changes.is_empty());
    short("HEAD") + if is_changed { "+" } else { "" }
}

/// A commit's short name.
pub(super) fn short(commit: &str) -> String {
    let name = cmd("git").args(&["rev-parse", "--short", commit]).answer();
    name.unwrap_or_default()
}

pub(super) fn date() -> Result<String> {
    cmd("date")
        .args(&["-u", "+%F"])
        .answer()
        .context("asking for the date")
}

pub(super) fn machine() -> String {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let after_colon = |text: String, key: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(key))
            .map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .unwrap_or_default()
    };
    let cpu = after_colon(read("/proc/cpuinfo"), "model name");
    let kilobytes = after_colon(read("/proc/meminfo"), "MemTotal");
    let kilobytes: u64 = kilobytes.trim_end_matches(" kB").parse().unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores of {cpu}, {} GiB, Linux {}",
        kilobytes >> 20,
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(server: &str, round: u32, speed: f64) -> Run {
        let Some(figures) = json!({"speed": speed}).as_object().cloned() else {
            panic!("an object is an object");
        };
        Run::of(server, round, Ok(figures))
    }

    #[test]
    fn a_ratio_compares_neighbours_in_time() {
        let mut results = Results {
            scenario: String::new(),
            date: String::new(),
            machine: String::new(),
            versions: String::new(),
            revision: String::new(),
            rounds: 3,
            seconds: 1.0,
            pinned: false,
            left_out: Vec::new(),
            runs: vec![
                run(REFERENCE, 1, 10.0),
                run("x", 1, 5.0),
                run(REFERENCE, 2, 30.0),
                run("x", 2, 10.0),
            ],
            syscalls: BTreeMap::new(),
        };
        let spread = Spread {
            median: 2.5,
            min: 2.0,
            max: 3.0,
        };
        assert_eq!(results.ratio("x", "speed"), Some(spread));
        assert!(!results.failed("x"));
        results
            .runs
            .push(Run::of("x", 3, Err(anyhow::anyhow!("gone"))));
        assert_eq!(results.ratio("x", "speed"), Some(spread));
        assert!(results.failed("x"));
    }
}
