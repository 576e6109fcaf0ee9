//! `cargo xtask bench`: Roomful, the kernel's limit and other servers under the same loads, in turn, within one run.
//!
//! A round measures every server once, so that a ratio compares neighbours in time: machines wander. Each run has a fresh
//! server. What is measured lies in `target/bench/results/`, one file for each scenario.
//!
//! `--against` compares two revisions of Roomful instead (`against`).

mod against;
mod chart;
mod docs;
mod layer;
mod measure;
mod options;
mod peers;
mod perf;
mod results;
mod revisions;
mod scenario;
mod server;
mod statistics;
mod syscalls;
mod table;
mod watch;

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::command::cargo;

pub(crate) use options::Options;

use measure::Rig;
use results::{LeftOut, Results, Run};
use scenario::Scenario;
use server::{LIMIT, REFERENCE, Server};

/// Measures and writes down; answers whether Roomful delivered everything, and with `--against` whether it is no slower.
pub(crate) fn run(options: &Options) -> Result<bool> {
    if options.layer {
        return layer::run(options).map(|()| true);
    }
    if let Some(old) = &options.against {
        return against::run(options, old);
    }
    let mut is_good = true;
    if options.rounds > 0 {
        build()?;
        let (servers, left_out) = choose(options)?;
        for scenario in &options.scenarios {
            let results = measure(options, scenario, &servers, left_out.clone())?;
            println!("\n{}", table::scenario(&results));
            results.save()?;
            is_good &= !results
                .runs
                .iter()
                .any(|run| run.server == REFERENCE && run.error.is_some());
        }
    }
    let stored = Results::load_all()?;
    println!("figures: {}/*.json", results::folder()?.display());
    println!("chart:   {}", chart::save(&stored)?.display());
    if options.write_docs {
        docs::write(&stored)?;
    }
    Ok(is_good)
}

/// Lists scenarios and servers for `cargo xtask help`.
pub(crate) fn print_all() {
    println!("\nScenarios of `cargo xtask bench`:");
    for name in scenario::USUAL {
        let scenario = Scenario::parse(name).expect("a test says that these are scenarios");
        println!("    {name:<14}  {}", scenario.what());
    }
    println!(
        "    Any ROOMSxMEMBERS will do, followed by what is wanted of -1k, and -one, -fixed or -half."
    );
    println!("\nLoads of `cargo xtask bench --against`:");
    println!("    {}", against::USUAL.join(", "));
    println!("    Any SERVER:SCENARIO of our own servers will do, but for -half, idle and churn.");
    println!("\nServers of `cargo xtask bench`:");
    for server in server::SERVERS {
        println!("    {:<14}  {}", server.name, server.what);
    }
}

fn build() -> Result<()> {
    let release = ["build", "--release", "--package"];
    // By itself, as users build it: together with others it would get the features that they ask of its dependencies.
    cargo(&release).arg("roomful-server").run()?;
    let examples = ["chat", "typed_chat", "in_axum"];
    let examples = examples.iter().flat_map(|name| ["--example", *name]);
    examples
        .fold(cargo(&release).arg("roomful"), |build, word| {
            build.arg(word)
        })
        .run()?;
    cargo(&release).args(&["load", "--package", "limit"]).run()
}

/// Whom to measure; and whom not, with the reason.
fn choose(options: &Options) -> Result<(Vec<&'static Server>, LeftOut)> {
    let (mut servers, mut left_out) = (Vec::new(), LeftOut::new());
    for server in server::SERVERS {
        let is_asked_for = options
            .peers
            .as_ref()
            .is_none_or(|peers| peers.contains(&server.name));
        if !is_asked_for && server.name != REFERENCE && server.name != LIMIT {
            continue;
        }
        match peers::provide(server.needs) {
            Ok(()) => servers.push(server),
            Err(error) => {
                println!("{} is left out: {error:#}", server.name);
                left_out.push((server.name.to_owned(), format!("{error:#}")));
            }
        }
    }
    Ok((servers, left_out))
}

fn measure(
    options: &Options,
    scenario: &Scenario,
    servers: &[&'static Server],
    left_out: LeftOut,
) -> Result<Results> {
    let rig = Rig::new(options.seconds, options.pin)?;
    let mut results = Results::new(scenario, options, left_out)?;
    println!("\n==> {}: {}", scenario.name, scenario.what());
    for round in 1..=options.rounds {
        for server in servers {
            // Who cannot do it once is not asked again.
            if results.failed(server.name) {
                continue;
            }
            let begun = Instant::now();
            let run = Run::of(server.name, round, rig.run(server, scenario));
            println!(
                "{round}/{}  {:<14} {:>5.1} s  {}",
                options.rounds,
                server.name,
                begun.elapsed().as_secs_f64(),
                run.error.clone().unwrap_or_else(|| table::in_short(&run))
            );
            results.runs.push(run);
        }
        // What is measured stays, even if this is ended before all rounds are.
        results.save()?;
    }
    if scenario.talks() && syscalls::Tracer::find().is_some() {
        for server in servers
            .iter()
            .filter(|server| !results.failed(server.name))
            .collect::<Vec<_>>()
        {
            let counted = syscalls::per_delivery(&rig, server, scenario);
            match counted.with_context(|| format!("counting the system calls of {}", server.name)) {
                Ok(count) => drop(results.syscalls.insert(server.name.to_owned(), count)),
                Err(error) => println!("{error:#}"),
            }
        }
    }
    Ok(results)
}
