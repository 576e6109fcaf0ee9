//! The project's own commands: `cargo xtask check`, `test`, `pack`, `conformance` and `bench`.
//!
//! A command is a plan: the steps that were asked for, and what those need before them. Each step runs ordinary programs,
//! which are printed as they start, so that any of them can be repeated by hand.

mod bench;
mod command;
mod conformance;
mod options;
mod pack;
mod packages;
mod plan;
mod programs;
mod steps;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::options::{Request, USAGE};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything that was asked for is well.
fn run() -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in a folder of the workspace")?;
    // All paths below are relative to the workspace.
    std::env::set_current_dir(root).with_context(|| format!("entering {}", root.display()))?;
    match options::parse(std::env::args().skip(1))? {
        Request::Help => {
            print!("{USAGE}");
            steps::print_all();
            bench::print_all();
            Ok(true)
        }
        Request::Run(plan) => steps::run(&plan),
        Request::Bench(options) => bench::run(&options),
    }
}
