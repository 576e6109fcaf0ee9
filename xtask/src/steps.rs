//! The steps, what each needs before it, and running them with a table at the end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command::{Cmd, cargo, cmd, in_target};
use crate::plan::Plan;
use crate::{conformance, pack, packages, programs};

/// One thing to do.
struct Step {
    name: &'static str,
    what: &'static str,
    /// Steps that have to succeed first.
    needs: &'static [&'static str],
    run: fn(&Plan) -> Result<()>,
}

/// In the order in which they run: `needs` name earlier ones.
const STEPS: &[Step] = &[
    Step {
        name: "programs",
        what: "what the steps below call, installed with apt where we may",
        needs: &[],
        run: programs::provide,
    },
    Step {
        name: "python",
        what: "target/venv with interop/requirements.txt",
        needs: &["programs"],
        run: |_| packages::python(),
    },
    Step {
        name: "node",
        what: "npm ci where there is a package-lock.json",
        needs: &["programs"],
        run: |_| packages::node(),
    },
    Step {
        name: "autobahn",
        what: "target/autobahn with the Autobahn test suite",
        needs: &["programs"],
        run: |_| packages::autobahn(),
    },
    Step {
        name: "pack",
        what: "the page's packed files are what their sources give",
        needs: &["programs", "node"],
        run: |plan| pack::run(plan.packed),
    },
    Step {
        name: "fmt",
        what: "formatting",
        needs: &[],
        run: |_| cargo(&["fmt", "--all", "--check"]).run(),
    },
    Step {
        name: "clippy",
        what: "lints; a warning is an error",
        needs: &[],
        run: |_| {
            let all = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ];
            cargo(&all).run()?;
            // What the features bring must not be needed without them.
            let bare = [
                "clippy",
                "--package",
                "roomful",
                "--no-default-features",
                "--",
                "-D",
                "warnings",
            ];
            cargo(&bare).run()
        },
    },
    Step {
        name: "doc",
        what: "documentation; a warning is an error",
        needs: &[],
        run: |_| {
            let doc = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
            doc.env("RUSTDOCFLAGS", "-D warnings").run()
        },
    },
    Step {
        name: "tests",
        what: "unit and integration tests, the examples' own, and those in the documentation",
        needs: &["programs"],
        // Without a word on which targets: only so are the examples built as the programs they are.
        run: |_| cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]).run(),
    },
    Step {
        name: "build",
        what: "the server, and what else the steps below start",
        needs: &[],
        run: |_| {
            // By itself, so that no other package lends it a feature: as users build it.
            let release = ["build", "--release", "--package"];
            cargo(&release).arg("roomful-server").run()?;
            // Autobahn sends too much for one that is not optimised.
            let echo = ["roomful", "--example", "echo", "--features", "deflate"];
            cargo(&release).args(&echo).run()?;
            // With everybody's features, the examples' among them: so the tests have compiled what it needs already.
            let ledger = cargo(&["build", "--workspace", "--all-features"]);
            ledger.args(&["--bin", "ledger", "--example", "echo"]).run()
        },
    },
    Step {
        name: "interop",
        what: "Python, Node.js and curl in one room; kill -9 under load; channels_redis on one layer with us; Django beside two nodes",
        needs: &["programs", "python", "node", "build"],
        run: |_| {
            let python = cmd(in_target("venv/bin/python")?);
            let tests = python.args(&[
                "-m",
                "unittest",
                "discover",
                "--start-directory",
                "interop",
                "--verbose",
            ]);
            tests.env("ROOMFUL_BIN", server()?).run()
        },
    },
    Step {
        name: "ledger",
        what: "10,000 messages on all transports, cut at random, kill -9 ten times; two nodes without Redis for 10 s: nothing lost or doubled",
        needs: &["programs", "build"],
        run: |_| {
            ledger()?.run()?;
            let cluster = ["--cluster", "--messages", "4000", "--kills", "2"];
            ledger()?.args(&cluster).args(&["--readers", "6"]).run()
        },
    },
    Step {
        name: "browser",
        what: "the page in Chromium",
        needs: &["programs", "node", "build"],
        run: |_| {
            cmd("npm")
                .args(&["test"])
                .env("ROOMFUL_BIN", server()?)
                .dir(packages::WEB_TESTS)
                .run()
        },
    },
    Step {
        name: "engines",
        what: "ten smoke tests of the page in each of Chromium, Firefox and WebKitGTK",
        needs: &["programs", "node", "build"],
        run: |_| {
            let server = server()?;
            let fails = |engine: &&str| {
                let tests = cmd("node")
                    // One that hangs in a browser ends all the same, as failed.
                    .args(&["--test", "--test-force-exit"])
                    .arg(format!("engines/{engine}.test.js"));
                let tests = tests.env("ROOMFUL_BIN", &server).dir(packages::WEB_TESTS);
                tests.run().is_err()
            };
            let engines = ["chromium", "firefox", "webkit"];
            let failed: Vec<_> = engines.into_iter().filter(fails).collect();
            if !failed.is_empty() {
                bail!("the page fails in {}", failed.join(", "));
            }
            Ok(())
        },
    },
    Step {
        name: "conformance",
        what: "Autobahn against examples/echo",
        needs: &["programs", "autobahn", "build"],
        run: conformance::run,
    },
];

/// The built server, as the tests outside cargo get it.
fn server() -> Result<std::path::PathBuf> {
    in_target("release/roomful")
}

/// `bench/ledger` with that server.
fn ledger() -> Result<Cmd> {
    Ok(cmd(in_target("debug/ledger")?)
        .arg("--server")
        .arg(server()?))
}

/// The step of this name.
pub(crate) fn named(name: &str) -> Result<&'static str> {
    let found = STEPS.iter().find(|step| step.name == name);
    let names = || {
        STEPS
            .iter()
            .map(|step| step.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    found
        .map(|step| step.name)
        .with_context(|| format!("`{name}` is no step: there are {}", names()))
}

/// The steps one wants for themselves: all but those that only prepare others.
pub(crate) fn purposes() -> Vec<&'static str> {
    let prepares = |name| STEPS.iter().any(|step| step.needs.contains(&name));
    STEPS
        .iter()
        .map(|step| step.name)
        .filter(|name| !prepares(*name))
        .collect()
}

/// These steps and all they need, in the order in which they run.
pub(crate) fn with_needs(asked: &[&'static str]) -> Vec<&'static str> {
    let mut chosen = asked.to_vec();
    // Needs name earlier steps, so one pass from the end finds all.
    for step in STEPS.iter().rev().filter(|step| !step.needs.is_empty()) {
        if chosen.contains(&step.name) {
            chosen.extend(step.needs);
        }
    }
    STEPS
        .iter()
        .map(|step| step.name)
        .filter(|name| chosen.contains(name))
        .collect()
}

/// Lists the steps for `cargo xtask help`.
pub(crate) fn print_all() {
    println!("Steps of `cargo xtask test`:");
    for step in STEPS {
        println!("    {:<12}  {}", step.name, step.what);
    }
}

/// How a step ended.
enum Outcome {
    Good,
    Failed(anyhow::Error),
    /// A step it needs failed.
    NotRun(&'static str),
    /// By `--skip`.
    Skipped,
}

/// Runs the plan: everything whose needs are met, even where something else failed. Answers whether all is well.
pub(crate) fn run(plan: &Plan) -> Result<bool> {
    let start = Instant::now();
    let mut outcomes: Vec<(&Step, Duration, Outcome)> = Vec::new();
    for step in STEPS {
        let begun = Instant::now();
        let outcome = if plan.chosen.contains(&step.name) {
            let bad = |name: &&&'static str| {
                let done = outcomes.iter().find(|(step, ..)| step.name == **name);
                matches!(done, Some((_, _, Outcome::Failed(_) | Outcome::NotRun(_))))
            };
            match step.needs.iter().find(bad) {
                Some(need) => Outcome::NotRun(need),
                None => attempt(step, plan),
            }
        } else if plan.skipped.contains(&step.name) {
            Outcome::Skipped
        } else {
            continue;
        };
        outcomes.push((step, begun.elapsed(), outcome));
    }
    if outcomes.is_empty() {
        bail!("there is nothing to run");
    }
    print_table(&outcomes, start.elapsed());
    Ok(outcomes
        .iter()
        .all(|(_, _, outcome)| matches!(outcome, Outcome::Good | Outcome::Skipped)))
}

fn attempt(step: &Step, plan: &Plan) -> Outcome {
    println!("\n==> {}: {}", step.name, step.what);
    let begun = Instant::now();
    match (step.run)(plan) {
        Ok(()) => {
            println!(
                "==> {}: ok, {:.1} s",
                step.name,
                begun.elapsed().as_secs_f64()
            );
            Outcome::Good
        }
        Err(error) => {
            println!(
                "==> {}: FAILED, {:.1} s: {error:#}",
                step.name,
                begun.elapsed().as_secs_f64()
            );
            Outcome::Failed(error)
        }
    }
}

fn print_table(outcomes: &[(&Step, Duration, Outcome)], total: Duration) {
    println!();
    for (step, time, outcome) in outcomes {
        let seconds = time.as_secs_f64();
        match outcome {
            Outcome::Good => println!("{:<12} {seconds:>8.1} s  ok", step.name),
            Outcome::Failed(error) => {
                println!("{:<12} {seconds:>8.1} s  FAILED: {error:#}", step.name)
            }
            Outcome::NotRun(need) => {
                println!("{:<12}        -    not run: it needs `{need}`", step.name)
            }
            Outcome::Skipped => println!("{:<12}        -    skipped, as --skip says", step.name),
        }
    }
    println!("{:<12} {:>8.1} s", "total", total.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_name_earlier_steps() {
        for (position, step) in STEPS.iter().enumerate() {
            for need in step.needs {
                assert!(
                    STEPS[..position]
                        .iter()
                        .any(|earlier| earlier.name == *need),
                    "{} needs {need}",
                    step.name
                );
            }
        }
    }

    #[test]
    fn a_step_brings_what_it_needs_and_nothing_else() {
        assert_eq!(
            with_needs(&["browser"]),
            ["programs", "node", "build", "browser"]
        );
        assert_eq!(with_needs(&["clippy", "fmt"]), ["fmt", "clippy"]);
    }

    #[test]
    fn all_purposes_together_are_all_steps() {
        assert_eq!(with_needs(&purposes()).len(), STEPS.len());
        assert!(!purposes().contains(&"build"));
    }
}
