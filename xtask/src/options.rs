//! The command line: which steps, and how.

use anyhow::{Context as _, Result, bail};

use crate::plan::{Compression, Packed, Plan};
use crate::{bench, steps};

/// Printed by `cargo xtask help`, followed by the steps.
pub(crate) const USAGE: &str = "\
The project's own commands.

cargo xtask check                     formatting, lints, documentation
cargo xtask test                      everything; CI runs this
    --only STEP,STEP…                 these steps, and what they need
    --skip STEP,STEP…                 all but these
cargo xtask pack                      the page's files as the server sends them: web-packed/ from web/, to be committed
cargo xtask conformance               Autobahn's 517 cases against examples/echo
    --full                            1,000 messages in each compression case (half an hour), not 50
    --url ws://HOST:PORT/             against a server that is already running
cargo xtask bench                     Roomful, the kernel's limit and other servers in turn, with ratios
    --scenario NAME,NAME…             these loads, and not all of those below
    --peers NAME,NAME…                these servers beside Roomful and the limit, and not all of those below; or none
    --rounds N                        how often each is measured, in turn (3; 0: only --write-docs)
    --seconds S                       how long each is measured (2)
    --pin                             the server on CPU 0, the generator on CPU 1
    --write-docs                      docs/fan-out-results.md from the newest results of each scenario
    --layer                           the channel layer over Redis beside channels_redis, and nothing else
cargo xtask bench --against REVISION  what is checked out beside an older revision; fails where it is slower by more than 3 %
    --loads LOAD,LOAD…                these loads, and not all of those below
    --rounds N                        how often each is measured (18; fewer than 5 give no verdict)
    --no-build                        the programs of both as they were built the last time
    --seconds S, --pin                as above

";

/// What was asked for.
pub(crate) enum Request {
    /// Say how it is used.
    Help,
    /// Run steps.
    Run(Plan),
    /// Measure.
    Bench(bench::Options),
}

/// Reads the arguments after `cargo xtask`.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Request> {
    let command = args.next();
    let mut plan = Plan::default();
    let asked = match command.as_deref() {
        None | Some("help" | "--help" | "-h") => return Ok(Request::Help),
        Some("check") => vec!["fmt", "clippy", "doc"],
        Some("bench") => return bench::Options::parse(args).map(Request::Bench),
        Some("test") => return test(args).map(Request::Run),
        Some("pack") => {
            plan.packed = Packed::Write;
            vec!["pack"]
        }
        Some("conformance") => {
            while let Some(arg) = args.next() {
                match arg.as_str() {
                    "--full" => plan.compression = Compression::Full,
                    "--url" => {
                        plan.url = Some(args.next().context("--url wants an address after it")?)
                    }
                    _ => bail!(
                        "`{arg}` is no option of `cargo xtask conformance`: it has --full and --url"
                    ),
                }
            }
            vec!["conformance"]
        }
        Some(other) => {
            bail!(
                "`{other}` is no command: there are check, test, pack, conformance, bench and help"
            )
        }
    };
    if let Some(arg) = args.next() {
        let command = command.unwrap_or_default();
        bail!("`cargo xtask {command}` takes no options, and was given `{arg}`");
    }
    plan.chosen = steps::with_needs(&asked);
    if plan.url.is_some() {
        plan.chosen.retain(|step| *step != "build");
    }
    Ok(Request::Run(plan))
}

fn test(mut args: impl Iterator<Item = String>) -> Result<Plan> {
    let mut only = Vec::new();
    let mut skip = Vec::new();
    while let Some(arg) = args.next() {
        let list = match arg.as_str() {
            "--only" => &mut only,
            "--skip" => &mut skip,
            _ => bail!("`{arg}` is no option of `cargo xtask test`: it has --only and --skip"),
        };
        let names = args
            .next()
            .with_context(|| format!("{arg} wants steps after it"))?;
        for name in names.split(',') {
            list.push(steps::named(name.trim())?);
        }
    }
    if only.is_empty() {
        only = steps::purposes();
    }
    let asked: Vec<_> = only
        .into_iter()
        .filter(|step| !skip.contains(step))
        .collect();
    let mut chosen = steps::with_needs(&asked);
    // Leaving out what others need is a promise that it is already there.
    chosen.retain(|step| !skip.contains(step));
    if chosen.is_empty() {
        bail!("--only and --skip leave nothing to run");
    }
    Ok(Plan {
        chosen,
        skipped: skip,
        ..Plan::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Plan {
        match parse(line.split_whitespace().map(str::to_owned)).unwrap() {
            Request::Run(plan) => plan,
            _ => panic!("`{line}` asks for something else"),
        }
    }

    fn refusal(line: &str) -> String {
        let request = parse(line.split_whitespace().map(str::to_owned));
        request.err().map(|error| error.to_string()).unwrap()
    }

    #[test]
    fn what_is_skipped_is_remembered_and_needs_nothing() {
        let plan = plan("test --only interop,conformance --skip conformance");
        assert_eq!(
            plan.chosen,
            ["programs", "python", "node", "build", "interop"]
        );
        assert_eq!(plan.skipped, ["conformance"]);
    }

    #[test]
    fn a_running_server_needs_no_build() {
        let plan = plan("conformance --full --url ws://127.0.0.1:9001/");
        assert_eq!(plan.chosen, ["programs", "autobahn", "conformance"]);
        assert!(plan.compression == Compression::Full);
    }

    #[test]
    fn a_test_compares_the_packed_files_and_only_pack_writes_them() {
        let pack = plan("pack");
        assert_eq!(pack.chosen, ["programs", "node", "pack"]);
        assert!(pack.packed == Packed::Write);
        let test = plan("test");
        assert!(test.chosen.contains(&"pack") && test.packed == Packed::Compare);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert!(refusal("test --only nothing").contains("`nothing` is no step"));
        assert!(refusal("test --quick").contains("`--quick`"));
        assert!(refusal("check fast").contains("check` takes no options, and was given `fast`"));
        assert!(refusal("pack fast").contains("pack` takes no options, and was given `fast`"));
        assert!(refusal("benhc").contains("`benhc` is no command"));
    }
}
