//! What follows `cargo xtask bench`.

use anyhow::{Context as _, Result, bail, ensure};

use super::against::{self, Load};
use super::scenario::{self, Scenario};
use super::server;

/// What to measure, and how.
pub(crate) struct Options {
    pub(super) scenarios: Vec<Scenario>,
    /// Beside Roomful and the limit; `None`: all.
    pub(super) peers: Option<Vec<&'static str>>,
    pub(super) rounds: u32,
    pub(super) seconds: f64,
    /// The server on CPU 0, the generator on CPU 1.
    pub(super) pin: bool,
    pub(super) write_docs: bool,
    /// The channel layer over Redis, and not the servers.
    pub(super) layer: bool,
    /// The revision to compare with, and not the servers.
    pub(super) against: Option<String>,
    /// What that compares.
    pub(super) loads: Vec<Load>,
    /// Compare the programs that were built the last time.
    pub(super) no_build: bool,
}

impl Options {
    /// Reads the arguments.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let usual = scenario::USUAL.iter().map(|name| Scenario::parse(name));
        let loads = against::USUAL.iter().map(|name| Load::parse(name));
        let (mut rounds, mut given) = (None, Vec::new());
        let mut options = Self {
            scenarios: usual.collect::<Result<_>>()?,
            peers: None,
            rounds: 0,
            seconds: 2.0,
            pin: false,
            write_docs: false,
            layer: false,
            against: None,
            loads: loads.collect::<Result<_>>()?,
            no_build: false,
        };
        while let Some(arg) = args.next() {
            given.push(arg.clone());
            let mut value = || {
                args.next()
                    .with_context(|| format!("{arg} wants something after it"))
            };
            match arg.as_str() {
                "--scenario" => {
                    let names = value()?;
                    options.scenarios = names
                        .split(',')
                        .map(|name| Scenario::parse(name.trim()))
                        .collect::<Result<_>>()?;
                }
                "--peers" => {
                    let names = value()?;
                    let names = names
                        .split(',')
                        .map(str::trim)
                        .filter(|name| *name != "none");
                    options.peers = Some(
                        names
                            .map(|name| server::named(name).map(|server| server.name))
                            .collect::<Result<_>>()?,
                    );
                }
                "--rounds" => {
                    rounds = Some(value()?.parse().context("--rounds wants a number")?);
                }
                "--seconds" => {
                    options.seconds = value()?.parse().context("--seconds wants a number")?;
                    ensure!(options.seconds > 0.0, "--seconds wants more than nothing");
                }
                "--pin" => options.pin = true,
                "--write-docs" => options.write_docs = true,
                "--layer" => options.layer = true,
                "--no-build" => options.no_build = true,
                "--against" => options.against = Some(value()?),
                "--loads" => {
                    let names = value()?;
                    options.loads = names
                        .split(',')
                        .map(|name| Load::parse(name.trim()))
                        .collect::<Result<_>>()?;
                }
                _ => bail!(
                    "`{arg}` is no option of `cargo xtask bench`: it has --scenario, --peers, --rounds, --seconds, --pin, \
                     --write-docs, --layer, --against, --loads and --no-build"
                ),
            }
        }
        let (usual_rounds, others): (_, &[&str]) = match options.against {
            None => (3, &["--loads", "--no-build"]),
            Some(_) => (
                against::ROUNDS,
                &["--scenario", "--peers", "--write-docs", "--layer"],
            ),
        };
        if let Some(other) = given.iter().find(|arg| others.contains(&arg.as_str())) {
            match options.against {
                None => bail!("{other} belongs to --against REVISION"),
                Some(_) => {
                    bail!("{other} does not go with --against, which takes its loads from --loads")
                }
            }
        }
        options.rounds = rounds.unwrap_or(usual_rounds);
        ensure!(
            options.against.is_none() || options.rounds > 0,
            "--against wants a round at least"
        );
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_short_run_is_what_was_asked_for() {
        let options =
            parsed("--scenario 100x50,1x1000 --peers bun --rounds 1 --seconds 0.5").unwrap();
        let names: Vec<_> = options
            .scenarios
            .iter()
            .map(|scenario| scenario.name.as_str())
            .collect();
        assert_eq!(names, ["100x50", "1x1000"]);
        assert_eq!(options.peers.unwrap(), ["bun"]);
        assert_eq!((options.rounds, options.seconds), (1, 0.5));
    }

    #[test]
    fn no_peers_and_all_peers_are_not_the_same() {
        assert_eq!(parsed("--peers none").unwrap().peers, Some(Vec::new()));
        assert_eq!(parsed("").unwrap().peers, None);
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let refusal = |line| {
            parsed(line)
                .err()
                .map(|error| format!("{error:#}"))
                .unwrap()
        };
        assert!(refusal("--peers bun,nodejs").contains("`nodejs` is no server"));
        assert!(refusal("--scenario 50").contains("`50` is no scenario"));
        assert!(refusal("--quick").contains("`--quick`"));
        assert!(refusal("--against HEAD --loads bun:100x50").contains("`bun` is not built from"));
        assert!(refusal("--against HEAD --loads idle").contains("`idle`"));
        assert!(refusal("--against HEAD --peers bun").contains("--peers does not go with"));
        assert!(refusal("--loads 100x50").contains("--loads belongs to --against"));
    }

    #[test]
    fn a_comparison_takes_more_rounds_than_a_table_unless_told() {
        assert_eq!(parsed("").unwrap().rounds, 3);
        assert_eq!(parsed("--against HEAD").unwrap().rounds, against::ROUNDS);
        let options = parsed("--against HEAD~1 --loads 1000x2,library:1x1000 --rounds 5").unwrap();
        let names: Vec<_> = options.loads.iter().map(Load::name).collect();
        assert_eq!(names, ["roomful:1000x2", "library:1x1000"]);
        assert_eq!(
            (options.against.as_deref(), options.rounds),
            (Some("HEAD~1"), 5)
        );
    }
}
