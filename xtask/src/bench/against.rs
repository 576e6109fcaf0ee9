//! `cargo xtask bench --against REVISION`: is what is checked out slower than that?
//!
//! Each round runs four fresh servers for each load: the old and the new programs as a pair, and the old ones twice as a pair of
//! their own, the control. What is compared is the CPU time within a pair, because neighbours in time saw the same machine; who
//! goes first alternates. The verdict is about the interval of the median ratio: see `statistics`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use super::measure::{Rig, figure};
use super::options::Options;
use super::perf::{self, Instructions};
use super::results;
use super::revisions::{self, Revisions};
use super::scenario::{Kind, Pace, Scenario};
use super::server::{self, Server};
use super::statistics::{self, FEWEST, Interval};
use super::table::{markdown, number};
use crate::command::{cargo, in_target};

/// What is compared when nothing is said.
pub(super) const USUAL: &[&str] = &[
    "roomful:100x50",
    "roomful:100x50-one",
    "roomful:1x1000",
    "roomful:1000x2",
    "roomful:connects",
    "v1:100x50",
    "sqlite:100x50",
    "sqlite:1000x2",
    "library:100x50",
    "library-event:100x50",
    "library-axum:100x50",
];

/// Rounds when nothing is said: with so many the exact interval is nearest to 90 % (90.4 %; of 15 rounds it is 96.5 %).
pub(super) const ROUNDS: u32 = 18;

/// A ratio that is surely above this fails: slower by more than 3 %.
const SLOWER: f64 = 1.03;

/// How often instructions are counted for each revision, where they can be: they vary little.
const COUNTS: u32 = 3;

/// What a run takes beside its warm-up and its measured seconds: the server's start, everybody's coming, the last deliveries.
const OVERHEAD: Duration = Duration::from_millis(1500);

/// What a run of `connects` takes, which measures no seconds but 5,000 connections three times.
const CONNECTS: Duration = Duration::from_secs(5);

/// A server of ours under a scenario.
pub(super) struct Load {
    server: &'static Server,
    scenario: Scenario,
}

impl Load {
    /// `library:1000x2`; without a server it is `roomful`.
    pub(super) fn parse(name: &str) -> Result<Self> {
        let (server, scenario) = name.split_once(':').unwrap_or((server::REFERENCE, name));
        let (server, scenario) = (server::named(server)?, Scenario::parse(scenario)?);
        ensure!(
            server.program().target().is_some(),
            "`{}` is not built from a revision of Roomful",
            server.name
        );
        match scenario.kind {
            Kind::Idle | Kind::Churn => bail!(
                "`{}` says little about CPU time: --against compares rooms in which people talk, and connects",
                scenario.name
            ),
            Kind::Talk {
                pace: Pace::HalfOfMaximum,
                ..
            } => bail!(
                "`{}` gives each revision a rate of its own: take -fixed",
                scenario.name
            ),
            Kind::Talk { .. } | Kind::Connects => Ok(Self { server, scenario }),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.server.name, self.scenario.name)
    }

    /// The generator's name of what is compared, and its unit.
    fn cost(&self) -> (&'static str, &'static str) {
        match self.scenario.kind {
            Kind::Connects => ("cpu_us_per_connect", "µs each"),
            _ => ("cpu_seconds_per_million", "s/M"),
        }
    }

    fn expected(&self, seconds: f64) -> Duration {
        if self.scenario.kind == Kind::Connects {
            return CONNECTS;
        }
        OVERHEAD + Duration::from_secs_f64(seconds + (seconds / 2.0).min(1.0))
    }
}

/// The two servers that a ratio compares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Pair {
    old: f64,
    new: f64,
}

impl Pair {
    fn ratio(self) -> f64 {
        self.new / self.old
    }
}

/// The costs of one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Round {
    comparison: Pair,
    /// Old programs both times.
    control: Pair,
}

/// Instructions counted for each revision, in turn.
#[derive(Default, Serialize)]
struct Counts {
    old: Vec<Instructions>,
    new: Vec<Instructions>,
}

/// What was found of one load.
#[derive(Serialize)]
struct Found {
    load: String,
    unit: &'static str,
    rounds: Vec<Round>,
    instructions: Counts,
    /// Why it was not measured to the end.
    error: Option<String>,
}

/// Everything that was found, as it is kept.
#[derive(Serialize)]
struct Report {
    old: String,
    new: String,
    date: String,
    machine: String,
    rounds: u32,
    seconds: f64,
    pinned: bool,
    loads: Vec<Found>,
}

/// What is said of one load.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Pass,
    Slower,
    /// Too few rounds.
    None,
    Failed,
}

/// Where a server stands in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    Old,
    New,
    ControlOld,
    /// The old programs in the place that the new ones have in the comparison.
    ControlNew,
}

/// The order of a round: over four rounds each pair comes first as often as last, and so does each server of a pair.
fn turns(round: u32) -> [Turn; 4] {
    use Turn::{ControlNew, ControlOld, New, Old};
    match round % 4 {
        1 => [Old, New, ControlOld, ControlNew],
        2 => [ControlNew, ControlOld, New, Old],
        3 => [ControlOld, ControlNew, Old, New],
        _ => [New, Old, ControlNew, ControlOld],
    }
}

/// Compares; answers whether no load is slower and every load has a verdict.
pub(super) fn run(options: &Options, old: &str) -> Result<bool> {
    let begun = Instant::now();
    cargo(&["build", "--release", "--package", "load"]).run()?;
    let programs: Vec<_> = options
        .loads
        .iter()
        .map(|load| load.server.program())
        .collect();
    let revisions = if options.no_build {
        revisions::built(old)?
    } else {
        revisions::build(old, &programs)?
    };
    println!("ready after {}", minutes(begun.elapsed()));

    let counts = match perf::is_supported() {
        Ok(()) => COUNTS,
        Err(why) => {
            println!("instructions are not counted: {why}");
            0
        }
    };
    let rounds: Duration = options
        .loads
        .iter()
        .map(|load| load.expected(options.seconds) * (4 * options.rounds + 2 * counts))
        .sum();
    println!(
        "{} with {}: {} loads, {} rounds of 4 runs each, about {}",
        revisions.new.name,
        revisions.old.name,
        options.loads.len(),
        options.rounds,
        minutes(rounds)
    );

    let report = measure(options, &revisions, counts)?;
    println!("\n{}", table(&report));
    println!("figures: {}", report.file()?.display());
    Ok(report
        .loads
        .iter()
        .all(|found| found.verdict() == Verdict::Pass))
}

/// A round measures every load, so that a bad minute of the machine spoils one round of some and not all rounds of one.
fn measure(options: &Options, revisions: &Revisions, counts: u32) -> Result<Report> {
    let rig = |programs: &PathBuf| {
        Ok::<_, anyhow::Error>(
            Rig::new(options.seconds, options.pin)?.with_servers_in(programs.clone()),
        )
    };
    let (old, new) = (rig(&revisions.old.programs)?, rig(&revisions.new.programs)?);
    let mut report = Report::new(options, revisions)?;
    for round in 1..=options.rounds {
        for (load, found) in options.loads.iter().zip(&mut report.loads) {
            // Who cannot do it once is not asked again.
            if found.error.is_some() {
                continue;
            }
            match measure_round(round, load, &old, &new) {
                Ok(figures) => {
                    println!(
                        "{round}/{}  {:<20} {:.3}  control {:.3}",
                        options.rounds,
                        found.load,
                        figures.comparison.ratio(),
                        figures.control.ratio()
                    );
                    found.rounds.push(figures);
                }
                Err(error) => found.fail(&error),
            }
        }
        // What is measured stays, even if this is ended before all rounds are.
        report.save()?;
    }
    for _ in 0..counts {
        for (load, found) in options.loads.iter().zip(&mut report.loads) {
            if found.error.is_some() || !load.scenario.talks() {
                continue;
            }
            let count = |rig| perf::per_delivery(rig, load.server, &load.scenario);
            match count(&old).and_then(|old| Ok((old, count(&new)?))) {
                Ok((old, new)) => {
                    found.instructions.old.push(old);
                    found.instructions.new.push(new);
                }
                Err(error) => found.fail(&error.context("counting instructions")),
            }
        }
    }
    report.save()?;
    Ok(report)
}

fn measure_round(round: u32, load: &Load, old: &Rig, new: &Rig) -> Result<Round> {
    let nothing = Pair { old: 0.0, new: 0.0 };
    let (mut comparison, mut control) = (nothing, nothing);
    for turn in turns(round) {
        let (rig, cost) = match turn {
            Turn::Old => (old, &mut comparison.old),
            Turn::New => (new, &mut comparison.new),
            Turn::ControlOld => (old, &mut control.old),
            Turn::ControlNew => (old, &mut control.new),
        };
        let whose = if turn == Turn::New { "new" } else { "old" };
        let figures = rig
            .run(load.server, &load.scenario)
            .with_context(|| format!("round {round}, the {whose} revision"))?;
        let (name, _) = load.cost();
        *cost = figure(&figures, name).unwrap_or(0.0);
        ensure!(
            *cost > 0.0,
            "round {round}, the {whose} revision: the generator gives no CPU time"
        );
    }
    Ok(Round {
        comparison,
        control,
    })
}

impl Found {
    fn fail(&mut self, error: &anyhow::Error) {
        println!("{} is given up: {error:#}", self.load);
        self.error = Some(format!("{error:#}"));
    }

    fn values(&self, value: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(value).collect()
    }

    fn ratios(&self) -> Vec<f64> {
        self.values(|round| round.comparison.ratio())
    }

    fn control_ratios(&self) -> Vec<f64> {
        self.values(|round| round.control.ratio())
    }

    fn verdict(&self) -> Verdict {
        if self.error.is_some() {
            return Verdict::Failed;
        }
        judge(&self.ratios())
    }

    /// What the control says about the machine, where it should make the reader doubt.
    fn doubt(&self) -> Option<String> {
        let Interval { low, high } = statistics::interval(&self.control_ratios())?;
        let name = &self.load;
        if low > 1.0 || high < 1.0 {
            Some(format!(
                "`{name}`: the control tells the old programs from themselves; the machine was not quiet, or favours a place in the round."
            ))
        } else if high / low > SLOWER * SLOWER {
            Some(format!(
                "`{name}`: the control's interval is wider than 3 % to either side, so a loss of 3 % may hide here: take more rounds, or a \
                 quieter machine."
            ))
        } else {
            None
        }
    }
}

fn judge(ratios: &[f64]) -> Verdict {
    match statistics::interval(ratios) {
        None => Verdict::None,
        Some(interval) if interval.low > SLOWER => Verdict::Slower,
        Some(_) => Verdict::Pass,
    }
}

impl Report {
    fn new(options: &Options, revisions: &Revisions) -> Result<Self> {
        let loads = options.loads.iter().map(|load| Found {
            load: load.name(),
            unit: load.cost().1,
            rounds: Vec::new(),
            instructions: Counts::default(),
            error: None,
        });
        Ok(Self {
            old: revisions.old.name.clone(),
            new: revisions.new.name.clone(),
            date: results::date()?,
            machine: results::machine(),
            rounds: options.rounds,
            seconds: options.seconds,
            pinned: options.pin,
            loads: loads.collect(),
        })
    }

    fn file(&self) -> Result<PathBuf> {
        in_target(&format!("bench/against/{}-and-{}.json", self.old, self.new))
    }

    fn save(&self) -> Result<()> {
        let file = self.file()?;
        fs::write(&file, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("writing {}", file.display()))
    }
}

/// The verdicts, and what to think of them.
fn table(report: &Report) -> String {
    let mut text = format!(
        "### {} with {}: server CPU, new divided by old\n\n{}; rounds: {} of {} s.\n{}\n\n",
        report.new,
        report.old,
        report.machine,
        report.rounds,
        report.seconds,
        intervals(report.rounds as usize)
    );
    let head = [
        "load", "old", "new", "new/old", "interval", "control", "interval", "verdict",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.loads.iter().map(row));
    text.push_str(&markdown(&rows));
    text.push_str(&instructions(report));
    for found in &report.loads {
        if let Some(error) = &found.error {
            let _ = write!(text, "\n`{}` failed: {error}.\n", found.load);
        }
        if let Some(doubt) = found.doubt() {
            let _ = write!(text, "\n{doubt}\n");
        }
    }
    if (report.rounds as usize) < FEWEST {
        let _ = write!(
            text,
            "\nNo verdict: {FEWEST} rounds at least have a 90 % interval.\n"
        );
    }
    text
}

/// How the intervals came about.
fn intervals(rounds: usize) -> String {
    match statistics::rank(rounds) {
        None => {
            "interval: the least and the greatest ratio, which are no 90 % interval.".to_owned()
        }
        Some(rank) => format!(
            "interval: from ratio {rank} to ratio {} of {rounds} in order, which holds the true median with {:.1} %.",
            rounds + 1 - rank,
            statistics::coverage(rounds, rank) * 100.0
        ),
    }
}

fn row(found: &Found) -> Vec<String> {
    let cost = |values: Vec<f64>| match statistics::median(&values) {
        Some(median) => format!("{} {}", number(median), found.unit),
        None => "-".to_owned(),
    };
    let ratio = |ratios: &[f64]| {
        let cells = statistics::median(ratios)
            .zip(range(ratios))
            .map(|(median, range)| [format!("{median:.3}"), range]);
        cells.unwrap_or_else(|| ["-".to_owned(), "-".to_owned()])
    };
    let [median, interval] = ratio(&found.ratios());
    let [control, control_interval] = ratio(&found.control_ratios());
    let verdict = match found.verdict() {
        Verdict::Pass => "pass",
        Verdict::Slower => "SLOWER",
        Verdict::None => "no verdict",
        Verdict::Failed => "FAILED",
    };
    vec![
        found.load.clone(),
        cost(found.values(|round| round.comparison.old)),
        cost(found.values(|round| round.comparison.new)),
        median,
        interval,
        control,
        control_interval,
        verdict.to_owned(),
    ]
}

/// The interval; of too few values, the least and the greatest.
fn range(values: &[f64]) -> Option<String> {
    let Interval { low, high } = match statistics::interval(values) {
        Some(interval) => interval,
        None => Interval {
            low: values.iter().copied().min_by(f64::total_cmp)?,
            high: values.iter().copied().max_by(f64::total_cmp)?,
        },
    };
    Some(format!("{low:.3}-{high:.3}"))
}

/// A table of its own, where they were counted.
fn instructions(report: &Report) -> String {
    let counted = report
        .loads
        .iter()
        .filter(|found| !found.instructions.new.is_empty());
    let head = [
        "load",
        "user, old",
        "new",
        "new/old",
        "with kernel, old",
        "new",
        "new/old",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(counted.map(|found| {
        let cells = |count: fn(&Instructions) -> Option<f64>| {
            let of = |counts: &[Instructions]| {
                statistics::median(&counts.iter().filter_map(count).collect::<Vec<_>>())
            };
            match (of(&found.instructions.old), of(&found.instructions.new)) {
                (Some(old), Some(new)) => [number(old), number(new), format!("{:.3}", new / old)],
                _ => ["-", "-", "-"].map(str::to_owned),
            }
        };
        let user = cells(|count| Some(count.user));
        let both = cells(|count| Some(count.user + count.kernel?));
        [vec![found.load.clone()], user.to_vec(), both.to_vec()].concat()
    }));
    if rows.len() == 1 {
        return String::new();
    }
    format!("\nInstructions per delivery:\n\n{}", markdown(&rows))
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 120 {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds.div_ceil(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ratios: &[f64], control_ratios: &[f64]) -> Found {
        let pair = |ratio| Pair {
            old: 2.0,
            new: 2.0 * ratio,
        };
        let rounds = ratios.iter().zip(control_ratios);
        Found {
            load: "roomful:100x50".to_owned(),
            unit: "s/M",
            rounds: rounds
                .map(|(ratio, control)| Round {
                    comparison: pair(*ratio),
                    control: pair(*control),
                })
                .collect(),
            instructions: Counts::default(),
            error: None,
        }
    }

    fn report(found: Found) -> Report {
        Report {
            old: "1111111".to_owned(),
            new: "2222222".to_owned(),
            date: String::new(),
            machine: String::new(),
            rounds: found.rounds.len() as u32,
            seconds: 2.0,
            pinned: false,
            loads: vec![found],
        }
    }

    #[test]
    fn the_usual_loads_are_loads() {
        for name in USUAL {
            assert_eq!(Load::parse(name).unwrap().name(), *name);
        }
    }

    #[test]
    fn over_four_rounds_every_server_has_every_turn_as_often() {
        for place in 0..4 {
            for turn in [Turn::Old, Turn::New, Turn::ControlOld, Turn::ControlNew] {
                let count = (1..=4).filter(|round| turns(*round)[place] == turn);
                assert_eq!(count.count(), 1, "{turn:?} in place {place}");
            }
        }
    }

    #[test]
    fn a_load_is_slower_only_if_the_lower_end_is_above_three_per_cent() {
        // Of five, the interval is from the least to the greatest.
        assert_eq!(judge(&[1.03, 1.2, 1.3, 1.4, 1.5]), Verdict::Pass);
        assert_eq!(judge(&[1.031, 1.2, 1.3, 1.4, 1.5]), Verdict::Slower);
        assert_eq!(judge(&[0.5; 5]), Verdict::Pass);
        assert_eq!(judge(&[2.0; 4]), Verdict::None);
    }

    #[test]
    fn a_load_that_fails_once_has_failed() {
        let mut found = found(&[1.0; 18], &[1.0; 18]);
        assert_eq!(found.verdict(), Verdict::Pass);
        found.fail(&anyhow::anyhow!("2 deliveries are missing"));
        assert_eq!(found.verdict(), Verdict::Failed);
    }

    #[test]
    fn a_control_that_is_not_one_makes_a_doubt() {
        let steady = found(&[1.0; 18], &[1.0; 18]);
        assert_eq!(steady.doubt(), None);
        let biased = found(&[1.0; 18], &[1.01; 18]).doubt().unwrap();
        assert!(biased.contains("tells the old programs from themselves"));
        let wide: Vec<_> = (0..18)
            .map(|round| 0.9 + 0.2 * f64::from(round % 2))
            .collect();
        let wide = found(&[1.0; 18], &wide).doubt().unwrap();
        assert!(wide.contains("wider than 3 %"));
    }

    #[test]
    fn the_table_has_the_interval_of_both_pairs_and_a_verdict() {
        let ratios: Vec<_> = (0..18)
            .map(|round| 1.05 + 0.01 * f64::from(round))
            .collect();
        let text = table(&report(found(&ratios, &[1.0; 18])));
        assert!(
            text.contains("from ratio 6 to ratio 13 of 18 in order"),
            "{text}"
        );
        assert!(text.contains("90.4 %"), "{text}");
        let row = "| roomful:100x50 | 2.00 s/M | 2.27 s/M |   1.135 | 1.100-1.170 |   1.000 | 1.000-1.000 |  SLOWER |";
        assert!(text.contains(row), "{text}");
        assert!(!text.contains("Instructions"), "{text}");
    }

    #[test]
    fn instructions_have_a_table_where_they_were_counted() {
        let mut found = found(&[1.0; 5], &[1.0; 5]);
        let count = |user, kernel| Instructions { user, kernel };
        found.instructions.old = vec![count(1000.0, Some(3000.0))];
        found.instructions.new = vec![count(1100.0, Some(3000.0))];
        let text = table(&report(found));
        let row =
            "| roomful:100x50 |      1000 | 1100 |   1.100 |             4000 | 4100 |   1.025 |";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn too_few_rounds_give_no_verdict_and_say_so() {
        let text = table(&report(found(&[1.0, 1.2, 1.1], &[1.0; 3])));
        assert!(text.contains("| no verdict |"), "{text}");
        assert!(text.contains("1.000-1.200"), "{text}");
        assert!(text.contains("5 rounds at least"), "{text}");
    }
}
