//! What follows `cargo xtask bench`.

use anyhow::{Context as _, Result, bail, ensure};

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
}

impl Options {
    /// Reads the arguments.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let usual = scenario::USUAL.iter().map(|name| Scenario::parse(name));
        let mut options = Self {
            scenarios: usual.collect::<Result<_>>()?,
            peers: None,
            rounds: 3,
            seconds: 2.0,
            pin: false,
            write_docs: false,
            layer: false,
        };
        while let Some(arg) = args.next() {
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
                    options.peers = Some(names.map(server::named).collect::<Result<_>>()?);
                }
                "--rounds" => {
                    options.rounds = value()?.parse().context("--rounds wants a number")?
                }
                "--seconds" => {
                    options.seconds = value()?.parse().context("--seconds wants a number")?;
                    ensure!(options.seconds > 0.0, "--seconds wants more than nothing");
                }
                "--pin" => options.pin = true,
                "--write-docs" => options.write_docs = true,
                "--layer" => options.layer = true,
                _ => bail!(
                    "`{arg}` is no option of `cargo xtask bench`: it has --scenario, --peers, --rounds, --seconds, --pin, \
                     --write-docs and --layer"
                ),
            }
        }
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
    }
}
